"""Which GPUs may have NVLink together: partitions of NVIDIA's fabric manager (Fabric Manager User Guide, "Shared NVSwitch virtualization")."""

from __future__ import annotations

from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import Partition
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest


def partitions_of(host: Host) -> tuple[Partition, ...]:
    """What the fabric manager offers; none where that is unknown."""
    return host.partitions if is_known(host.partitions) else ()


def partitioned(host: Host, guest: GuestRequest) -> bool:
    """Whether a guest's GPUs must be one partition: it wants several that reach each other over NVLink, and partitions are known.

    While guests share the NVSwitches the fabric manager turns links on by partition only; any other set of GPUs has none.
    """
    wanted = [request for request in guest.devices if request.kind is Kind.GPU and not request.share.virtual]
    near = any(request.peers is not None and request.peers < PeerClass.PIX and request.count > 1 for request in wanted)
    return near and bool(partitions_of(host))


def unprotected(host: Host, guest: GuestRequest) -> str | None:
    """Why a guest cannot have protected PCIe as it asks; None where it can, or does not ask: all GPUs and NVSwitches of the board, as a whole.

    On Hopper confidential guests have one GPU without NVLink, or all eight with all four NVSwitches (NVIDIA's protected PCIe).
    """
    if not guest.protected_pcie:
        return None
    there = {kind: len([function for function in host.of_kind(kind) if not function.is_vf]) for kind in (Kind.GPU, Kind.NVSWITCH)}
    asked = {kind: sum(request.count for request in guest.devices if request.kind is kind and not request.share.virtual) for kind in there}
    wanted = f"{there[Kind.GPU]} GPUs and {there[Kind.NVSWITCH]} NVSwitches"
    if not there[Kind.NVSWITCH]:
        return f"{host.name} has no NVSwitches"
    return None if asked == there else f"it takes all {wanted} of {host.name}, and {guest.name} asks for {asked[Kind.GPU]} and {asked[Kind.NVSWITCH]}"
