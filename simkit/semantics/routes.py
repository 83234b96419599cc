"""Where a memory request goes: straight through a switch, redirected upstream by ACS, or over the host bridge (PCIe 6.0 §6.12.1).

Modelled: request redirect (RR) and direct translated (DT) at the port where a request could turn, egress control (EC) as far as
it is off, translation blocking (TB), traffic between functions of one device, shared conventional buses. Not modelled: completion
redirect (completions follow the request's fate here), egress control vectors, multicast, ID-based routing of messages.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, Ats, Link, PortType
from simkit.model.function import Function
from simkit.model.group import Assumption
from simkit.model.host import Host
from simkit.model.route import PeerClass, Route
from simkit.model.unknown import Unknown, is_known
from simkit.semantics.acs_quirks import quirk_answer
from simkit.semantics.links import link_gbps

_HOST_BRIDGE = "it goes up to the host bridge, where the IOMMU translates it"


@dataclass(frozen=True, slots=True)
class _Way:
    """The bridges from a function up to where two ways meet; `meet` None is the host bridge."""

    up: tuple[Function, ...]
    down: tuple[Function, ...]
    meet: Function | None


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
    turn = _turn(host, way, start, end)
    ports = (*way.up, *((way.meet,) if way.meet else ()), *way.down) if turn.direct else (*_ancestors(host, start), *reversed(_ancestors(host, end)))
    return Route(
        source,
        target,
        nearness,
        turn.direct,
        tuple(port.address for port in ports),
        redirected_by=turn.redirected_by,
        translated_only=turn.translated_only,
        bandwidth_gbps=_slowest(host, start, end, ports),
        why=turn.why,
        assumptions=turn.assumptions,
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


def _meet(host: Host, start: Function, end: Function) -> _Way:
    up, down = _ancestors(host, start), _ancestors(host, end)
    if start in down:
        return _Way((), tuple(reversed(down[: down.index(start)])), start)
    if end in up:
        return _Way(up[: up.index(end)], (), end)
    shared = {port.address for port in down}
    meet = next((port for port in up if port.address in shared), None)
    if meet is None:
        return _Way(up, tuple(reversed(down)), None)
    return _Way(up[: up.index(meet)], tuple(reversed(down[: down.index(meet)])), meet)


@dataclass(frozen=True, slots=True)
class _Turn:
    direct: bool
    why: str
    redirected_by: Address | None = None
    translated_only: bool = False
    assumptions: tuple[Assumption, ...] = ()


def _turn(host: Host, way: _Way, start: Function, end: Function) -> _Turn:
    """Whether the request turns where the two ways meet."""
    inward = way.up[-1] if way.up else start
    outward = way.down[0] if way.down else end
    if way.meet is not None and way.meet in (start, end):
        return _Turn(direct=True, why="one lies below the other")
    if host.elided:
        if way.meet is None:
            return _Turn(direct=False, why=_HOST_BRIDGE)
        return _unknown(
            host, way.meet, Unknown("NCCL's XML leaves the switch's ports out"), f"the switch {way.meet.address} passes it on unless its ports redirect"
        )
    if inward.address.slot == outward.address.slot and inward.parent == outward.parent:
        return _between_functions(host, inward, outward)
    if way.meet is None:
        return _Turn(direct=False, why=_HOST_BRIDGE)
    if isinstance(inward.port_type, Unknown):
        return _unknown(host, inward, inward.port_type, f"below {way.meet.address} it may turn around")
    if inward.port_type is PortType.DOWNSTREAM:
        return _at_port(host, inward, outward, start)
    return _Turn(direct=True, why=f"both are on the bus below {way.meet.address}, which has no ports between them")


def _between_functions(host: Host, inward: Function, outward: Function) -> _Turn:
    """Between functions of one device (PCIe 6.0 §6.12.1.2): RR of the function where the request starts."""
    if inward.is_vf or outward.is_vf or quirk_answer(inward, AcsBits.RR, host.iommu) is True:
        return _Turn(direct=False, why=f"{inward.address} and {outward.address} are functions of one device that do not talk among themselves; {_HOST_BRIDGE}")
    acs = inward.acs
    if isinstance(acs, Unknown):
        return _unknown(host, inward, acs, f"{inward.address} and {outward.address} are functions of one device and may talk inside it")
    if acs is None:
        return _Turn(direct=True, why=f"{inward.address} and {outward.address} are functions of one device without ACS, which may pass it on inside")
    return _by_control(host, inward, outward, acs, inward)


def _at_port(host: Host, inward: Function, outward: Function, start: Function) -> _Turn:
    acs = inward.acs
    if isinstance(acs, Unknown):
        return _unknown(host, inward, acs, f"the switch passes it from {inward.address} to {outward.address} unless ACS redirects")
    if acs is None:
        return _Turn(direct=True, why=f"{inward.address} has no ACS: the switch passes it on to {outward.address}, the IOMMU never sees it")
    return _by_control(host, inward, outward, acs, start)


def _by_control(host: Host, inward: Function, outward: Function, acs: Acs, start: Function) -> _Turn:
    if not is_known(acs.control):
        if is_known(acs.capability) and not acs.capability & AcsBits.RR:
            return _Turn(direct=True, why=f"{inward.address} does not implement ACS request redirect: it goes on to {outward.address}")
        return _unknown(host, inward, acs.control, f"it goes from {inward.address} to {outward.address} unless ACS redirects")
    if not acs.control & AcsBits.RR:
        blocked = " (egress control is on; its vector is not modelled)" if acs.control & AcsBits.EC else ""
        return _Turn(
            direct=True, why=f"ACS request redirect is off at {inward.address}: it goes straight on to {outward.address}, the IOMMU never sees it{blocked}"
        )
    if acs.control & AcsBits.DT and isinstance(start.ats, Ats) and start.ats.enabled is True and not acs.control & AcsBits.TB:
        return _Turn(
            direct=True,
            translated_only=True,
            redirected_by=inward.address,
            why=f"{inward.address} redirects upstream (ACS RR), but passes ATS-translated requests straight on to {outward.address} (ACS DT)",
        )
    return _Turn(direct=False, redirected_by=inward.address, why=f"ACS request redirect at {inward.address} sends it upstream; {_HOST_BRIDGE}")


def _unknown(host: Host, port: Function, unknown: Unknown, why: str) -> _Turn:
    path = f"{port.path}/acs/control" if isinstance(port.acs, Acs) else f"{port.path}/acs"
    return _Turn(
        direct=True,
        why=f"{why}; ACS there is unknown",
        assumptions=(Assumption(f"ACS of {port.address} is unknown ({unknown.why}); taken to be off", path, host.where(path)),),
    )


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
