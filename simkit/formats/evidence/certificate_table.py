"""The table of certificates behind an extended report (GHCB specification 56421, SNP Extended Guest Request): GUID, offset, length; then the blobs.

GUIDs in the byte order of their text, as virtee/sev@9cf2adb and go-sev-guest@af1c107 write and read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from
from uuid import UUID

from simkit.errors import MalformedEvidence

ENTRY = 24
MOST = 32
"""More entries than hosts have kinds of certificates."""
VCEK, VLEK = UUID("63da758d-e664-4564-adc5-f4b93be8accd"), UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
ASK, ARK = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782"), UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
CRL = UUID("92f81bc3-5811-4d3d-97ff-d19f88dc67ea")
NAMES = {VCEK: "VCEK", VLEK: "VLEK", ASK: "ASK", ARK: "ARK", CRL: "CRL"}
"""What each kind of entry is called (virtee/sev `CertType`)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One blob; `name` is empty where nobody named its GUID."""

    guid: UUID
    data: bytes

    @property
    def name(self) -> str:
        """VCEK, VLEK, ASK (also for the ASVK), ARK, CRL, or empty."""
        return NAMES.get(self.guid, "")


def recognise_table(data: bytes) -> bool:
    """Whether bytes begin with an entry of a kind that is known."""
    return len(data) > ENTRY and UUID(bytes=data[:16]) in NAMES


def read_table(data: bytes, *, source: str, base: int = 0) -> tuple[tuple[Entry, ...], int]:
    """The entries, and how many bytes after them no entry covers and are not zero.

    Args:
        data: the table from its first entry on; zeros behind it are padding to whole pages.
        source: where it is from.
        base: where the table begins in that file, for the places of faults.

    Raises:
        MalformedEvidence: no end, an entry outside the bytes or inside the header.
    """
    found: list[tuple[UUID, int, int]] = []
    for number in range(MOST + 1):
        at = ENTRY * number
        if len(data) < at + ENTRY:
            raise MalformedEvidence("a table of certificates without its closing entry of zeros", where=f"{source}, byte {base + at:#x}",
                                    remedy="give it whole")
        if not any(data[at : at + ENTRY]):
            break
        if number == MOST:
            raise MalformedEvidence(f"over {MOST} entries in a table of certificates", where=f"{source}, byte {base + at:#x}", remedy="is this the right file?")
        offset, length = unpack_from("<II", data, at + 16)
        found.append((UUID(bytes=data[at : at + 16]), offset, length))
    header = ENTRY * (len(found) + 1)
    for number, (_, offset, length) in enumerate(found):
        if offset < header or offset + length > len(data):
            raise MalformedEvidence(f"entry {number} of the table of certificates is at {offset} with {length} bytes, outside {header} to {len(data)}",
                                    where=f"{source}, byte {base + ENTRY * number + 16:#x}", remedy="give the table as the host made it")
    end = max((offset + length for _, offset, length in found), default=header)
    behind = data[end:].rstrip(b"\0")
    return tuple(Entry(guid, data[offset : offset + length]) for guid, offset, length in found), len(behind)
