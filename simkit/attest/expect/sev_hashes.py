"""The table of hashes that QEMU puts into a guest's firmware page, by which the launch digest covers kernel, initrd and command line.

Source: QEMU target/i386/sev.c (`SevHashTable`, `build_kernel_loader_hashes`); AmdSev builds of OVMF refuse a kernel whose hash is not there.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from simkit.model.evidence.firmware import PAGE_BYTES

_TABLE = UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
_CMDLINE = UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
_INITRD = UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
_KERNEL = UUID("4de79437-abd2-427f-b835-d5b172d2045b")
_ENTRY = struct.Struct("<16sH32s")
_HEADER = struct.Struct("<16sH")
_LENGTH = _HEADER.size + 3 * _ENTRY.size
TABLE_BYTES = (_LENGTH + 15) // 16 * 16
"""With its padding to 16 bytes."""
EMPTY = hashlib.sha256(b"").digest()
"""What stands for an initrd that is not given."""


@dataclass(frozen=True, slots=True)
class KernelHashes:
    """SHA-256 of the kernel's file as it is given to the VMM, of the initrd's (`EMPTY` without one), and of the command line with its NUL."""

    kernel: bytes
    initrd: bytes
    cmdline: bytes


def cmdline_hash(text: str) -> bytes:
    """SHA-256 of a command line as QEMU hashes it: in UTF-8, with the NUL that ends it; the empty one is a NUL alone."""
    return hashlib.sha256(text.encode() + b"\0").digest()


def hashes_table(hashes: KernelHashes) -> bytes:
    """The table, padded: command line, initrd, kernel in this order."""
    rows = ((_CMDLINE, hashes.cmdline), (_INITRD, hashes.initrd), (_KERNEL, hashes.kernel))
    table = _HEADER.pack(_TABLE.bytes_le, _LENGTH) + b"".join(_ENTRY.pack(guid.bytes_le, _ENTRY.size, digest) for guid, digest in rows)
    return table.ljust(TABLE_BYTES, b"\0")


def hashes_page(hashes: KernelHashes, offset: int) -> bytes:
    """The page that holds the table at `offset`, zero around it."""
    assert offset + TABLE_BYTES <= PAGE_BYTES
    return (bytes(offset) + hashes_table(hashes)).ljust(PAGE_BYTES, b"\0")
