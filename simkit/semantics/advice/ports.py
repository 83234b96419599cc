"""Which ACS bits are worth setting so that devices stand alone: no more than changes a group or keeps a request from turning around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import AcsBits, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN
from simkit.semantics.acs import Isolation
from simkit.semantics.advice.registers import PORTS, control, missing, readable
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.group_builder import GroupBuilder
from simkit.semantics.routes import route
from simkit.semantics.turns import root_port_redirects
from simkit.semantics.what_if import with_control

Members = dict[Address, tuple[Address, ...]]


@dataclass(frozen=True, slots=True)
class Gain:
    """What `after` in place of `now` does at `port` once all the others are set: devices whose group gets smaller, and whose requests no longer turn around."""

    port: Address
    now: AcsBits
    after: AcsBits
    apart: tuple[Address, ...]
    kept: tuple[Address, ...]


def unprobed(host: Host) -> Host:
    """The host as if its functions were probed now: registers decide, no group is reported."""
    return replace(host, functions=tuple(replace(function, iommu_group=UNKNOWN) for function in host.functions))


def region(host: Host, function: Function) -> tuple[Function, ...]:
    """The functions that can share a group with this one: those below the same slot of the root bus."""
    top = (function, *host.ancestors(function))[-1]
    tops = [child for child in host.children(host.root_bus(function)) if child.address.slot == top.address.slot]
    return tuple(sorted((below for child in tops for below in (child, *host.below(child.address))), key=lambda below: below.address))


def members(host: Host, functions: tuple[Function, ...]) -> Members:
    """To each function its group, unknown facts taken for isolating."""
    inside = tuple(host[function.address] for function in functions)
    return GroupBuilder(host, Isolation(host, optimistic=True), {}, inside).run().members_of()


def groups_of(host: Host, devices: Iterable[Function]) -> Members:
    """To each device its group, every region looked at once."""
    found: Members = {}
    for functions in _regions(host, devices):
        found |= members(host, functions)
    return found


def worth_setting(host: Host, wanted: Wanted) -> tuple[Gain, ...]:
    """The changes that together isolate as much as all bits that could be set do, none of them idle, in address order."""
    blank = unprobed(host)
    gains: list[Gain] = []
    for functions in _regions(blank, wanted.devices):
        gains += _in_region(blank, functions, wanted)
    return tuple(sorted(gains, key=lambda gain: gain.port))


def _regions(host: Host, devices: Iterable[Function]) -> Iterable[tuple[Function, ...]]:
    seen: set[Address] = set()
    for device in devices:
        if device.address not in seen:
            functions = region(host, device)
            seen |= {function.address for function in functions}
            yield functions


def _in_region(host: Host, functions: tuple[Function, ...], wanted: Wanted) -> Iterable[Gain]:
    inside = {function.address for function in functions}
    devices = tuple(device.address for device in wanted.devices if device.address in inside)
    could = {function.address: after for function in functions if (after := _wish(function)) is not None}
    if not could:
        return
    apart = members(with_control(host, could), functions)
    kept = {address: _kept(host, could, address, apart, devices, wanted) for address in could}
    chosen = dict(could)
    best = _of(apart, devices)
    for address in could:
        fewer = {other: bits for other, bits in chosen.items() if other != address}
        if not kept[address] and _of(members(with_control(host, fewer), functions), devices) == best:
            chosen = fewer
    for address, after in chosen.items():
        fewer = {other: bits for other, bits in chosen.items() if other != address}
        without = _of(members(with_control(host, fewer), functions), devices)
        smaller = tuple(device for device in devices if without.get(device) != best.get(device))
        yield Gain(address, _now(host[address]), after, smaller, kept[address])


def _of(groups: Members, devices: tuple[Address, ...]) -> Members:
    return {device: groups[device] for device in devices if device in groups}


def _now(function: Function) -> AcsBits:
    acs = readable(function)
    assert acs is not None
    return control(acs)


def _wish(function: Function) -> AcsBits | None:
    """What control should hold: all that Linux asks for, and no egress control, whose vector decides in place of RR (PCIe 6.0 §6.12.3); None where it does."""
    alone = function.port_type not in PORTS and (function.is_vf or function.multifunction is False)
    if alone or readable(function) is None:
        return None
    now = _now(function)
    wish = now | missing(function)
    if function.port_type is PortType.DOWNSTREAM and wish & AcsBits.RR:
        wish &= ~AcsBits.EC
    return wish if wish != now else None


def _kept(host: Host, could: dict[Address, AcsBits], address: Address, apart: Members, devices: tuple[Address, ...], wanted: Wanted) -> tuple[Address, ...]:
    """The devices at either end of requests that only this change keeps from turning around here; below a root port those it promises nothing yet.

    What shares a group goes to one guest anyway: nothing is gained between those.
    """
    port = host[address]
    touched: set[Address] = set()
    if root_port_redirects(host, port) is port and root_port_redirects(with_control(host, {address: could[address]}), port) is None:
        touched |= {device for device in devices if any(above is port for above in host.ancestors(host[device]))}
    starts = _ends(host, port)
    on_root = isinstance(port.parent, RootBus)
    beside = [_ends(host, other) for other in host.children(port.parent) if other is not port and (not on_root or other.address.slot == address.slot)]
    parties = {wanted.owner.get(end) for ends in (starts, *beside) for end in ends}
    if len(parties) == 1 and None not in parties:
        return tuple(device for device in devices if device in touched)
    ready = with_control(host, could)
    before = with_control(ready, {address: _now(port)})
    for end in (end for ends in beside for end in ends):
        for start in (start for start in starts if end not in apart.get(start, ())):
            if not {start, end}.isdisjoint(devices) and _turns(before, start, end) and not _turns(ready, start, end):
                touched |= {start, end}
    return tuple(device for device in devices if device in touched)


def _turns(host: Host, start: Address, end: Address) -> bool:
    way = route(host, start, end)
    return way.direct and not way.translated_only


def _ends(host: Host, function: Function) -> tuple[Address, ...]:
    """The function itself, or what is below it if it is a bridge, bridges left out."""
    return tuple(other.address for other in (function, *host.below(function.address)) if not other.is_bridge)
