"""The answer to: which functions share an IOMMU group?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.place import Place


class Status(StrEnum):
    """How much of an answer rests on known facts."""

    EXACT = "exact"
    ASSUMED = "assumed"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A fact that was not known, and what was taken in its stead; `path` and `place` say where it could be supplied."""

    text: str
    path: str
    place: Place


@dataclass(frozen=True, slots=True)
class Because:
    """Why a function is in its group: the rule (a kernel function's name), and with which functions."""

    rule: str
    text: str
    functions: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One IOMMU group; `id` is the kernel's number where it is known."""

    functions: tuple[Address, ...]
    id: int | None = None
    because: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the kernel's report and the rules disagree: a function, its group as reported and as predicted."""

    function: Address
    reported: tuple[Address, ...]
    predicted: tuple[Address, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups of a host.

    Where the kernel's own report is there it is what `groups` holds, and `differences` says where the rules predict otherwise.
    `AMBIGUOUS`: what is unknown changes the answer; `groups` is then the coarsest (safest) of the possible ones and `finest`
    the other end. `ungrouped` are the functions without a group.
    """

    kernel: str
    status: Status
    groups: tuple[Group, ...]
    ungrouped: tuple[Address, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    finest: tuple[tuple[Address, ...], ...] = ()
    reported: bool = False
    differences: tuple[Difference, ...] = ()

    def of(self, address: Address) -> Group | None:
        """The group of a function, or None where it has none."""
        return next((group for group in self.groups if address in group.functions), None)
