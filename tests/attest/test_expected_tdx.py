"""MRTD and RTMRs before a TDX guest boots: the golden value of a build of OVMF, a real event log against its quote, and a second computation of each."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from efi_images import covered, efi_image
from firmware_images import image
from hypothesis import given
from hypothesis import strategies as st

from simkit.attest.expect.expected import GuestShape, Started, expected
from simkit.attest.expect.mrtd import mrtd
from simkit.attest.expect.rtmr import DirectBoot, registers, rtmr1, rtmr2
from simkit.errors import InputError
from simkit.formats.evidence.boot_files import open_boot_files
from simkit.formats.evidence.efi_image import read_efi_image
from simkit.formats.evidence.event_log import read_log
from simkit.formats.evidence.init_data import read_init_data
from simkit.formats.evidence.ovmf import read_firmware
from simkit.model.evidence.event_log import Event, EventLog
from simkit.model.platform import TeeKind

CCEL = "attestation/tdx/go-tdx-guest/ccel"
UBUNTU = "9e807cb2cd4313406a3aa4becc0836671a5c64ca7bdc08a45e15260184b446bf"
"""SHA-256 of OVMF.fd of Ubuntu's ovmf 2025.02-3ubuntu2 (virtee/tdx-measure@1ebcd7f:tests/fetch_ovmf.sh)."""
SECTIONS = ((0x1000, 0x2000, 0xFFFFE000, 0x2000, 0, 1), (0, 0x1000, 0xFFFFD000, 0x1000, 1, 0), (0, 0, 0x809000, 0x2000, 2, 0), (0, 0, 0x810000, 0x3000, 3, 0),
            (0, 0, 0x900000, 0x1000, 4, 2), (0, 0, 0, 0, 3, 0))


