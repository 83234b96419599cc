"""NCCL's graph of a machine: vertices, and links that have a direction (src/graph/topo.h, `ncclTopoNode`, `ncclTopoLink`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.route import PeerClass

LOC, NVL, C2C, PCI, SYS = (int(kind) for kind in (PeerClass.LOC, PeerClass.NVL, PeerClass.C2C, PeerClass.PIX, PeerClass.SYS))
"""Kinds of links, numbered as the nearness of a path over that link alone (`LINK_*`)."""
NET = 10
MOST_VERTICES = 640
"""`NCCL_TOPO_MAX_NODES`."""


class VertexKind(IntEnum):
    """What a vertex stands for. A GPU is a rank, its device a DEV; a CPU is a NUMA node; a CXB shares C2C among a GPU's partitions."""

    GPU = 0
    PCI = 1
    NVS = 2
    CPU = 3
    NIC = 4
    NET = 5
    DEV = 8
    CXB = 9


@dataclass(slots=True, eq=False)
class Link:
    """One direction of a link; `bw` in GB/s, in the precision that NCCL counts in."""

    kind: int
    to: Vertex
    bw: float = 0.0


@dataclass(slots=True, eq=False)
class Vertex:
    """A vertex. `key` is its machine and number there, which several may share (`NCCL_TOPO_ID`); what is only of one kind is 0 or None for others."""

    kind: VertexKind
    key: tuple[int, int]
    index: int
    links: list[Link] = field(default_factory=list)
    address: Address | None = None
    name: str = ""
    dev: int = 0
    rank: int = 0
    sm: int = 0
    gdr: bool = False
    partition: int | None = None
    device: Vertex | None = None
    ranks: int = 0
    ids: tuple[int, int, int, int] = (0, 0, 0, 0)
    cpu: tuple[str, str, int, int] = ("", "", 0, 0)

    def connect(self, to: Vertex, kind: int, bw: float) -> None:
        """A link to `to`, or more bandwidth on the one there is; links are kept from wide to narrow (`ncclTopoConnectNodes`)."""
        at = next((at for at, link in enumerate(self.links) if link.to is to and link.kind == kind), len(self.links))
        if at == len(self.links):
            self.links.append(Link(kind, to))
        link = self.links[at]
        link.bw = single(link.bw + bw)
        while at and self.links[at - 1].bw < link.bw:
            self.links[at] = self.links[at - 1]
            at -= 1
        self.links[at] = link


class Graph:
    """All vertices by kind, in the order they were made, which is NCCL's order; `made` counts them all and bounds `Vertex.index`."""

    def __init__(self) -> None:
        """Empty."""
        self.made = 0
        self._kinds: dict[VertexKind, list[Vertex]] = {kind: [] for kind in VertexKind}

    def __iter__(self) -> Iterator[Vertex]:
        """Every vertex there is."""
        for vertices in self._kinds.values():
            yield from vertices

    def add(self, kind: VertexKind, key: tuple[int, int]) -> Vertex:
        """A new vertex (`ncclTopoCreateNode`).

        Raises:
            InputError: there are more of a kind than NCCL takes.
        """
        if len(self._kinds[kind]) == MOST_VERTICES:
            raise InputError(f"over {MOST_VERTICES} {kind.name}: NCCL takes no more of a kind", remedy="is this one machine?")
        vertex = Vertex(kind, key, self.made)
        self.made += 1
        self._kinds[kind].append(vertex)
        return vertex

    def of(self, kind: VertexKind) -> list[Vertex]:
        """The vertices of one kind, in order."""
        return self._kinds[kind]

    def find(self, kind: VertexKind, key: tuple[int, int]) -> Vertex | None:
        """The first vertex of that kind and key (`ncclTopoGetNode`)."""
        return next((vertex for vertex in self._kinds[kind] if vertex.key == key), None)

    def remove(self, gone: Vertex) -> None:
        """Take a vertex away that no link leads to any more."""
        self._kinds[gone.kind].remove(gone)


def join(one: Vertex, other: Vertex, kind: int, bw: float) -> None:
    """A link in both directions."""
    one.connect(other, kind, bw)
    other.connect(one, kind, bw)


def single(value: float) -> float:
    """`value` in single precision: NCCL compares bandwidths as floats, and sums of links tie there that differ in double precision."""
    return ctypes.c_float(value).value


def local_cpu(vertex: Vertex, came_from: Vertex | None = None) -> Vertex | None:
    """The CPU that a climb over PCI links reaches first (`findLocalCpu`)."""
    if vertex.kind is VertexKind.CPU:
        return vertex
    return next((found for above in _up(vertex, came_from) if (found := local_cpu(above, vertex)) is not None), None)


def _up(vertex: Vertex, came_from: Vertex | None) -> Iterator[Vertex]:
    for link in vertex.links:
        if link.kind == PCI and link.to is not came_from and link.to.kind in (VertexKind.PCI, VertexKind.CPU):
            yield link.to
