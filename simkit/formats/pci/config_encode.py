"""Configuration space from facts: what a recorded tree shows in `config`. `config_space.decode` gives the facts back."""

from __future__ import annotations

import struct

from simkit.formats.pci import space_registers as space
from simkit.formats.pci.config_space import CAP_BRIDGE_SUBSYSTEM, CAP_PCIE, CONVENTIONAL, EXT_ACS, EXT_ARI, EXT_ATS, EXT_SRIOV, EXTENDED, SPEEDS_GTPS
from simkit.model.address_space import BridgeWindows
from simkit.model.capabilities import Acs, AcsBits, Ats, DeviceControl, Link, PortType, Sriov
from simkit.model.function import Function
from simkit.model.unknown import Unknown, is_known, known_or

_PCIE_AT, _SUBSYSTEM_AT, _MSIX_AT = 0x60, 0xA0, 0xB0
_NULL, _LAST_AT = 0x0000, EXTENDED - 8
"""Null Capability (PCIe 6.0 §7.9.28); where ACS lies if its egress vector is not known: there is no room for one, which reads as unknown."""
_NOTHING_SAID = 7 << 5 | 7 << 12
_CODES = {speed: code for code, speed in SPEEDS_GTPS.items()}


def encode(function: Function) -> bytes:
    """256 bytes of a conventional function, 4,096 of a PCIe one, 64 where it is not known which it is.

    A PCIe function of whose ACS, ATS, ARI and SR-IOV nothing at all is known gets 256 bytes, which leaves them unknown. Otherwise the
    unknown ones are not there: config space has no way to say "unknown". Unknown registers read 0, unknown sizes of Device
    Control a reserved value, unknown ids 0xFFFF, as do those of virtual functions (PCIe 6.0 §9.3.4.1.1).
    """
    config = bytearray(_header(function))
    if isinstance(function.port_type, Unknown):
        return bytes(config)
    config.extend(bytes(CONVENTIONAL - len(config)))
    _capabilities(config, function)
    if function.port_type is not None and any(map(is_known, (function.acs, function.ats, function.ari, function.sriov))):
        config.extend(bytes(EXTENDED - CONVENTIONAL))
        _extended(config, function)
    return bytes(config)


def _header(function: Function) -> bytes:
    config = bytearray(64)
    ids = (0xFFFF, 0xFFFF) if function.is_vf else (known_or(function.vendor_id, 0xFFFF), known_or(function.device_id, 0xFFFF))
    struct.pack_into("<HHHH", config, 0, *ids, 0x0006, 0)
    class_code = known_or(function.class_code, 0)
    struct.pack_into("<BBBB", config, 8, known_or(function.revision, 0), class_code & 0xFF, class_code >> 8 & 0xFF, class_code >> 16)
    bridge = function.bus_range is not None
    shared = is_known(function.multifunction) and function.multifunction and function.address.function == 0
    config[0x0E] = bridge | shared << 7
    if function.bus_range is not None:
        config[0x18:0x1B] = bytes((function.address.bus, function.bus_range.secondary, function.bus_range.subordinate))
    elif isinstance(function.subsystem, tuple):
        struct.pack_into("<HH", config, 0x2C, *function.subsystem)
    if is_known(function.bars):
        space.put_bars(config, 0x10, 2 if bridge else 6, function.bars)
    if function.bus_range is not None and isinstance(function.windows, BridgeWindows):
        space.put_windows(config, function.windows)
    return bytes(config)


