"""DER and the DICE extensions: both forms as vendors write them, and nothing that is neither."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import read_certificates
from simkit.formats.evidence.der import elements, inside
from simkit.formats.evidence.dice import read_dice
from simkit.model.evidence.dice import Operational

MODELS = Path(__file__).parents[3] / "models" / "evidence"
SHA384 = bytes.fromhex("0609608648016503040202")


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else bytes([0x82, size >> 8, size & 255])) + content


def fwid(digest: bytes, algorithm: bytes = SHA384) -> bytes:
    return tlv(0x30, algorithm + tlv(4, digest))


COMPOSITE = tlv(0x30, b"\2\1\1" + tlv(0x30, b"\6\1\1") + fwid(b"a" * 48))
INFO = tlv(0x30, tlv(0x81, b"GB100") + tlv(0xA6, fwid(b"a" * 48) + fwid(b"b" * 48)) + tlv(0x87, b"\0\x10\0\0\1"))


def test_the_composite_device_id() -> None:
    found = read_dice(COMPOSITE)
    assert (found.fwids, found.flags, found.model) == ((b"a" * 48,), None, "")


def test_the_tcb_info() -> None:
    found = read_dice(INFO)
    assert (found.fwids, found.flags, found.model) == ((b"a" * 48, b"b" * 48), frozenset({Operational.DEBUG}), "GB100")


@pytest.mark.parametrize(("octet", "flags"), [
    (0x80, {Operational.NOT_CONFIGURED}), (0x40, {Operational.NOT_SECURE}), (0x20, {Operational.RECOVERY}), (0x10, {Operational.DEBUG}), (0x0F, set()),
    (0xF0, set(Operational)),
])
def test_each_flag_is_its_bit(octet: int, flags: set[Operational]) -> None:
    assert read_dice(tlv(0x30, tlv(0xA6, fwid(b"a" * 48)) + tlv(0x87, bytes([0, octet])))).flags == flags


def test_real_leaves_of_three_kinds() -> None:
    found = {}
    for name in ("ls10-chain.pem", "gb100-chain.pem"):
        dice = read_certificates((MODELS / name).read_bytes(), source=name)[0].dice
        assert dice is not None
        found[name] = (dice.fwids[0].hex()[:16], len(dice.fwids), dice.flags)
    assert found == {"ls10-chain.pem": ("2ea9f30a114c20a1", 1, None), "gb100-chain.pem": ("d090cab1b6e6ffdd", 2, frozenset({Operational.NOT_CONFIGURED}))}


@pytest.mark.parametrize("value", [
    b"", b"\x30", b"\x30\x80", COMPOSITE + b"\0", COMPOSITE[:-1], tlv(0x31, b""), tlv(0x30, b""),
    tlv(0x30, b"\2\1\2" + tlv(0x30, b"") + fwid(b"a" * 48)), tlv(0x30, b"\2\1\1" + tlv(0x30, b"") + fwid(b"a" * 32)),
    tlv(0x30, b"\2\1\1" + tlv(0x30, b"") + fwid(b"a" * 48, bytes.fromhex("0609608648016503040201"))), tlv(0x30, tlv(0x81, b"GB100")),
    tlv(0x30, tlv(0xA6, b"")), tlv(0x30, tlv(0xA6, tlv(4, b"x"))), tlv(0x30, tlv(0xA6, fwid(b"a" * 48)) * 2), tlv(0x30, tlv(0xA6, fwid(b"a" * 48)) + b"\2\1\1"),
    tlv(0x30, tlv(0xA6, fwid(b"a" * 48)) + tlv(0x87, b"")), tlv(0x30, tlv(0xA6, fwid(b"a" * 48)) + tlv(0x87, b"\x08\x10")),
])
def test_what_is_neither_form_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        read_dice(value)


def test_lengths_of_der_are_in_their_shortest_form() -> None:
    assert elements(tlv(4, b"x" * 127) + tlv(4, b"x" * 128) + tlv(4, b"x" * 256)) == ((4, b"x" * 127), (4, b"x" * 128), (4, b"x" * 256))
    for bad in (b"\4\x81\x05hello", b"\4\x82\0\x05hello", b"\4\x80hello\0\0", b"\4\x84\0\0\0\x05hello", b"\x1f\1x", b"\4\x06hello"):
        with pytest.raises(MalformedEvidence):
            elements(bad)
    with pytest.raises(MalformedEvidence):
        inside(tlv(0x30, b""), 0x31)


@given(st.binary(max_size=200), st.sampled_from([b"", COMPOSITE, INFO]), st.integers(0, 200))
@example(b"\x83\xff\xff\xff", COMPOSITE, 1)
def test_nothing_breaks_the_reader_of_extensions(junk: bytes, value: bytes, at: int) -> None:
    try:
        read_dice(value[:at] + junk + value[at + len(junk) :])
    except MalformedEvidence as error:
        assert str(error)
