"""Properties of promises: nearness of devices, memory and CPUs, what fits the guest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, Topology
from simkit.semantics.guest_space import guest_space
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.p2p import nearness
from simkit.semantics.partitions import as_joined
from simkit.semantics.placement_served import device_class, paired, seen_in, split
from simkit.verify.report import Counterexample, Finding, Outcome
from simkit.verify.scene import Scene


def peer_class_kept(scene: Scene, plan: Plan) -> Finding:
    """Any two devices of a request with `peers` are as near as promised, on the host and in the guest's own tree."""
    return _kept("peer-class-kept", scene, plan, _peer_pairs)


def nic_nearness_kept(scene: Scene, plan: Plan) -> Finding:
    """Every device of a request with `near` has a GPU of the guest to itself within the class, on the host and in a replicated tree."""
    return _kept("nic-nearness-kept", scene, plan, _near_pairs)


Pair = tuple[GuestDevice, GuestDevice | None, PeerClass, str]
"""Two devices (None: there is no GPU left for the first), the class that was promised, and the request's path."""


def _kept(name: str, scene: Scene, plan: Plan, pairs_of: Callable[[Plan, GuestPlan], list[Pair]]) -> Finding:
    checked, in_guest = 0, 0
    for guest in plan.guests:
        view, addresses, joined = guest_view(plan.host, guest), guest_addresses(plan.host, guest), as_joined(scene.host, guest.whole)
        for a, b, bound, path in pairs_of(plan, guest):
            where = plan.workload.places.of(path)
            if b is None:
                text = f"{guest.name}: {scene.name(a.address)} has no GPU of the guest to itself within {bound}"
                return Finding(name, Outcome.VIOLATED, text, where, remedy="solve again")
            on_host = nearness(joined, a.address, b.address)
            if on_host > bound:
                text = f"{guest.name}: {scene.name(a.address)} and {scene.name(b.address)} are {on_host} on the host, {bound} was promised"
                return Finding(name, Outcome.VIOLATED, text, where, Counterexample(a.address, b.address, guest.name, guest.name, text=text), "solve again")
            checked += 1
            if guest.topology is Topology.REPLICATE or (guest.topology is Topology.AUTO and PeerClass.PIX <= bound <= PeerClass.PXB):
                seen = nearness(view, addresses[a.address], addresses[b.address])
                if seen > bound:
                    text = (
                        f"{guest.name}: {scene.name(a.address)} and {scene.name(b.address)} are {on_host} on the host, but look {seen} to the guest's drivers"
                    )
                    return Finding(
                        name,
                        Outcome.VIOLATED,
                        text,
                        where,
                        Counterexample(a.address, b.address, guest.name, guest.name, text=text),
                        "place both below one guest switch",
                    )
                in_guest += 1
    text = f"{checked} promised pairs are as near as promised on the host" + (f", {in_guest} of them also in the guest's tree" if in_guest else "")
    return Finding(name, Outcome.HOLDS, text if checked else "no guest asks for it", plan.workload.places.root)


def _requests(plan: Plan, guest: GuestPlan) -> list[tuple[str, DeviceRequest]]:
    return [(f"guests/{guest.name}/devices/{index}", request) for index, request in enumerate(plan.workload.guest(guest.name).devices)]


def _matching(host: Host, guest: GuestPlan, request: DeviceRequest) -> list[GuestDevice]:
    """The guest's devices that may serve the request: kind, share and model fit."""
    found = []
    for device in guest.devices:
        if device.companion_of is not None or request.share.virtual != (device.vf_of is not None):
            continue
        if request.fits(host[device.vf_of or device.address]):
            found.append(device)
    return found


def _served(plan: Plan, guest: GuestPlan) -> list[tuple[GuestDevice, ...]]:
    """The guest's devices by request: in the way that serves all of them, else by all that each of them could have."""
    asked = plan.workload.guest(guest.name)
    own = tuple(device for device in guest.devices if device.companion_of is None)
    if len(own) != sum(request.count for request in asked.devices):
        return [tuple(_matching(plan.host, guest, request)) for request in asked.devices]
    seen = seen_in(plan.host, guest) if asked.topology is Topology.AUTO else None
    found = split(plan.host, asked, own, seen=seen) or split(plan.host, asked, own)
    return list(found) if found is not None else [tuple(_matching(plan.host, guest, request)) for request in asked.devices]


