"""From a description to NCCL's graph (src/graph/topo.cc, `ncclTopoGetSystemFromXml`)."""

from __future__ import annotations

from typing import TypeVar

from simkit.errors import InputError
from simkit.model.nccl_topology import NcclCpu, NcclGpu, NcclNic, NcclPci, NcclTopology
from simkit.model.unknown import Unknown, known_or
from simkit.semantics.nccl.broadcom import Behind, flatten
from simkit.semantics.nccl.device_links import PARTITION_BITS, link_devices, link_switches, link_to_cpu, number, partitions
from simkit.semantics.nccl.environment import Environment
from simkit.semantics.nccl.graph import LOC, NET, PCI, SYS, Graph, Vertex, VertexKind, join, single
from simkit.semantics.nccl.rules import Rules

T = TypeVar("T")
_SLOWEST_MBPS = 10_000
"""What counts for a port that states no speed, or a negative one (`ncclTopoAddNet`)."""


def build(topology: NcclTopology, rules: Rules, environment: Environment) -> Graph:
    """Vertices and links, in the order in which NCCL makes them.

    Raises:
        InputError: what NCCL needs is unknown, and `complete` was not asked to fill it in.
    """
    if not topology.cpus:
        raise InputError(f"{topology.name} has no CPU", remedy="NCCL's topology hangs everything below a <cpu>")
    builder = _Builder(rules, environment)
    machines = list(dict.fromkeys(cpu.machine for cpu in topology.cpus))
    for cpu in topology.cpus:
        builder.cpu(cpu, machines.index(cpu.machine))
    for device, gpu in builder.placed:
        link_devices(builder.graph, device, gpu, rules)
    for device, gpu in builder.placed:
        link_to_cpu(builder.graph, device, gpu)
    link_switches(builder.graph, builder.switches, rules)
    behind = flatten(builder.graph)
    _connect_cpus(builder.graph, rules)
    for vertex in builder.graph.of(VertexKind.CPU):
        _sort(vertex, None, behind, builder.graph.made)
    return builder.graph


def _connect_cpus(graph: Graph, rules: Rules) -> None:
    """All CPUs of one machine with each other, each way as its own kind says (`ncclTopoConnectCpus`)."""
    cpus = graph.of(VertexKind.CPU)
    for one in cpus:
        for other in cpus:
            if one is not other and one.key[0] == other.key[0]:
                one.connect(other, SYS, rules.between_cpus(one.cpu))


def _sort(vertex: Vertex, above: Vertex | None, behind: Behind, depth: int) -> None:
    """The link upwards goes last, in the whole PCI tree (`ncclTopoSort`); what was left behind the links' end moves up with them."""
    if above is not None:
        links = [*vertex.links, *behind.get(vertex, ())]
        up = next((link for link in links if link is not None and link.to is above), None)
        if up is None or depth == 0:
            raise _broken(vertex)
        links.remove(up)
        links.append(up)
        kept = [link for link in links[: len(vertex.links)] if link is not None]
        if len(kept) < len(vertex.links):
            raise _broken(vertex)
        vertex.links[:] = kept
    for link in tuple(vertex.links):
        if link.kind == PCI and link.to is not above:
            _sort(link.to, vertex, behind, depth - 1)


def _broken(vertex: Vertex) -> InputError:
    return InputError(f"NCCL breaks at {vertex.address}, where Broadcom's switches of two levels were made one", remedy="leave out switches without devices")


