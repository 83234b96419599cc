"""Whether a NIC reaches a GPU's memory itself: GPUDirect RDMA (src/graph/paths.cc, `ncclTopoCheckGdr`)."""

from __future__ import annotations

from simkit.errors import InputError
from simkit.model.nccl_answer import GdrMode
from simkit.model.route import PeerClass
from simkit.semantics.nccl.graph import Vertex, VertexKind
from simkit.semantics.nccl.paths import Path
from simkit.semantics.nccl.system import System


def gdr(system: System, gpu: int, net: int, *, read: bool) -> GdrMode:
    """`read`: the NIC reads, to send; otherwise it writes what it received.

    Both devices must be able to; before Ampere reading is left to GPUs that also have NVLink; the path, or over PXN that of the GPU in between, must not
    be farther than the level allows. On a GPU with C2C a path over PCIe needs PCIe's mapping.
    """
    here, port = system.gpus[gpu], system.nets[net]
    if not (port.gdr and here.gdr) or (here.partition is not None and not system.environment.gdr_partitions):
        return GdrMode.OFF
    if read and not _may_read(system, gpu):
        return GdrMode.OFF
    path = system.to_net[net][here.index]
    if path.nearness == PeerClass.PXN:
        gpu = relay(system, here, path)
        here = system.gpus[gpu]
        path = system.to_net[net][here.index]
    if path.nearness > level(system):
        return GdrMode.OFF
    to_cpu = system.to_cpu[system.nearest_cpu(here)][here.index]
    return GdrMode.PCI if to_cpu.nearness == PeerClass.C2C and path.nearness != PeerClass.P2C else GdrMode.DEFAULT


def level(system: System) -> PeerClass:
    """The farthest allowed."""
    environment, rules = system.environment, system.rules
    return environment.gdr_level if environment.gdr_level is not None else rules.gdr_level_c2c if environment.gdr_c2c else rules.gdr_level


def relay(system: System, gpu: Vertex, path: Path) -> int:
    """The GPU that a PXN path of `gpu` goes over: the first rank on the first device after NVSwitches (`ncclTopoGetIntermediateRank`).

    Raises:
        InputError: NVLink goes by a CPU there: NCCL gives up.
    """
    way = path.way.rest if path.way is not None else None
    while way is not None and way.to.kind is VertexKind.NVS and way.rest is not None:
        way = way.rest
    found = way.to if way is not None else gpu
    if found.kind is VertexKind.DEV:
        found = next((link.to for link in found.links if link.to.kind is VertexKind.GPU), gpu)
    if found.kind is not VertexKind.GPU:
        raise InputError(f"NVLink from GPU {gpu.address} goes by the CPU to the GPU that would relay for it (PXN): NCCL gives up there",
                         remedy="set NCCL_PXN_DISABLE=1")
    rank = next(other.rank for other in system.gpus if other.key[0] == found.key[0] and other.dev == found.dev)
    return system.gpu_of_rank(rank)


def _may_read(system: System, gpu: int) -> bool:
    """NCCL_NET_GDR_READ, where it is set; otherwise from Ampere on, or beside NVLink, or on a GPU that is alone."""
    here, wanted = system.gpus[gpu], system.environment.gdr_read
    if wanted >= 0:
        return wanted > 0
    if here.sm >= system.rules.gdr_read_sm or len(system.gpus) == 1:
        return True
    return any(paths[here.index].nearness == PeerClass.NVL for other, paths in enumerate(system.to_gpu) if other != gpu)
