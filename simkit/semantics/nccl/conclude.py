"""NCCL's conclusion: paths as the links give them, diverted where P2P or GPUDirect RDMA may not go (src/graph/paths.cc, `ncclTopoComputePaths`)."""

from __future__ import annotations

from simkit.model.nccl_answer import GdrMode, GpuPath, NcclAnswer, NetPath
from simkit.model.nccl_topology import NcclTopology
from simkit.model.route import PeerClass
from simkit.semantics.nccl.environment import Environment
from simkit.semantics.nccl.gdr import gdr
from simkit.semantics.nccl.p2p import level, p2p
from simkit.semantics.nccl.paths import Path, Way
from simkit.semantics.nccl.rules import LATEST, Rules
from simkit.semantics.nccl.system import System, local, local_gpu

_DEFAULT = Environment()


def conclude(topology: NcclTopology, environment: Environment = _DEFAULT, rules: Rules = LATEST) -> NcclAnswer:
    """What NCCL of that version concludes of a topology in that environment.

    Raises:
        InputError: NCCL would give up, or something that it needs is unknown (`complete` fills that in).
    """
    system = System.of(topology, rules, environment)
    _divert_peers(system)
    _prefer_c2c(system)
    for net in range(len(system.nets)):
        for gpu in range(len(system.gpus)):
            if environment.pxn:
                _relay(system, gpu, net)
            _divert_net(system, gpu, net)
    return _answer(system, topology)


def _answer(system: System, topology: NcclTopology) -> NcclAnswer:
    gpus, nets = range(len(system.gpus)), range(len(system.nets))
    to_gpu = [[system.to_gpu[target][source.index] for target in gpus] for source in system.gpus]
    to_net = [[system.to_net[net][source.index] for net in nets] for source in system.gpus]
    return NcclAnswer(
        version=system.rules.version,
        gpus=tuple(gpu.address for gpu in system.gpus if gpu.address is not None),
        nets=tuple(net.address for net in system.nets),
        gpu_gpu=tuple(
            tuple(GpuPath(PeerClass(path.nearness), path.bw, path.hops, p2p(system, source, target)) for target, path in enumerate(row))
            for source, row in enumerate(to_gpu)
        ),
        gpu_net=tuple(
            tuple(NetPath(PeerClass(path.nearness), path.bw, path.hops, gdr(system, gpu, net, read=False)) for net, path in enumerate(row))
            for gpu, row in enumerate(to_net)
        ),
        net_names=tuple(net.name for net in system.nets),
        assumed=topology.assumed,
    )


def _divert_peers(system: System) -> None:
    """Where P2P may not go, data goes over the CPU that is near the target."""
    farthest = level(system)
    for target, gpu in enumerate(system.gpus):
        paths = system.to_gpu[target]
        for source in system.gpus:
            if paths[source.index].nearness > farthest:
                cpu = system.nearest_cpu(gpu)
                paths[source.index] = _by(system.to_cpu[cpu][source.index], paths[system.cpus[cpu].index])


def _prefer_c2c(system: System) -> None:
    """P2C between a GPU with C2C and the ports that are nearest to it, where these hang on the GPU's CPU."""
    for at, gpu in enumerate(system.gpus):
        cpu = system.to_cpu[system.nearest_cpu(gpu)]
        for net in local(system.to_net, gpu):
            port = system.nets[net]
            if _merged(cpu[gpu.index].nearness, cpu[port.index].nearness) == PeerClass.P2C:
                for paths, end in ((system.to_net[net], gpu), (system.to_gpu[at], port)):
                    paths[end.index] = paths[end.index]._replace(nearness=min(int(PeerClass.P2C), paths[end.index].nearness))


def _relay(system: System, gpu: int, net: int) -> None:
    """PXN: over NVLink to the GPU that the port belongs to, where that is wider, or spares the CPU."""
    peer = local_gpu(system, net)
    if peer is None or peer == gpu:
        return
    here, there = system.gpus[gpu], system.gpus[peer]
    to_net = system.to_net[net]
    farthest = PeerClass.P2C if system.environment.pxn_c2c else PeerClass.PXB
    if (
        to_net[there.index].nearness <= farthest
        and gdr(system, peer, net, read=True) is not GdrMode.OFF
        and system.to_gpu[gpu][there.index].nearness <= PeerClass.NVL
        and here.key[0] == there.key[0]
        and (to_net[there.index].bw > to_net[here.index].bw or to_net[here.index].nearness > PeerClass.PXN)
    ):
        to_net[here.index] = _by(system.to_gpu[peer][here.index], to_net[there.index])._replace(nearness=int(PeerClass.PXN))


def _divert_net(system: System, gpu: int, net: int) -> None:
    """A near path without GPUDirect RDMA goes over the CPU that is near the GPU, both ways."""
    here, port = system.gpus[gpu], system.nets[net]
    if system.to_net[net][here.index].nearness >= PeerClass.PHB or gdr(system, gpu, net, read=False) is not GdrMode.OFF:
        return
    at = system.nearest_cpu(here)
    cpu, to_cpu = system.cpus[at], system.to_cpu[at]
    system.to_gpu[gpu][port.index] = _by(to_cpu[port.index], system.to_gpu[gpu][cpu.index])
    system.to_net[net][here.index] = _by(to_cpu[here.index], system.to_net[net][cpu.index])


def _by(first: Path, second: Path) -> Path:
    """One path, then the other (`addInterStep`)."""
    return Path(_merged(first.nearness, second.nearness), min(first.bw, second.bw), first.hops + second.hops, _joined(first.way, second.way))


def _joined(first: Way | None, second: Way | None) -> Way | None:
    return second if first is None else Way(first.to, _joined(first.rest, second))


def _merged(one: int, other: int) -> int:
    """The farther of two, except that C2C and then PCIe is P2C (`mergePathType`)."""
    return int(PeerClass.P2C) if {one, other} == {PeerClass.C2C, PeerClass.PHB} else max(one, other)
