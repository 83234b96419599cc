"""PE/COFF images (Microsoft PE specification), for the bytes that an Authenticode digest covers.

As firmware takes them: edk2@c5aa7e7:OvmfPkg/Tcg/TdTcg2Dxe/MeasureBootPeCoff.c (PE/COFF Specification 8.0, appendix A). What has parts outside of the file
is refused.
"""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.cursor import Cursor
from simkit.model.evidence.efi_image import EfiImage

MOST_BYTES = 512 << 20
"""More than any kernel, also one with its initrd inside (UKI)."""
_MOST_SECTIONS = 256
_PE32, _PE32_PLUS = 0x10B, 0x20B
_COFF_BYTES, _SECTION_BYTES = 20, 40
_SIZE_OF_HEADERS, _CHECKSUM = 60, 64
_DIRECTORIES = {_PE32: 96, _PE32_PLUS: 112}
_SECURITY = 4
"""Index of the directory entry of signatures."""


def read_efi_image(data: bytes, *, source: str) -> EfiImage:
    """The image and its ranges.

    Raises:
        MalformedEvidence: it is no PE/COFF image, or not whole.
    """
    if data[:2] != b"MZ":
        raise MalformedEvidence("this is no EFI application: it does not begin with MZ", where=source,
                                remedy="give the kernel as firmware starts it (bzImage, UKI)")
    cursor = Cursor(data, source=source)
    cursor.at = 60
    cursor.at = cursor.number(4, "the place of the PE header")
    if cursor.take(4, "the PE signature") != b"PE\0\0":
        raise cursor.fault("no PE header stands where the image says")
    cursor.take(2, "the machine")
    count = cursor.number(2, "the number of sections")
    cursor.take(12, "the COFF header")
    length = cursor.number(2, "the length of the optional header")
    cursor.take(2, "the characteristics")
    start = cursor.at
    magic = cursor.number(2, "the magic of the optional header")
    if magic not in _DIRECTORIES or count > _MOST_SECTIONS:
        raise cursor.fault(f"an optional header of magic 0x{magic:x} with {count} sections; known are 0x10b and 0x20b, and at most {_MOST_SECTIONS} sections")
    cursor.at = start + _SIZE_OF_HEADERS
    headers = cursor.number(4, "the size of headers")
    signatures, directory = _signatures(cursor, start + _DIRECTORIES[magic])
    if not (start + length <= headers <= len(data) and (directory is None or directory + 8 <= start + length)):
        raise cursor.fault(f"headers of {headers} bytes in a file of {len(data)} bytes, with an optional header of {length} at byte {start}")
    checksum = start + _CHECKSUM
    cut = [(checksum, checksum + 4)] + ([] if directory is None else [(directory, directory + 8)])
    ranges = [(begin, end) for begin, end in zip([0, *(end for _, end in cut)], [*(begin for begin, _ in cut), headers], strict=True) if begin < end]
    cursor.at = start + length
    sections = _sections(cursor, count)
    total = headers + sum(end - begin for begin, end in sections)
    if total + signatures > len(data) and len(data) > total:
        raise cursor.fault(f"{signatures} bytes of signatures after {total} bytes, in a file of {len(data)}")
    tail = [(total, len(data) - signatures)] if total + signatures < len(data) else []
    return EfiImage(source, data, (*ranges, *sections, *tail))


def _signatures(cursor: Cursor, directories: int) -> tuple[int, int | None]:
    """How many bytes at the end are signatures, and where the directory says so; None where it has no entry for them."""
    cursor.at = directories - 4
    if cursor.number(4, "the number of directories") <= _SECURITY:
        return 0, None
    cursor.at = directories + 8 * _SECURITY
    place, size = cursor.number(4, "the place of signatures"), cursor.number(4, "the size of signatures")
    if size and place + size > len(cursor.data):
        raise cursor.fault(f"{size} bytes of signatures at byte {place}, in a file of {len(cursor.data)} bytes", remedy="give the file whole")
    return size, directories + 8 * _SECURITY


def _sections(cursor: Cursor, count: int) -> list[tuple[int, int]]:
    """The ranges of sections that have bytes in the file, by their place."""
    found: list[tuple[int, int]] = []
    for index in range(count):
        cursor.take(16, f"the name and memory of section {index}")
        size, begin = cursor.number(4, "its size"), cursor.number(4, "its place")
        if size and begin + size > len(cursor.data):
            raise cursor.fault(f"section {index} is {size} bytes at byte {begin}, in a file of {len(cursor.data)} bytes", remedy="give the file whole")
        if size:
            found.append((begin, begin + size))
        cursor.take(16, "the rest of a section")
    return sorted(found, key=lambda each: each[0])
