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


class Rule(StrEnum):
    """How a function comes to its group, named by the kernel function that decides."""

    ALIAS = "pci_for_each_dma_alias"
    ACS_PATH = "pci_acs_path_enabled"
    MAKER = "pci_real_dma_dev"
    ALIAS_ON_BUS = "get_pci_alias_group"
    SLOT = "get_pci_function_alias_group"
    BUS = "pci_bus_isolated"
    REACHABLE = "pci_reachable_set"
    NEW = "pci_device_group"
    ELIDED = "elided"


_SENTENCES = {
    Rule.ALIAS: "requests carry the requester id of bridge {0}",
    Rule.ACS_PATH: "{0}, on the way up, does not isolate (ACS SV, RR, CR, UF)",
    Rule.MAKER: "requests carry the requester id of {0}, whose driver made the PCI domain (Intel VMD)",
    Rule.ALIAS_ON_BUS: "{0} and {1} use one requester id (a quirk of the device, or firmware says so)",
    Rule.SLOT: "{0} and {1} are functions of one slot without ACS between them",
    Rule.BUS: "what is below {0} is not kept apart",
    Rule.REACHABLE: "{0} reaches {1}, or uses one requester id with it",
    Rule.NEW: "nothing carries its requester id, and every port above isolates",
    Rule.ELIDED: "nothing is known of the root ports above {0}, which the source leaves out",
}


@dataclass(frozen=True, slots=True)
class Because:
    """Why functions are in a group: the rule, and the functions that it is about: a bridge, or two that are not kept apart."""

    rule: Rule
    functions: tuple[Address, ...] = ()

    @property
    def text(self) -> str:
        """A sentence."""
        return _SENTENCES[self.rule].format(*self.functions)


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
    the other end, `possible` how many different ones there are (None: too many to follow up). `ungrouped` are the functions without a group,
    `unscoped` those of them that firmware's tables put under no IOMMU.
    """

    kernel: str
    status: Status
    groups: tuple[Group, ...]
    ungrouped: tuple[Address, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    finest: tuple[tuple[Address, ...], ...] = ()
    possible: int | None = 1
    reported: bool = False
    differences: tuple[Difference, ...] = ()
    unscoped: tuple[Address, ...] = ()

    def of(self, address: Address) -> Group | None:
        """The group of a function, or None where it has none."""
        return next((group for group in self.groups if address in group.functions), None)
