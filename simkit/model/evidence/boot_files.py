"""What a VMM hands to a guest's firmware to boot: kernel, initrd and command line."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.evidence.efi_image import EfiImage


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file by its digests."""

    source: str
    size_bytes: int
    sha256: bytes
    sha384: bytes


@dataclass(frozen=True, slots=True)
class BootFiles:
    """`image` is the kernel as an EFI application, None where nobody asked for it; an initrd that is empty is one that is not given."""

    kernel: BootFile
    initrd: BootFile | None
    cmdline: str
    image: EfiImage | None = None
