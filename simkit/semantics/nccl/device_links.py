"""Links of devices beside PCIe's tree: NVLink, C2C, and Broadcom's links between switches (src/graph/topo.cc)."""

from __future__ import annotations

from collections.abc import Iterable

from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.nccl_topology import NcclGpu, NcclPci
from simkit.model.unknown import known_or
from simkit.semantics.nccl.graph import C2C, LOC, NVL, Graph, Vertex, VertexKind, join, local_cpu, single
from simkit.semantics.nccl.rules import Rules

PARTITION_BITS = 3
"""The bits of a GPU's busid that tell its partitions apart (`NCCL_TOPO_MLOPART_MASK`)."""


def number(busid: Address) -> int:
    """A busid as the number that NCCL makes of its digits (`busIdToInt64`)."""
    return busid.domain << 20 | busid.bus << 12 | busid.device << 4 | busid.function


def partitions(graph: Graph, machine: int, bus: int) -> list[Vertex]:
    """The devices that are one GPU: one, or its partitions (`ncclTopoGetDevNodes`)."""
    bare = (machine, bus & ~PARTITION_BITS)
    return [device for device in graph.of(VertexKind.DEV) if (device.key[0], device.key[1] & ~PARTITION_BITS) == bare]


def link_devices(graph: Graph, device: Vertex, gpu: NcclGpu, rules: Rules) -> None:
    """NVLinks: to GPUs one way, as each GPU states its own; to switches and CPUs both ways (`ncclTopoAddNvLinks`).

    There is one NVSwitch, whatever the targets are; partitions share a GPU's bandwidth. A link to a GPU that is not there leads nowhere.
    """
    parts = len(partitions(graph, *device.key))
    for link in gpu.nvlinks:
        kind = rules.kind(known_or(link.target_class, "0x068000"))
        bw = single(link.count * single(rules.nvlink(device.sm)))
        if kind == "gpu":
            if link.target is None:
                raise InputError(f"an NVLink of {device.address} leads to a GPU whose busid is none", remedy="write the GPU's busid as target")
            ends = partitions(graph, device.key[0], number(link.target))
            for end in ends:
                device.connect(end, NVL, single(single(bw / len(ends)) / parts))
            continue
        far = local_cpu(device) if kind == "cpu" else next(iter(graph.of(VertexKind.NVS)), None) or graph.add(VertexKind.NVS, (0, 0))
        if far is not None:
            join(device, far, NVL, single(bw / parts))


def link_to_cpu(graph: Graph, device: Vertex, gpu: NcclGpu) -> None:
    """C2C to the CPU above; partitions share it over a vertex of its own (`ncclTopoAddC2c`)."""
    for link in gpu.c2c:
        bw = single(link.bandwidth_mbps * link.count / 1000)
        cpu = local_cpu(device)
        if cpu is None:
            continue
        if len(partitions(graph, *device.key)) == 1:
            join(device, cpu, C2C, bw)
            continue
        key = (device.key[0], device.key[1] & ~PARTITION_BITS)
        bridge = graph.find(VertexKind.CXB, key)
        if bridge is None:
            bridge = graph.add(VertexKind.CXB, key)
            join(bridge, cpu, C2C, bw)
        join(device, bridge, C2C, bw)


def link_switches(graph: Graph, switches: Iterable[tuple[Vertex, NcclPci]], rules: Rules) -> None:
    """What Broadcom's driver says of switches that are linked beside the tree (`ncclTopoAddPciLinks`)."""
    for switch, pci in switches:
        first = graph.find(VertexKind.PCI, switch.key) or switch
        for peer in pci.peers:
            far = graph.find(VertexKind.PCI, (switch.key[0], number(peer)))
            if far is not None:
                first.connect(far, LOC, rules.local_bw)