class _Builder:
    def __init__(self, rules: Rules, environment: Environment) -> None:
        self.rules, self.environment = rules, environment
        self.graph = Graph()
        self.placed: list[tuple[Vertex, NcclGpu]] = []
        """Devices, each with the first <gpu> on it: what others state of links is not counted (`ncclTopoXmlIsPrimaryGpuForDev`)."""
        self.switches: list[tuple[Vertex, NcclPci]] = []

    def cpu(self, cpu: NcclCpu, machine: int) -> None:
        """`ncclTopoAddCpu`."""
        vertex = self.graph.add(VertexKind.CPU, (machine, cpu.numa_id))
        vertex.cpu = (_need(cpu.arch, "arch", f"<cpu numaid={cpu.numa_id}>"), known_or(cpu.vendor, ""), known_or(cpu.family, 0), known_or(cpu.model, 0))
        for child in cpu.children:
            if isinstance(child, NcclPci):
                self.pci(child, vertex, machine)
                continue
            nic = self.graph.find(VertexKind.NIC, (machine, 0))
            if nic is None:
                nic = self.graph.add(VertexKind.NIC, (machine, 0))
                join(vertex, nic, PCI, self.rules.local_bw)
            self.nets(child, nic, machine)

    def pci(self, pci: NcclPci, parent: Vertex, machine: int) -> None:
        """`ncclTopoAddPci`: a function of a GPU's class that no rank runs on is not there for NCCL, nor what lies below it."""
        where = f"<pci busid={pci.busid}>"
        kind = self.rules.kind(_need(pci.class_code, "class", where))
        bw = single(self.rules.link(_need(pci.link_speed, "link_speed", where), _need(pci.link_width, "link_width", where)))
        stated: set[int | None] = set()
        for gpu in pci.gpus:
            if gpu.rank is None:
                return
            device = self.gpu(gpu, pci, parent, (machine, bw))
            part = gpu.mlopart if self.environment.split_partitions else None
            if part not in stated:
                self.placed.append((device, gpu))
            stated.add(part)
        if pci.nic is not None:
            self.nic(pci, pci.nic, parent, (machine, bw))
        elif kind == "pci":
            if pci.gpus:
                raise InputError(f"{pci.busid} holds a <gpu>, but its class {pci.class_code} is not that of a GPU: NCCL fails there",
                                 remedy='write class="0x030200"')
            vertex = self.graph.add(VertexKind.PCI, (machine, number(pci.busid)))
            vertex.ids, vertex.address = pci.ids, pci.busid
            self.switches.append((vertex, pci))
            for child in pci.children:
                self.pci(child, vertex, machine)
            join(vertex, parent, PCI, bw)

    def gpu(self, gpu: NcclGpu, pci: NcclPci, parent: Vertex, on: tuple[int, float]) -> Vertex:
        """A rank, and the device that it runs on if it is the first there (`ncclTopoAddGpuSub`)."""
        machine, bw = on
        where = f"<gpu> of {pci.busid}"
        split = gpu.mlopart is not None and self.environment.split_partitions
        bus = number(pci.busid) | (gpu.mlopart << 1 & PARTITION_BITS | 1 if split and gpu.mlopart is not None else 0)
        device = self.graph.find(VertexKind.DEV, (machine, bus))
        if device is None:
            device = self.graph.add(VertexKind.DEV, (machine, bus))
            device.sm, device.dev, device.address = _need(gpu.sm, "sm", where), _need(gpu.dev, "dev", where), pci.busid
            join(device, parent, PCI, bw)
            for sibling in partitions(self.graph, *device.key):
                if sibling is not device:
                    join(device, sibling, LOC, self.rules.partition_bw)
        rank = self.graph.add(VertexKind.GPU, (machine, device.ranks << 40 | bus))
        rank.rank, rank.sm, rank.dev = gpu.rank or 0, _need(gpu.sm, "sm", where), _need(gpu.dev, "dev", where)
        rank.gdr, rank.partition, rank.address, rank.device = _need(gpu.gdr, "gdr", where), gpu.mlopart, pci.busid, device
        join(device, rank, LOC, self.rules.local_bw)
        device.ranks += 1
        return device

    def nic(self, pci: NcclPci, nic: NcclNic, parent: Vertex, on: tuple[int, float]) -> None:
        """A card; a busid that was there before is the same card, and stays where it is."""
        machine, bw = on
        vertex = self.graph.find(VertexKind.NIC, (machine, number(pci.busid)))
        if vertex is not None:
            self.nets(nic, vertex, machine)
            return
        vertex = self.graph.add(VertexKind.NIC, (machine, number(pci.busid)))
        vertex.address = pci.busid
        self.nets(nic, vertex, machine)
        join(vertex, parent, PCI, bw)

    def nets(self, nic: NcclNic, card: Vertex, machine: int) -> None:
        """Its ports (`ncclTopoAddNic`, `ncclTopoAddNet`)."""
        for net in nic.nets:
            if net.dev is None or not net.net:
                continue
            port = self.graph.add(VertexKind.NET, (machine, net.dev))
            speed = known_or(net.speed_mbps, 0)
            port.dev, port.gdr, port.address, port.name = net.dev, known_or(net.gdr, False), card.address, net.name  # noqa: FBT003 (a value)
            join(card, port, NET, single((speed if speed > 0 else _SLOWEST_MBPS) / 8000))


def _need(value: T | Unknown, name: str, where: str) -> T:
    if isinstance(value, Unknown):
        raise InputError(f"{where} has no {name}, which NCCL reads from the machine itself", remedy=f"state {name}, or have it assumed")
    return value
