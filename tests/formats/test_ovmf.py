"""Firmware images: what is read from their tables, what is refused, and that no bytes make the reader fail otherwise."""

import contextlib
import struct

import pytest
from firmware_images import HASHES, RESET, SEV, SEV_SECTIONS, TDX, image, table
from hypothesis import given
from hypothesis import strategies as st

from simkit.attest.expect.launch_digest import SnpLaunch, launch_digest
from simkit.errors import InputError, MalformedEvidence
from simkit.formats.evidence.ovmf import read_firmware
from simkit.model.evidence.firmware import SevSection, TdvfAttribute, TdvfSection

TDVF = ((0, 0x1000, 0xFFFFF000, 0x1000, 0, 1), (0, 0, 0x809000, 0x2000, 2, 0), (0, 0, 0, 0, 3, 0))


def test_what_is_read() -> None:
    found = read_firmware(image(tdvf=TDVF), source="made")
    assert [guid for guid, _ in found.table] == [RESET, HASHES, SEV, TDX]
    assert (found.ap_reset_address, found.hashes_address, found.address) == (0x80B004, 0x810C00, 0xFFFFC000)
    assert found.sev == tuple(SevSection(*row) for row in SEV_SECTIONS)
    assert found.tdvf == (TdvfSection(0, 0, 0x1000, 0xFFFFF000, 0x1000, TdvfAttribute.MR_EXTEND), TdvfSection(2, 0, 0, 0x809000, 0x2000, TdvfAttribute(0)),
                          TdvfSection(3, 0, 0, 0, 0, TdvfAttribute(0)))


def test_what_is_not_there_is_none() -> None:
    found = read_firmware(image(sev=None, reset=None, hashes=None, more=[("11111111-2222-3333-4444-555555555555", b"abc")]), source="made")
    assert (found.sev, found.tdvf, found.ap_reset_address, found.hashes_address) == (None, None, None, None)
    assert found.table == (("11111111-2222-3333-4444-555555555555", b"abc"),)


def patched(offset: int, value: bytes) -> bytes:
    """The usual image with bytes changed, counted from its end."""
    data = bytearray(image(tdvf=TDVF))
    data[len(data) - offset : len(data) - offset + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(("data", "says"), [
    (b"", "0 bytes"), (b"x" * 100, "100 bytes"), (b"\0" * 8192, "no table of GUIDs"), (image() + bytes(4096), "no table of GUIDs"),
    (b"\0" * (65 << 20), "at most 64 MiB"),
    (patched(50, b"\x05\0"), "5 bytes long"), (patched(50, b"\xff\xff"), "65535 bytes long"), (patched(50, struct.pack("<H", 18 + 21)), "an entry of 22 bytes, with 21 left"),
    (patched(68, b"\x11\0"), "an entry of 17 bytes"), (image(more=[(RESET, b"\0\0\0\0")]), "twice"),
    (image(reset=None, more=[(RESET, b"\0\0")]), "holds an address of 4"), (image(sev=None, more=[(SEV, b"\x0f\0\0\0")]), "points 15 bytes"),
    (image(sev=None, more=[(SEV, b"\x01\x40\0\0")]), "points 16385 bytes"), (patched(1024, b"BSEV"), "begins with b'BSEV'"), (patched(2048, b"TDVX"), "begins with"),
    (patched(1016, b"\x02"), "version 2"), (patched(1012, b"\x08"), "100 bytes for 8 sections"), (patched(1012, b"\xff\xff\xff\xff"), "4294967295 sections"),
    (image(sev=[(1, 0, 0)] * 65), "796 bytes for 65 sections"),
    (image(sev=None, more=[(SEV, struct.pack("<I", 20))])[:-20] + struct.pack("<4sIIII", b"ASEV", 28, 1, 1, 0), "28 bytes for 1 sections, with 20 bytes left"),
    (image(sev=[(1, 0x800, 0x1000)]), "no whole pages"), (image(sev=[(1, 0x1000, 0x10)]), "no whole pages"), (image(sev=[(1, 0, 1 << 31)]), "at most 256"),
    (image(sev=[(1, 0x1000, 0x2000), (3, 0x2000, 0x1000)]), "only once"), (image(tdvf=[(0, 0x2000, 0x1000, 0x1000, 0, 1)]), "data for 4096"),
    (image(tdvf=[(0, 0, 0, 1 << 63, 0, 1)]), "at most 256"),
])
def test_what_contradicts_itself_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(MalformedEvidence, match=says) as raised:
        read_firmware(data, source="OVMF.fd")
    assert str(raised.value).startswith("OVMF.fd: ")


@given(st.binary(max_size=200), st.integers(0, 2200), st.integers(1, 3))
def test_bytes_break_nothing(noise: bytes, offset: int, pages: int) -> None:
    data = bytearray(image(pages, tdvf=TDVF))
    start = max(0, len(data) - offset)
    data[start : start + len(noise)] = noise[: len(data) - start]
    with contextlib.suppress(InputError):
        firmware = read_firmware(bytes(data), source="made")
        assert len(launch_digest(firmware, SnpLaunch(2, 0x800F12))) == 48


@given(st.lists(st.tuples(st.uuids().map(str), st.binary(max_size=12)), max_size=4, unique_by=lambda row: row[0]))
def test_any_table_is_read_back(rows) -> None:
    end = table(rows)
    found = read_firmware(bytes(4096 - len(end)) + end, source="made")
    assert found.table == tuple(reversed(rows))


@given(st.binary(max_size=8192))
def test_any_bytes_break_nothing(data: bytes) -> None:
    with contextlib.suppress(InputError):
        read_firmware(data, source="made")
