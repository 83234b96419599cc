"""AMD's IVRS: its IVHD blocks, one or several for each IOMMU (AMD I/O Virtualization Technology Specification, rev. 3.08, §5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.formats.acpi.table import Table
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope

FIRST, LAST_ID = 48, 0xFFFF
HEADERS = {0x10: 24, 0x11: 40, 0x40: 40}
ALL, SELECT, START, END, ALIAS, ALIAS_START, EXT_SELECT, EXT_START, SPECIAL, ACPI_HID = 1, 2, 3, 4, 0x42, 0x43, 0x46, 0x47, 0x48, 0xF0
_HIGHEST, _NAMED = 0x40, 0x80


def read(data: bytes, *, where: str) -> tuple[IommuScope, ...]:
    """What each IOMMU translates, by the blocks of the one type that Linux takes: the highest that describes the first IOMMU.

    Raises:
        MalformedTable: another table, cut off, or blocks and entries that contradict their lengths.
    """
    table = Table(data, b"IVRS", where=where)
    blocks = tuple(_blocks(table))
    chosen = _type(table, blocks)
    return tuple(_scope(table, at, length) for at, kind, length in blocks if kind == chosen)


def _blocks(table: Table) -> Iterator[tuple[int, int, int]]:
    """Offset, type and length of each block, of all types."""
    at = FIRST
    while at < len(table):
        kind, _, length = table.numbers("BBH", at)
        if length < 4 or at + length > len(table):
            raise table.fault(at, f"a block of {length} bytes")
        yield at, kind, length
        at += length


def _type(table: Table, blocks: tuple[tuple[int, int, int], ...]) -> int:
    """`get_highest_supported_ivhd_type`: of the blocks before the first of an unknown type, the last that is about the first one's device."""
    chosen = first = -1
    for at, kind, length in blocks:
        if kind > _HIGHEST:
            break
        if length < 6:
            raise table.fault(at, f"a block of {length} bytes")
        (device,) = table.numbers("H", at + 4)
        if chosen < 0:
            first = device
        if device == first:
            chosen = kind
    return chosen


def _scope(table: Table, at: int, length: int) -> IommuScope:
    (kind,) = table.numbers("B", at)
    if kind not in HEADERS or length < HEADERS[kind]:
        raise table.fault(at, f"a block of type {kind:#x} and {length} bytes")
    (segment,) = table.numbers("H", at + 16)
    return IommuScope(IommuKind.AMD, segment, ids=tuple(_ids(table, at + HEADERS[kind], at + length, kind)))


def _ids(table: Table, at: int, end: int, block: int) -> Iterator[IdRange]:
    """`init_iommu_from_acpi`: a range stands open from its start until the next end, whatever comes between."""
    start, alias = 0, None
    while at < end:
        kind, device = table.numbers("BH", at)
        length = _length(table, at, kind)
        if not length or at + length > end:
            raise table.fault(at, f"an entry of type {kind:#x}")
        match kind:
            case _ if kind == ALL:
                yield IdRange(0, LAST_ID)
            case _ if kind in (SELECT, EXT_SELECT) or (kind == ACPI_HID and block == _HIGHEST):
                yield IdRange(device, device)
            case _ if kind in (START, EXT_START):
                start, alias = device, None
            case _ if kind == ALIAS_START:
                start, alias = device, table.numbers("H", at + 5)[0]
            case _ if kind == END:
                if device >= start:
                    yield IdRange(start, device, alias)
            case _ if kind == ALIAS:
                yield IdRange(device, device, table.numbers("H", at + 5)[0])
            case _ if kind == SPECIAL:
                (other,) = table.numbers("H", at + 5)
                yield IdRange(other, other)
        at += length


def _length(table: Table, at: int, kind: int) -> int:
    """`ivhd_entry_length`; 0 for types whose length nobody knows."""
    if kind < _NAMED:
        return 4 << (kind >> 6)
    return table.numbers("B", at + 21)[0] + 22 if kind == ACPI_HID else 0
