"""Properties of promises: nearness of devices, memory and CPUs, what fits the guest."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, Share, Topology
from simkit.semantics.guest_limits import shortfalls
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.p2p import nearness
from simkit.verify.report import Counterexample, Finding, Outcome
from simkit.verify.scene import Scene


def peer_class_kept(scene: Scene, plan: Plan) -> Finding:
    """Any two devices of a request with `peers` are as near as promised, on the host and in the guest's own tree."""
    return _kept("peer-class-kept", scene, plan, _peer_pairs)


def nic_nearness_kept(scene: Scene, plan: Plan) -> Finding:
    """Every device of a request with `near` has a GPU of the guest to itself within the class, on the host and in a replicated tree."""
    return _kept("nic-nearness-kept", scene, plan, _near_pairs)


Pair = tuple[GuestDevice, GuestDevice, PeerClass, str]


def _kept(name: str, scene: Scene, plan: Plan, pairs_of: Callable[[Plan, GuestPlan], list[Pair]]) -> Finding:
    checked, in_guest = 0, 0
    for guest in plan.guests:
        view, addresses = guest_view(plan.host, guest), guest_addresses(plan.host, guest)
        for a, b, bound, path in pairs_of(plan, guest):
            where = plan.workload.places.of(path)
            on_host = nearness(scene.host, a.address, b.address)
            if on_host > bound:
                text = f"{guest.name}: {scene.name(a.address)} and {scene.name(b.address)} are {on_host} on the host, {bound} was promised"
                return Finding(name, Outcome.VIOLATED, text, where, Counterexample(a.address, b.address, guest.name, guest.name, text=text), "solve again")
            checked += 1
            if guest.topology is Topology.REPLICATE:
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
        if device.companion_of is not None or (request.share is Share.VF) != (device.vf_of is not None):
            continue
        if request.fits(host[device.vf_of or device.address]):
            found.append(device)
    return found


def _peer_pairs(plan: Plan, guest: GuestPlan) -> list[Pair]:
    return [
        (a, b, request.peers, path)
        for path, request in _requests(plan, guest)
        if request.peers is not None
        for a, b in combinations(_matching(plan.host, guest, request), 2)
    ]


def _near_pairs(plan: Plan, guest: GuestPlan) -> list[Pair]:
    pairs: list[Pair] = []
    gpus = [device for device in guest.devices if plan.host[device.vf_of or device.address].kind is Kind.GPU and device.companion_of is None]
    for path, request in _requests(plan, guest):
        if request.near is None:
            continue
        devices = _matching(plan.host, guest, request)
        mate = _matching_of(plan.host, devices, gpus, request.near)
        for device in devices:
            partner = mate.get(device.address) or min(gpus, key=lambda gpu: _near(plan.host, device, gpu), default=None)
            if partner is not None:
                pairs.append((device, partner, request.near, path))
    return pairs


def _near(host: Host, device: GuestDevice, gpu: GuestDevice) -> PeerClass:
    return nearness(host, device.vf_of or device.address, gpu.vf_of or gpu.address)


def _matching_of(host: Host, devices: list[GuestDevice], gpus: list[GuestDevice], bound: PeerClass) -> dict[Address, GuestDevice]:
    """A largest one-to-one matching of devices to GPUs within the class (augmenting paths)."""
    taken: dict[Address, GuestDevice] = {}

    def augment(device: GuestDevice, seen: set[Address]) -> bool:
        for gpu in gpus:
            if gpu.address not in seen and _near(host, device, gpu) <= bound:
                seen.add(gpu.address)
                if gpu.address not in taken or augment(taken[gpu.address], seen):
                    taken[gpu.address] = device
                    return True
        return False

    for device in devices:
        augment(device, set())
    by_address = {gpu.address: gpu for gpu in gpus}
    return {device.address: by_address[gpu] for gpu, device in taken.items()}


def numa_local(_scene: Scene, plan: Plan) -> Finding:
    """CPUs and memory of each guest come from NUMA nodes where its GPUs are."""
    for guest in plan.guests:
        homes = {plan.host[device.vf_of or device.address].numa_node for device in guest.devices if plan.host[device.vf_of or device.address].kind is Kind.GPU}
        known = {home for home in homes if is_known(home) and home is not None}
        away = [node.host_node for node in guest.nodes if known and node.host_node not in known]
        if away:
            text = f"{guest.name} has CPUs or memory of NUMA node {away[0]}, its GPUs are on {', '.join(map(str, sorted(known)))}"
            return Finding("numa-local", Outcome.VIOLATED, text, plan.workload.places.of(f"guests/{guest.name}"), remedy="ask for fewer CPUs or less memory")
    return Finding("numa-local", Outcome.HOLDS, f"{len(plan.guests)} guests have CPUs and memory on their GPUs' nodes only", plan.workload.places.root)


def guest_limits(_scene: Scene, plan: Plan) -> Finding:
    """Every guest's tree fits slots, I/O windows and bus numbers of the virtual machine."""
    for guest in plan.guests:
        short = shortfalls(guest.ports, guest.devices)
        if short:
            return Finding("guest-limits", Outcome.VIOLATED, f"{guest.name}: {short[0]}", plan.workload.places.of(f"guests/{guest.name}"))
    return Finding("guest-limits", Outcome.HOLDS, f"{len(plan.guests)} guest trees fit slots, I/O windows and bus numbers", plan.workload.places.root)
