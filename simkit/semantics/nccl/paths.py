"""The best path from every vertex to one: NCCL's breadth-first search (src/graph/paths.cc, `ncclTopoSetPaths`)."""

from __future__ import annotations

from typing import NamedTuple

from simkit.errors import InputError
from simkit.model.route import PeerClass
from simkit.semantics.nccl.graph import LOC, NET, NVL, PCI, Graph, Link, Vertex, VertexKind

PXB, PHB, NVB, DIS = (int(nearness) for nearness in (PeerClass.PXB, PeerClass.PHB, PeerClass.NVB, PeerClass.DIS))


class Way(NamedTuple):
    """The vertices that a path passes, without the one it begins at: the next one, and the rest."""

    to: Vertex
    rest: Way | None


class Path(NamedTuple):
    """Nearness (`PATH_*`), the least bandwidth on it in GB/s, how many links, and where it goes."""

    nearness: int
    bw: float
    hops: int
    way: Way | None


NO_PATH = Path(DIS, 0.0, 0, None)


def paths_to(graph: Graph, base: Vertex, local_bw: float, *, nvb: bool, before: list[Path] | None = None) -> list[Path]:
    """The path to `base` from every vertex, by its index.

    A path is better if it is nearer, then if it is wider, then if it is shorter. It passes through a GPU's device only to the rank on it, or, if `nvb`,
    over NVLink to a further device. A CPU on the way makes it PHB, two switches PXB, NVLink by another GPU NVB. `before` are paths to improve on.

    Raises:
        InputError: an NVLink is stated from one end only, and nothing else leads back: NCCL gives up there.
    """
    found = [NO_PATH] * graph.made if before is None else list(before)
    found[base.index] = Path(LOC, local_bw, 0, None)
    longest = 2 if base.kind is VertexKind.GPU else 1
    own = base.device if base.kind is VertexKind.GPU else base
    front = [base]
    while front:
        following: dict[Vertex, None] = {}
        for vertex in front:
            _, path_bw, hops, way = path = found[vertex.index]
            relays = vertex.kind is VertexKind.DEV and vertex is not own
            for link in vertex.links:
                to = link.to
                if relays and not _passes(link, nvb and hops <= longest):
                    continue
                nearness = max(path.nearness, _nearness(vertex, link, path, longest))
                bw = min(path_bw, link.bw)
                old = found[to.index]
                if nearness < old.nearness or (nearness == old.nearness and (old.bw < bw or (old.bw == bw and old.hops > hops + 1))):
                    found[to.index] = Path(nearness, bw, hops + 1, Way(_back(to, vertex, link, old), way))
                    following[to] = None
        front = list(following)
    return found


def _passes(link: Link, nvb: bool) -> bool:  # noqa: FBT001 (said where it is called)
    """Whether a path may leave another GPU's device by this link."""
    if link.kind == LOC:
        return link.to.kind is VertexKind.GPU
    return nvb and link.kind == NVL and link.to.kind is VertexKind.DEV


def _nearness(vertex: Vertex, link: Link, path: Path, longest: int) -> int:
    """That of the link, as it counts after what came before."""
    if link.kind == PCI:
        if vertex.kind is VertexKind.CPU or link.to.kind is VertexKind.CPU:
            return PHB
        return PXB if vertex.kind is VertexKind.PCI and link.to.kind is VertexKind.PCI else PCI
    if link.kind == NVL:
        return NVB if vertex.kind is VertexKind.DEV and path.nearness == NVL and path.hops == longest else NVL
    if link.kind == LOC and vertex.kind is VertexKind.PCI and link.to.kind is VertexKind.PCI:
        return PXB
    return LOC if link.kind == NET else link.kind


def _back(vertex: Vertex, to: Vertex, link: Link, old: Path) -> Vertex:
    """Where the path leaves `vertex`: over the link back, or, where there is none, as it did before."""
    if any(back.to is to and back.kind == link.kind for back in vertex.links):
        return to
    if old.way is None:
        raise InputError(f"a link leads from {to.address} to {vertex.address} and none back: NCCL gives up there",
                         remedy="state NVLinks in the <gpu> of both ends")
    return old.way.to
