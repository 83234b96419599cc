"""Intel's DMAR: its DRHD structures, one for each remapping unit (VT-d 4.1 §8.3)."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.formats.acpi.table import Table
from simkit.model.platform import IommuKind
from simkit.model.scope import IommuScope, ScopePath

FIRST, DRHD, DRHD_BYTES, SCOPE_BYTES = 48, 0, 16, 6
INCLUDE_PCI_ALL = 1
ENDPOINT, BRIDGE = 1, 2


def read(data: bytes, *, where: str) -> tuple[IommuScope, ...]:
    """What each unit translates. The functions that a unit of all the rest names itself do not count (`dmar_pci_bus_add_dev`), as all are its own.

    Raises:
        MalformedTable: another table, cut off, or structures that contradict their lengths.
    """
    table = Table(data, b"DMAR", where=where)
    found, at = [], FIRST
    while at < len(table):
        kind, length = table.numbers("HH", at)
        if length < 4 or at + length > len(table):
            raise table.fault(at, f"a structure of {length} bytes")
        if kind == DRHD:
            if length < DRHD_BYTES:
                raise table.fault(at, f"a DRHD of {length} bytes")
            flags, _, segment = table.numbers("BBH", at + 4)
            rest = bool(flags & INCLUDE_PCI_ALL)
            paths = tuple(_paths(table, at + DRHD_BYTES, at + length))
            found.append(IommuScope(IommuKind.INTEL, segment, rest, () if rest else paths))
        at += length
    return tuple(found)


def _paths(table: Table, at: int, end: int) -> Iterator[ScopePath]:
    """Device scopes of endpoints and bridges; those of I/O APICs, timers and ACPI devices are no PCI functions."""
    while at < end:
        kind, length, _, _, bus = table.numbers("BBHBB", at)
        if length < SCOPE_BYTES or at + length > end or length % 2:
            raise table.fault(at, f"a device scope of {length} bytes")
        if kind in (ENDPOINT, BRIDGE):
            steps = [table.numbers("BB", step) for step in range(at + SCOPE_BYTES, at + length, 2)]
            if not steps or any(device > 0x1F or function > 7 for device, function in steps):
                raise table.fault(at, "a device scope whose path names no function")
            yield ScopePath(bus, tuple((device, function) for device, function in steps), below=kind == BRIDGE)
        at += length
