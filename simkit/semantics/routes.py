"""Where a memory request goes, over which ports and how fast, and how near two functions are in the tree."""

from __future__ import annotations

from simkit.model.address import Address
from simkit.model.capabilities import Link, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.route import PeerClass, Route
from simkit.model.unknown import is_known
from simkit.semantics.links import link_gbps
from simkit.semantics.turns import Way, turn


def route(host: Host, source: Address, target: Address) -> Route:
    """The way of an untranslated memory request from `source` to memory of `target`.

    Raises:
        UnknownName: one of them is not there.
    """
    start, end = host[source], host[target]
    nearness = tree_class(host, start, end)
    if source == target:
        return Route(source, target, nearness, direct=True, via=(), why="a function reaches its own memory by itself")
    way = _meet(host, start, end)
    fate = turn(host, way, start, end)
    ports = (*way.up, *((way.meet,) if way.meet else ()), *way.down) if fate.direct else (*_ancestors(host, start), *reversed(_ancestors(host, end)))
    return Route(
        source,
        target,
        nearness,
        fate.direct,
        tuple(port.address for port in ports),
        redirected_by=fate.redirected_by,
        blocked_by=fate.blocked_by,
        translated_only=fate.translated_only,
        bandwidth_gbps=_slowest(host, start, end, ports),
        why=fate.why,
        assumptions=fate.assumptions,
    )


def tree_class(host: Host, start: Function, end: Function) -> PeerClass:
    """Class of a pair by the PCIe tree alone: PIX one switch at most, PXB several, PHB one NUMA node, SYS between (NCCL src/graph/paths.cc)."""
    if start.address == end.address:
        return PeerClass.LOC
    way = _meet(host, start, end)
    if way.meet is None:
        return PeerClass.PHB if _same_node(host, start, end) else PeerClass.SYS
    switches = {port.address for port in (*way.up, way.meet, *way.down) if port.port_type is PortType.UPSTREAM or (host.elided and port.is_bridge)}
    return PeerClass.PIX if len(switches) <= 1 else PeerClass.PXB


def _same_node(host: Host, start: Function, end: Function) -> bool:
    if is_known(start.numa_node) and is_known(end.numa_node):
        return start.numa_node == end.numa_node
    return host.root_bus(start) == host.root_bus(end)


def _ancestors(host: Host, function: Function) -> tuple[Function, ...]:
    return tuple(host.ancestors(function))


def _meet(host: Host, start: Function, end: Function) -> Way:
    up, down = _ancestors(host, start), _ancestors(host, end)
    if start in down:
        return Way((), tuple(reversed(down[: down.index(start)])), start)
    if end in up:
        return Way(up[: up.index(end)], (), end)
    shared = {port.address for port in down}
    meet = next((port for port in up if port.address in shared), None)
    if meet is None:
        return Way(up, tuple(reversed(down)), None)
    return Way(up[: up.index(meet)], tuple(reversed(down[: down.index(meet)])), meet)


def _slowest(host: Host, start: Function, end: Function, ports: tuple[Function, ...]) -> float | None:
    """The narrowest link passed. A port's link register speaks of the link below a root or downstream port and above any other."""
    passed = [function for function in (start, *ports, end) if isinstance(function.link, Link)]
    lacking = [
        function
        for function in (start, end)
        if function.link is not None and not isinstance(function.link, Link) and not any(isinstance(port.link, Link) for port in host.ancestors(function))
    ]
    speeds = [link_gbps(function.link) for function in passed if isinstance(function.link, Link)]
    known = [speed for speed in speeds if speed is not None]
    return min(known) if known and not lacking else None