def told(data: bytes, sections, *, pages_first: bool) -> str:
    """MRTD by another way: all blocks of all pages with their place in the order, sorted, then hashed."""
    blocks = []
    for number, (offset, length, address, size, _, attributes) in enumerate(sections):
        for page in range(size // 4096):
            if not attributes & 2:
                blocks.append(((number, 0 if pages_first else page, 0, 0 if not pages_first else page), struct.pack("<16sQ104x", b"MEM.PAGE.ADD", address + page * 4096)))
            for part in range(16 if attributes & 1 else 0):
                at = page * 4096 + part * 256
                order = (number, 1 if pages_first else page, 1, at)
                blocks.append((order, struct.pack("<16sQ104x", b"MR.EXTEND", address + at) + data[offset : offset + length][at : at + 256]))
    return hashlib.sha384(b"".join(block for _, block in sorted(blocks, key=lambda each: each[0]))).hexdigest()


def test_mrtd_of_the_build_that_others_computed() -> None:
    found = [path for path in (Path("/usr/share/ovmf/OVMF.fd"), Path("/usr/share/OVMF/OVMF.fd")) if path.is_file()]
    found = [path for path in found if hashlib.sha256(path.read_bytes()).hexdigest() == UBUNTU]
    if not found:
        pytest.skip("OVMF of Ubuntu's 2025.02-3ubuntu2 is not installed here")
    value = mrtd(read_firmware(found[0].read_bytes(), source="OVMF.fd")).hex()  # virtee/tdx-measure@1ebcd7f:tests/fixtures/runtime-capture/expected.json
    assert value == "7357a10d2e2724dffe68813e3cc4cfcde6814d749f2fb62e3953e54f6e0b50a219786afe2cd478f684b52c61837e1114"


@pytest.mark.parametrize("pages_first", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_mrtd_is_what_the_module_is_told(seed: int, *, pages_first: bool) -> None:
    data = image(4, seed=seed, tdvf=SECTIONS)
    assert mrtd(read_firmware(data, source="made"), pages_first=pages_first).hex() == told(data, SECTIONS, pages_first=pages_first)


def test_every_measured_byte_moves_mrtd_and_no_other() -> None:
    data = image(4, tdvf=SECTIONS)
    before = mrtd(read_firmware(data, source="made"))
    for at in range(0, 0x2C00, 97):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert (mrtd(read_firmware(flipped, source="made")) != before) is (at >= 0x1000)


@pytest.mark.parametrize(("sections", "says"), [
    (None, "no metadata for TDX"), (((0x3000, 0x2000, 0xFFFFE000, 0x2000, 0, 1),), "section 0 has 8192 bytes of data from byte 0x3000"),
    (((0, 0x800, 0xFFFFE000, 0x1000, 0, 1),), "2048 bytes of data for 4096 of memory"),
])
def test_firmware_without_an_mrtd_is_refused(sections, says: str) -> None:
    with pytest.raises(InputError, match=says):
        mrtd(read_firmware(image(4, tdvf=sections), source="made"))


@pytest.mark.corpus
def test_a_real_log_adds_up_to_the_registers_of_its_quote(corpus: Path) -> None:
    found = registers(read_log((corpus / CCEL / "ccel_data.dat").read_bytes(), source="ccel"))
    quote = (corpus / CCEL / "cos-113-tdx-quote.dat").read_bytes()
    held = {number: quote[48 + 328 + 48 * number :][:48] for number in range(4)}
    assert found == {number: value for number, value in held.items() if value != bytes(48)}
    assert set(found) == {0, 1, 2}


SHA384 = 0x000C


def log_of(*events: tuple[int, int, bytes]) -> EventLog:
    """A log of register, event type, digest."""
    return EventLog((SHA384,), tuple(Event(register, kind, ((SHA384, digest),), b"", 0) for register, kind, digest in events), 0, "made.log")


def test_events_that_tell_and_extend_nothing_do_not_count() -> None:
    first, second = b"\1" * 48, b"\2" * 48
    held = hashlib.sha384(hashlib.sha384(bytes(48) + first).digest() + second).digest()
    assert registers(log_of((2, 1, first), (2, 3, b"\3" * 48), (0, 1, b"\4" * 48), (2, 1, second))) == {1: held}
    with pytest.raises(InputError, match="has no SHA-384 digest"):
        registers(EventLog((4,), (Event(1, 1, ((4, b"\1" * 20),), b"", 77),), 0, "made.log"))


def folded(*texts: bytes) -> str:
    held = bytes(48)
    for text in texts:
        held = hashlib.sha384(held + hashlib.sha384(text).digest()).digest()
    return held.hex()


def test_rtmr1_of_a_kernel() -> None:
    kernel = efi_image()
    measured = covered(kernel, sections=((0x400, 0x300), (0x800, 0x200)), size=0xC00)
    assert rtmr1(read_efi_image(kernel, source="vmlinuz")).hex() == folded(
        measured, b"Calling EFI Application from Boot Option", b"\0\0\0\0", b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success")


@pytest.mark.parametrize(("cmdline", "initrd", "manner", "texts"), [
    ("ro quiet", b"initrd", DirectBoot.INITRD_LAST, ["ro quiet initrd=initrd"]), ("ro quiet", b"initrd", DirectBoot.INITRD_FIRST, ["initrd=initrd ro quiet"]),
    ("", b"initrd", DirectBoot.INITRD_LAST, [" initrd=initrd"]), ("", b"initrd", DirectBoot.INITRD_FIRST, ["initrd=initrd "]),
    ("ro quiet", None, DirectBoot.INITRD_LAST, ["ro quiet"]), ("ro quiet", None, DirectBoot.INITRD_FIRST, ["ro quiet"]), ("", None, DirectBoot.INITRD_FIRST, []),
])
def test_rtmr2_of_a_command_line(cmdline: str, initrd: bytes | None, manner: DirectBoot, texts: list[str]) -> None:
    measured = [b"".join(bytes([ord(letter), 0]) for letter in text + "\0") for text in texts] + ([] if initrd is None else [initrd])
    assert rtmr2(cmdline, None if initrd is None else hashlib.sha384(initrd).digest(), manner).hex() == folded(*measured)


@pytest.mark.parametrize("cmdline", ["größe=1", "a\0b"])
def test_a_command_line_that_is_not_handed_on_as_it_is(cmdline: str) -> None:
    with pytest.raises(InputError, match="not plain ASCII"):
        rtmr2(cmdline, None, DirectBoot.INITRD_LAST)


GUEST = GuestShape("a", TeeKind.TDX, 4)
NAMES = ["tdx.mrtd", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr2", "tdx.rtmr3", "tdx.mrconfigid"]


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """A direct boot with everything stated."""
    (tmp_path / "vmlinuz").write_bytes(efi_image())
    (tmp_path / "initrd").write_bytes(b"initrd")
    boot = open_boot_files(str(tmp_path / "vmlinuz"), str(tmp_path / "initrd"), "ro", image=True)
    init_data = read_init_data(b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n', source="init.toml")
    return Started(read_firmware(image(tdvf=SECTIONS), source="OVMF.fd"), boot, init_data=init_data, direct_boot=DirectBoot.INITRD_LAST)


def test_what_is_known_and_what_is_not(started: Started) -> None:
    found = expected(GUEST, started)
    assert [value.name for value in found.values] == ["tdx.mrtd", "tdx.rtmr1", "tdx.rtmr2", "tdx.mrconfigid"]
    assert [name for name, _ in found.unknown] == ["tdx.rtmr0", "tdx.rtmr3"]
    assert "PCIe tree" in dict(found.unknown)["tdx.rtmr0"]
    bare = expected(GUEST, Started(started.firmware, pages_first=True))
    assert [value.name for value in bare.values] == ["tdx.mrtd", "tdx.mrtd"]
    assert bare.values[0].value != bare.values[1].value
    assert [name for name, _ in bare.unknown] == NAMES[1:]
    with pytest.raises(InputError, match="none was given"):
        expected(GUEST, Started())


def test_a_digest_is_filled_up_or_cut_off(started: Started) -> None:
    digest = hashlib.sha256(b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n').digest()
    assert expected(GUEST, started).values[-1].value == digest + bytes(16)
    text = b'version = "0.1.0"\nalgorithm = "sha512"\n[data]\n'
    long = replace(started, init_data=read_init_data(text, source="init.toml"))
    assert expected(GUEST, long).values[-1].value == hashlib.sha512(text).digest()[:48]
    snp = expected(GuestShape("a", TeeKind.SEV_SNP, 4), replace(long, boot=None, cpu=("EPYC", 1), direct_boot=None))
    assert snp.values[-1].value == hashlib.sha512(text).digest()[:32]
    assert [value.name for value in snp.values] == ["snp.measurement", "snp.host_data"]


def test_a_log_and_a_kernel_that_do_not_fit_are_told(started: Started) -> None:
    log = log_of((1, 1, b"\1" * 48), (2, 1, b"\2" * 48), (4, 1, b"\3" * 48))
    with pytest.raises(InputError, match="RTMR1 by the event log is"):
        expected(GUEST, replace(started, log=log))
    found = expected(GUEST, replace(started, boot=None, direct_boot=None, log=log))
    assert [value.name for value in found.values] == ["tdx.mrtd", "tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr3", "tdx.mrconfigid"]
    assert [name for name, _ in found.unknown] == ["tdx.rtmr2"]
    alone = expected(GUEST, Started(log=log))
    assert [value.name for value in alone.values] == ["tdx.rtmr0", "tdx.rtmr1", "tdx.rtmr3"]


@given(st.binary(max_size=600), st.integers(0, 600))
def test_event_digests_break_nothing(noise: bytes, place: int) -> None:
    data = bytearray(efi_image())
    data[place : place + len(noise)] = noise
    try:
        found = read_efi_image(bytes(data), source="made")
    except InputError:
        return
    assert len(rtmr1(found)) == 48
    assert all(0 <= begin < end <= len(data) for begin, end in found.hashed)


def test_an_initrd_that_is_empty_is_none(started: Started, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    empty = open_boot_files(str(tmp_path / "vmlinuz"), str(tmp_path / "empty"), "ro", image=True)
    for manner in DirectBoot:
        values = {value.name: value.value for value in expected(GUEST, replace(started, boot=empty, direct_boot=manner)).values}
        assert values["tdx.rtmr2"] == rtmr2("ro", None, manner)


def test_a_log_that_extends_nothing_gives_nothing() -> None:
    with pytest.raises(InputError, match="extends no register"):
        expected(GUEST, Started(log=log_of((1, 3, b"\1" * 48))))
