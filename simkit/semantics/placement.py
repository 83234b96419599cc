"""A second opinion on a plan: every wish of its workload, counted again on its host. Shares nothing with `simkit.solve`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, permutations

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest, Share
from simkit.semantics.groups import groups
from simkit.semantics.guest_limits import shortfalls
from simkit.semantics.p2p import nearness
from simkit.semantics.sriov import vf_address


def check(plan: Plan) -> tuple[str, ...]:
    """What is wrong with a plan, as sentences; empty means that it gives every guest what was asked for and nobody else's."""
    return tuple((*_guests(plan), *_ownership(plan), *_groups(plan), *_platform(plan)))


def _guests(plan: Plan) -> Iterator[str]:
    planned = {guest.name: guest for guest in plan.guests}
    for request in plan.workload.guests:
        guest = planned.pop(request.name, None)
        if guest is None:
            yield f"{request.name} is not in the plan"
            continue
        if (guest.tee, guest.topology, guest.cpus, guest.memory_bytes) != (request.tee, request.topology, request.cpus, request.memory_bytes):
            yield f"{request.name} has another TEE, topology or size than was asked for"
        yield from _devices(plan.host, request, guest)
        yield from (f"{guest.name}: {text}" for text in shortfalls(guest.ports, guest.devices))
        ports = {port.id for port in guest.ports}
        yield from (f"{guest.name}: {device.address} is on port {device.port}, which is not there" for device in guest.devices if device.port not in ports)
    yield from (f"nobody asked for {name}" for name in planned)


def _source(host: Host, device: GuestDevice) -> Function:
    return host[device.vf_of or device.address]


def _fits(host: Host, device: GuestDevice, request: DeviceRequest) -> bool:
    function = _source(host, device)
    if function.kind is not request.kind or (device.vf_of is not None) != (request.share is Share.VF):
        return False
    if request.pinned and function.address not in request.pinned:
        return False
    ids = f"{function.vendor_id:04x}:{function.device_id:04x}" if is_known(function.vendor_id) and is_known(function.device_id) else ""
    return request.model is None or request.model.lower() in (function.name or "").lower() or request.model.lower() == ids


def _devices(host: Host, request: GuestRequest, guest: GuestPlan) -> Iterator[str]:
    """Deal the guest's devices to its requests in every way that fits; one way must satisfy them all."""
    asked = [device for device in guest.devices if device.companion_of is None]
    if sum(wish.count for wish in request.devices) != len(asked):
        yield f"{guest.name} has {len(asked)} devices, {sum(wish.count for wish in request.devices)} were asked for"
        return
    gpus = [device for device in asked if _source(host, device).kind is Kind.GPU]
    if not any(all(_satisfied(host, wish, hand, gpus) for wish, hand in zip(request.devices, dealt, strict=True)) for dealt in _deals(host, request, asked)):
        yield f"{guest.name}'s devices do not satisfy its requests: {', '.join(str(device.address) for device in asked)}"


def _deals(host: Host, request: GuestRequest, asked: list[GuestDevice]) -> Iterator[tuple[tuple[GuestDevice, ...], ...]]:
    """Ways to hand out `asked`. Requests of different kind or share cannot compete, so most guests have one way only."""

    def deal(index: int, left: tuple[GuestDevice, ...]) -> Iterator[tuple[tuple[GuestDevice, ...], ...]]:
        if index == len(request.devices):
            if not left:
                yield ()
            return
        wish = request.devices[index]
        fitting = [device for device in left if _fits(host, device, wish)]
        rivals = any(_fits(host, device, other) for other in request.devices[index + 1 :] for device in fitting)
        for hand in _hands(fitting, wish.count, whole=not rivals):
            chosen = {device.address for device in hand}
            for rest in deal(index + 1, tuple(device for device in left if device.address not in chosen)):
                yield (hand, *rest)

    return deal(0, tuple(asked))


def _hands(fitting: list[GuestDevice], count: int, *, whole: bool) -> Iterator[tuple[GuestDevice, ...]]:
    if whole:
        if len(fitting) == count:
            yield tuple(fitting)
        return
    yield from combinations(fitting, count)


