"""What the host's facts mean for handing functions out: everything that solving asks of `simkit.semantics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.capabilities import PortType, Sriov
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, Topology, Workload
from simkit.semantics import gpu_profiles
from simkit.semantics.groups import groups
from simkit.semantics.outcome import outcome
from simkit.semantics.partitions import unlinked
from simkit.semantics.smmu import grouped_when_bound, handed_over
from simkit.semantics.sriov import vf_address
from simkit.solve.classes import Classes


@dataclass(frozen=True, slots=True)
class Facts:
    """Tables by function.

    `members`: the functions of its IOMMU group, bridges aside, itself included; empty where it has none. `late`: those that get theirs
    with vfio-pci (`grouped_when_bound`); `grouping` and `members` are as if it were bound to all of these. `chain`: the switches
    above it, by upstream port, topmost first. `root`: the topmost port above it. `home`: the lowest switch above it with several
    slots below, else `root`. `switches`: by switch with several GPUs below, these GPUs. `virtual`: by physical function, the
    indices of virtual functions that could be handed out, and `shared` those that could not, since they would share a group.
    """

    host: Host
    grouping: Grouping
    members: dict[Address, tuple[Address, ...]]
    late: frozenset[Address]
    chain: dict[Address, tuple[Address, ...]]
    root: dict[Address, Address]
    home: dict[Address, Address]
    switches: dict[Address, tuple[Address, ...]]
    virtual: dict[Address, tuple[int, ...]]
    shared: dict[Address, str]
    parents: frozenset[Address]
    _classes: Classes = field(compare=False, repr=False)
    _unlinked: Classes = field(compare=False, repr=False)
    _tried: dict[tuple[tuple[Address, int], ...], tuple[dict[Address, tuple[int, ...]], dict[Address, str]]] = field(compare=False, repr=False)

    def nearness(self, a: Address, b: Address) -> PeerClass:
        """The class of a pair; two virtual functions of one device are PIX."""
        return PeerClass.PIX if a == b else self._classes.of(a, b)

    def unlinked(self, a: Address, b: Address) -> PeerClass:
        """The class of a pair whose NVLinks are off."""
        return PeerClass.PIX if a == b else self._unlinked.of(a, b)

    def alike(self, addresses: Sequence[Address]) -> bool:
        """Whether these are equally near to each other, and any of them to every other function."""
        return self._classes.uniform(addresses)

    def node(self, address: Address) -> int | None:
        """The NUMA node of a function, None where firmware or source do not tell."""
        number = self.host[address].numa_node
        if isinstance(number, int):
            return number
        return self.host.numa_nodes[0].id if len(self.host.numa_nodes) == 1 else None

    def refusal(self, function: Function, request: DeviceRequest) -> str | None:
        """Why a function of the right kind and model cannot be handed out; None where it can."""
        if function.usage:
            return f"{function.address} is the host's {function.usage}"
        if request.profile is not None and (why := gpu_profiles.refusal(function, request.share, request.profile)):
            return why
        if request.share.virtual:
            return self._virtual_refusal(function)
        members = self.members.get(function.address, ())
        if not members:
            return f"{function.address} has no IOMMU group"
        for other in members:
            if self.host[other].usage:
                return f"{function.address} shares an IOMMU group with {other}, the host's {self.host[other].usage}"
            if other in self.parents:
                return f"{other} has virtual functions already"
        return None

    def parts(self, address: Address, request: DeviceRequest) -> int:
        """How many virtual functions of one physical function a request could have, if nobody else wants any."""
        function = self.host[address]
        if not self.virtual.get(address) or not isinstance(function.sriov, Sriov):
            return 0
        there = len(_indices(self.host, function, function.sriov.total_vfs))
        most = None if request.profile is None else gpu_profiles.most_parts(function, request.share, request.profile)
        return min(there, most) if is_known(most) and most is not None else there

    def _virtual_refusal(self, function: Function) -> str | None:
        if function.address in self.shared:
            return self.shared[function.address]
        if not isinstance(function.sriov, Sriov) or not function.sriov.total_vfs:
            known = is_known(function.sriov)
            return f"{function.address} has no virtual functions" if known else f"whether {function.address} has virtual functions is unknown"
        return None if self.virtual.get(function.address) else f"the addresses of virtual functions of {function.address} are unknown or taken"


def facts_of(workload: Workload, host: Host, *, known: Facts | None = None) -> Facts:
    """Read the tables off a host; virtual functions as far as the workload could ask for them. `known` are those of another workload on the same host."""
    wanted = _wanted(workload, host)
    if known is not None and known.host is host:
        tried = tuple(wanted.items())
        if tried not in known._tried:
            known._tried[tried] = _virtual_functions(host, wanted)
        virtual, shared = known._tried[tried]
        return replace(known, virtual=virtual, shared=shared)
    late = frozenset(function.address for function in host.functions if grouped_when_bound(host, function) and not function.usage)
    grouping = groups(handed_over(host, sorted(late)) if late else host)
    members = {address: tuple(other for other in group.functions if not host[other].is_bridge) for group in grouping.groups for address in group.functions}
    chain = {function.address: _chain(host, function) for function in host.functions if not function.is_bridge}
    root = {function.address: _root(host, function) for function in host.functions if not function.is_bridge}
    slots = Counter(switch for _, switches in sorted({(address.slot, chain[address]) for address in chain if not host[address].is_vf}) for switch in switches)
    home = {address: next((switch for switch in reversed(switches) if slots[switch] > 1), root[address]) for address, switches in chain.items()}
    switches: dict[Address, list[Address]] = {}
    for gpu in host.of_kind(Kind.GPU):
        for switch in chain[gpu.address] if not gpu.is_vf else ():
            switches.setdefault(switch, []).append(gpu.address)
    virtual, shared = _virtual_functions(host, wanted)
    parents = frozenset(function.physfn for function in host.functions if function.physfn is not None)
    several = {switch: tuple(gpus) for switch, gpus in sorted(switches.items()) if len(gpus) > 1}
    handed_out = {tuple(wanted.items()): (virtual, shared)}
    return Facts(host, grouping, members, late, chain, root, home, several, virtual, shared, parents, Classes(host), Classes(unlinked(host)), handed_out)


def _chain(host: Host, function: Function) -> tuple[Address, ...]:
    found = [port.address for port in host.ancestors(function) if port.port_type is PortType.UPSTREAM or (host.elided and port.is_bridge)]
    return tuple(reversed(found))


def _root(host: Host, function: Function) -> Address:
    top = function
    for port in host.ancestors(function):
        top = port
    return top.address


def _wanted(workload: Workload, host: Host) -> dict[Address, int]:
    """How many virtual functions could be asked of each physical one, in address order."""
    requests = Counter(request for guest in workload.guests for request in guest.devices if request.share.virtual)
    wanted: Counter[Address] = Counter()
    for request, times in requests.items():
        wanted.update({function.address: times * request.count for function in host.functions if request.fits(function) and not function.usage})
    return dict(sorted(wanted.items()))


def _virtual_functions(host: Host, wanted: dict[Address, int]) -> tuple[dict[Address, tuple[int, ...]], dict[Address, str]]:
    """Indices that could be handed out, each alone in its IOMMU group; where one would not be, why not."""
    virtual = {address: tuple(_indices(host, host[address], wanted[address])) for address in wanted}
    devices = tuple(GuestDevice(place, "", vf_of=address, vf_index=index) for address, indices in virtual.items() for index in indices
                    if is_known(place := vf_address(host, host[address], index)))
    if not devices:
        return virtual, {}
    trial = GuestPlan("trial", TeeKind.NONE, Topology.FLATTEN, 0, 0, (), devices, ())
    after = outcome(Plan(Workload("trial", ()), host, "", (trial,)))
    group_of = {address: group for group in groups(after).groups for address in group.functions}
    shared: dict[Address, str] = {}
    for device in devices:
        group = group_of.get(device.address)
        others = [other for other in group.functions if other != device.address and not after[other].is_bridge] if group else []
        if device.vf_of is not None and others:
            shared.setdefault(device.vf_of, f"virtual functions of {device.vf_of} would share an IOMMU group with {others[0]}")
    return {address: () if address in shared else indices for address, indices in virtual.items()}, shared


def _indices(host: Host, physical: Function, most: int) -> list[int]:
    """The lowest indices whose address is known and not in use; where one that exists is in use, only those that exist (making more removes all)."""
    if not isinstance(physical.sriov, Sriov):
        return []
    existing = {function.address: function for function in host.virtual_functions(physical)}
    fixed = any(function.usage for function in existing.values())
    found: list[int] = []
    for index in range(physical.sriov.total_vfs):
        place = vf_address(host, physical, index)
        if len(found) == most or not is_known(place):
            break
        if (place in existing and not existing[place].usage) or (place not in host and not fixed):
            found.append(index)
    return found
