"""Which ACS bits are worth setting so that devices stand alone: no more than changes a group or keeps a request from turning around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simkit.model.address import Address
from simkit.model.capabilities import AcsBits, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN
from simkit.semantics.acs import Isolation
from simkit.semantics.advice.registers import control, missing, readable
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.group_builder import GroupBuilder
from simkit.semantics.turns import root_port_redirects
from simkit.semantics.what_if import with_control

Members = dict[Address, tuple[Address, ...]]


@dataclass(frozen=True, slots=True)
class Gain:
    """What setting `bits` at `port` does once all the others are set: devices whose group gets smaller, and whose requests no longer turn around."""

    port: Address
    bits: AcsBits
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


def worth_setting(host: Host, wanted: Wanted) -> tuple[Gain, ...]:
    """The changes that together isolate as much as all bits that could be set do, none of them idle, in address order."""
    blank = unprobed(host)
    gains: list[Gain] = []
    for functions in _regions(blank, wanted.devices):
        gains += _in_region(blank, functions, wanted)
    return tuple(sorted(gains, key=lambda gain: gain.port))


def _regions(host: Host, devices: Iterable[Function]) -> Iterable[tuple[Function, ...]]:
    found = {functions[0].address: functions for functions in (region(host, device) for device in devices)}
    return found.values()


def _in_region(host: Host, functions: tuple[Function, ...], wanted: Wanted) -> Iterable[Gain]:
    devices = tuple(device.address for device in wanted.devices if device in functions)
    could = {function.address: missing(function) for function in functions if missing(function)}
    if not could:
        return
    kept = {address: _kept(host, host[address], could[address], devices, wanted) for address in could}
    chosen = dict(could)
    best = _of(members(_set(host, chosen), functions), devices)
    for address in could:
        fewer = {other: bits for other, bits in chosen.items() if other != address}
        if not kept[address] and _of(members(_set(host, fewer), functions), devices) == best:
            chosen = fewer
    for address, bits in chosen.items():
        without = _of(members(_set(host, {other: more for other, more in chosen.items() if other != address}), functions), devices)
        apart = tuple(device for device in devices if without.get(device) != best.get(device))
        yield Gain(address, bits, _after(host[address], bits), apart, kept[address])


def _of(groups: Members, devices: tuple[Address, ...]) -> Members:
    return {device: groups[device] for device in devices if device in groups}


def _after(function: Function, bits: AcsBits) -> AcsBits:
    acs = readable(function)
    assert acs is not None
    return control(acs) | bits


def _set(host: Host, changes: dict[Address, AcsBits]) -> Host:
    return with_control(host, {address: _after(host[address], bits) for address, bits in changes.items()}) if changes else host


def _kept(host: Host, port: Function, bits: AcsBits, devices: tuple[Address, ...], wanted: Wanted) -> tuple[Address, ...]:
    """The devices on either side of a turn that request redirect at this port would prevent; for a root port all below, whose root complex may turn them."""
    if not bits & AcsBits.RR:
        return ()
    below = {function.address for function in host.below(port.address)}
    if port.port_type is PortType.ROOT_PORT:
        return tuple(device for device in devices if device in below) if root_port_redirects(host, port) else ()
    if port.port_type is not PortType.DOWNSTREAM:
        return ()
    starts = [address for address in below if not host[address].is_bridge]
    beside = [function.address for other in host.children(port.parent) if other != port for function in (other, *host.below(other.address))]
    ends = [address for address in beside if not host[address].is_bridge]
    touched = {device for device in devices if device in below or device in beside}
    parties = {wanted.owner.get(address) for address in (*starts, *ends)}
    one_owner = len(parties) == 1 and None not in parties
    return tuple(sorted(touched)) if starts and ends and not one_owner else ()
