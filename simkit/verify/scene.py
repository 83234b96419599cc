"""What a property looks at: a host as it is or as a plan leaves it, its groups, and whose each function is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from simkit.model.address import Address
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.semantics.groups import groups
from simkit.semantics.outcome import outcome

HOST = "the host"
HANDED_OUT = frozenset({Kind.GPU, Kind.NIC, Kind.NVME, Kind.NVSWITCH})
"""Kinds of functions that one gives to guests."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A host and, with a plan, the guests on it. `grouping` is that of the functions as they are after the plan."""

    host: Host
    grouping: Grouping
    plan: Plan | None = None
    owners: dict[Address, str] = field(default_factory=dict)

    @classmethod
    def of(cls, host: Host, *, kernel: str | None = None) -> Scene:
        """A host alone: every IOMMU group is a party of its own."""
        grouping = groups(host, kernel=kernel)
        owners = {address: _party(group.id, group.functions) for group in grouping.groups for address in group.functions}
        return cls(host, grouping, None, owners)

    @classmethod
    def after(cls, plan: Plan, *, kernel: str | None = None) -> Scene:
        """A plan's host once the plan is carried out: the parties are its guests, and the host that keeps the rest."""
        host = outcome(plan)
        owners = {device.address: guest.name for guest in plan.guests for device in guest.devices}
        return cls(host, groups(host, kernel=kernel), plan, owners)

    def owner(self, address: Address) -> str:
        """Whose a function is."""
        return self.owners.get(address, HOST)

    def handed_out(self) -> Iterator[Function]:
        """The functions whose requests somebody else controls: the guests', or on a host alone all that one would hand out."""
        for address in sorted(self.owners):
            function = self.host[address]
            if self.plan is not None or function.kind in HANDED_OUT:
                yield function

    def others(self, owner: str) -> Iterator[Function]:
        """The functions that are not `owner`'s and have memory or registers to reach; ports and the chipset's own functions do not count, unless handed out."""
        return (
            function
            for function in self.host.functions
            if not function.is_bridge
            and (function.kind is not Kind.SYSTEM or (self.plan is not None and function.address in self.owners))
            and self.owner(function.address) != owner
        )

    def name(self, address: Address) -> str:
        """A function for people: ``0000:05:00.0 (H100 of train)``."""
        owner = self.owner(address)
        return f"{address} ({self.host[address].label}, {owner})"


def _party(number: int | None, functions: tuple[Address, ...]) -> str:
    return f"group {number}" if number is not None else f"group of {functions[0]}"
