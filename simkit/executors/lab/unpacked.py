"""A kernel's image without its compression: to unpack it under emulation takes longer than all that the kernel then does.

The image is the one that Debian built, taken out of its boot wrapper (Documentation/arch/x86/boot.rst: `payload_offset`, `payload_length`) and
started by the entry that its PVH note names (`xen_elfnote_phys32_entry`; hw/i386/x86.c of QEMU: `x86_load_linux`). Where a step of that cannot
be done, the compressed image boots.
"""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

_MAGIC, _MAGIC_AT = b"HdrS", 0x202
_SECTORS_AT, _PAYLOAD_AT, _SECTOR = 0x1F1, 0x248, 512
_SINCE_PROTOCOL = 0x208
_PROGRAMS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4"}
_PVH_NOTE = struct.pack("<III", 4, 4, 18) + b"Xen\0", struct.pack("<III", 4, 8, 18) + b"Xen\0"
_LIMIT_S, _MOST_BYTES = 60, 1 << 28


def unpacked(image: Path) -> Path:
    """The kernel's ELF file, kept beside the image as ``vmlinux-NAME``; the image itself where it cannot be unpacked or kept."""
    kept = image.with_name(f"vmlinux-{image.name.removeprefix('vmlinuz').lstrip('-') or 'unpacked'}")
    try:
        if kept.is_file() and kept.stat().st_mtime_ns >= image.stat().st_mtime_ns:
            return kept
        data = elf(image.read_bytes())
        if data is None:
            return image
        with tempfile.NamedTemporaryFile(dir=image.parent, prefix=".vmlinux-", delete=False) as file:
            file.write(data)
        Path(file.name).replace(kept)
    except OSError:
        return image
    return kept


def elf(image: bytes) -> bytes | None:
    """The 64-bit ELF file in an x86 boot image, with a PVH entry; None where it is no such image, or packed in a way that nothing here unpacks."""
    if len(image) < _PAYLOAD_AT + 8 or image[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        return None
    (protocol,) = struct.unpack_from("<H", image, _MAGIC_AT + 4)
    offset, length = struct.unpack_from("<II", image, _PAYLOAD_AT)
    start = ((image[_SECTORS_AT] or 4) + 1) * _SECTOR + offset
    payload = image[start : start + length]
    if protocol < _SINCE_PROTOCOL or len(payload) != length or length < 8:
        return None
    data = _decompressed(payload)
    return data if data is not None and data[:5] == b"\x7fELF\x02" and any(note in data for note in _PVH_NOTE) else None


def _decompressed(payload: bytes) -> bytes | None:
    """What `scripts/Makefile.lib` compressed; but for gzip, the length of what was compressed stands behind it in four bytes (`size_append`)."""
    try:
        if payload[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(payload, _MOST_BYTES)
        if payload[:6] == b"\xfd7zXZ\0":
            return lzma.LZMADecompressor().decompress(payload, _MOST_BYTES)
    except (zlib.error, lzma.LZMAError):
        return None
    program = shutil.which(_PROGRAMS.get(payload[:4], "")) if payload[:4] in _PROGRAMS else None
    if program is None:
        return None
    try:
        done = subprocess.run([program, "-dc"], input=payload[:-4], capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    (size,) = struct.unpack("<I", payload[-4:])
    return done.stdout if done.returncode == 0 and len(done.stdout) == size else None
