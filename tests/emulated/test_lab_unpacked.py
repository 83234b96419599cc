"""Kernels taken out of their boot wrapper: what is unpacked is what was packed, and what cannot be unpacked boots as it is."""

import lzma
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.executors.lab.unpacked import elf, unpacked

KERNEL = b"\x7fELF\x02" + bytes(range(256)) * 40 + struct.pack("<III", 4, 8, 18) + b"Xen\0" + bytes(8)


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def by_program(program: str, *options: str):
    def pack(data: bytes) -> bytes:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here")
        return subprocess.run([program, *options], input=data, capture_output=True, check=True).stdout + struct.pack("<I", len(data))
    return pack


def xz(data: bytes) -> bytes:
    return lzma.compress(data) + struct.pack("<I", len(data))


def wrapped(payload: bytes, *, sectors: int = 3, protocol: int = 0x20F, gap: int = 100) -> bytes:
    """A boot image by hand: setup sectors, its header's fields at the offsets of boot.rst, some code, the payload, some code."""
    head = bytearray((sectors + 1) * 512)
    head[0x1F1] = sectors
    head[0x202:0x208] = b"HdrS" + struct.pack("<H", protocol)
    head[0x248:0x250] = struct.pack("<II", gap, len(payload))
    return bytes(head) + b"\x90" * gap + payload + b"\x90" * 50


@pytest.mark.parametrize("pack", [gzipped, xz, by_program("zstd", "-q", "-c"), by_program("lz4", "-l", "-c", "-q")], ids=["gzip", "xz", "zstd", "lz4"])
def test_what_was_packed_comes_out(pack) -> None:
    assert elf(wrapped(pack(KERNEL))) == KERNEL


def test_what_would_not_boot_is_not_taken() -> None:
    assert elf(wrapped(gzipped(KERNEL), protocol=0x207)) is None
    assert elf(wrapped(gzipped(KERNEL.replace(b"Xen\0", b"Zen\0")))) is None, "no PVH entry"
    assert elf(wrapped(gzipped(b"MZ" + KERNEL))) is None
    assert elf(wrapped(gzipped(KERNEL))[:-200]) is None, "cut off"
    assert elf(wrapped(xz(KERNEL)[:40] + bytes(60))) is None


@given(st.binary(max_size=2000), st.integers(0, 1900))
def test_no_image_breaks_it(noise: bytes, at: int) -> None:
    image = wrapped(gzipped(KERNEL))
    elf(noise)
    elf(image[:at] + noise + image[at + len(noise) :])


def test_it_is_kept_beside_the_image_and_made_anew_when_that_changes(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz-6.1"
    image.write_bytes(wrapped(gzipped(KERNEL)))
    kept = unpacked(image)
    assert (kept.name, kept.read_bytes()) == ("vmlinux-6.1", KERNEL)
    kept.write_bytes(b"kept")
    assert unpacked(image).read_bytes() == b"kept"
    image.write_bytes(wrapped(gzipped(KERNEL + b"new")))
    later = kept.stat().st_mtime_ns + 1_000_000_000
    os.utime(image, ns=(later, later))
    assert unpacked(image).read_bytes() == KERNEL + b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vmlinux-6.1", "vmlinuz-6.1"]
    other = tmp_path / "vmlinuz"
    other.write_bytes(b"MZ of another architecture")
    assert unpacked(other) == other
