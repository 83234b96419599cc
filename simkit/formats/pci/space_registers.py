"""Registers of configuration space that tell of address space: bridge windows, MSI-X, resizable BARs, BARs of virtual functions, the egress vector.

Each has its inverse beside it (include/uapi/linux/pci_regs.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Bar, BarKind, Egress
from simkit.model.unknown import Unknown, is_known, known_or

CAP_MSIX, EXT_RESIZABLE, EXT_VF_RESIZABLE = 0x11, 0x0015, 0x0024
MSIX_BYTES = 12

_MIB_SHIFT = 20
_NOT_ASSIGNED = Unknown("the base address register reads zero: not assigned")
_NEVER_SET = Unknown("all window registers read zero: nobody has set them")
_RESERVED = Unknown("the Resizable BAR control register holds a size that is not supported")


def windows(config: bytes) -> BridgeWindows | Unknown:
    """0x1C to 0x33 of a type 1 header; a window whose base is above its limit is closed. The low four bits tell how wide addresses are."""
    if not any(config[0x1C:0x1E]) and not any(config[0x20:0x30]):
        return _NEVER_SET
    io_base, io_limit = config[0x1C], config[0x1D]
    low, high = (io_base & 0xF0) << 8, (io_limit & 0xF0) << 8 | 0xFFF
    if io_base & 0xF == 1:
        upper = struct.unpack_from("<HH", config, 0x30)
        low, high = low | upper[0] << 16, high | upper[1] << 16
    mem_base, mem_limit, pref_base, pref_limit = struct.unpack_from("<HHHH", config, 0x20)
    wide = pref_base & 0xF == 1
    upper = struct.unpack_from("<II", config, 0x28) if wide else (0, 0)
    return BridgeWindows(_range(low, high), _range(*_memory(mem_base, mem_limit)),
                         _range(*(bound | more << 32 for bound, more in zip(_memory(pref_base, pref_limit), upper, strict=True))), wide)


def put_windows(config: bytearray, found: BridgeWindows) -> None:
    """A window that is not known beside others that are is written as a closed one."""
    io, memory, high = (found.io, found.memory, found.prefetchable)
    base, limit = _bounds(io, 0xF000, 0xFFF)
    config[0x1C], config[0x1D] = base >> 8 & 0xF0 | 1, limit >> 8 & 0xF0 | 1
    struct.pack_into("<HH", config, 0x30, base >> 16 & 0xFFFF, limit >> 16 & 0xFFFF)
    struct.pack_into("<HH", config, 0x20, *(bound >> 16 & 0xFFF0 for bound in _bounds(memory, 0xFFF00000, 0xFFFFF)))
    base, limit = _bounds(high, 0xFFF00000, 0xFFFFF)
    wide = found.wide is not False
    struct.pack_into("<HH", config, 0x24, *(bound >> 16 & 0xFFF0 | wide for bound in (base, limit)))
    if wide:
        struct.pack_into("<II", config, 0x28, base >> 32 & 0xFFFFFFFF, limit >> 32 & 0xFFFFFFFF)


def _memory(base: int, limit: int) -> tuple[int, int]:
    return (base & 0xFFF0) << 16, (limit & 0xFFF0) << 16 | 0xFFFFF


def _range(base: int, limit: int) -> AddressRange | None:
    return AddressRange(base, limit) if base <= limit else None


def _bounds(window: AddressRange | None | Unknown, base: int, limit: int) -> tuple[int, int]:
    return (window.base, window.limit) if isinstance(window, AddressRange) else (base, limit)


def msix_vectors(config: bytes, offset: int) -> int:
    """Message Control +2, bits 0-10: the table's size less one (PCIe 6.0 §7.7.2.2)."""
    return (config[offset + 2] | config[offset + 3] << 8 & 0x700) + 1


def put_msix(config: bytearray, offset: int, vectors: int) -> None:
    """The table is said to lie in BAR 0."""
    struct.pack_into("<BBH", config, offset, CAP_MSIX, 0, (vectors - 1) & 0x7FF)


