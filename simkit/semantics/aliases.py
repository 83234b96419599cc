"""Whose requester id a function's requests carry: `pci_for_each_dma_alias` (drivers/pci/search.c), the same in 6.1 and 7.3."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import Unknown
from simkit.semantics.acs import Isolation

_BROADCOM, _TRANSLATING = 0x14E4, (0x9000, 0x9084)
_TRANSPARENT = (PortType.ROOT_PORT, PortType.UPSTREAM, PortType.DOWNSTREAM)


def ends_translation(function: Function) -> bool:
    """`PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT`: a bridge with a translation unit of its own (Broadcom Vulcan, Cavium ThunderX2)."""
    return function.vendor_id == _BROADCOM and function.device_id in _TRANSLATING


def alias_bridges(isolation: Isolation, function: Function) -> Iterator[Function]:
    """The bridges above `function` under whose id its requests may appear, nearest first.

    PCIe ports add nothing. A PCIe-to-PCI bridge answers for what is below it with its subordinate bus' 00.0, a PCI-to-PCIe or
    conventional bridge with its own id; either way the function shares that bridge's fate. Ids that devices
    themselves use besides their own are in dma_alias_quirks.py. A bridge with a translation unit of its own ends the walk.
    That 7.3 takes ASPEED's AST1150 for a bridge that leaves ids as they
    are changes no group: it never isolates, so that what is below it joins it by the ACS path.
    """
    for bridge in isolation.host.ancestors(function):
        if ends_translation(bridge):
            return
        kind = bridge.port_type
        if isinstance(kind, Unknown):
            if not isolation.guess(f"{bridge.path}/port_type", f"whether {bridge.address} is a PCIe port or a PCI bridge", kind):
                yield bridge
        elif kind not in _TRANSPARENT:
            yield bridge


_INTEL, _RAID, FIRST_MADE_DOMAIN = 0x8086, 0x0104, 0x10000
_VMD = frozenset({0x201D, 0x28C0, 0x28C1, 0x467F, 0x4C3D, 0xA77F, 0x7D0B, 0xAD0B, 0x9A0B, 0xB60B, 0xB06F, 0xB07F, 0xD70B, 0xD73B})
"""`vmd_ids` (drivers/pci/controller/vmd.c) of 7.3; 6.1 has eight of them."""


def dma_function(host: Host, function: Function) -> Function:
    """Whose requester id is on the requests of `function`: `pci_real_dma_dev` (arch/x86/pci/common.c), the same in 6.1 and 7.3.

    Itself, or Intel's VMD, whose driver made the domain that `function` lies in. A source that does not tell which VMD made which domain
    gets them paired in order, the way the driver numbers domains: from 0x10000 up, each VMD the next that is free.
    """
    if function.address.domain < FIRST_MADE_DOMAIN and not host.made_buses:
        return function
    told = {(made.bus.domain, made.bus.bus): made.function for made in host.made_buses}
    bus = host.root_bus(function)
    if (bus.domain, bus.bus) in told:
        return host[told[bus.domain, bus.bus]]
    known = {made.bus.domain: made.function for made in host.made_buses}
    if bus.domain in known:
        return host[known[bus.domain]]
    guessed = guessed_makers(host)
    return host[guessed[bus.domain]] if bus.domain in guessed else function


def _may_be_vmd(function: Function) -> bool:
    """By its ids; where the device's is not told, by its class, which is RAID (`lspci -v` without -nn)."""
    if isinstance(function.device_id, Unknown):
        return function.vendor_id == _INTEL and isinstance(function.class_code, int) and function.class_code >> 8 == _RAID
    return function.vendor_id == _INTEL and function.device_id in _VMD


def guessed_makers(host: Host) -> dict[int, Address]:
    """To each domain of which nobody says who made it, the VMD that is its by order; none where there are not as many of either."""
    taken = {made.function for made in host.made_buses}
    told = {made.bus.domain for made in host.made_buses}
    domains = sorted({bus.domain for bus in host.root_buses if bus.domain >= FIRST_MADE_DOMAIN} - told)
    makers = [function.address for function in host.functions if function.address not in taken and not function.is_vf and _may_be_vmd(function)]
    return dict(zip(domains, makers, strict=True)) if domains and len(domains) == len(makers) else {}
