"""Broadcom switches that show themselves as two levels, and are one to NCCL (src/graph/topo.cc, `ncclTopoFlattenBcmSwitches`)."""

from __future__ import annotations

from simkit.semantics.nccl.graph import Graph, Link, Vertex, VertexKind

_BROADCOM = 0x1000
_GEN4 = (0xC010, 0x1000, 0xA000)
_GEN5 = (0xC030, 0x1000)


def generation(switch: Vertex, level: int) -> int:
    """4 or 5 where it is a switch of that PCIe generation in base mode, 0 where it is none; on Gen5 the levels have ids of their own (`getBcmGen`)."""
    vendor, device, subsystem_vendor, subsystem = switch.ids
    seen = (device, subsystem_vendor, subsystem & 0xF000)
    if vendor != _BROADCOM:
        return 0
    if seen == _GEN4:
        return 4
    return 5 if seen == (*_GEN5, level * 0x1000) else 0


def flatten(graph: Graph) -> None:
    """What lies below switches of the second level comes to lie below that of the first; the former go."""
    done: set[Vertex] = set()
    while (switch := next((found for found in graph.of(VertexKind.PCI) if found not in done and generation(found, 0)), None)) is not None:
        done.add(switch)
        lower = [link.to for link in switch.links if _same(link.to, switch, done)]
        switch.links[:] = [link for link in switch.links if link.to not in lower]
        for sub in lower:
            _lift(sub, switch)
            graph.remove(sub)


def _same(sub: Vertex, switch: Vertex, done: set[Vertex]) -> bool:
    return sub.kind is VertexKind.PCI and sub not in done and generation(sub, 1) == generation(switch, 0)


def _lift(sub: Vertex, switch: Vertex) -> None:
    for link in sub.links:
        if link.to is switch:
            continue
        switch.links.append(Link(link.kind, link.to, link.bw))
        back = next((back for back in link.to.links if back.to is sub), None)
        if back is not None:
            back.to = switch
