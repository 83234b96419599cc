"""Do a plan's guests keep apart as asked, on the nodes asked for, and leave free what is to stay free?

By enumeration; shares no code with what made the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.workload import Apart, GuestRequest, NumaRule, Scope, Spread
from simkit.semantics.placement_kept import check_kept
from simkit.semantics.reset import reset_set
from simkit.semantics.routes import route


def check_apart(plan: Plan) -> Iterator[str]:
    """Every fault of these kinds, as sentences."""
    asked = {guest.name: guest for guest in plan.workload.guests}
    for guest in plan.guests:
        for kind in asked[guest.name].isolation:
            yield from _shared(plan, guest, kind)
        yield from _strict(plan.host, asked[guest.name], guest)
    for rule in plan.workload.spread:
        yield from _spread(plan, rule)
    yield from check_kept(plan)


def _source(host: Host, device: GuestDevice) -> Function:
    return host[device.vf_of or device.address]


def _shared(plan: Plan, guest: GuestPlan, kind: Apart) -> Iterator[str]:
    for other in plan.guests:
        if other.name != guest.name:
            for mine, theirs in product(guest.bound, other.bound):
                what = _common(plan.host, mine, theirs, kind)
                if what:
                    yield f"{guest.name} is to share no {kind} with another guest: {mine.address} and {theirs.address} of {other.name} {what}"


def _common(host: Host, mine: GuestDevice, theirs: GuestDevice, kind: Apart) -> str | None:
    one, two = _source(host, mine), _source(host, theirs)
    if kind is Apart.VF_PARENT:
        return f"are virtual functions of {mine.vf_of}" if mine.vf_of is not None and mine.vf_of == theirs.vf_of else None
    if kind is Apart.SWITCH:
        both = _switches(host, one) & _switches(host, two)
        return f"are below switch {min(both)}" if both else None
    if one.address == two.address:
        return None
    if kind is Apart.RESET:
        together = two.address in reset_set(host, one).functions or one.address in reset_set(host, two).functions
        return "are reset together" if together else None
    ways = (route(host, one.address, two.address), route(host, two.address, one.address))
    return "reach each other directly" if any(way.direct and not way.translated_only for way in ways) else None


def _switches(host: Host, function: Function) -> set[Address]:
    return {port.address for port in host.ancestors(function) if port.port_type is PortType.UPSTREAM or (host.elided and port.is_bridge)}


def _node(host: Host, function: Function) -> int | None:
    if isinstance(function.numa_node, int):
        return function.numa_node
    return host.numa_nodes[0].id if len(host.numa_nodes) == 1 else None


def _strict(host: Host, asked: GuestRequest, guest: GuestPlan) -> Iterator[str]:
    sources = [_source(host, device) for device in guest.devices if device.companion_of is None]
    if asked.numa is not NumaRule.STRICT or not sources or not guest.nodes:
        return
    gpus = [function for function in sources if function.kind is Kind.GPU]
    homes = {_node(host, function) for function in gpus or sources}
    for node in guest.nodes:
        if node.host_node not in homes:
            yield f"{guest.name} is to stay on the NUMA nodes of its devices, and gets CPUs or memory of node {node.host_node}"


def _spread(plan: Plan, rule: Spread) -> Iterator[str]:
    there: dict[str, list[str]] = {}
    for guest in plan.guests:
        if guest.name in rule.guests:
            for place in _places(plan.host, guest, rule.by):
                there.setdefault(place, []).append(guest.name)
    for place, names in there.items():
        if len(names) > rule.most:
            yield f"{', '.join(names)} are all at {place}, of {', '.join(rule.guests)} at most {rule.most} may be"


def _places(host: Host, guest: GuestPlan, by: Scope) -> set[str]:
    if by in (Scope.HOST, Scope.DOMAIN):
        return {f"host {host.name}"}
    if by is Scope.NUMA:
        nodes = {_node(host, _source(host, device)) for device in guest.bound} | {node.host_node for node in guest.nodes if len(node.cpus)}
        return {f"NUMA node {node}" for node in nodes}
    return {f"switch or port {_home(host, _source(host, device))}" for device in guest.devices}


def _home(host: Host, function: Function) -> Address:
    """The lowest switch above with devices in several slots below it, else the topmost port above, else the function."""
    top = function.address
    for port in host.ancestors(function):
        top = port.address
        if top in _switches(host, function):
            ends = [other for other in host.below(top) if not other.is_bridge and not other.is_vf]
            if len({(other.address.domain, other.address.bus, other.address.device) for other in ends}) > 1:
                return top
    return top
