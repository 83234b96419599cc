"""Firmware images: the table of GUIDs that OVMF keeps below the reset vector, and the metadata for SEV-SNP and TDX that it points to.

The table ends 32 bytes before the image does and is walked backwards, as QEMU walks it (hw/i386/pc_sysfw_ovmf.c): each entry is its data, its length
(u16, header included) and its GUID; the first one is the footer. What two readers would understand differently is refused.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from uuid import UUID

from simkit.errors import MalformedEvidence
from simkit.model.evidence.firmware import PAGE_BYTES, Firmware, SevSection, TdvfAttribute, TdvfSection

FOOTER = "96b582de-1fb2-45f7-baea-a366c55a082d"
SEV_ES_RESET_BLOCK = "00f771de-1a7e-4fcb-890e-68c77e2fb44e"
SEV_HASH_TABLE = "7255371f-3a3b-4b04-927b-1da6efa8d454"
SEV_METADATA = "dc886566-984a-4798-a75e-5585a7bf67cc"
TDX_METADATA = "e47a6535-984a-4798-865e-4685a7bf8ec2"

MOST_BYTES = 64 << 20
"""More than any build: QEMU maps 8 MiB of flash by default."""
MOST_SECTIONS = 64
MOST_PAGES = 1 << 16
"""256 MiB of pages added before start; builds of OVMF ask for less than 1 MiB beside themselves."""
_AFTER, _ENTRY = 32, 18
_SEV_HEADER, _SEV_SECTION = struct.Struct("<4sIII"), struct.Struct("<III")
_TDVF_HEADER, _TDVF_SECTION = struct.Struct("<4sIII"), struct.Struct("<IIQQII")


def read_firmware(data: bytes, *, source: str) -> Firmware:
    """An image, as it is loaded below 4 GiB.

    Raises:
        MalformedEvidence: it is no such image, or its table or metadata contradict themselves.
    """
    if not 0 < len(data) <= MOST_BYTES or len(data) % PAGE_BYTES:
        raise MalformedEvidence(f"{len(data)} bytes, where a firmware image has a whole number of 4096-byte pages and at most {MOST_BYTES >> 20} MiB",
                                where=source, remedy="give the image that the VMM loads (OVMF.fd, OVMF.amdsev.fd, OVMF_CODE.fd), not a package of it")
    table = _table(data, source)
    found = dict(table)
    sev = _pointed(data, found, SEV_METADATA, source)
    tdvf = _pointed(data, found, TDX_METADATA, source)
    return Firmware(
        source=source,
        data=data,
        table=table,
        ap_reset_address=_word(found, SEV_ES_RESET_BLOCK, source),
        hashes_address=_word(found, SEV_HASH_TABLE, source),
        sev=None if sev is None else _sev(data, sev, source),
        tdvf=None if tdvf is None else _tdvf(data, tdvf, source),
    )


def _table(data: bytes, source: str) -> tuple[tuple[str, bytes], ...]:
    end = len(data) - _AFTER
    size, guid = _header(data, end)
    if guid != FOOTER:
        raise MalformedEvidence(f"no table of GUIDs ends at byte 0x{end:x}, as OVMF's does", where=source,
                                remedy="give an image of OVMF with the reset vector; a variable store alone (OVMF_VARS.fd) is none")
    start = end - size
    if size < _ENTRY or start < 0:
        raise MalformedEvidence(f"the table of GUIDs at byte 0x{end - _ENTRY:x} says that it is {size} bytes long", where=source)
    entries: list[tuple[str, bytes]] = []
    end -= _ENTRY
    while end > start:
        size, guid = _header(data, end) if end - start >= _ENTRY else (0, "")
        if not _ENTRY <= size <= end - start:
            raise MalformedEvidence(f"the table of GUIDs has at byte 0x{end:x} an entry of {size} bytes, with {end - start} left", where=source)
        if guid in dict(entries):
            raise MalformedEvidence(f"the table of GUIDs has {guid} twice, and readers differ in which they take", where=source)
        entries.append((guid, data[end - size : end - _ENTRY]))
        end -= size
    return tuple(entries)


def _header(data: bytes, end: int) -> tuple[int, str]:
    """Length and GUID of the entry that ends there."""
    return int.from_bytes(data[end - _ENTRY : end - 16], "little"), str(UUID(bytes_le=data[end - 16 : end]))


def _word(table: dict[str, bytes], guid: str, source: str) -> int | None:
    """The first 32 bits of an entry, None where there is no such entry."""
    if guid not in table:
        return None
    if len(table[guid]) < 4:
        raise MalformedEvidence(f"the entry {guid} of the table of GUIDs has {len(table[guid])} bytes, where it holds an address of 4", where=source)
    return int.from_bytes(table[guid][:4], "little")


def _pointed(data: bytes, table: dict[str, bytes], guid: str, source: str) -> int | None:
    """Where metadata begins: the table holds its distance from the image's end."""
    distance = _word(table, guid, source)
    if distance is None:
        return None
    if not _SEV_HEADER.size <= distance <= len(data):
        raise MalformedEvidence(f"the entry {guid} points {distance} bytes before the image's end, which is {len(data)} bytes long", where=source)
    return len(data) - distance