def _capabilities(config: bytearray, function: Function) -> None:
    """The PCIe capability, and for bridges the subsystem one, chained from 0x34."""
    chain = [_PCIE_AT] if function.port_type is not None else []
    if function.bus_range is not None and isinstance(function.subsystem, tuple):
        struct.pack_into("<BBHHH", config, _SUBSYSTEM_AT, CAP_BRIDGE_SUBSYSTEM, 0, 0, *function.subsystem)
        chain.append(_SUBSYSTEM_AT)
    if isinstance(function.port_type, PortType):
        struct.pack_into("<BBH", config, _PCIE_AT, CAP_PCIE, 0, 2 | function.port_type << 4)
        struct.pack_into("<H", config, _PCIE_AT + 8, 0 if function.is_vf else _device_control(function.device_control))
        if isinstance(function.link, Link):
            most = _CODES.get(known_or(function.link.max_speed_gtps, 0.0), 0) | (known_or(function.link.max_width, 0) & 0x3F) << 4
            now = _CODES.get(known_or(function.link.speed_gtps, 0.0), 0) | (known_or(function.link.width, 0) & 0x3F) << 4
            struct.pack_into("<I", config, _PCIE_AT + 0x0C, most)
            struct.pack_into("<H", config, _PCIE_AT + 0x12, now)
    if is_known(function.msix_vectors) and function.msix_vectors is not None:
        space.put_msix(config, _MSIX_AT, function.msix_vectors)
        chain.append(_MSIX_AT)
    if chain:
        config[0x06] |= 0x10
        config[0x34] = chain[0]
    for here, following in zip(chain, [*chain[1:], 0], strict=False):
        config[here + 1] = following


def _device_control(control: DeviceControl | None | Unknown) -> int:
    """Sizes that are not known are written as reserved ones (7), which say nothing."""
    if not isinstance(control, DeviceControl):
        return _NOTHING_SAID
    payload, request = (7 if not is_known(size) else size.bit_length() - 8 for size in (control.max_payload_bytes, control.max_read_request_bytes))
    on = (control.relaxed_ordering is True) << 4 | (control.extended_tags is True) << 8 | (control.no_snoop is True) << 11
    return payload << 5 | request << 12 | on


def _extended(config: bytearray, function: Function) -> None:
    bodies: list[tuple[int, bytes]] = []
    hidden = isinstance(function.acs, Acs) and bool(known_or(function.acs.capability, AcsBits.NONE) & AcsBits.EC) and not is_known(function.acs.egress)
    if isinstance(function.acs, Acs) and not hidden:
        bodies.append((EXT_ACS, _acs(function.acs)))
    if isinstance(function.ats, Ats):
        bodies.append((EXT_ATS, struct.pack("<HH", 0, 0x8000 if function.ats.enabled is True else 0)))
    if function.ari is True:
        bodies.append((EXT_ARI, struct.pack("<HH", 0, 0)))
    if isinstance(function.sriov, Sriov):
        bodies.append((EXT_SRIOV, _sriov(function.sriov)))
    if is_known(function.resizable_bars) and function.resizable_bars:
        bodies.append((space.EXT_RESIZABLE, space.resizable_body(function.resizable_bars)))
    if isinstance(function.acs, Acs) and hidden:
        bodies = [*(bodies or [(_NULL, b"")]), (EXT_ACS, _acs(function.acs))]
    offset = CONVENTIONAL
    for index, (number, body) in enumerate(bodies):
        last = index == len(bodies) - 1
        following = _LAST_AT if hidden and index == len(bodies) - 2 else offset + (4 + len(body) + 15 & ~15)
        struct.pack_into("<I", config, offset, number | 1 << 16 | (0 if last else following) << 20)
        config[offset + 4 : offset + 4 + len(body)] = body
        offset = following


def _acs(acs: Acs) -> bytes:
    """Capability and control; the egress vector where it is known and there is one."""
    capability, vector = known_or(acs.capability, AcsBits.NONE), acs.egress
    if not capability & AcsBits.EC or not is_known(vector):
        return struct.pack("<HH", capability, known_or(acs.control, AcsBits.NONE))
    return struct.pack("<HH", capability | (vector.size & 0xFF) << 8, known_or(acs.control, AcsBits.NONE)) + space.egress_body(vector)


def _sriov(sriov: Sriov) -> bytes:
    """From SR-IOV Capabilities (+4) to the last VF BAR (+0x3B)."""
    control = (sriov.enabled is True) | (sriov.ari_hierarchy is True) << 4
    first, stride = known_or(sriov.offset, 0), known_or(sriov.stride, 0)
    numbers = (known_or(sriov.initial_vfs, sriov.total_vfs), sriov.total_vfs, known_or(sriov.num_vfs, 0), 0, first, stride, 0, known_or(sriov.vf_device_id, 0))
    registers = bytearray(24)
    space.put_bars(registers, 0, 6, known_or(sriov.vf_bars, ()))
    return struct.pack("<IHH8HII", 0, control, 0, *numbers, 0x553, 1) + bytes(registers) + bytes(4)
