"""The short way between peers below one switch: kept with isolation where ports have DT and devices ATS, else opened for one owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from simkit.model.address import Address
from simkit.model.advice import Advice, Aim, Call, Lasts, RestsOn
from simkit.model.boot import BootParameters
from simkit.model.capabilities import Acs, AcsBits, Ats, PortType
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.p2pdma import MapType
from simkit.semantics.advice.isolate import listed
from simkit.semantics.advice.ports import members, region, unprobed
from simkit.semantics.advice.registers import RUN_TIME, capability, control, has_config_acs, lasting, names, readable
from simkit.semantics.advice.wanted import Wanted
from simkit.semantics.p2pdma import p2pdma
from simkit.semantics.routes import route
from simkit.semantics.what_if import with_control

_REDIRECT = AcsBits.RR | AcsBits.CR
_DT_SOURCES = ("PCIe 6.0 §6.12.1.1 (ACS direct translated P2P), §10.5.1 (ATS)", "Kata Containers docs/design/kata-vra.md: ATS with direct translated P2P")
_TRUST = "the switch trusts requests marked as translated: a device that forges the mark reaches its peers below the switch unchecked"


@dataclass(frozen=True, slots=True)
class Peers:
    """Devices below one switch that may belong to one guest, and the downstream ports that redirect requests between them."""

    switch: Address
    devices: tuple[Function, ...]
    ports: tuple[Function, ...]


def peers(host: Host, wanted: Wanted, *, across: bool = False) -> Iterator[Peers]:
    """By switch; `across`: only pairs of a GPU and a NIC count. Pairs whose short way is open, for all or for translated requests, ask for nothing."""
    found: dict[tuple[Address, str | None], dict[str, dict[Address, Function]]] = {}
    for devices in _below_one_port(host, wanted):
        known: dict[object, tuple[Address, Function] | None] = {}
        for a, b in permutations(devices, 2):
            kinds = {a.kind, b.kind}
            if Kind.GPU not in kinds or (across and len(kinds) == 1) or not wanted.together(a.address, b.address):
                continue
            key = (a.parent, b.parent, a.ats == Ats(enabled=True), a.parent == b.parent and (a.address, b.address))
            if key not in known:
                known[key] = _redirected(host, a, b)
            turn = known[key]
            if turn is not None:
                entry = found.setdefault((turn[0], wanted.owner.get(a.address)), {"devices": {}, "ports": {}})
                entry["devices"] |= {a.address: a, b.address: b}
                entry["ports"][turn[1].address] = turn[1]
    for (address, _), entry in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        yield Peers(address, tuple(entry["devices"][at] for at in sorted(entry["devices"])), tuple(entry["ports"][at] for at in sorted(entry["ports"])))


def _below_one_port(host: Host, wanted: Wanted) -> Iterator[list[Function]]:
    """The devices that may have a switch in common: physical ones below the same function of a root bus."""
    found: dict[Address, list[Function]] = {}
    for device in wanted.of_kind(Kind.GPU, Kind.NIC):
        if not device.is_vf:
            found.setdefault((device, *host.ancestors(device))[-1].address, []).append(device)
    yield from found.values()


def _redirected(host: Host, a: Function, b: Function) -> tuple[Address, Function] | None:
    """The switch that both lie below, and its port that sends requests of one to the other upstream."""
    above = {port.address for port in host.ancestors(b)}
    switch = next((port for port in host.ancestors(a) if port.address in above and port.port_type is PortType.UPSTREAM), None)
    if switch is None:
        return None
    way = route(host, a.address, b.address)
    if way.direct or way.redirected_by is None:
        return None
    port = host[way.redirected_by]
    return (switch.address, port) if port.port_type is PortType.DOWNSTREAM and readable(port) is not None else None


def short_way(host: Host, group: Peers, aim: Aim) -> Iterator[Advice]:
    """Direct translated P2P where it can be, else redirection off at just these ports."""
    without_ats = tuple(device.address for device in group.devices if device.ats is None)
    without_dt = tuple(port.address for port in group.ports if not capability(_acs(port)) & AcsBits.DT)
    if without_ats or without_dt:
        yield from _open(host, group, aim, _lacking(without_ats, without_dt))
        return
    yield from _translated(host, group, aim)
    if any(not isinstance(device.ats, Ats) for device in group.devices):
        yield from _open(host, group, aim, "only if the devices turn out to have no ATS")


def _lacking(ats: tuple[Address, ...], ports: tuple[Address, ...]) -> str:
    return "; ".join(filter(None, (f"{listed(ats)} without ATS" if ats else "", f"{listed(ports)} without DT" if ports else "")))


def _acs(port: Function) -> Acs:
    acs = readable(port)
    assert acs is not None
    return acs


def _translated(host: Host, group: Peers, aim: Aim) -> Iterator[Advice]:
    """DT on and TB off at the ports, ATS on in the devices."""
    known = all(isinstance(device.ats, Ats) for device in group.devices)
    call = Call.SET if known else Call.CHOICE
    blocking = tuple(port for device in group.devices for port in host.ancestors(device) if (acs := readable(port)) is not None and control(acs) & AcsBits.TB)
    after = {port.address: (control(_acs(port)) | AcsBits.DT) & ~AcsBits.TB for port in (*group.ports, *blocking)}
    durations = lasting(host, after)
    gain = f"{len(group.devices)} devices below switch {group.switch} reach each other through it with translated addresses, and the IOMMU stays in charge"
    for address, bits in sorted(after.items()):
        lasts, how, parameters = durations[address]
        now = control(_acs(host[address]))
        changes = [f"set ACS {names(bits & ~now)}"] * bool(bits & ~now) + [f"clear ACS {names(now & ~bits)}"] * bool(now & ~bits)
        if changes:
            yield Advice(
                aim,
                call,
                address,
                f"{' and '.join(changes)}",
                lasts,
                RestsOn.REGISTERS if lasts is Lasts.RUN_TIME else RestsOn.REBOOT,
                how,
                gain,
                costs=_linux(host, group),
                opens=_TRUST,
                sources=_DT_SOURCES,
                controls=((address, bits),),
                parameters=parameters,
            )
    yield from _ats(host, group, aim)


def _ats(host: Host, group: Peers, aim: Aim) -> Iterator[Advice]:
    """ATS of the devices: Linux enables it when an IOMMU domain is attached, unless `pci=noats` (`pci_enable_ats`, drivers/pci/ats.c)."""
    noats = isinstance(host.cmdline, str) and BootParameters.parse(host.cmdline).noats
    if noats:
        yield Advice(
            aim,
            Call.SET,
            None,
            "take noats from pci= on the kernel command line",
            Lasts.COMMAND_LINE,
            RestsOn.REBOOT,
            gains="devices may use ATS, and ports no longer block translated requests (ACS TB)",
            opens=_TRUST,
            sources=("pci_enable_ats (drivers/pci/ats.c)",),
            without=("pci=noats",),
        )
    for device in group.devices:
        if not isinstance(device.ats, Ats):
            yield Advice(
                aim,
                Call.ASK,
                device.address,
                "read whether it has ATS, as root: lspci -vvv (Address Translation Service); firmware may hide it",
                Lasts.NOTHING,
                RestsOn.REGISTERS,
                gains="DT lets only translated requests pass: without ATS in the device it gains nothing",
                sources=_DT_SOURCES,
                firmware=("ATS",),
            )
        elif device.ats.enabled is not True and not noats:
            yield Advice(
                aim,
                Call.SET,
                device.address,
                "have ATS enabled",
                Lasts.FIRMWARE,
                RestsOn.REBOOT,
                "Linux does so when it attaches an IOMMU domain, if firmware offers ATS (`simkit route … --bios ats=on` asks what then)",
                gains="its requests to peers carry translated addresses",
                opens=_TRUST,
                sources=("pci_enable_ats (drivers/pci/ats.c)",),
                firmware=("ATS",),
            )


def _open(host: Host, group: Peers, aim: Aim, why: str) -> Iterator[Advice]:
    """Request and completion redirect off at these ports: all below the switch reach each other, the IOMMU never sees it."""
    below = [function for function in host.below(group.switch) if not function.is_bridge]
    others = tuple(function.address for function in below if function not in group.devices)
    before = has_config_acs(host) is False
    after = {port.address: control(_acs(port)) & ~_REDIRECT for port in group.ports}
    durations = lasting(host, after)
    merging = _larger(host, group, after)
    for address, bits in after.items():
        lasts, how, parameters = durations[address]
        if before:
            lasts, how, parameters = Lasts.COMMAND_LINE, f"by pci=disable_acs_redir=, for every boot; {RUN_TIME}", (f"pci=disable_acs_redir={address}",)
        yield Advice(
            aim,
            Call.CHOICE,
            address,
            f"clear ACS {names(control(_acs(host[address])) & _REDIRECT)} ({why})",
            lasts,
            RestsOn.REGISTERS if lasts is Lasts.RUN_TIME else RestsOn.REBOOT,
            how,
            gains=f"{len(group.devices)} devices below switch {group.switch} reach each other through it",
            costs="hand all below this switch to one guest, or leave it"
            + (f"; others lie there too ({len(others)}, first {others[0]})" if others else "")
            + (f"; after the next boot {merging} functions have larger IOMMU groups" if merging else ""),
            opens=f"the {len(below)} functions below switch {group.switch} reach each other's memory, and the IOMMU never sees it",
            sources=("PCIe 6.0 §6.12.1.1 (ACS P2P request redirect)", "pci_disable_acs_redir, __pci_config_acs (drivers/pci/pci.c)"),
            controls=((address, bits),),
            parameters=parameters,
        )


def _larger(host: Host, group: Peers, after: dict[Address, AcsBits]) -> int:
    """How many functions share their group with more once these bits are so and all is probed anew."""
    functions = region(host, host[group.switch])
    now, then = members(unprobed(host), functions), members(with_control(unprobed(host), after), functions)
    return sum(len(then.get(function.address, ())) > len(now.get(function.address, ())) for function in functions)


def _linux(host: Host, group: Peers) -> str:
    """Linux's own P2PDMA does not look at DT."""
    first = tuple({device.parent: device for device in group.devices}.values())
    kinds = {kind for a, b in permutations(first, 2) for kind in p2pdma(host, a.address, b.address).possible}
    if kinds == {MapType.BUS_ADDRESS}:
        return ""
    words = " or ".join(sorted(kind.value for kind in kinds))
    return f"Linux's own P2PDMA (NVMe, dma-buf) does not look at DT and still answers {words} (calc_map_type_and_dist)"
