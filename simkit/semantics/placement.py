"""Is a plan sound? Everything re-derived from workload and host by enumeration; shares no code with what made the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan, GuestPortKind
from simkit.model.host import Host
from simkit.model.numa import HugePages
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import Companions, GuestRequest, Topology
from simkit.semantics.groups import groups
from simkit.semantics.guest_space import mmio64_mib
from simkit.semantics.outcome import outcome
from simkit.semantics.partitions import as_joined
from simkit.semantics.placement_apart import check_apart
from simkit.semantics.placement_gpus import check_gpus
from simkit.semantics.placement_served import Served, device_class, seen_in, source_of, split
from simkit.semantics.placement_tree import check_tree
from simkit.semantics.sriov import vf_address

__all__ = ["check", "check_tree"]


def check(plan: Plan) -> tuple[str, ...]:
    """Every fault of a plan, as sentences; empty where it is sound.

    Looked at: guests as asked for, devices that exist and are free, whole IOMMU groups, each request served in number, kind,
    class and pairing, TEEs, CPUs and memory, and the guests' trees.
    """
    faults = [*_as_asked(plan), *_devices(plan)]
    if faults:
        return tuple(faults)
    faults += [*check_gpus(plan), *_groups(plan), *_tees(plan), *_processors(plan)]
    for guest in plan.guests:
        faults += [*_served(plan, guest), *_companions(plan, guest), *(check_tree(plan.host, guest) or _window(plan, guest))]
    faults += [*check_apart(plan)]
    return tuple(faults)


def _as_asked(plan: Plan) -> Iterator[str]:
    asked = [(guest.name, guest.tee, guest.topology, guest.cpus, guest.memory_bytes, guest.hugepage_bytes) for guest in plan.workload.guests]
    given = [(guest.name, guest.tee, guest.topology, guest.cpus, guest.memory_bytes, guest.hugepage_bytes) for guest in plan.guests]
    if asked != given:
        yield f"the plan's guests ({', '.join(guest.name for guest in plan.guests)}) are not those of the workload, as it states them"


def _devices(plan: Plan) -> Iterator[str]:
    host = plan.host
    every = [device for guest in plan.guests for device in guest.bound]
    for address, count in Counter(device.address for device in every).items():
        if count > 1:
            yield f"{address} is handed out {count} times"
    whole = {device.address for device in every if device.vf_of is None}
    for device in every:
        if device.vf_of is not None:
            yield from _virtual(host, device, whole)
        elif device.address not in host:
            yield f"{device.address} is not there"
        elif host[device.address].is_bridge:
            yield f"{device.address} is a bridge"
        elif host[device.address].usage:
            yield f"{device.address} is the host's {host[device.address].usage}"
        elif any(function.physfn == device.address for function in host.functions):
            yield f"{device.address} is handed out whole and has virtual functions"


def _virtual(host: Host, device: GuestDevice, whole: set[Address]) -> Iterator[str]:
    if device.vf_of is None or device.vf_of not in host or device.vf_index is None:
        yield f"{device.address} is a virtual function of nothing that is there"
        return
    physical = host[device.vf_of]
    total = physical.sriov.total_vfs if isinstance(physical.sriov, Sriov) else 0
    if not 0 <= device.vf_index < total:
        yield f"{device.address} is virtual function {device.vf_index} of {device.vf_of}, which can have {total}"
    if vf_address(host, physical, device.vf_index) != device.address:
        yield f"virtual function {device.vf_index} of {device.vf_of} will not be at {device.address}"
    if device.vf_of in whole:
        yield f"{device.vf_of} is handed out whole, and so is its virtual function {device.address}"
    if physical.usage:
        yield f"{device.vf_of}, of which {device.address} would be a virtual function, is the host's {physical.usage}"
    if device.address in host and (host[device.address].physfn != device.vf_of or host[device.address].usage):
        yield f"{device.address} is not free to be a virtual function of {device.vf_of}"
    if device.address not in host and any(function.physfn == device.vf_of and function.usage for function in host.functions):
        yield f"making {device.address} removes virtual functions of {device.vf_of} that are in use"


def _groups(plan: Plan) -> Iterator[str]:
    owner = {device.address: guest.name for guest in plan.guests for device in guest.bound}
    after = outcome(plan)
    grouping = groups(after)
    numbers = {address: group.id for group in groups(plan.host).groups for address in group.functions}
    for group in grouping.groups:
        members = [address for address in group.functions if not after[address].is_bridge]
        owners = sorted({owner.get(address, "the host") for address in members})
        if len(owners) > 1:
            yield f"the IOMMU group of {members[0]} is split between {' and '.join(owners)}"
    for guest in plan.guests:
        by_address = {device.address: device for device in guest.devices}
        for device in guest.bound:
            home = grouping.of(device.address)
            if home is None:
                yield f"{device.address} of {guest.name} has no IOMMU group"
            if device.address in plan.host and device.group != numbers.get(device.address):
                yield f"{device.address} is in IOMMU group {numbers.get(device.address)}, the plan says {device.group}"
            lead = device.companion_of
            if home is not None and lead is not None and (lead not in home.functions or lead not in by_address or by_address[lead].companion_of is not None):
                yield f"{device.address} comes along with {lead}, which {guest.name} has not asked for in the same group"


def _companions(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """Functions that only come along are where the workload wants them."""
    wanted = plan.workload.guest(guest.name).companions
    kinds = {port.id: port.kind for port in guest.ports}
    for device in guest.held:
        if wanted is not Companions.LEFT or device.companion_of is None or device.port:
            yield f"{device.address} is held for {guest.name} and not attached, which the workload does not ask for"
    for device in guest.devices:
        if device.companion_of is not None and wanted is Companions.LEFT:
            yield f"{device.address} comes along and is attached to {guest.name}, which is to leave such functions"
        if device.companion_of is not None and wanted is Companions.PORT and kinds.get(device.port) is GuestPortKind.BRIDGE:
            yield f"{device.address} of {guest.name} is on a bridge, and is to have a port of its own"


def _window(plan: Plan, guest: GuestPlan) -> tuple[str, ...]:
    """Too small a 64-bit window leaves devices without addresses; the plan's is to be the one that its tree and devices need."""
    needed = mmio64_mib(plan.host, guest)
    if guest.mmio64_mib == needed:
        return ()
    said, due = (f"{size} MiB" if size is not None else "unknown" for size in (guest.mmio64_mib, needed))
    return (f"{guest.name}: the 64-bit window to ask of firmware is {due}, the plan says {said}",)


