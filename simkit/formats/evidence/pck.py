"""Intel's SGX extension of PCK certificates, from DER (Intel, SGX PCK Certificate and CRL Profile, §1.3.5; X.690 §8, §10)."""

from __future__ import annotations

from collections.abc import Iterable

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.der import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, elements, inside
from simkit.model.evidence.pck import PckExtension

OID = "1.2.840.113741.1.13.1"
_PREFIX = bytes.fromhex("2a864886f84d010d01")
"""The same, as the content of an OBJECT IDENTIFIER."""
_BOOLEAN, _ENUMERATED = 0x01, 0x0A
Field = tuple[int, bytes]


def read_pck_extension(der: bytes, *, source: str) -> PckExtension:
    """The extension's values.

    Raises:
        MalformedEvidence: it is no DER, or a field is missing, there twice, of another type or of another length.
    """
    try:
        fields = _fields(inside(der, SEQUENCE), _PREFIX)
        tcb = _fields(elements(_value(fields[2], SEQUENCE)), _PREFIX + b"\2")
        configuration = _fields(elements(_value(fields[7], SEQUENCE)), _PREFIX + b"\7") if 7 in fields else {}
        return PckExtension(
            ppid=_octets(fields[1], 16), components=tuple(_integer(tcb[number], 1) for number in range(1, 17)), pce_svn=_integer(tcb[17], 2),
            cpu_svn=_octets(tcb[18], 16), pce_id=_octets(fields[3], 2), fmspc=_octets(fields[4], 6), sgx_type=_integer(fields[5], 1, _ENUMERATED),
            platform_instance_id=_octets(fields[6], 16) if 6 in fields else None, dynamic_platform=_boolean(configuration.get(1)),
            cached_keys=_boolean(configuration.get(2)), smt_enabled=_boolean(configuration.get(3)))
    except KeyError as missing:
        raise MalformedEvidence(f"the SGX extension has no field {OID}.{missing}", where=source) from None
    except ValueError as error:
        raise MalformedEvidence(f"the SGX extension: {error}", where=source) from None


def _fields(pairs: Iterable[Field], prefix: bytes) -> dict[int, Field]:
    """The arc below `prefix` of each identifier in a sequence of pairs, with tag and content of its value."""
    found: dict[int, Field] = {}
    for pair in pairs:
        parts = elements(_value(pair, SEQUENCE))
        if len(parts) != 2:
            raise ValueError("an entry that is not an identifier and a value")
        name = _value(parts[0], OBJECT_IDENTIFIER)
        if name[:-1] != prefix or name[-1] in found:
            raise ValueError(f"the identifier {name.hex()} is not one of {prefix.hex()}, or there twice")
        found[name[-1]] = parts[1]
    return found


def _value(field: Field, tag: int) -> bytes:
    if field[0] != tag or not field[1]:
        raise ValueError(f"a field of DER type {field[0]:#04x}, where {tag:#04x} is expected, or an empty one")
    return field[1]


def _octets(field: Field, size: int) -> bytes:
    value = _value(field, OCTET_STRING)
    if len(value) != size:
        raise ValueError(f"{len(value)} octets, where the field has {size}")
    return value


def _integer(field: Field, size: int, tag: int = INTEGER) -> int:
    """A number of at most `size` bytes, never negative."""
    value = _value(field, tag)
    number = int.from_bytes(value, "big", signed=True)
    if not 0 <= number < 1 << (8 * size) or (len(value) > 1 and value[0] == 0 and value[1] < 0x80):
        raise ValueError(f"the number {value.hex()} is out of range or not in its shortest form")
    return number


def _boolean(field: Field | None) -> bool | None:
    if field is None:
        return None
    value = _value(field, _BOOLEAN)
    if value not in (b"\x00", b"\xff"):
        raise ValueError("a truth value that is neither")
    return value == b"\xff"
