"""The DICE extensions of device certificates.

Hopper and NVSwitch leaves carry the composite device id (version, DeviceID key, FWID) under 2.23.133.5.4.1; Blackwell leaves a DiceTcbInfo
(TCG DICE Attestation Architecture 1.1 §6.1.1) under 2.23.133.5.4.1.1, of which NVIDIA's verifier takes the first FWID
(NVIDIA/attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/nv_x509.cpp, `get_fwid`). The form is found from the content, not from the number.
"""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.der import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, elements, inside
from simkit.model.evidence.dice import Dice, Operational

OIDS = ("2.23.133.5.4.1", "2.23.133.5.4.1.1")
SHA384 = bytes.fromhex("608648016503040202")
"""2.16.840.1.101.3.4.2.2, as DER content."""
_MODEL, _FWIDS, _FLAGS = 0x81, 0xA6, 0x87
_OPERATIONAL = (Operational.NOT_CONFIGURED, Operational.NOT_SECURE, Operational.RECOVERY, Operational.DEBUG)


def read_dice(value: bytes) -> Dice:
    """The extension's value.

    Raises:
        MalformedEvidence: neither form.
    """
    parts = inside(value, SEQUENCE)
    if [tag for tag, _ in parts] == [INTEGER, SEQUENCE, SEQUENCE]:
        if parts[0][1] != b"\x01":
            raise MalformedEvidence(f"a composite device id of version {parts[0][1].hex()}")
        return Dice((_fwid(parts[2][1]),))
    fields = dict(parts)
    if _FWIDS not in fields or len(fields) != len(parts) or any(tag & 0xC0 != 0x80 for tag in fields):
        raise MalformedEvidence("neither a composite device id nor a DiceTcbInfo with FWIDs")
    fwids = []
    for tag, content in elements(fields[_FWIDS]):
        if tag != SEQUENCE:
            raise MalformedEvidence(f"tag {tag:#04x} among the FWIDs")
        fwids.append(_fwid(content))
    if not fwids:
        raise MalformedEvidence("an empty list of FWIDs")
    return Dice(tuple(fwids), model=fields.get(_MODEL, b"").decode("utf-8", "replace"), flags=_flags(fields[_FLAGS]) if _FLAGS in fields else None)


def _fwid(content: bytes) -> bytes:
    match elements(content):
        case ((tag, algorithm), (kind, digest)) if tag == OBJECT_IDENTIFIER and kind == OCTET_STRING and algorithm == SHA384 and len(digest) == 48:
            return digest
        case _:
            raise MalformedEvidence("a FWID that is not a SHA-384 digest")


def _flags(content: bytes) -> frozenset[Operational]:
    """A BIT STRING whose bit 0 is the highest of the first octet (X.690 §8.6)."""
    if len(content) < 2 or content[0] > 7:
        raise MalformedEvidence("operational flags that are no bit string")
    return frozenset(name for bit, name in enumerate(_OPERATIONAL) if content[1] & (0x80 >> bit))
