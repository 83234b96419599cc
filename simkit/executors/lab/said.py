"""Sentences about many functions: one for each thing to say, with the functions it is said of."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.model.address import Address

_SHOWN = 6


@dataclass(slots=True)
class Said:
    """Collects what must be said, in the order in which it was first said."""

    about: dict[str, list[Address]] = field(default_factory=dict)

    def say(self, text: str, *functions: Address) -> None:
        """One thing, of these functions or of the whole machine."""
        self.about.setdefault(text, []).extend(functions)

    def sentences(self) -> tuple[str, ...]:
        """``TEXT: 0000:01:00.0, 0000:02:00.0 and 7 more``."""
        made = []
        for text, functions in self.about.items():
            shown = ", ".join(map(str, functions[:_SHOWN])) + (f" and {len(functions) - _SHOWN} more" if len(functions) > _SHOWN else "")
            made.append(f"{text}: {shown}" if functions else text)
        return tuple(made)
