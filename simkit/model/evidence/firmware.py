"""A guest's firmware image as a launch measures it: OVMF's table of GUIDs, and the pages it asks for under SEV-SNP and TDX.

Sources: edk2 OvmfPkg/ResetVector (the table, `ASEV` and `TDVF` metadata); Intel TDX Virtual Firmware Design Guide §11 (metadata and its sections).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

PAGE_BYTES = 4096
FOUR_GIB = 1 << 32
"""Where a PC's firmware ends: the reset vector is 16 bytes below."""


class SevSectionKind(IntEnum):
    """What a page range of the SEV metadata is for (OvmfSevMetadata: OVMF_SECTION_TYPE_*)."""

    SEC_MEM = 1
    SECRETS = 2
    CPUID = 3
    SVSM_CAA = 4
    KERNEL_HASHES = 0x10


@dataclass(frozen=True, slots=True)
class SevSection:
    """A range of guest-physical pages that the VMM adds before start. `kind` may be one that nobody named; a size of 0 is an unused entry."""

    kind: int
    address: int
    size_bytes: int


class TdvfAttribute(IntFlag):
    """How a section's pages get into the guest."""

    MR_EXTEND = 1
    PAGE_AUG = 2


@dataclass(frozen=True, slots=True)
class TdvfSection:
    """`data_bytes` from `data_offset` of the image go to guest-physical `address`; the rest of `size_bytes` is zero."""

    kind: int
    data_offset: int
    data_bytes: int
    address: int
    size_bytes: int
    attributes: TdvfAttribute


@dataclass(frozen=True, slots=True)
class Firmware:
    """One image, mapped so that it ends at 4 GiB.

    `table` holds GUID and bytes of each entry, in the order in which QEMU finds them (from the image's end). `ap_reset_address` is where a
    vCPU other than the first begins (SEV-ES reset block), `hashes_address` where the VMM puts the hashes of kernel, initrd and command line
    (0 or None: the build takes none). `sev` and `tdvf` are None where the image has no such metadata.
    """

    source: str
    data: bytes = field(repr=False)
    table: tuple[tuple[str, bytes], ...] = ()
    ap_reset_address: int | None = None
    hashes_address: int | None = None
    sev: tuple[SevSection, ...] | None = None
    tdvf: tuple[TdvfSection, ...] | None = None

    @property
    def address(self) -> int:
        """Guest-physical address of its first byte."""
        return FOUR_GIB - len(self.data)
