"""One run over a host's functions, each joining a group or making one: `pci_device_group` (drivers/iommu/iommu.c).

Read in 6.1, 6.12 and 7.3, the same in all. Functions are taken as a scan finds them, which is the order they are probed in unless a
device is hot-added; a function joins the first group it finds and only otherwise makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simkit.model.address import Address, Parent
from simkit.model.function import Function
from simkit.model.group import Because, Group, Rule
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown, is_known
from simkit.semantics.acs import Isolation
from simkit.semantics.aliases import alias_bridges, dma_function
from simkit.semantics.dma_alias_quirks import explicit_aliases, hidden_aliases
from simkit.semantics.iommu_scope import firmware_alias, is_amd_iommu, left_out_beside, scopes, translated
from simkit.semantics.smmu import Streams, waits_for_driver

Joined = tuple[Because, Address]
_EVERY_DEVFN = frozenset(range(256))
_IN_MEMORY = Unknown(
    "they stand in its own memory (BAR 0), not in config space; the groups that Linux made tell (/sys/kernel/iommu_groups), "
    "or `Proxy ID` lines of its log with dyndbg='file drivers/pci/quirks.c +p'"
)
_LEFT_OUT = Unknown("NCCL's XML shows no root ports")


def _in_order(address: Address) -> tuple[int, int]:
    return address.domain, address.routing_id


@dataclass(slots=True)
class GroupBuilder:
    """`given` are the group numbers that exist already, None for functions that are known to have none; `only` those that are to be grouped."""

    host: Host
    isolation: Isolation
    given: Mapping[Address, int | None] = field(default_factory=dict)
    only: tuple[Function, ...] | None = None
    group_of: dict[Address, int] = field(default_factory=dict)
    reasons: dict[Address, Because] = field(default_factory=dict)
    _slots: dict[tuple[int, int, int], list[Function]] = field(default_factory=dict)
    _aliases: dict[tuple[int, int], dict[Address, frozenset[int]]] = field(default_factory=dict)
    _above: dict[Parent, Joined | None] = field(default_factory=dict)
    _following: int = 0
    _scoped: bool = field(init=False)

    def __post_init__(self) -> None:
        """Ask once whether firmware's tables say anything."""
        self._scoped = is_known(scopes(self.host))

    def run(self) -> GroupBuilder:
        """Give every function its group."""
        functions = tuple(self.host.in_scan_order()) if self.only is None else self.only
        for function in functions:
            self._slots.setdefault(function.address.slot, []).append(function)
            if aliases := self._ids_besides(function):
                self._aliases.setdefault((function.address.domain, function.address.bus), {})[function.address] = aliases
        numbers = {number: index for index, number in enumerate(sorted({number for number in self.given.values() if number is not None}))}
        self.group_of = {address: numbers[number] for address, number in self.given.items() if number is not None}
        self._following = len(numbers)
        streams = Streams(self.isolation) if self.host.iommu is IommuKind.SMMU else None
        for function in functions if streams is not None else ():
            if function.address in self.group_of:
                self._streamed(streams, function)
        for function in functions:
            if function.address in self.given or self._without_group(function) or not self._streamed(streams, function):
                continue
            found = self._through_maker(function) or self._join(function)
            if found is None:
                self.group_of[function.address] = self._following
                self._following += 1
            else:
                self.reasons[function.address], joined = found
                self.group_of[function.address] = self.group_of[joined]
        return self

    def _without_group(self, function: Function) -> bool:
        """Out of every IOMMU's scope, as AMD's IOMMU function is of its own, and as firmware is taken to leave the host bridge beside it."""
        if is_amd_iommu(self.host, function) or left_out_beside(self.host, function):
            return True
        if self._scoped and translated(self.host, function) is False:
            return True
        if self.host.iommu is IommuKind.SMMU and waits_for_driver(self.host, function) is True:
            return True
        maker = dma_function(self.host, function)
        return maker is not function and maker.address not in self.group_of

    def _streamed(self, streams: Streams | None, function: Function) -> bool:
        """Whether all its stream ids are its own, which Arm's SMMUv3 wants."""
        if streams is None:
            return True
        aliases = self._aliases.get((function.address.domain, function.address.bus), {}).get(function.address, frozenset())
        return streams.claim(function, aliases)

    def _through_maker(self, function: Function) -> Joined | None:
        """What lies in a domain that Intel's VMD made is visited as the VMD itself, whose group is there already."""
        maker = dma_function(self.host, function)
        return None if maker is function else (Because(Rule.MAKER, (maker.address,)), maker.address)

    def _ids_besides(self, function: Function) -> frozenset[int]:
        """`dma_alias_mask`: by the device's quirk and, on AMD, by firmware. What only the device's memory tells is every id of the bus, or none."""
        found = explicit_aliases(function)
        if hidden_aliases(function) and self._on_bus(function):
            what = f"which requester ids of its bus {function.address} uses besides its own (quirk_switchtec_ntb_dma_alias)"
            if not self.isolation.guess(f"{function.path}/dma_aliases", what, _IN_MEMORY):
                found |= _EVERY_DEVFN
        alias = firmware_alias(self.host, function) if self._scoped else None
        return found if alias is None else found | {alias}

    def _join(self, function: Function) -> Joined | None:
        """The places where an existing group is found, in the kernel's order: why, and whose group it is."""
        if function.parent in self._above:
            above, last = self._above[function.parent], function
        else:
            above, last = self._bridges_above(function)
        if above is not None:
            return above
        found = self._alias_on_bus(last, set()) if self._aliases else None
        if found is not None:
            return Because(Rule.ALIAS_ON_BUS, (last.address, found)), found
        other = self._same_slot(last, set())
        return None if other is None else (Because(Rule.SLOT, (last.address, other)), other)

    def _bridges_above(self, function: Function) -> tuple[Joined | None, Function]:
        """Aliases, then the ACS path. What the bridge right above decides holds for all functions below it, and is kept."""
        last = function
        for bridge in alias_bridges(self.isolation, function):
            if bridge.address in self.group_of:
                return self._kept(function, (Because(Rule.ALIAS, (bridge.address,)), bridge.address), first=last is function), bridge
            last = bridge
        if self.host.elided and (beside := self._below_root(function)) is not None:
            return (Because(Rule.ELIDED, (beside,)), beside), last
        for bridge in self.host.ancestors(last):
            if self.isolation.path_enabled(bridge):
                break
            if bridge.address in self.group_of:
                reason = Because(Rule.ACS_PATH, (self.isolation.lacking(bridge).address,))
                return self._kept(function, (reason, bridge.address), first=last is function), bridge
            last = bridge
        if last is function and not self.host.elided:
            self._above[function.parent] = None
        return None, last

    def _kept(self, function: Function, found: Joined, *, first: bool) -> Joined:
        if first:
            self._above[function.parent] = found
        return found

    def _below_root(self, function: Function) -> Address | None:
        """Root ports that the source leaves out may be functions of one slot without ACS: then all below one root bus is one group."""
        bus = self.host.root_bus(function)
        if self.isolation.guess(str(bus), f"ACS of the root ports of {bus}, which the source leaves out,", _LEFT_OUT):
            return None
        return next((other.address for other in self.host.below(bus) if other.address in self.group_of and other is not function), None)

    def _alias_on_bus(self, function: Function, seen: set[Address]) -> Address | None:
        """`get_pci_alias_group`: a function that has a group, among those that share a requester id on this bus, directly or in turn."""
        if function.address in seen:
            return None
        seen.add(function.address)
        if function.address in self.group_of:
            return function.address
        for other in self._sharing(function):
            found = self._alias_on_bus(other, seen) or self._same_slot(other, seen)
            if found is not None:
                return found
        return None

    def _sharing(self, function: Function) -> list[Function]:
        """`pci_devs_are_dma_aliases`: we alias them or they alias us."""
        here = function.address
        quirky = self._aliases.get((here.domain, here.bus), {})
        mine = quirky.get(here, frozenset())
        return [
            other
            for other in self._on_bus(function)
            if other.address.devfn in mine or here.devfn in quirky.get(other.address, ())
        ]

    def _on_bus(self, function: Function) -> list[Function]:
        """The others on its bus; virtual functions may lie on buses of their own."""
        return [other for other in self.host.children(function.parent) if other is not function and other.address.bus == function.address.bus]

    def _same_slot(self, function: Function, seen: set[Address]) -> Address | None:
        """`get_pci_function_alias_group`: functions of one slot that do not isolate share a group, with what shares an id with them."""
        if not self.isolation.multifunction(function) or self.isolation.enabled(function):
            return None
        for other in self._slots.get(function.address.slot, ()):
            if other is not function and (self._aliases or other.address in self.group_of) and not self.isolation.enabled(other):
                found = self._alias_on_bus(other, seen) if self._aliases else other.address
                if found is not None:
                    return found
        return None

    def members_of(self) -> dict[Address, tuple[Address, ...]]:
        """To each function that has a group, all of its group."""
        return {address: members for members in self.partition() for address in members}

    def partition(self) -> tuple[tuple[Address, ...], ...]:
        """The groups' functions, both in address order."""
        members: dict[int, list[Address]] = {}
        for address in sorted(self.group_of, key=_in_order) if self.only else (function.address for function in self.host.functions):
            number = self.group_of.get(address)
            if number is not None:
                members.setdefault(number, []).append(address)
        return tuple(map(tuple, members.values()))

    def groups(self) -> tuple[Group, ...]:
        """The groups with their reasons, by number where there are numbers, else by address."""
        made = []
        for members in self.partition():
            reasons = tuple(dict.fromkeys(self.reasons[address] for address in members if address in self.reasons))
            made.append(Group(members, self.given.get(members[0]), reasons or (() if len(members) > 1 else (Because(Rule.NEW),))))
        return tuple(sorted(made, key=lambda group: (group.id is None, group.id or 0))) if self.given else tuple(made)

    def ungrouped(self) -> tuple[Address, ...]:
        """The functions without a group."""
        return tuple(function.address for function in self.host.functions if function.address not in self.group_of)

    def unscoped(self) -> tuple[Address, ...]:
        """Of these, the ones that firmware's tables put under no IOMMU."""
        return tuple(address for address in self.ungrouped() if translated(self.host, self.host[address]) is False)