def _tees(plan: Plan) -> Iterator[str]:
    if not is_known(plan.host.tees):
        return
    asked = Counter(guest.tee for guest in plan.guests if guest.tee is not TeeKind.NONE)
    for kind, count in asked.items():
        offers = [tee for tee in plan.host.tees if tee.kind is kind]
        if not offers:
            yield f"{count} guests are to run as {kind}, which the host does not offer"
        elif is_known(offers[0].max_guests) and count > offers[0].max_guests:
            yield f"{count} guests are to run as {kind}, the host can run {offers[0].max_guests}"


def _processors(plan: Plan) -> Iterator[str]:
    known = {node.id: node for node in plan.host.numa_nodes if is_known(node.cpus) and len(node.cpus)}
    if not known:
        return
    cpus_of = {number: set(node.cpus) for number, node in known.items() if is_known(node.cpus)}
    taken: Counter[int] = Counter()
    for guest in plan.guests:
        if sorted(node.id for node in guest.nodes) != list(range(len(guest.nodes))):
            yield f"NUMA nodes of {guest.name} are not numbered from 0"
        if sum(len(node.cpus) for node in guest.nodes) != guest.cpus:
            yield f"{guest.name} gets {sum(len(node.cpus) for node in guest.nodes)} CPUs, it asks for {guest.cpus}"
        if sum(node.memory_bytes for node in guest.nodes) != guest.memory_bytes:
            yield f"{guest.name} gets {sum(node.memory_bytes for node in guest.nodes)} bytes of memory, it asks for {guest.memory_bytes}"
        for node in guest.nodes:
            if not set(node.cpus) <= cpus_of.get(node.host_node, set()):
                yield f"{guest.name} gets CPUs {node.cpus} of host node {node.host_node}, which are not all there"
            if guest.hugepage_bytes is not None and node.memory_bytes % guest.hugepage_bytes:
                yield f"{guest.name} gets {node.memory_bytes} bytes of host node {node.host_node}, no whole number of pages of {guest.hugepage_bytes}"
            if node.memory_bytes <= 0:
                yield f"{guest.name} has a NUMA node without memory"
            taken.update(_cores(plan.host, cpus_of.get(node.host_node, set()), set(node.cpus)))
    for cpu, count in sorted(taken.items()):
        if count > 1:
            yield f"{count} guests share the core of CPU {cpu}"
    for number, known_node in known.items():
        used = sum(node.memory_bytes for guest in plan.guests for node in guest.nodes if node.host_node == number)
        if is_known(known_node.memory_bytes) and used > known_node.memory_bytes:
            yield f"guests get {used} bytes of host node {number}, which has {known_node.memory_bytes}"
        held = sum(_held(plan, pool) for pool in known_node.hugepages) if is_known(known_node.hugepages) else 0
        if held and is_known(known_node.memory_bytes) and used + held > known_node.memory_bytes:
            yield f"guests get {used} bytes of host node {number}, which has {known_node.memory_bytes}, {held} of them in huge pages that are not for guests"


