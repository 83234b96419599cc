"""Any ACPI table: its header, and numbers at offsets (ACPI 6.5 §5.2.6). The checksum is not looked at, as Linux only warns of a wrong one."""

from __future__ import annotations

import struct

from simkit.errors import MalformedTable

MOST_BYTES = 1 << 20
HEADER = 36
_AGAIN = "copy the whole file again, as root; if it is whole, the firmware is at fault, and this reader follows it no further"


class Table:
    """One table's bytes; every look past the end is refused with the offset."""

    def __init__(self, data: bytes, signature: bytes, *, where: str) -> None:
        """Check signature and length.

        Raises:
            MalformedTable: another table, cut off, or of over a MiB.
        """
        self.where = where
        self._data = data
        if data[:4] != signature:
            raise self.fault(0, f"the signature is not {signature.decode()}")
        (length,) = struct.unpack("<I", self._slice(4, 4))
        if not HEADER <= length <= MOST_BYTES:
            raise self.fault(4, f"a length of {length} bytes")
        if length > len(data):
            raise self.fault(4, f"{length} bytes long, of which {len(data)} are here")
        self._data = data[:length]

    def __len__(self) -> int:
        """As the header says."""
        return len(self._data)

    def numbers(self, layout: str, at: int) -> tuple[int, ...]:
        """Little-endian numbers, by `struct`'s letters."""
        found: tuple[int, ...] = struct.unpack(f"<{layout}", self._slice(at, struct.calcsize(f"<{layout}")))
        return found

    def fault(self, at: int, what: str) -> MalformedTable:
        """The error for something at an offset."""
        return MalformedTable(f"no firmware table as it stands: {what}, at offset {at:#x}", where=self.where, remedy=_AGAIN)

    def _slice(self, at: int, count: int) -> bytes:
        if at + count > len(self._data):
            raise self.fault(at, f"{count} bytes are wanted and {max(0, len(self._data) - at)} are left")
        return self._data[at : at + count]