def _sections(data: bytes, start: int, source: str, *, name: bytes, header: struct.Struct, section: struct.Struct) -> tuple[tuple[int, ...], ...]:
    """The rows of metadata: signature, length of the whole, version 1, count, rows."""
    signature, length, version, count = header.unpack_from(data, start)
    where = f"metadata at byte 0x{start:x}"
    if signature != name:
        raise MalformedEvidence(f"{where} begins with {signature!r}, not {name!r}", where=source)
    if version != 1:
        raise MalformedEvidence(f"{where} is of version {version}; version 1 is known", where=source)
    if count > MOST_SECTIONS or length != header.size + count * section.size or start + length > len(data):
        raise MalformedEvidence(f"{where} says {length} bytes for {count} sections, with {len(data) - start} bytes left", where=source)
    return tuple(section.unpack_from(data, start + header.size + index * section.size) for index in range(count))


def _sev(data: bytes, start: int, source: str) -> tuple[SevSection, ...]:
    rows = _sections(data, start, source, name=b"ASEV", header=_SEV_HEADER, section=_SEV_SECTION)
    sections = tuple(SevSection(kind, address, size) for address, size, kind in rows)
    _check_pages(tuple((each.address, each.size_bytes) for each in sections), "SEV", source)
    return sections


def _tdvf(data: bytes, start: int, source: str) -> tuple[TdvfSection, ...]:
    rows = _sections(data, start, source, name=b"TDVF", header=_TDVF_HEADER, section=_TDVF_SECTION)
    sections = tuple(
        TdvfSection(kind, offset, length, address, size, TdvfAttribute(attributes)) for offset, length, address, size, kind, attributes in rows
    )
    for index, each in enumerate(sections):
        if each.data_bytes > each.size_bytes:
            raise MalformedEvidence(f"TDX section {index} has {each.data_bytes} bytes of data for {each.size_bytes} bytes of memory", where=source)
    _check_pages(tuple((each.address, each.size_bytes) for each in sections), "TDX", source)
    return sections


def _check_pages(ranges: tuple[tuple[int, int], ...], of: str, source: str) -> None:
    """Whole pages, not too many, none twice: a page can be added to a guest only once."""
    for index, (address, size) in enumerate(ranges):
        if address % PAGE_BYTES or size % PAGE_BYTES:
            raise MalformedEvidence(f"{of} section {index} is {size} bytes at 0x{address:x}, which are no whole pages", where=source)
    if sum(size for _, size in ranges) > MOST_PAGES * PAGE_BYTES:
        raise MalformedEvidence(f"the {of} sections are {sum(size for _, size in ranges) >> 20} MiB; at most {MOST_PAGES * PAGE_BYTES >> 20} are read",
                                where=source)
    used = sorted((address, size) for address, size in ranges if size)
    for (address, size), (after, _) in pairwise(used):
        if address + size > after:
            raise MalformedEvidence(f"two {of} sections have the page at 0x{after:x}, and a page is added only once", where=source)
