"""The running launch digest of SEV-SNP: one SHA-384 over PAGE_INFO for each page that is added (AMD 56860, SNP_LAUNCH_UPDATE, table PAGE_INFO)."""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum

from simkit.model.evidence.firmware import PAGE_BYTES

DIGEST_BYTES = 48
ZERO = bytes(DIGEST_BYTES)
"""The digest of a guest without pages (SNP_LAUNCH_START), and the contents of a page that is not measured by content."""
VMSA_ADDRESS = 0xFFFF_FFFF_F000
"""KVM gives save areas the address (u64)-1; firmware sees the page in 48 bits. Milan's and Genoa's digests agree with it, though a Genoa's RMP
holds more bits (coconut-svsm issue 22)."""
_PAGE_INFO = struct.Struct("<48s48sHBBBBBBQ")


class PageType(IntEnum):
    """PAGE_TYPE of SNP_LAUNCH_UPDATE."""

    NORMAL = 1
    VMSA = 2
    ZERO = 3
    UNMEASURED = 4
    SECRETS = 5
    CPUID = 6


def page_digest(page: bytes) -> bytes:
    """SHA-384 of a page whose content is measured."""
    assert len(page) == PAGE_BYTES
    return hashlib.sha384(page).digest()


def extend(digest: bytes, kind: PageType, address: int, contents: bytes = ZERO) -> bytes:
    """The digest after one more page; `contents` is `page_digest` for normal and save-area pages, zero for all others. No page is of an IMI or for VMPL 1-3."""
    return hashlib.sha384(_PAGE_INFO.pack(digest, contents, _PAGE_INFO.size, kind, 0, 0, 0, 0, 0, address)).digest()


def extend_data(digest: bytes, address: int, data: bytes) -> bytes:
    """The digest after normal pages with this content, in rising order."""
    for offset in range(0, len(data), PAGE_BYTES):
        digest = extend(digest, PageType.NORMAL, address + offset, page_digest(data[offset : offset + PAGE_BYTES]))
    return digest


def extend_range(digest: bytes, kind: PageType, address: int, size_bytes: int) -> bytes:
    """The digest after pages of a type that is not measured by content."""
    for offset in range(0, size_bytes, PAGE_BYTES):
        digest = extend(digest, kind, address + offset)
    return digest