def resizable(config: bytes, offset: int) -> tuple[ResizableBar, ...]:
    """Pairs of capability (+4: bit 4 is 1 MiB, and so on) and control (+8: index 0-2, count 5-7 of the first, size 8-13, further sizes 16-31)."""
    count = config[offset + 8] >> 5
    return tuple(_resizable(config, offset + 4 + 8 * number) for number in range(count) if offset + 12 + 8 * number <= len(config))


def _resizable(config: bytes, at: int) -> ResizableBar:
    capability, control = struct.unpack_from("<II", config, at)
    steps = [step for step in range(28) if capability >> 4 + step & 1] + [28 + step for step in range(16) if control >> 16 + step & 1]
    current = control >> 8 & 0x3F
    return ResizableBar(control & 7, tuple(1 << _MIB_SHIFT + step for step in steps), 1 << _MIB_SHIFT + current if current in steps else _RESERVED)


def resizable_body(bars: Sequence[ResizableBar]) -> bytes:
    """What follows the capability's header. A current size that is not known is written as one that is not supported."""
    found = b""
    for bar in bars:
        steps = [size.bit_length() - 1 - _MIB_SHIFT for size in bar.sizes_bytes]
        current = bar.current_bytes.bit_length() - 1 - _MIB_SHIFT if is_known(bar.current_bytes) else 63
        capability = sum(1 << 4 + step for step in steps if step < 28)
        control = bar.index | len(bars) << 5 | current << 8 | sum(1 << 16 + step - 28 for step in steps if step >= 28)
        found += struct.pack("<II", capability, control)
    return found


def bars(config: bytes, offset: int, count: int) -> Iterator[Bar]:
    """Base address registers from `offset` on (PCIe 6.0 §7.5.1.2.1, §9.3.3.14); one that reads zero may be absent or not assigned and is left out."""
    index = 0
    while index < count:
        (low,) = struct.unpack_from("<I", config, offset + 4 * index)
        if low & 1:
            yield Bar(index, BarKind.IO, base=low & ~3 or _NOT_ASSIGNED)
        elif low:
            wide = low >> 1 & 3 == 2 and index + 1 < count
            high = struct.unpack_from("<I", config, offset + 4 + 4 * index)[0] if wide else 0
            yield Bar(index, BarKind.MEM64 if wide else BarKind.MEM32, prefetchable=bool(low & 8), base=high << 32 | low & ~0xF or _NOT_ASSIGNED)
            index += wide
        index += 1


def put_bars(config: bytearray, offset: int, count: int, found: Sequence[Bar]) -> None:
    """The inverse of `bars`; what has no index below `count` is left out."""
    for bar in found:
        base = known_or(bar.base, 0)
        if bar.index >= count:
            continue
        flags = 1 if bar.kind is BarKind.IO else (4 if bar.kind is BarKind.MEM64 else 0) | bar.prefetchable << 3
        struct.pack_into("<I", config, offset + 4 * bar.index, base & 0xFFFFFFFF | flags)
        if bar.kind is BarKind.MEM64 and bar.index + 1 < count:
            struct.pack_into("<I", config, offset + 4 + 4 * bar.index, base >> 32)


def egress(config: bytes, offset: int) -> Egress | Unknown:
    """ACS capability bits 8-15 are the vector's size in bits, 0 meaning 256; it begins at +8 (PCIe 6.0 §7.7.11.4)."""
    size = config[offset + 5] or 256
    length = -(-size // 32) * 4
    if offset + 8 + length > len(config):
        return Unknown("the egress control vector runs past the end of config space")
    return Egress(size, int.from_bytes(config[offset + 8 : offset + 8 + length], "little") & (1 << size) - 1)


def egress_body(found: Egress) -> bytes:
    """What follows the ACS control register."""
    return found.blocked.to_bytes(-(-found.size // 32) * 4, "little")
