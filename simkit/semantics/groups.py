"""IOMMU groups as Linux builds them: `pci_device_group` (drivers/iommu/iommu.c), used by the Intel, AMD and SMMU drivers for PCI.

Read in 6.1 and 7.3, the same in both. Functions are taken in address order, which is the order they are probed in unless a device
is hot-added; a function joins the first group it finds and only otherwise makes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.group import Assumption, Because, Difference, Group, Grouping, Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs import Isolation
from simkit.semantics.aliases import alias_bridges

_IOMMU_CLASS = 0x0806
_ALONE = Because("pci_device_group", "nothing carries its requester id, and every port above isolates")


def groups(host: Host, *, kernel: str | None = None) -> Grouping:
    """The groups of a host, the kernel's own where the source holds them.

    What is unknown is taken both ways: all in favour of isolation, and all against it. If both ends agree the answer is exact;
    if not it is `AMBIGUOUS`, with the coarser end in `groups`, the finer in `finest`, and the facts that would decide it.
    """
    release = kernel if kernel is not None else host.kernel
    stated = _stated(host, release)
    if host.iommu is IommuKind.NONE:
        return Grouping(kernels.name(release), Status.EXACT, (), tuple(function.address for function in host.functions), stated)
    given = {function.address: function.iommu_group for function in host.functions if is_known(function.iommu_group)}
    whole = len(given) == len(host.functions) and any(number is not None for number in given.values())
    if whole:
        differences = _differences(host, given)
        built = _Builder(host, Isolation(host, optimistic=False), given).run()
        return Grouping(kernels.name(release), Status.EXACT, built.groups(), built.ungrouped(), reported=True, differences=differences)
    coarse = _Builder(host, Isolation(host, optimistic=False), given).run()
    fine = _Builder(host, Isolation(host, optimistic=True), given).run()
    consulted = {**coarse.isolation.consulted, **fine.isolation.consulted}
    taken = {**coarse.isolation.taken, **fine.isolation.taken}
    stated = (*stated, *(Assumption(text, path, host.where(path)) for path, text in sorted(taken.items())))
    if coarse.partition() == fine.partition():
        return Grouping(kernels.name(release), Status.ASSUMED if stated else Status.EXACT, coarse.groups(), coarse.ungrouped(), stated)
    facts = tuple(Assumption(text, path, host.where(path)) for path, text in sorted(consulted.items()))
    return Grouping(kernels.name(release), Status.AMBIGUOUS, coarse.groups(), coarse.ungrouped(), (*stated, *facts), finest=fine.partition())


def _stated(host: Host, release: object) -> tuple[Assumption, ...]:
    found = []
    if not is_known(host.iommu):
        found.append(Assumption("an IOMMU driver is active (without one no function has a group)", "iommu", host.where("iommu")))
    caveat = kernels.caveat(release if isinstance(release, str) else host.kernel)
    if caveat:
        found.append(Assumption(caveat, "kernel", host.where("kernel")))
    return tuple(found)


def _differences(host: Host, given: dict[Address, int | None]) -> tuple[Difference, ...]:
    """Functions whose reported group lies outside what the rules allow: below the finest or above the coarsest possible one."""
    blank = replace(host, functions=tuple(replace(function, iommu_group=UNKNOWN) for function in host.functions))
    coarse, fine = (_Builder(blank, Isolation(blank, optimistic=optimistic), {}).run().members_of() for optimistic in (False, True))
    reported = _Builder(host, Isolation(host, optimistic=False), given).run().members_of()
    return tuple(
        Difference(
            address,
            reported.get(address, ()),
            coarse.get(address, ()),
            f"{address}: reported with {_list(reported, address)}, the rules put it with {_list(coarse, address)}",
        )
        for address in sorted(given)
        if not set(fine.get(address, ())) <= set(reported.get(address, ())) <= set(coarse.get(address, ()))
    )


def _list(members: dict[Address, tuple[Address, ...]], address: Address) -> str:
    others = [str(other) for other in members.get(address, ()) if other != address]
    return ", ".join(others) or ("no other" if address in members else "no group")


@dataclass(slots=True)
class _Builder:
    """One run over a host's functions; `given` are groups that exist already."""

    host: Host
    isolation: Isolation
    given: dict[Address, int | None]
    group_of: dict[Address, int] = field(default_factory=dict)
    reasons: dict[Address, Because] = field(default_factory=dict)
    _slots: dict[tuple[int, int, int], list[Function]] = field(default_factory=dict)

    def run(self) -> _Builder:
        for function in self.host.functions:
            self._slots.setdefault(function.address.slot, []).append(function)
        numbers = {number: index for index, number in enumerate(sorted({number for number in self.given.values() if number is not None}))}
        self.group_of = {address: numbers[number] for address, number in self.given.items() if number is not None}
        following = len(numbers)
        for function in self.host.functions:
            if function.address in self.given or self._without_group(function):
                continue
            found = self._join(function)
            if found is None:
                found, following = following, following + 1
            self.group_of[function.address] = found
        return self

    def _without_group(self, function: Function) -> bool:
        """AMD's IOMMU function is outside its own scope (drivers/iommu/amd/init.c; seen on booted kernels)."""
        return self.host.iommu is IommuKind.AMD and is_known(function.class_code) and function.class_code >> 8 == _IOMMU_CLASS

    def _join(self, function: Function) -> int | None:
        """`pci_device_group`: the four places where an existing group is found, in the kernel's order."""
        last = function
        for bridge in alias_bridges(self.isolation, function):
            last = bridge
            if bridge.address in self.group_of:
                return self._because(function, "pci_for_each_dma_alias", bridge, f"its requests carry the requester id of bridge {bridge.address}")
        if self.host.elided and (found := self._around_the_root(function)) is not None:
            return found
        for bridge in self.host.ancestors(last):
            if self.isolation.path_enabled(bridge):
                break
            last = bridge
            if bridge.address in self.group_of:
                return self._because(function, "pci_acs_path_enabled", bridge, f"{bridge.address} or a port above it does not isolate (ACS SV, RR, CR, UF)")
        return self._same_slot(function, last)

    def _around_the_root(self, function: Function) -> int | None:
        """Root ports that the source leaves out may be functions of one slot without ACS: then all below one root bus is one group."""
        bus = self.host.root_bus(function)
        if self.isolation.guess(str(bus), f"ACS of the root ports of {bus}, which the source leaves out,", Unknown("NCCL's XML shows no root ports")):
            return None
        for other in self.host.below(bus):
            if other.address in self.group_of and other is not function:
                return self._because(function, "pci_acs_path_enabled", other, f"nothing is known of the root ports of {bus}")
        return None

    def _same_slot(self, function: Function, last: Function) -> int | None:
        """`get_pci_function_alias_group`: functions of one slot that do not isolate share a group."""
        if not self.isolation.multifunction(last) or self.isolation.enabled(last):
            return None
        for other in self._slots[last.address.slot]:
            if other is not last and other.address in self.group_of and not self.isolation.enabled(other):
                return self._because(
                    function, "get_pci_function_alias_group", other, f"{last.address} and {other.address} are functions of one slot without ACS between them"
                )
        return None

    def _because(self, function: Function, rule: str, other: Function, text: str) -> int:
        self.reasons[function.address] = Because(rule, text, (function.address, other.address))
        return self.group_of[other.address]

    def members_of(self) -> dict[Address, tuple[Address, ...]]:
        members: dict[int, list[Address]] = {}
        for address in sorted(self.group_of):
            members.setdefault(self.group_of[address], []).append(address)
        return {address: tuple(members[number]) for address, number in self.group_of.items()}

    def partition(self) -> tuple[tuple[Address, ...], ...]:
        return tuple(sorted(set(self.members_of().values())))

    def groups(self) -> tuple[Group, ...]:
        made = []
        for members in self.partition():
            reasons = tuple(dict.fromkeys(self.reasons[address] for address in members if address in self.reasons))
            made.append(Group(members, self.given.get(members[0]), reasons or (() if len(members) > 1 else (_ALONE,))))
        return tuple(sorted(made, key=lambda group: (group.id is None, group.id or 0, group.functions[0])))

    def ungrouped(self) -> tuple[Address, ...]:
        return tuple(function.address for function in self.host.functions if function.address not in self.group_of)
