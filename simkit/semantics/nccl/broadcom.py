"""Broadcom switches that show themselves as two levels, and are one to NCCL (src/graph/topo.cc, `ncclTopoFlattenBcmSwitches`)."""

from __future__ import annotations

from simkit.errors import InputError
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


Behind = dict[Vertex, list[Link | None]]
"""What stays in memory behind the end of a vertex's links when some are taken out, and counts again when NCCL sorts them; None leads to nothing."""


def flatten(graph: Graph) -> Behind:
    """What lies below switches of the second level comes to lie below that of the first; the former go.

    Where more second levels go than there are devices below them, links stay behind the end of the first level's. They are copies of its last link, which
    mostly is the one upwards, and then do no harm.

    Raises:
        InputError: a second level lies above a first, or is linked twice, which no machine has, and at which NCCL breaks.
    """
    return _Flattening(graph).run()


class _Flattening:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.switches = graph.of(VertexKind.PCI)
        self.done: set[Vertex] = set()
        self.behind: dict[Vertex, list[tuple[Link, int | None]]] = {}
        """With the place of a switch among the switches: another may have come there when the link counts again."""

    def run(self) -> Behind:
        """Until no first level is left."""
        while (switch := next((found for found in self.switches if found not in self.done and generation(found, 0)), None)) is not None:
            self.done.add(switch)
            self._fuse(switch)
        return {vertex: [self._resolved(*left) for left in behind] for vertex, behind in self.behind.items() if behind}

    def _fuse(self, switch: Vertex) -> None:
        lower = [link.to for link in switch.links if self._belongs(link.to, switch)]
        if any(sub.index < switch.index for sub in lower) or len(set(lower)) < len(lower):
            raise InputError(f"Broadcom's switch {switch.address} lies below a second level, or has two links to one: NCCL breaks there",
                             remedy="are the switches' subsystem ids right?")
        self._cut(switch, lower)
        for sub in lower:
            for link in sub.links:
                if link.to is not switch:
                    switch.links.append(Link(link.kind, link.to, link.bw))
                    del self.behind.get(switch, [])[:1]
                    back = next((back for back in link.to.links if back.to is sub), None)
                    if back is not None:
                        back.to = switch
            for vertex in self.graph:
                self._cut(vertex, [sub])
            self.graph.remove(sub)

    def _belongs(self, sub: Vertex, switch: Vertex) -> bool:
        return sub.kind is VertexKind.PCI and sub not in self.done and generation(sub, 1) == generation(switch, 0)

    def _cut(self, vertex: Vertex, gone: list[Vertex]) -> None:
        """Take links out, one after the other; each time the last one moves up, and stays where it was besides."""
        at = 0
        while at < len(vertex.links):
            if vertex.links[at].to not in gone:
                at += 1
                continue
            last = vertex.links[-1]
            place = self.switches.index(last.to) if last.to.kind is VertexKind.PCI else None
            self.behind.setdefault(vertex, []).insert(0, (Link(last.kind, last.to, last.bw), place))
            del vertex.links[at]

    def _resolved(self, link: Link, place: int | None) -> Link | None:
        if place is None:
            return link
        return Link(link.kind, self.switches[place], link.bw) if place < len(self.switches) else None