def _peer_pairs(plan: Plan, guest: GuestPlan) -> list[Pair]:
    served = zip(_requests(plan, guest), _served(plan, guest), strict=True)
    return [(a, b, request.peers, path) for (path, request), devices in served if request.peers is not None for a, b in combinations(devices, 2)]


def _near_pairs(plan: Plan, guest: GuestPlan) -> list[Pair]:
    pairs: list[Pair] = []
    gpus = tuple(device for device in guest.devices if plan.host[device.vf_of or device.address].kind is Kind.GPU and device.companion_of is None)
    for (path, request), devices in zip(_requests(plan, guest), _served(plan, guest), strict=True):
        bound = request.near
        if bound is None:
            continue
        mate = paired(plan.host, devices, gpus, bound)
        if mate is not None:
            pairs += [(device, mate[device], bound, path) for device in devices]
            continue
        nearest = {device: min(gpus, key=lambda gpu: device_class(plan.host, device, gpu), default=None) for device in devices}
        far = [(device, gpu, bound, path) for device, gpu in nearest.items() if gpu is not None and device_class(plan.host, device, gpu) > bound]
        pairs += far or [(devices[-1], None, bound, path)]
    return pairs


def numa_local(_scene: Scene, plan: Plan) -> Finding:
    """CPUs and memory of each guest come from NUMA nodes where its GPUs are, or its devices where it has no GPU."""
    checked = 0
    for guest in plan.guests:
        homes = _homes(plan, guest)
        known = {home for home in homes if home is not None}
        where = plan.workload.places.of(f"guests/{guest.name}")
        if not homes:
            continue
        if not guest.nodes or None in homes:
            what = "which CPUs and memory it will have" if not guest.nodes else "on which NUMA nodes its devices are"
            return Finding("numa-local", Outcome.UNDECIDED, f"{guest.name}: {what} is unknown", where, remedy="capture the host on the node itself")
        away = [node.host_node for node in guest.nodes if node.host_node not in known]
        if away:
            text = f"{guest.name} has CPUs or memory of NUMA node {away[0]}, its GPUs or devices are on {', '.join(map(str, sorted(known)))}"
            return Finding("numa-local", Outcome.VIOLATED, text, where, remedy="ask for fewer CPUs or less memory")
        checked += 1
    text = f"{checked} guests have CPUs and memory on their GPUs' or devices' nodes only" if checked else "no guest has a device"
    return Finding("numa-local", Outcome.HOLDS, text, plan.workload.places.root)


def _homes(plan: Plan, guest: GuestPlan) -> set[int | None]:
    """The nodes of the guest's GPUs, else of its devices; None for one whose node is unknown, where the host has several."""
    sources = [plan.host[device.vf_of or device.address] for device in guest.devices if device.companion_of is None]
    gpus = [source for source in sources if source.kind is Kind.GPU]
    single = plan.host.numa_nodes[0].id if len(plan.host.numa_nodes) == 1 else None
    return {source.numa_node if isinstance(source.numa_node, int) else single for source in gpus or sources}


def guest_limits(_scene: Scene, plan: Plan) -> Finding:
    """Every guest's tree fits slots, I/O windows, memory windows, address bits and bus numbers of the virtual machine."""
    unsized = []
    for guest in plan.guests:
        space = guest_space(plan.host, guest)
        if space.over:
            return Finding("guest-limits", Outcome.VIOLATED, f"{guest.name}: {space.over[0]}", plan.workload.places.of(f"guests/{guest.name}"))
        unsized += [missing.address for missing in space.missing]
    text = f"{len(plan.guests)} guest trees fit slots, windows, address bits and bus numbers"
    assumptions = tuple(f"BARs of {address} are not known and not counted" for address in dict.fromkeys(unsized))
    return Finding("guest-limits", Outcome.HOLDS, text, plan.workload.places.root, assumptions=assumptions)
