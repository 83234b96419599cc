"""Peer classes of all pairs at once: the same as `p2p.nearness`, as an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.semantics.peer_links import beside, linked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_NODE, _UNKNOWN_NODE = -1, -2


def class_matrix(host: Host, functions: Sequence[Address]) -> NDArray[np.uint8]:
    """`PeerClass` numbers of every ordered pair of `functions`, shape (n, n).

    Functions lie in depth-first order, so that all below a bridge is one interval, and the square over an interval is where that
    bridge, or one below it, is the first that two functions have in common. Counting switches up to there gives PIX or PXB.

    Raises:
        UnknownName: a function that is not there.
    """
    import numpy as np

    order, ends, switches = _depth_first(host)
    chosen = sorted((host[address] for address in functions), key=lambda function: order[function.address])
    before = np.searchsorted([order[function.address] for function in chosen], np.arange(len(order) + 1))
    above = np.array([switches[function.address] for function in chosen], dtype=np.int8)
    classes = np.where(_same_node(host, chosen), np.uint8(PeerClass.PHB), np.uint8(PeerClass.SYS))
    for bus in host.root_buses:
        for top in host.children(bus):
            start, stop = before[order[top.address]], before[ends.get(top.address, order[top.address])]
            if stop - start > 1:
                classes[start:stop, start:stop] = _below(host, top, slice(start, stop), before, above, order, ends, switches)
    np.fill_diagonal(classes, PeerClass.LOC)
    rank = {function.address: number for number, function in enumerate(chosen)}
    wanted = [rank[address] for address in functions]
    if wanted != list(range(len(wanted))):
        classes = classes[np.ix_(wanted, wanted)]
    _links_beside(host, functions, classes)
    return classes


def _below(
    host: Host,
    top: Function,
    block: slice,
    before: NDArray[np.intp],
    above: NDArray[np.int8],
    order: dict[Address, int],
    ends: dict[Address, int],
    switches: dict[Address, int],
) -> NDArray[np.uint8]:
    """PIX or PXB of all pairs below one root port: the switches above either, less those above and at where they meet, which counts once."""
    import numpy as np

    size = block.stop - block.start
    met, counted = np.zeros((size, size), dtype=np.int8), np.zeros((size, size), dtype=np.int8)
    for bridge in (top, *(function for function in host.below(top.address) if function.address in ends)):
        own = _is_switch(host, bridge)
        first, last = (int(before[at]) - block.start for at in (order[bridge.address], ends[bridge.address]))
        if last - first > 1:
            met[first:last, first:last] = switches[bridge.address] + own
            counted[first:last, first:last] = own
    passed = np.maximum(above[block, None] - met, 0)
    return np.where(passed + passed.T + counted <= 1, np.uint8(PeerClass.PIX), np.uint8(PeerClass.PXB))


def _depth_first(host: Host) -> tuple[dict[Address, int], dict[Address, int], dict[Address, int]]:
    """Position of each function, end of the interval below each bridge, and how many switches are above each function."""
    order: dict[Address, int] = {}
    ends: dict[Address, int] = {}
    switches: dict[Address, int] = {}
    for bus in host.root_buses:
        stack: list[Function | Address] = list(reversed(host.children(bus)))
        while stack:
            here = stack.pop()
            if isinstance(here, Address):
                ends[here] = len(order)
                continue
            above = host.parent(here)
            switches[here.address] = 0 if above is None else switches[above.address] + _is_switch(host, above)
            order[here.address] = len(order)
            below = host.children(here.address)
            if below:
                stack.append(here.address)
                stack.extend(reversed(below))
    return order, ends, switches


def _is_switch(host: Host, function: Function) -> bool:
    return function.port_type is PortType.UPSTREAM or (host.elided and function.is_bridge)


def _same_node(host: Host, functions: Sequence[Function]) -> NDArray[np.bool_]:
    """One NUMA node; where one of the two is not known, one root bus."""
    import numpy as np

    nodes = np.array([(_NO_NODE if f.numa_node is None else f.numa_node) if is_known(f.numa_node) else _UNKNOWN_NODE for f in functions])
    numbers = {bus: number for number, bus in enumerate(host.root_buses)}
    buses = np.array([numbers[host.root_bus(function)] for function in functions])
    known = nodes != _UNKNOWN_NODE
    same: NDArray[np.bool_] = np.where(known[:, None] & known[None, :], nodes[:, None] == nodes[None, :], buses[:, None] == buses[None, :])
    return same


def _links_beside(host: Host, functions: Sequence[Address], classes: NDArray[np.uint8]) -> None:
    """Where NVLink or xGMI is nearer than the tree."""
    links = linked(host)
    ends = [(at, address) for at, address in enumerate(functions) if address in links]
    for at, address in ends:
        for other, target in ends:
            if at != other:
                classes[at, other] = min(classes[at, other], beside(host, links, address, target))