def _satisfied(host: Host, wish: DeviceRequest, hand: tuple[GuestDevice, ...], gpus: list[GuestDevice]) -> bool:
    sources = [_source(host, device).address for device in hand]
    if wish.peers is not None and any(nearness(host, a, b) > wish.peers for index, a in enumerate(sources) for b in sources[index + 1 :]):
        return False
    return wish.near is None or _matched(host, sources, [_source(host, gpu).address for gpu in gpus], wish.near)


def _matched(host: Host, devices: list[Address], gpus: list[Address], bound: PeerClass) -> bool:
    """Whether each device has a GPU of its own within the class: by Hall's theorem for few, by trying all orders for very few."""
    near = [[gpu for gpu in gpus if nearness(host, device, gpu) <= bound] for device in devices]
    if len(devices) <= 6 and len(gpus) <= 6:
        return len(devices) <= len(gpus) and any(all(gpu in near[index] for index, gpu in enumerate(order)) for order in permutations(gpus, len(devices)))
    for mask in range(1, 1 << len(devices)):
        chosen = [index for index in range(len(devices)) if mask >> index & 1]
        if len(set().union(*(near[index] for index in chosen))) < len(chosen):
            return False
    return True


def _ownership(plan: Plan) -> Iterator[str]:
    """Nothing is handed out twice, or although the host needs it, and virtual functions are real ones."""
    counts = Counter(device.address for guest in plan.guests for device in guest.devices)
    yield from (f"{address} is handed out {count} times" for address, count in counts.items() if count > 1)
    physical = {device.vf_of for guest in plan.guests for device in guest.devices if device.vf_of is not None}
    yield from (f"{address} is handed out although virtual functions of it are" for address in sorted(physical & set(counts)))
    for guest in plan.guests:
        for device in guest.devices:
            if _source(plan.host, device).usage:
                yield f"{guest.name} takes {device.address}, which the host needs as {_source(plan.host, device).usage}"
            if device.vf_of is not None:
                pf = plan.host[device.vf_of]
                if not isinstance(pf.sriov, Sriov) or device.vf_index is None or device.vf_index >= pf.sriov.total_vfs or vf_address(pf, device.vf_index) != device.address:
                    yield f"{device.address} is not virtual function {device.vf_index} of {device.vf_of}"


def _groups(plan: Plan) -> Iterator[str]:
    """What shares an IOMMU group goes to one guest, all of it, bridges aside."""
    owner = {device.address: guest.name for guest in plan.guests for device in guest.devices}
    for group in groups(plan.host).groups:
        members = [address for address in group.functions if not plan.host[address].is_bridge]
        owners = {owner.get(address) for address in members}
        if len(owners) > 1:
            yield f"one IOMMU group is split between {', '.join(sorted(str(name or 'the host') for name in owners))}: {', '.join(map(str, members))}"


def _platform(plan: Plan) -> Iterator[str]:
    host = plan.host
    if is_known(host.tees):
        for tee in {guest.tee for guest in plan.guests} - {TeeKind.NONE}:
            offered = next((each for each in host.tees if each.kind is tee), None)
            if offered is None:
                yield f"the host does not offer {tee}"
            elif is_known(offered.max_guests) and sum(guest.tee is tee for guest in plan.guests) > offered.max_guests:
                yield f"more guests with {tee} than the host has keys for"
    used = Counter(cpu for guest in plan.guests for node in guest.nodes for cpu in node.cpus)
    yield from (f"CPU {cpu} is given to {count} guests" for cpu, count in used.items() if count > 1)
    for node in host.numa_nodes:
        mine = [part for guest in plan.guests for part in guest.nodes if part.host_node == node.id]
        if is_known(node.memory_bytes) and sum(part.memory_bytes for part in mine) > node.memory_bytes:
            yield f"NUMA node {node.id} has less memory than its guests were promised"
        if is_known(node.cpus):
            known = set(node.cpus)
            yield from (f"CPU {cpu} is not of NUMA node {node.id}" for part in mine for cpu in part.cpus if cpu not in known)
    if any(is_known(node.cpus) and len(node.cpus) for node in host.numa_nodes):
        for guest in plan.guests:
            if sum(len(part.cpus) for part in guest.nodes) != guest.cpus or sum(part.memory_bytes for part in guest.nodes) != guest.memory_bytes:
                yield f"{guest.name}'s CPUs or memory do not add up"