def _held(plan: Plan, pool: HugePages) -> int:
    """Bytes of a pool that no guest can have: pages in use, and those of a size that no guest asks for."""
    if not is_known(pool.total) or not is_known(pool.free):
        return 0
    wanted = any(guest.hugepage_bytes == pool.size_bytes for guest in plan.guests)
    return pool.size_bytes * (pool.total - pool.free if wanted else pool.total)


def _cores(host: Host, all_cpus: set[int], mine: set[int]) -> set[int]:
    """The first CPU of each core that `mine` touches: on x86 thread k of a core lies k times the number of cores further in the node's list."""
    ordered = sorted(all_cpus)
    threads = host.cpu.threads_per_core
    whole = is_known(threads) and threads > 0 and all(len(node.cpus) % threads == 0 for node in host.numa_nodes if is_known(node.cpus))
    per_core = threads if is_known(threads) and whole else 1
    count = len(ordered) // per_core
    halves = not is_known(host.cpu.arch) or host.cpu.arch in ("x86_64", "i686")
    return {ordered[at % count if halves else at - at % per_core] for at, cpu in enumerate(ordered) if cpu in mine}


def _served(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """Try all ways to tell the guest's devices apart by request; one must satisfy all of them."""
    requests = plan.workload.guest(guest.name)
    own = tuple(device for device in guest.devices if device.companion_of is None)
    asked = sum(request.count for request in requests.devices)
    if len(own) != asked:
        yield f"{guest.name} asks for {asked} devices and gets {len(own)}"
        return
    served = split(plan.host, requests, own)
    if served is None:
        yield f"{guest.name}: no way to tell its devices apart by request serves all of its {len(requests.devices)} requests"
    elif requests.topology is Topology.AUTO and split(plan.host, requests, own, seen=seen_in(plan.host, guest)) is None:
        yield from _neighbours(plan.host, guest, requests, served)


def _neighbours(host: Host, guest: GuestPlan, requests: GuestRequest, served: Served) -> Iterator[str]:
    """What drivers do not see below switches as the workload wants it, where they see it so in no way to tell the devices apart: the faults of one way."""
    seen, joined = seen_in(host, guest), as_joined(host, guest.whole)
    gpus = [device for device in guest.devices if device.companion_of is None and source_of(host, device).kind is Kind.GPU]
    for request, devices in zip(requests.devices, served, strict=True):
        if request.peers in (PeerClass.PIX, PeerClass.PXB):
            real = host if request.share.virtual else joined
            for a, b in combinations(devices, 2):
                if seen(a, b) > request.peers and device_class(real, a, b) >= PeerClass.PIX:
                    yield f"{guest.name}: its drivers see {a.address} and {b.address} as {seen(a, b)}, {request.peers} is asked for"
        if request.near in (PeerClass.PIX, PeerClass.PXB):
            for device in devices:
                if all(seen(device, gpu) > request.near for gpu in gpus):
                    yield f"{guest.name}: its drivers see no GPU within {request.near} of {device.address}"
