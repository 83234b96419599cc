"""Are a plan's GPUs cut up as they can be, and joined as the fabric manager can join them? By enumeration; shares no code with what made the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice
from simkit.model.plan import Plan
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import Share
from simkit.semantics.gpu_profiles import mig_profiles, most_vgpus


def check_gpus(plan: Plan) -> Iterator[str]:
    """Every fault of these kinds, as sentences."""
    yield from _partitions(plan)
    yield from _instances(plan)
    yield from _protected(plan)


def _protected(plan: Plan) -> Iterator[str]:
    """A guest with protected PCIe has every GPU and NVSwitch of the host."""
    for guest in plan.guests:
        if plan.workload.guest(guest.name).protected_pcie:
            mine = {device.address for device in guest.devices if device.vf_of is None}
            board = [function for function in plan.host.functions if function.kind in (Kind.GPU, Kind.NVSWITCH) and not function.is_vf]
            missing = [str(function.address) for function in board if function.address not in mine]
            if missing or not any(function.kind is Kind.NVSWITCH for function in board):
                yield f"{guest.name} is to have protected PCIe, which takes all GPUs and NVSwitches: without {', '.join(missing) or 'any NVSwitch'}"


def _instances(plan: Plan) -> Iterator[str]:
    """GPUs in parts: one way each, instances at places of their profile, no slice twice, no more vGPUs than the frame buffer holds."""
    asked: dict[tuple[str, str | None], Share] = {(guest.name, request.profile): request.share for guest in plan.workload.guests
                                                  for request in guest.devices if request.profile is not None}
    parts: dict[Address, list[tuple[str, GuestDevice]]] = {}
    for guest in plan.guests:
        for device in guest.devices:
            if device.vf_of is not None and plan.host[device.vf_of].kind is Kind.GPU:
                parts.setdefault(device.vf_of, []).append((guest.name, device))
    for gpu, devices in parts.items():
        ways = {asked.get((name, device.profile), Share.VF) for name, device in devices}
        profiles = [device.profile for _, device in devices if device.profile is not None]
        if len(ways) > 1 or (ways == {Share.VGPU} and len(set(profiles)) > 1):
            yield f"{gpu} is cut up in several ways: {', '.join(sorted({device.profile or 'plain virtual functions' for _, device in devices}))}"
        elif ways == {Share.MIG}:
            yield from _slices(plan.host[gpu], [device for _, device in devices])
        elif ways == {Share.VGPU}:
            most = most_vgpus(plan.host[gpu], profiles[0])
            if not is_known(most) or most is None or len(profiles) > most:
                yield f"{gpu} is to hold {len(profiles)} vGPUs {profiles[0]}, it holds {most if is_known(most) else 'an unknown number'}"


def _slices(gpu: Function, devices: list[GuestDevice]) -> Iterator[str]:
    there = mig_profiles(gpu)
    by_name = {profile.name: profile for profile in there} if is_known(there) else {}
    taken: Counter[int] = Counter()
    for device in devices:
        profile = by_name.get(device.profile or "")
        if profile is None or device.mig_start not in profile.starts:
            yield f"{device.address}: {gpu.address} has no MIG instance {device.profile} from slice {device.mig_start}"
        elif device.mig_start is not None:
            taken.update(profile.covers(device.mig_start))
    if any(count > 1 for count in taken.values()):
        yield f"MIG instances of {gpu.address} overlap"


def _partitions(plan: Plan) -> Iterator[str]:
    """Guests whose GPUs are to have NVLink have just the GPUs of one partition."""
    if not is_known(plan.host.partitions):
        return
    offered = [set(partition.gpus) for partition in plan.host.partitions]
    for guest in plan.guests:
        asked = plan.workload.guest(guest.name).devices
        linked = (PeerClass.LOC, PeerClass.NVL, PeerClass.NVB, PeerClass.C2C)
        several = any(request.kind is Kind.GPU and not request.share.virtual and request.count > 1 and request.peers in linked for request in asked)
        whole = [device.address for device in guest.devices if device.vf_of is None and device.companion_of is None]
        mine = {address for address in whole if plan.host[address].kind is Kind.GPU}
        if several and offered and mine not in offered:
            yield f"the GPUs of {guest.name} are no partition of the fabric manager: {', '.join(str(address) for address in sorted(mine))}"
