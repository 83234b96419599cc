"""Which GPUs may have NVLink together: partitions of NVIDIA's fabric manager (Fabric Manager User Guide, "Shared NVSwitch virtualization")."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import Partition, PeerKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest


def partitions_of(host: Host) -> tuple[Partition, ...]:
    """What the fabric manager offers; none where that is unknown."""
    return host.partitions if is_known(host.partitions) else ()


def partitioned(host: Host, guest: GuestRequest) -> bool:
    """Whether it matters to a guest that its GPUs are one partition: it wants several near each other, and partitions are known.

    While guests share the NVSwitches the fabric manager turns links on by partition only; any other set of GPUs has none, and is as near as
    PCIe makes it. A guest with NVSwitches of its own runs the fabric manager itself.
    """
    if not partitions_of(host):
        return False
    bounds = [request.peers for request in whole_gpus(guest) if request.peers is not None and request.count > 1]
    return any(over_nvlink(bound) for bound in bounds) or (bool(bounds) and all(request.kind is not Kind.NVSWITCH for request in guest.devices))


def whole_gpus(guest: GuestRequest) -> tuple[DeviceRequest, ...]:
    """A guest's requests for GPUs that are handed out whole: those of a partition."""
    return tuple(request for request in guest.devices if request.kind is Kind.GPU and not request.share.virtual)


def over_nvlink(bound: PeerClass) -> bool:
    """Whether GPUs are within a class by links beside PCIe only."""
    return bound < PeerClass.PIX


def as_joined(host: Host, functions: Collection[Address]) -> Host:
    """The host as a guest has it that holds these functions whole: where partitions are known and its GPUs are none, their NVLinks are off."""
    if not partitions_of(host):
        return host
    gpus = {address for address in functions if host[address].kind is Kind.GPU}
    own = any(host[address].kind is Kind.NVSWITCH for address in functions)
    return host if own or len(gpus) < 2 or any(gpus == set(partition.gpus) for partition in partitions_of(host)) else unlinked(host)


def unlinked(host: Host) -> Host:
    """The host with its NVLinks off; itself where no partitions are known."""
    if not partitions_of(host):
        return host
    return replace(host, peer_links=tuple(link for link in host.peer_links if link.kind is not PeerKind.NVLINK))


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
