"""The extensions of AMD's VCEK and VLEK certificates (AMD 57230 §3.1, table "certificate extensions")."""

from __future__ import annotations

from collections.abc import Mapping

from simkit.errors import MalformedEvidence
from simkit.model.evidence.vek import ARC, VekExtensions

_INTEGER, _OCTET_STRING, _IA5_STRING = 0x02, 0x04, 0x16
_HARDWARE_ID_BYTES = (64, 8)


def read_vek(values: Mapping[str, bytes]) -> VekExtensions | None:
    """What extensions (dotted identifier -> DER) say under AMD's arc; None where none of them is there.

    Raises:
        MalformedEvidence: one that is not of its type.
    """
    mine = {oid.removeprefix(f"{ARC}."): value for oid, value in values.items() if oid.startswith(f"{ARC}.")}
    if not mine:
        return None
    try:
        return VekExtensions(
            product_name=_text(mine["2"]) if "2" in mine else "", bootloader=_level(mine, "3.1"), tee=_level(mine, "3.2"), snp=_level(mine, "3.3"),
            microcode=_level(mine, "3.8"), fmc=_level(mine, "3.9"), hardware_id=_hardware_id(mine["4"]) if "4" in mine else None,
            provider=_text(mine["5"]) if "5" in mine else None)
    except ValueError as error:
        raise MalformedEvidence(f"an extension of AMD's: {error}") from None


def _level(mine: Mapping[str, bytes], arc: str) -> int | None:
    """A security patch level: an INTEGER from 0 to 255, in the least number of bytes (X.690 §8.3)."""
    if arc not in mine:
        return None
    body = _body(mine[arc], _INTEGER, arc)
    if len(body) not in (1, 2) or (len(body) == 2 and (body[0] != 0 or body[1] < 0x80)) or (len(body) == 1 and body[0] >= 0x80):
        raise ValueError(f"{arc} is no level from 0 to 255: {body.hex()[:40]}")
    return body[-1]


def _text(value: bytes) -> str:
    body = _body(value, _IA5_STRING, "a name")
    if not body.isascii() or not body.decode("ascii", "replace").isprintable():
        raise ValueError("a name that is no printable IA5String")
    return body.decode("ascii")


def _hardware_id(value: bytes) -> bytes:
    """The bytes themselves, as the KDS has written them so far, or as an OCTET STRING; nothing else.

    A raw id of 64 bytes that happens to begin 04 3E is 64 bytes long, not 66: the length decides.
    """
    if len(value) in _HARDWARE_ID_BYTES:
        return value
    body = _body(value, _OCTET_STRING, "the hardware id")
    if len(body) not in _HARDWARE_ID_BYTES:
        raise ValueError(f"a hardware id of {len(body)} bytes, where 64 or 8 are expected")
    return body


def _body(value: bytes, tag: int, what: str) -> bytes:
    """The contents of one short DER value that fills `value` wholly."""
    if len(value) < 2 or value[0] != tag or value[1] > 0x7F or len(value) != 2 + value[1]:
        raise ValueError(f"{what} is not the one DER value that it must be: {value.hex()[:40]}")
    return value[2:]
