"""Which ACS bits must change for the guests of a plan: isolation where others could be reached, the short way where it is safe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, Ats, PortType
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known
from simkit.model.workload import Topology
from simkit.semantics import kernel as kernels

_PORTS = (PortType.ROOT_PORT, PortType.DOWNSTREAM)
_REDIRECT = AcsBits.RR | AcsBits.CR


@dataclass(frozen=True, slots=True)
class AcsChange:
    """Bits to set in one port's ACS Control Register; `control` is what it holds now. `why` is a sentence."""

    port: Address
    capability: AcsBits
    control: AcsBits
    bits: AcsBits
    why: str


def acs_changes(host: Host, guests: tuple[GuestPlan, ...]) -> tuple[AcsChange, ...]:
    """The changes, in address order; bits are only ever set, never cleared.

    SV, RR, CR and UF (`REQ_ACS_FLAGS`) are set, as far as implemented, on the root and downstream ports above a guest's
    device unless everything below that switch is the guest's own: then there is nobody to isolate it from, and its peers
    keep the short way. DT (PCIe 6.0 §6.12.1.1: translated requests are routed directly) is set on the downstream ports of a
    switch that a replicated guest has two or more functions with ATS below, where redirection is on and TB is not.
    Ports whose ACS registers are unknown are left alone.
    """
    owners = {device.address: guest.name for guest in guests for device in guest.devices}
    bits: dict[Address, AcsBits] = {}
    why: dict[Address, str] = {}
    for guest in guests:
        for function in _places(host, guest.devices):
            for port in _ports_above(host, function):
                missing = REQUIRED_ACS & _capability(port) & ~_control(port)
                if missing and _others_near(host, port, guest.name, owners):
                    bits[port.address] = bits.get(port.address, AcsBits.NONE) | missing
                    why.setdefault(port.address, f"keeps the requests of {guest.name} from turning around to others")
    for guest in guests:
        if guest.topology is not Topology.FLATTEN:
            for port in _short_ways(host, guest, bits):
                bits[port.address] = bits.get(port.address, AcsBits.NONE) | AcsBits.DT
                short = f"lets address-translated requests between the devices of {guest.name} take the short way"
                why[port.address] = f"{why[port.address]}; {short}" if port.address in why else short
    return tuple(AcsChange(address, _capability(host[address]), _control(host[address]), bits[address], why[address]) for address in sorted(bits))


def lasting(host: Host, change: AcsChange) -> str:
    """What makes such a change last, as a sentence.

    `pci=config_acs=` takes one character a bit, bit 0 rightmost (`__pci_config_acs`, drivers/pci/pci.c).
    """
    after = change.control | change.bits
    flags = "".join("x" if not change.capability & bit else "1" if after & bit else "0" for bit in reversed(AcsBits))
    argument = f"pci=config_acs={flags}@{change.port}"
    sentence = ("a run-time write: it changes what the hardware does, not the IOMMU groups, which were made at probe, and is lost "
                "at a rescan or hot-plug of the port and at reboot")
    version, since = kernels.release(host.kernel), "{}.{}".format(*kernels.CONFIG_ACS_SINCE)
    if version is None:
        return f"{sentence}; to last it belongs on the kernel command line of Linux {since} or later: {argument}"
    if version < kernels.CONFIG_ACS_SINCE:
        here = f"{version[0]}.{version[1]}"
        return f"{sentence}; Linux {here} has no command line option for it: write it at every boot, or boot {since} or later with {argument}"
    return f"{sentence}; to last it belongs on the kernel command line: {argument}"


def unreadable_ports(host: Host, guests: tuple[GuestPlan, ...]) -> tuple[Address, ...]:
    """The ports above guests' devices whose ACS registers the source could not read."""
    found = {port.address for guest in guests for function in _places(host, guest.devices) for port in host.ancestors(function)
             if port.port_type in _PORTS and (isinstance(port.acs, Unknown) or (isinstance(port.acs, Acs) and not _readable(port)))}
    return tuple(sorted(found))


def _places(host: Host, devices: tuple[GuestDevice, ...]) -> Iterator[Function]:
    """The functions of the host at whose place the devices are: a virtual function to be is at its physical function's."""
    for device in devices:
        if device.address in host:
            yield host[device.address]
        elif device.vf_of is not None:
            yield host[device.vf_of]


def _ports_above(host: Host, function: Function) -> Iterator[Function]:
    return (port for port in host.ancestors(function) if port.port_type in _PORTS and _readable(port))


def _readable(port: Function) -> bool:
    return isinstance(port.acs, Acs) and is_known(port.acs.capability) and is_known(port.acs.control)


def _capability(port: Function) -> AcsBits:
    assert isinstance(port.acs, Acs) and isinstance(port.acs.capability, AcsBits)
    return AcsBits(port.acs.capability & 0x7F)


def _control(port: Function) -> AcsBits:
    assert isinstance(port.acs, Acs) and isinstance(port.acs.control, AcsBits)
    return AcsBits(port.acs.control & 0x7F)


def _others_near(host: Host, port: Function, guest: str, owners: dict[Address, str]) -> bool:
    """Whether a request that turns around at this port's switch could meet a function that is not the guest's."""
    if port.port_type is PortType.ROOT_PORT:
        return True
    return any(owners.get(function.address) != guest for function in host.below(port.parent) if not function.is_bridge)


def _short_ways(host: Host, guest: GuestPlan, planned: dict[Address, AcsBits]) -> Iterator[Function]:
    """Downstream ports, nearest to the guest's devices with ATS, of switches that have two such devices below."""
    switches: dict[object, dict[Address, Function]] = {}
    counts: dict[object, int] = {}
    for function in _places(host, guest.devices):
        port = host.parent(function)
        if port is not None and port.port_type is PortType.DOWNSTREAM and isinstance(function.ats, Ats):
            switches.setdefault(port.parent, {})[port.address] = port
            counts[port.parent] = counts.get(port.parent, 0) + 1
    for switch, ports in switches.items():
        for port in ports.values() if counts[switch] > 1 else ():
            if not _readable(port):
                continue
            control = _control(port) | planned.get(port.address, AcsBits.NONE)
            if control & _REDIRECT and _capability(port) & AcsBits.DT and not control & (AcsBits.DT | AcsBits.TB):
                yield port
