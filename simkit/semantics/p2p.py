"""How near functions are to each other, links beside PCIe included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.semantics.class_matrix import class_matrix
from simkit.semantics.peer_links import beside, linked
from simkit.semantics.routes import route, tree_class


@dataclass(frozen=True, slots=True)
class P2p:
    """Class and PCIe bandwidth (Gb/s, None where unknown) of every ordered pair of `functions`."""

    functions: tuple[Address, ...]
    nearness: tuple[tuple[PeerClass, ...], ...]
    bandwidth_gbps: tuple[tuple[float | None, ...], ...]


def nearness(host: Host, a: Address, b: Address) -> PeerClass:
    """The class of a pair: NVL where NVLink or xGMI joins them (through an NVSwitch too), NVB through one other GPU, else by the tree."""
    if a == b:
        return PeerClass.LOC
    return min(beside(host, linked(host), a, b), tree_class(host, host[a], host[b]))


def matrix(host: Host, functions: Sequence[Address]) -> P2p:
    """All pairs of `functions`."""
    words = {kind.value: kind for kind in PeerClass}
    return P2p(
        tuple(functions),
        tuple(tuple(words[number] for number in row) for row in class_matrix(host, functions).tolist()),
        tuple(tuple(None if a == b else route(host, a, b).bandwidth_gbps for b in functions) for a in functions),
    )
