"""GET_MEASUREMENTS and its MEASUREMENTS response, SPDM 1.1 (DMTF DSP0274 1.1.1 §10.11), as NVIDIA's devices exchange them.

Layout: request (4 bytes header, 32 nonce, 1 slot), then response (4 header, 1 count of blocks, 3 length of the record, record, 32 nonce,
2 length of the opaque data, opaque data, 96 signature). The opaque data is a row of (type u16, size u16, value) fields of NVIDIA's.
All numbers are little-endian. Read as NVIDIA/attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/spdm reads it, and stricter: a block's two
sizes must agree, an index or a field may not come twice, and the bits that DSP0274 reserves must be zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.cursor import Cursor
from simkit.model.evidence.nvidia import MeasurementBlock

REQUEST_BYTES = 37
SIGNATURE_BYTES = 96
NONCE_BYTES = 32
_VERSION, _GET_MEASUREMENTS, _MEASUREMENTS = 0x11, 0xE0, 0x60
_RESPONSE = bytes((_VERSION, _MEASUREMENTS, 0))
_SIGNED, _ALL = 0x01, 0xFF
_DMTF = 1
_REMEDY = "give the report as the device's library returned it, from the request's first byte to the signature's last"


@dataclass(frozen=True, slots=True)
class Exchange:
    """Request and response cut into their fields; `fields` are the opaque ones in order."""

    signed: bytes
    signature: bytes
    nonce: bytes
    slot: int
    responder_nonce: bytes
    blocks: tuple[MeasurementBlock, ...]
    fields: tuple[tuple[int, bytes], ...]
    trailing: bytes


def looks_like(data: bytes) -> bool:
    """Whether bytes begin as an exchange does: three of the four octets that every one has; or as its response alone does."""
    marks = ((0, _VERSION), (1, _GET_MEASUREMENTS), (REQUEST_BYTES, _VERSION), (REQUEST_BYTES + 1, _MEASUREMENTS))
    return len(data) > REQUEST_BYTES + 1 and (sum(data[at] == mark for at, mark in marks) >= 3 or data.startswith(_RESPONSE))


def read_exchange(data: bytes, *, source: str) -> Exchange:
    """Cut an exchange into its fields.

    Raises:
        MalformedEvidence: it is cut off, or contradicts DSP0274 or itself.
    """
    if data.startswith(_RESPONSE):
        raise MalformedEvidence("a MEASUREMENTS response without the request before it, over which the device signed too", where=source, remedy=_REMEDY)
    at = Cursor(data, source=source)
    _expect(at, (_VERSION, _GET_MEASUREMENTS, _SIGNED, _ALL), "GET_MEASUREMENTS request of SPDM 1.1 for all measurements, signed")
    nonce = at.take(NONCE_BYTES, "the requester's nonce")
    slot = _slot(at)
    _expect(at, (_VERSION, _MEASUREMENTS, 0), "MEASUREMENTS response of SPDM 1.1")
    _slot(at)
    count = at.number(1, "the number of blocks")
    blocks = _blocks(_part(at, 3, "the measurement record"), count)
    responder_nonce = at.take(NONCE_BYTES, "the responder's nonce")
    fields = _fields(_part(at, 2, "the opaque data"))
    signed = data[: at.at]
    signature = at.take(SIGNATURE_BYTES, "the signature")
    return Exchange(signed, signature, nonce, slot, responder_nonce, blocks, fields, at.rest())


def _part(at: Cursor, size: int, name: str) -> Cursor:
    """A part that begins with its own length."""
    length = at.number(size, f"the length of {name}")
    base = at.at
    return Cursor(at.take(length, name), source=at.source, base=base)


def _blocks(at: Cursor, count: int) -> tuple[MeasurementBlock, ...]:
    """The blocks of a measurement record (DSP0274 1.1.1 tables 44 and 45)."""
    found: dict[int, MeasurementBlock] = {}
    while at.at < len(at.data):
        index = at.number(1, "a measurement's index")
        if not index or index in found:
            raise at.fault(f"measurement index {index}, which is {'there twice' if index else 'reserved'}", remedy=_REMEDY)
        specification = at.number(1, "the measurement specification")
        if specification != _DMTF:
            raise at.fault(f"measurement {index} follows specification {specification}, where DMTF's, {_DMTF}, is the only one", remedy=_REMEDY)
        outer, kind, inner = at.number(2, "a block's size"), at.number(1, "a value's type"), at.number(2, "a value's size")
        if outer != inner + 3:
            raise at.fault(f"measurement {index} has {outer} bytes for a value of {inner}, where three more than the value are right", remedy=_REMEDY)
        found[index] = MeasurementBlock(index, kind, at.take(inner, f"measurement {index}"))
    if len(found) != count or not found:
        raise at.fault(f"{count} measurement blocks are announced, {len(found)} are there", remedy=_REMEDY)
    return tuple(found.values())


def _fields(at: Cursor) -> tuple[tuple[int, bytes], ...]:
    found: dict[int, bytes] = {}
    while at.at < len(at.data):
        number, size = at.number(2, "an opaque field's type"), at.number(2, "an opaque field's size")
        if number in found:
            raise at.fault(f"opaque field {number} is there twice", remedy=_REMEDY)
        found[number] = at.take(size, f"opaque field {number}")
    return tuple(found.items())


def _slot(at: Cursor) -> int:
    slot = at.number(1, "the slot")
    if slot & 0xF0:
        raise at.fault(f"the slot is {slot:#04x}, whose upper half is reserved", remedy=_REMEDY)
    return slot


def _expect(at: Cursor, octets: tuple[int, ...], what: str) -> None:
    found = at.take(len(octets), f"a {what}")
    if found != bytes(octets):
        raise at.fault(f"{found.hex()} begins no {what} ({bytes(octets).hex()})", remedy=_REMEDY)
