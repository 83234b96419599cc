"""Reading what a guest boots from, in pieces: an initrd may be large."""

from __future__ import annotations

import hashlib

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.efi_image import MOST_BYTES, read_efi_image
from simkit.formats.evidence.ovmf import MOST_BYTES as MOST_FIRMWARE_BYTES
from simkit.formats.evidence.ovmf import read_firmware
from simkit.formats.opened import opened
from simkit.model.evidence.boot_files import BootFile, BootFiles
from simkit.model.evidence.firmware import Firmware

_PIECE = 1 << 20


def open_firmware(source: str) -> Firmware:
    """A firmware image's file.

    Raises:
        UnreadableSource: it cannot be opened.
        MalformedEvidence: it is no such image.
    """
    return read_firmware(_read(source, MOST_FIRMWARE_BYTES, "firmware"), source=source)


def open_boot_files(kernel: str, initrd: str | None, cmdline: str, *, image: bool) -> BootFiles:
    """The files by their digests; `image`: the kernel also as firmware measures it.

    Raises:
        UnreadableSource: one cannot be opened.
        MalformedEvidence: with `image`, a kernel that is no EFI application.
    """
    read = read_efi_image(_read(kernel, MOST_BYTES, "kernel"), source=kernel) if image else None
    return BootFiles(_digests(kernel), None if initrd is None else _digests(initrd), cmdline, read)


def _read(source: str, most: int, what: str) -> bytes:
    with opened(source) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise MalformedEvidence(f"more than {most >> 20} MiB, which no {what} has", where=source)
    return data


def _digests(source: str) -> BootFile:
    short, long, size = hashlib.sha256(), hashlib.sha384(), 0
    with opened(source) as file:
        while piece := file.read(_PIECE):
            size += len(piece)
            short.update(piece)
            long.update(piece)
    return BootFile(source, size, short.digest(), long.digest())
