"""Configuration space, decoded: 64, 256 or 4,096 bytes to facts (PCIe 6.0 §7.5 to §7.9, include/uapi/linux/pci_regs.h)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from simkit.errors import MalformedConfigSpace
from simkit.formats.pci import space_registers as space
from simkit.model.address_space import BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BusRange, DeviceControl, Link, PortType, Sriov
from simkit.model.unknown import UNKNOWN, Unknown, is_known

HEADER, CARDBUS, CONVENTIONAL, EXTENDED = 64, 128, 256, 4096
NETRONOME, NETRONOME_BYTES = 0x19EE, 0x600
CAP_BRIDGE_SUBSYSTEM, CAP_PCIE = 0x0D, 0x10
EXT_ACS, EXT_ARI, EXT_ATS, EXT_SRIOV = 0x000D, 0x000E, 0x000F, 0x0010
SPEEDS_GTPS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}

_PORT_TYPES = {kind.value: kind for kind in PortType}
_NEEDS_ROOT = Unknown("config space beyond byte 64 is readable by root only")
_PADDED = Unknown("config space names capabilities, but is all zeros from byte 64 on: a copy made without root and filled up")
_SHORT = Unknown("the extended config space beyond byte 256 is not in the source")
_NO_LINK = Unknown("the link register holds a reserved value, or the link is down")
_GONE = Unknown("config space reads all ones: the function does not answer")
_OFF = Unknown("the extended config space reads all ones")
_RESERVED = Unknown("the Device Control Register holds reserved sizes")
_NO_VF_BARS = Unknown("the base address registers of virtual functions read zero: not assigned")
_PHYSICAL = Unknown("a virtual function has no Device Control of its own: its physical function's holds")


@dataclass(frozen=True, slots=True)
class ConfigSpace:
    """What the registers say.

    `bars` have bases and kinds; their sizes are not in config space. `capabilities` are (id, offset) in the order of the list,
    `extended` (id, version, offset): Resizable BAR 0x0015, DOE 0x002E, IDE 0x0030 and all others are found there.
    """

    vendor_id: int | Unknown
    device_id: int | Unknown
    class_code: int | Unknown
    revision: int | Unknown
    header_type: int | Unknown
    multifunction_bit: bool | Unknown
    subsystem: tuple[int, int] | None | Unknown
    bus_range: BusRange | None
    bars: tuple[Bar, ...]
    port_type: PortType | None | Unknown
    link: Link | None | Unknown
    acs: Acs | None | Unknown
    ats: Ats | None | Unknown
    ari: bool | Unknown
    sriov: Sriov | None | Unknown
    capabilities: tuple[tuple[int, int], ...] | Unknown
    extended: tuple[tuple[int, int, int], ...] | Unknown
    device_control: DeviceControl | None | Unknown = UNKNOWN
    resizable_bars: tuple[ResizableBar, ...] | Unknown = UNKNOWN
    windows: BridgeWindows | None | Unknown = UNKNOWN
    msix_vectors: int | None | Unknown = UNKNOWN


def decode(config: bytes, *, where: str) -> ConfigSpace:
    """Read the registers of one function.

    64 bytes (128 of a CardBus bridge) are what Linux shows to everybody (`pci_read_config`): the rest is then unknown. 256 bytes
    of a PCIe function leave its extended capabilities unknown. Lists that loop or point outside end there, as in the kernel
    (`pci_find_next_ext_capability`). A virtual function reads 0xFFFF as vendor and device (PCIe 6.0 §9.3.4.1.1), which
    is returned as it is: sysfs has its ids from the physical function. A header of all ones is no answer: everything is unknown.

    Raises:
        MalformedConfigSpace: it ends in the middle, that is not after 64, 128 (CardBus), 256, 1,536 (Netronome's, for which Linux ends
            there: `quirk_nfp6000`) or 4,096 bytes.
    """
    cardbus = len(config) == CARDBUS and config[0x0E] & 0x7F == 2
    netronome = len(config) == NETRONOME_BYTES and struct.unpack_from("<H", config)[0] in (NETRONOME, 0xFFFF)
    if len(config) not in (HEADER, CONVENTIONAL, EXTENDED) and not cardbus and not netronome:
        raise MalformedConfigSpace(f"config space has {len(config)} bytes, not {HEADER}, {CONVENTIONAL} or {EXTENDED}: it ends at offset 0x{len(config):x}",
                                   where=where, remedy="copy the `config` file again, as root for all of it: this copy is truncated")
    if config.count(0xFF, 0, HEADER) == HEADER:
        return ConfigSpace(_GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, None, (),
                           _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE, _GONE)
    vendor, device = struct.unpack_from("<HH", config, 0)
    layout = config[0x0E] & 0x7F
    capabilities = _capability_list(config)
    express = _first(capabilities, CAP_PCIE)
    extended = _extended_list(config, capabilities, express)
    return ConfigSpace(
        vendor,
        device,
        class_code=config[0x09] | config[0x0A] << 8 | config[0x0B] << 16,
        revision=config[0x08],
        header_type=layout,
        multifunction_bit=bool(config[0x0E] & 0x80),
        subsystem=_subsystem(config, layout, capabilities),
        bus_range=BusRange(config[0x19], config[0x1A]) if layout in (1, 2) else None,
        bars=tuple(space.bars(config, 0x10, {0: 6, 1: 2, 2: 1}.get(layout, 0))),
        port_type=express if isinstance(express, Unknown) else _port_type(config, express),
        link=express if isinstance(express, Unknown) else _link(config, express),
        acs=_read(config, extended, EXT_ACS, 8, _acs),
        ats=_read(config, extended, EXT_ATS, 8, _ats),
        ari=extended if isinstance(extended, Unknown) else _first_extended(extended, EXT_ARI) is not None,
        sriov=_read(config, extended, EXT_SRIOV, 0x40, _sriov),
        capabilities=capabilities,
        extended=extended,
        device_control=express if isinstance(express, Unknown) else _device_control(config, express),
        resizable_bars=_resizable(config, extended),
        windows=space.windows(config) if layout == 1 else None,
        msix_vectors=_msix(config, capabilities),
    )


def find_extended(config: bytes, capability: int) -> int | None:
    """Offset of an extended capability, None where there is none (`pci_find_ext_capability`)."""
    return _first_extended(tuple(_extended_entries(config)), capability)


def find_conventional(config: bytes, capability: int) -> int | None:
    """Offset of a capability of the first 256 bytes, None where there is none (`pci_find_capability`)."""
    return next((offset for number, offset in _capabilities(config) if number == capability), None) if len(config) >= CONVENTIONAL else None


Entries = tuple[tuple[int, int], ...]
Extended = tuple[tuple[int, int, int], ...]


def _first(entries: Entries | Unknown, capability: int) -> int | None | Unknown:
    """Offset of the first entry with this id."""
    if isinstance(entries, Unknown):
        return entries
    return next((offset for number, offset in entries if number == capability), None)


def _first_extended(entries: Extended, capability: int) -> int | None:
    return next((offset for number, _, offset in entries if number == capability), None)


def _capability_list(config: bytes) -> Entries | Unknown:
    if len(config) < CONVENTIONAL:
        return _NEEDS_ROOT
    found = tuple(_capabilities(config))
    return _PADDED if found and config.count(0, HEADER, CONVENTIONAL) == CONVENTIONAL - HEADER else found


def _capabilities(config: bytes) -> Iterator[tuple[int, int]]:
    """The list from 0x34 (CardBus: 0x14), if Status bit 4 says there is one (PCI 3.0 §6.7; PCI_CAPABILITY_LIST; `__pci_find_next_cap_ttl`)."""
    if not config[0x06] & 0x10:
        return
    offset = config[0x14 if config[0x0E] & 0x7F == 2 else 0x34] & 0xFC
    seen: set[int] = set()
    while offset >= HEADER and offset not in seen and config[offset] != 0xFF:
        seen.add(offset)
        yield config[offset], offset
        offset = config[offset + 1] & 0xFC


def _extended_list(config: bytes, capabilities: Entries | Unknown, express: int | None | Unknown) -> Extended | Unknown:
    if isinstance(capabilities, Unknown):
        return capabilities
    if len(config) == CONVENTIONAL:
        return _SHORT if express is not None else ()
    if config.startswith(b"\xff\xff\xff\xff", CONVENTIONAL):
        return _OFF
    return tuple(_extended_entries(config))


def _extended_entries(config: bytes) -> Iterator[tuple[int, int, int]]:
    """The list from 0x100: id in bits 0-15, version in 16-19, next offset in 20-31 (PCIe 6.0 §7.6.3; PCI_EXT_CAP_ID, _VER, _NEXT)."""
    offset, seen = CONVENTIONAL, set[int]()
    while offset >= CONVENTIONAL and offset not in seen and offset + 4 <= len(config):
        seen.add(offset)
        (word,) = struct.unpack_from("<I", config, offset)
        if word in (0, 0xFFFFFFFF):
            return
        yield word & 0xFFFF, word >> 16 & 0xF, offset
        offset = word >> 20 & 0xFFC


def _subsystem(config: bytes, layout: int, capabilities: Entries | Unknown) -> tuple[int, int] | None | Unknown:
    """Subsystem vendor and id: 0x2C of an endpoint (PCIe 6.0 §7.5.1.2.3), 0x40 of a CardBus bridge, capability 0x0D of a bridge (PCI_CAP_ID_SSVID)."""
    if layout == 0 or (layout == 2 and len(config) > HEADER):
        vendor, device = struct.unpack_from("<HH", config, 0x2C if layout == 0 else 0x40)
        return (vendor, device) if vendor or device else None
    offset = _first(capabilities, CAP_BRIDGE_SUBSYSTEM)
    if isinstance(offset, Unknown):
        return offset
    if offset is None or offset + 8 > CONVENTIONAL:
        return None
    vendor, device = struct.unpack_from("<HH", config, offset + 4)
    return (vendor, device) if vendor or device else None


def _msix(config: bytes, capabilities: Entries | Unknown) -> int | None | Unknown:
    offset = _first(capabilities, space.CAP_MSIX)
    if isinstance(offset, Unknown):
        return offset
    return None if offset is None or offset + space.MSIX_BYTES > CONVENTIONAL else space.msix_vectors(config, offset)


def _resizable(config: bytes, extended: Extended | Unknown) -> tuple[ResizableBar, ...] | Unknown:
    found = _read(config, extended, space.EXT_RESIZABLE, 12, space.resizable)
    return () if found is None else found


def _port_type(config: bytes, express: int | None) -> PortType | None | Unknown:
    """PCI Express Capabilities +2, bits 4-7 (PCIe 6.0 §7.5.3.2; PCI_EXP_FLAGS_TYPE)."""
    if express is None:
        return None
    number = config[express + 2] >> 4 & 0xF
    return _PORT_TYPES[number] if number in _PORT_TYPES else Unknown(f"PCIe device/port type {number} is reserved")


def _link(config: bytes, express: int | None) -> Link | None | Unknown:
    """Link Capabilities +0x0C, Link Status +0x12 (PCIe 6.0 §7.5.3.6, .8). An RCiEP has no link; a virtual function reads zeros."""
    if express is None or express + 0x14 > CONVENTIONAL or config[express + 2] >> 4 & 0xF in (PortType.RC_ENDPOINT, PortType.RC_EVENT_COLLECTOR):
        return None
    (most,) = struct.unpack_from("<I", config, express + 0x0C)
    (now,) = struct.unpack_from("<H", config, express + 0x12)
    if not most & 0x3FF and not now & 0x3FF:
        return _NO_LINK
    return Link(SPEEDS_GTPS.get(now & 0xF, _NO_LINK), now >> 4 & 0x3F or _NO_LINK, SPEEDS_GTPS.get(most & 0xF, _NO_LINK), most >> 4 & 0x3F or _NO_LINK)


def _device_control(config: bytes, express: int | None) -> DeviceControl | None | Unknown:
    """Device Control +8 (PCIe 6.0 §7.5.3.4): bit 4 relaxed ordering, 5-7 payload, 8 extended tags, 11 no snoop, 12-14 read request; sizes 128 << n."""
    if express is None or express + 0x0A > CONVENTIONAL:
        return None
    if config.startswith(b"\xff\xff"):
        return _PHYSICAL
    (word,) = struct.unpack_from("<H", config, express + 8)
    payload, request = (128 << code if code < 6 else _RESERVED for code in (word >> 5 & 7, word >> 12 & 7))
    if not is_known(payload) and not is_known(request):
        return _RESERVED
    return DeviceControl(payload, request, bool(word & 0x10), bool(word & 0x100), bool(word & 0x800))


T = TypeVar("T")


def _read(config: bytes, extended: Extended | Unknown, capability: int, length: int, read: Callable[[bytes, int], T]) -> T | None | Unknown:
    """Decode an extended capability of `length` bytes; None where it is not there."""
    if isinstance(extended, Unknown):
        return extended
    offset = _first_extended(extended, capability)
    if offset is None:
        return None
    return read(config, offset) if offset + length <= len(config) else Unknown(f"extended capability 0x{capability:04x} runs past the end")


def _acs(config: bytes, offset: int) -> Acs:
    """ACS Capability +4, Control +6 (PCIe 6.0 §7.7.11); capability bits 8-15 are the egress vector's size."""
    capability, control = struct.unpack_from("<HH", config, offset + 4)
    return Acs(AcsBits(capability & 0x7F), AcsBits(control & 0x7F), egress=space.egress(config, offset) if capability & AcsBits.EC else UNKNOWN)


def _ats(config: bytes, offset: int) -> Ats:
    """ATS Control +6, bit 15 (PCIe 6.0 §10.5.1.3)."""
    return Ats(enabled=bool(config[offset + 7] & 0x80))


def _sriov(config: bytes, offset: int) -> Sriov:
    """SR-IOV Control +8 to VF Device ID +0x1A, VF BARs from +0x24 on (PCIe 6.0 §9.3.3)."""
    (control,) = struct.unpack_from("<H", config, offset + 8)
    initial, total, number, _, first, stride, _, device = struct.unpack_from("<HHHHHHHH", config, offset + 0x0C)
    return Sriov(total, initial, number, first, stride, device, enabled=bool(control & 1), ari_hierarchy=bool(control & 0x10),
                 vf_bars=tuple(space.bars(config, offset + 0x24, 6)) or _NO_VF_BARS)
