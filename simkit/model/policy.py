"""What must hold, by name and with parameters; `verify` knows how to decide each."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.model.place import Places


@dataclass(frozen=True, slots=True)
class Rule:
    """One property that must hold, with its settings. `accept`: a violation is a residual risk, not a failure."""

    property: str
    accept: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Named rules that are checked together."""

    name: str
    rules: tuple[Rule, ...]
    places: Places = field(default_factory=Places, compare=False, repr=False)
