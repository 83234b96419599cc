"""A machine as NCCL has it in memory: its graph, and the paths to every CPU, GPU and network port."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.errors import InputError
from simkit.model.nccl_topology import NcclTopology
from simkit.semantics.nccl.build import build
from simkit.semantics.nccl.environment import Environment
from simkit.semantics.nccl.graph import Graph, Vertex, VertexKind
from simkit.semantics.nccl.paths import DIS, NO_PATH, Path, paths_to
from simkit.semantics.nccl.rules import Rules

Table = list[list[Path]]
"""For each base vertex, the path to it from every vertex, by its index."""


@dataclass(slots=True, eq=False)
class System:
    """Vertices in NCCL's order, and paths, which `conclude` changes as NCCL does: `to_gpu[g][vertex.index]` leads to `gpus[g]`."""

    rules: Rules
    environment: Environment
    cpus: list[Vertex]
    gpus: list[Vertex]
    nets: list[Vertex]
    devices: int
    to_cpu: Table
    to_gpu: Table
    to_net: Table

    @classmethod
    def of(cls, topology: NcclTopology, rules: Rules, environment: Environment) -> System:
        """Built from a description, with the paths as the links give them."""
        graph = build(topology, rules, environment)
        cpus, gpus, nets = (list(graph.of(kind)) for kind in (VertexKind.CPU, VertexKind.GPU, VertexKind.NET))
        tables = [_table(graph, bases, rules.local_bw, nvb=environment.nvb) for bases in (cpus, gpus, nets)]
        return cls(rules, environment, cpus, gpus, nets, len(graph.of(VertexKind.DEV)), *tables)

    def gpu_of_rank(self, rank: int) -> int:
        """The first GPU of that rank (`ncclTopoRankToIndex`)."""
        return next(at for at, gpu in enumerate(self.gpus) if gpu.rank == rank)

    def nearest_cpu(self, gpu: Vertex) -> int:
        """Among the CPUs that are local to a GPU the one with the fewest links to it (`ncclGetLocalCpu`).

        Raises:
            InputError: no CPU can be reached.
        """
        found = local(self.to_cpu, gpu)
        if not found:
            raise InputError(f"no way leads from GPU {gpu.address} to a CPU", remedy="does it lie below a <cpu>?")
        return min(found, key=lambda cpu: self.to_cpu[cpu][gpu.index].hops)


def local(table: Table, vertex: Vertex) -> list[int]:
    """The bases that `vertex` reaches with the most bandwidth, among these by the nearest path (`ncclTopoGetLocal`)."""
    found: list[int] = []
    best, nearest = 0.0, DIS
    for at, paths in enumerate(table):
        nearness, bw = paths[vertex.index][:2]
        if bw > best or (bw == best and nearness < nearest):
            best, nearest, found = bw, nearness, []
        if bw == best and nearness == nearest:
            found.append(at)
    return found if nearest < DIS else []


def local_ports(system: System, gpu: Vertex) -> list[int]:
    """The ports that a GPU uses for its channels, in their order (`ncclTopoGetLocalNet`): GPUs that share ports begin at different ones."""
    ports = local(system.to_net, gpu)
    if not ports:
        return []
    sharers = len(local(system.to_gpu, system.nets[ports[0]]))
    if not sharers:
        raise InputError(f"no way leads from network port {system.nets[ports[0]].name} to a GPU", remedy="does it lie below the <cpu> of some GPU?")
    each = {"ALL": len(ports), "MAX": min(system.environment.most_ports, len(ports))}.get(system.environment.ports_policy, -(-len(ports) // sharers))
    first = gpu.dev % sharers
    if len(ports) & (len(ports) - 1) == 0:
        first = _mirrored(first, len(ports))
    return [ports[(first + channel % each) % len(ports)] for channel in range(min(each, system.rules.most_channels))]


def local_gpu(system: System, net: int) -> int | None:
    """The GPU that a port belongs to: of those that are local to it the first that uses it, channel by channel (`ncclTopoGetLocalGpu`)."""
    candidates = local(system.to_gpu, system.nets[net])
    ports = {gpu: local_ports(system, system.gpus[gpu]) for gpu in candidates}
    for channel in range(system.rules.most_channels):
        for gpu in candidates:
            if ports[gpu] and system.nets[ports[gpu][channel % len(ports[gpu])]].key == system.nets[net].key:
                return gpu
    return None


def _mirrored(value: int, power: int) -> int:
    """`value`'s bits in reverse order, below a power of two (`mirrorBits`)."""
    mirror, bit, opposite = 0, 1, power >> 1
    while bit < power:
        mirror |= opposite if value & bit else 0
        bit, opposite = bit << 1, opposite >> 1
    return mirror


def _table(graph: Graph, bases: list[Vertex], local_bw: float, *, nvb: bool) -> Table:
    """Bases that share a key share the first one's place, and the others have none, as NCCL finds places by key (`getPath`)."""
    table: Table = []
    first: dict[tuple[int, int], int] = {}
    for at, base in enumerate(bases):
        place = first.setdefault(base.key, at)
        if place == at:
            table.append(paths_to(graph, base, local_bw, nvb=nvb))
        else:
            table.append([NO_PATH] * graph.made)
            table[place] = paths_to(graph, base, local_bw, nvb=nvb, before=table[place])
    return table
