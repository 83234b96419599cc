"""Unknown as a value: a fact that the source could not tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeIs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that nobody has told us, with the reason why not.

    It equals any other Unknown (the reason is for people), and refuses to be taken for true or false.
    """

    why: str = field(default="the source does not say", compare=False, repr=False)

    def __bool__(self) -> NoReturn:
        """Raise TypeError: an unknown is neither yes nor no."""
        raise TypeError(f"an unknown fact ({self.why}) was used as a truth value; ask is_known() first")

    def __str__(self) -> str:
        """How people read it."""
        return "unknown"


UNKNOWN = Unknown()


def is_known(value: T | Unknown) -> TypeIs[T]:
    """Whether `value` is a fact."""
    return not isinstance(value, Unknown)


def known_or(value: T | Unknown, default: T) -> T:
    """`value` where it is known, else `default`; the caller answers for the assumption."""
    return default if isinstance(value, Unknown) else value
