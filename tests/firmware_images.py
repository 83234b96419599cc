"""Firmware images as tests need them, put together from their tables byte by byte; shares nothing with the reader."""

import random
import struct
from uuid import UUID

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
RESET = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
HASHES = "7255371f-3a3b-4b04-927b-1da6efa8d454"
SEV = "dc886566-984a-4798-a75e-5585a7bf67cc"
TDX = "e47a6535-984a-4798-865e-4685a7bf8ec2"

SEV_SECTIONS = ((1, 0x800000, 0x9000), (1, 0x80A000, 0x3000), (2, 0x80D000, 0x1000), (3, 0x80E000, 0x1000), (4, 0x80F000, 0x1000),
                (0x10, 0x810000, 0x1000), (1, 0x811000, 0xF000))
"""Kind, address, size: what AmdSev builds of OVMF ask for."""


def table(entries) -> bytes:
    """The table of GUIDs, footer last, and the 32 bytes after it."""
    body = b"".join(data + struct.pack("<H", len(data) + 18) + UUID(guid).bytes_le for guid, data in entries)
    return body + struct.pack("<H", len(body) + 18) + UUID(FOOTER).bytes_le + b"\x90" * 32


def sev_metadata(sections) -> bytes:
    return struct.pack("<4sIII", b"ASEV", 16 + 12 * len(sections), 1, len(sections)) + b"".join(struct.pack("<III", a, s, k) for k, a, s in sections)


def tdvf_metadata(sections) -> bytes:
    """Rows are data offset, data length, address, size, kind, attributes."""
    return struct.pack("<4sIII", b"TDVF", 16 + 32 * len(sections), 1, len(sections)) + b"".join(struct.pack("<IIQQII", *row) for row in sections)


def image(pages: int = 4, *, seed: int = 1, sev=SEV_SECTIONS, tdvf=None, reset: int | None = 0x80B004, hashes: int | None = 0x810C00, more=()) -> bytes:
    """An image of that many pages; metadata stands 1 KiB (SEV) and 2 KiB (TDX) before the end, random bytes everywhere else."""
    data = bytearray(random.Random(seed).randbytes(pages * 4096))
    entries = list(more)
    for distance, guid, metadata in ((2048, TDX, None if tdvf is None else tdvf_metadata(tdvf)), (1024, SEV, None if sev is None else sev_metadata(sev))):
        if metadata is not None:
            data[len(data) - distance : len(data) - distance + len(metadata)] = metadata
            entries.append((guid, struct.pack("<I", distance)))
    if hashes is not None:
        entries.append((HASHES, struct.pack("<II", hashes, 0x400)))
    if reset is not None:
        entries.append((RESET, struct.pack("<I", reset)))
    end = table(entries)
    data[len(data) - len(end) :] = end
    return bytes(data)
