"""Workloads and fleets to measure with."""

from __future__ import annotations

from simkit.formats.source import open_host
from simkit.model.fleet import Fleet, Member
from simkit.model.function import Kind
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload

_GIB = 1 << 30


def _guest(name: str, gpus: int, peers: PeerClass | None = None) -> GuestRequest:
    return GuestRequest(name, (DeviceRequest(Kind.GPU, gpus, peers=peers),), cpus=2 * gpus, memory_bytes=gpus * 8 * _GIB)


def three_guests() -> Workload:
    """Four GPUs with a NIC each, one GPU with a virtual function, three GPUs."""
    train = GuestRequest("train", (DeviceRequest(Kind.GPU, 4, peers=PeerClass.NVL), DeviceRequest(Kind.NIC, 4, near=PeerClass.PIX)), topology=Topology.REPLICATE,
                         cpus=64, memory_bytes=512 * _GIB)
    infer = GuestRequest("infer", (DeviceRequest(Kind.GPU, 1), DeviceRequest(Kind.NIC, 1, Share.VF, near=PeerClass.PIX)), cpus=16, memory_bytes=128 * _GIB)
    return Workload("three", (train, infer, GuestRequest("batch", (DeviceRequest(Kind.GPU, 3),), cpus=32, memory_bytes=256 * _GIB)))


def four_by_four() -> Workload:
    """Four guests of four GPUs below one switch."""
    return Workload("fours", tuple(_guest(f"g{number}", 4, PeerClass.PIX) for number in range(4)))


def one_guest(gpus: int) -> Workload:
    """One guest with a node's cores for each GPU."""
    return Workload("one", (GuestRequest("g", (DeviceRequest(Kind.GPU, gpus),), cpus=8 * gpus, memory_bytes=gpus * 64 * _GIB),))


def one_each(count: int) -> Workload:
    """Guests of one GPU and eight CPUs."""
    return Workload("each", tuple(GuestRequest(f"g{number}", (DeviceRequest(Kind.GPU, 1),), cpus=8, memory_bytes=64 * _GIB) for number in range(count)))


def fleet(count: int) -> Fleet:
    """Equal servers of eight GPUs."""
    host = open_host("hgx-h100")
    return Fleet("rack", tuple(Member(f"node-{number:03}", host) for number in range(count)))


def racked(more: int) -> Workload:
    """307 guests that take all of 1,024 GPUs, and `more` of one GPU."""
    sizes = [*[8] * 40, *[4] * 100, *[2] * 137, *[1] * (30 + more)]
    return Workload("rack", tuple(_guest(f"g{number}", size, PeerClass.NVL if size > 1 else None) for number, size in enumerate(sizes)))
