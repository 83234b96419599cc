"""Kernels as EFI applications, and init-data: what is read, what is refused, with the remedy."""

import contextlib
import hashlib
from pathlib import Path

import pytest
from efi_images import covered, efi_image
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedDocument, MalformedEvidence, UnreadableSource
from simkit.formats.evidence.boot_files import open_boot_files, open_firmware
from simkit.formats.evidence.efi_image import read_efi_image
from simkit.formats.evidence.init_data import read_init_data

USUAL = ((0x400, 0x300), (0x800, 0x200))
HEAD = b'version = "0.1.0"\nalgorithm = "sha384"\n'


@pytest.mark.parametrize(("sections", "signatures", "directories"), [
    (USUAL, 0x40, 16), (USUAL, 0, 16), (USUAL, 0, 4), (USUAL[::-1], 0x40, 5), ((), 0, 16), (((0x400, 0x800),), 0, 16), (((0x400, 0), (0x500, 0x100)), 8, 16),
])
def test_what_a_digest_covers(sections, signatures: int, directories: int) -> None:
    data = efi_image(sections=sections, signatures=signatures, directories=directories)
    found = read_efi_image(data, source="vmlinuz")
    assert b"".join(data[begin:end] for begin, end in found.hashed) == covered(data, sections=sections, size=0xC00, signed=directories > 4)


def test_a_signed_kernel_of_this_machine_says_its_own_digest() -> None:
    for path in sorted(Path("/boot").glob("vmlinuz*")):
        data = path.read_bytes()
        found = read_efi_image(data, source=path.name)
        end = found.hashed[-1][1]
        digest = hashlib.sha256(b"".join(data[begin:last] for begin, last in found.hashed)).digest()
        if end == len(data):
            continue
        assert digest in data[end:], f"{path} is signed, and no signature is of this digest"
        return
    pytest.skip("no signed kernel is in /boot")


@pytest.mark.parametrize(("data", "says"), [
    (b"", "does not begin with MZ"), (b"\x7fELF" + bytes(100), "does not begin with MZ"), (b"MZ", "only 0 are left"), (b"MZ" + bytes(60), "only 2 are left"),
    (b"MZ" + bytes(200), "no PE header"), (efi_image()[:0x98], "magic of the optional header has 2 bytes and only 0"),
    (efi_image(sections=((0x400, 0x9000),)), "section 0 is 36864 bytes at byte 1024"), (efi_image(headers=0x9000), "headers of 36864 bytes"),
    (efi_image(headers=0x100), "headers of 256 bytes"), (efi_image().replace(b"\x0b\x02", b"\x07\x01", 1), "magic 0x107"),
    (efi_image(signatures=0x40)[: 0xC00 - 0x100], "64 bytes of signatures at byte 3072, in a file of 2816"),
    (efi_image(sections=((0x400, 0),) * 257, size=0x4000, headers=0x3000), "with 257 sections"),
    (efi_image()[:0x94] + b"\x70\0" + efi_image()[0x96:], "an optional header of 112 at byte 152"),
    (efi_image(sections=((0x400, 0x800 + 0x20),)), "64 bytes of signatures after 3104"),
])
def test_what_is_no_image_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(MalformedEvidence, match=says):
        read_efi_image(data, source="vmlinuz")


@given(st.binary(max_size=3000))
def test_any_image_breaks_nothing(data: bytes) -> None:
    with contextlib.suppress(InputError):
        read_efi_image(b"MZ" + data, source="made")


def test_files_by_their_digests(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"k" * 3_000_000)
    found = open_boot_files(str(tmp_path / "vmlinuz"), None, "ro", image=False)
    assert (found.kernel.size_bytes, found.kernel.sha256) == (3_000_000, hashlib.sha256(b"k" * 3_000_000).digest())
    assert (found.kernel.sha384, found.initrd, found.image) == (hashlib.sha384(b"k" * 3_000_000).digest(), None, None)
    with pytest.raises(MalformedEvidence, match="does not begin with MZ"):
        open_boot_files(str(tmp_path / "vmlinuz"), None, "ro", image=True)
    for open_it in (lambda name: open_boot_files(name, None, "", image=False), open_firmware):
        with pytest.raises(UnreadableSource, match="No such file"):
            open_it(str(tmp_path / "none"))
        with pytest.raises(UnreadableSource, match="directory"):
            open_it(str(tmp_path))


def test_firmware_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "OVMF.fd").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(MalformedEvidence, match="more than 64 MiB"):
        open_firmware(str(tmp_path / "OVMF.fd"))


def test_init_data() -> None:
    text = HEAD + b"[data]\n\"aa.toml\" = '''\nurl = 1\n'''\n\"policy.rego\" = 'x'\n"
    found = read_init_data(text, source="init.toml")
    assert (found.algorithm, found.digest, found.keys, found.text) == ("sha384", hashlib.sha384(text).digest(), ("aa.toml", "policy.rego"), text.decode())


@pytest.mark.parametrize(("text", "says"), [
    (b"H4sIAAAAAAAA/0vLz0", "this is no TOML"), (b"\xff\xfe", "this is no TOML"), (b"a = " + b"[" * 100_000, "this is no TOML"), (b"#" * (1 << 21), "at most"),
    (b'algorithm = "sha384"\n[data]\n', "version is None"), (HEAD.replace(b"384", b"1") + b"[data]\n", "algorithm is 'sha1'"), (HEAD, r"\[data\] is no table of texts"),
    (HEAD + b"[data]\na = 1\n", r"\[data\] is no table of texts"), (HEAD + b'x = "1"\n[data]\n', "x is nothing that init-data has"),
    (b"x = 1\n", "4 faults"),
])
def test_init_data_that_kata_does_not_take(text: bytes, says: str) -> None:
    with pytest.raises(MalformedDocument, match=says) as raised:
        read_init_data(text, source="init.toml")
    assert "init.toml" in str(raised.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: HEAD + text.encode("utf-8", "surrogatepass")))
def test_any_document_breaks_nothing(data: bytes) -> None:
    with contextlib.suppress(InputError):
        read_init_data(data, source="made")
