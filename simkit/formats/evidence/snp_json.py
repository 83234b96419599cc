"""Trustee's JSON of SEV-SNP evidence: the report as numbers, from which the signed bytes are built anew, and its certificates.

As virtee/sev@9cf2adb writes a report (src/firmware/guest/types/snp.rs, `Encoder`), which Trustee@78962cd verifies so
(deps/verifier/src/snp/mod.rs, `SnpEvidence`): reserved bytes zero, TCBs by the product's layout.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificate_table import NAMES, Entry
from simkit.formats.evidence.snp_report import SIGNED, SIZE
from simkit.model.evidence.snp import product_of

if TYPE_CHECKING:
    from uuid import UUID

_BY_NAME = {name: guid for guid, name in NAMES.items()}
_ARRAYS = {"family_id": (0x10, 16), "image_id": (0x20, 16), "report_data": (0x50, 64), "measurement": (0x90, 48), "host_data": (0xC0, 32),
           "id_key_digest": (0xE0, 48), "author_key_digest": (0x110, 48), "report_id": (0x140, 32), "report_id_ma": (0x160, 32), "chip_id": (0x1A0, 64)}
_NUMBERS = {"version": (0x00, "<I"), "guest_svn": (0x04, "<I"), "policy": (0x08, "<Q"), "vmpl": (0x30, "<I"), "sig_algo": (0x34, "<I"),
            "plat_info": (0x40, "<Q"), "key_info": (0x48, "<I")}
_OPTIONAL = {"cpuid_fam_id": (0x188, "<B"), "cpuid_mod_id": (0x189, "<B"), "cpuid_step": (0x18A, "<B"), "launch_mit_vector": (0x1F8, "<Q"),
             "current_mit_vector": (0x200, "<Q")}
_TCBS = {"current_tcb": 0x38, "reported_tcb": 0x180, "committed_tcb": 0x1E0, "launch_tcb": 0x1F0}
_VERSIONS = {"current": 0x1E8, "committed": 0x1EC}
_SINCE = {"cpuid_fam_id": 3, "cpuid_mod_id": 3, "cpuid_step": 3, "launch_mit_vector": 5, "current_mit_vector": 5}
_NEEDED = frozenset({*_ARRAYS, *_NUMBERS, *_TCBS, *_VERSIONS, "signature"})


def report_bytes(value: object, *, source: str) -> bytes:
    """The 1,184 bytes of which `attestation_report` has the numbers.

    Raises:
        MalformedEvidence: a field is missing, unknown, out of range or of another type.
    """
    where = f"{source}#attestation_report"
    fields = _object(value, _NEEDED, frozenset(_OPTIONAL), where)
    data = bytearray(SIZE)
    for name, (at, form) in _NUMBERS.items():
        _put(data, at, form, fields[name], f"{where}.{name}")
    version = fields["version"]
    for name, (at, form) in _OPTIONAL.items():
        if (given := fields.get(name)) is None:
            continue
        if version < _SINCE[name]:
            raise MalformedEvidence(f"{name} in a report of version {version}, which has no such field", where=f"{where}.{name}", remedy="give it unchanged")
        _put(data, at, form, given, f"{where}.{name}")
    for name, (at, size) in _ARRAYS.items():
        data[at : at + size] = octets(fields[name], size, f"{where}.{name}")
    turin = _turin_like(data, fields, where)
    for name, at in _TCBS.items():
        data[at : at + 8] = _tcb(fields[name], f"{where}.{name}", turin=turin)
    for name, at in _VERSIONS.items():
        parts = _object(fields[name], frozenset({"major", "minor", "build"}), frozenset(), f"{where}.{name}")
        for offset, part in enumerate(("build", "minor", "major")):
            _put(data, at + offset, "<B", parts[part], f"{where}.{name}.{part}")
    halves = _object(fields["signature"], frozenset({"r", "s"}), frozenset(), f"{where}.signature")
    data[SIGNED : SIGNED + 72] = octets(halves["r"], 72, f"{where}.signature.r")
    data[SIGNED + 72 : SIGNED + 144] = octets(halves["s"], 72, f"{where}.signature.s")
    return bytes(data)


def chain_entries(value: object, *, source: str) -> tuple[Entry, ...]:
    """The entries of `cert_chain`, which may be null.

    Raises:
        MalformedEvidence: it is no list of {cert_type, data}.
    """
    if value is None:
        return ()
    where = f"{source}#cert_chain"
    if not isinstance(value, list) or len(value) > 32:
        raise MalformedEvidence("cert_chain must be a list of at most 32 certificates, or null", where=where, remedy="give it as the attester sent it")
    found = []
    for number, each in enumerate(value):
        parts = _object(each, frozenset({"cert_type", "data"}), frozenset(), f"{where}[{number}]")
        found.append(Entry(_guid(parts["cert_type"], f"{where}[{number}].cert_type"), octets(parts["data"], None, f"{where}[{number}].data")))
    return tuple(found)


def _guid(value: object, where: str) -> UUID:
    """A name of virtee's `CertType`, or {"OTHER": uuid}; Empty is a GUID of zeros."""
    from uuid import UUID

    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    if value == "Empty":
        return UUID(int=0)
    if isinstance(value, dict) and list(value) == ["OTHER"] and isinstance(value["OTHER"], str):
        try:
            return UUID(value["OTHER"])
        except ValueError:
            pass
    raise MalformedEvidence("a kind of certificate that virtee's CertType does not have", where=where, remedy=f"known are {', '.join(_BY_NAME)} and OTHER")


def _turin_like(data: bytearray, fields: dict[str, Any], where: str) -> bool:
    """Whether TCBs begin with the FMC: by the CPUID from version 3 on, by the length of the chip id before; all four as one."""
    with_fmc = {isinstance(fields[name], dict) and fields[name].get("fmc") is not None for name in _TCBS}
    if len(with_fmc) > 1:
        raise MalformedEvidence("some TCBs have an FMC and others have none", where=where, remedy="give the report unchanged")
    if fields["version"] >= 3:
        product = product_of(data[0x188], data[0x189])
        expected = product is not None and product.short_chip_id
    else:
        expected = any(data[0x1A0:0x1A8]) and not any(data[0x1A8:0x1E0])
    if expected not in with_fmc:
        raise MalformedEvidence(f"the TCBs have {'no' if expected else 'an'} FMC, which does not suit the processor", where=where,
                                remedy="give the report unchanged")
    return expected


def _tcb(value: object, where: str, *, turin: bool) -> bytes:
    parts = _object(value, frozenset({"bootloader", "tee", "snp", "microcode"}), frozenset({"fmc"}), where)
    order = ("fmc", "bootloader", "tee", "snp", None, None, None, "microcode") if turin else ("bootloader", "tee", None, None, None, None, "snp", "microcode")
    data = bytearray(8)
    for at, name in enumerate(order):
        if name is not None:
            _put(data, at, "<B", parts[name], f"{where}.{name}")
    return bytes(data)


def _object(value: object, needed: frozenset[str], optional: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedEvidence("a JSON object is expected", where=where, remedy="give the evidence as Trustee's attester writes it")
    missing, unknown = needed - set(value), set(value) - needed - optional
    if missing or unknown:
        what = f"has no {', '.join(sorted(missing))}" if missing else f"has fields that are not known: {', '.join(sorted(unknown))[:200]}"
        raise MalformedEvidence(f"the object {what}", where=where, remedy="give the evidence as Trustee's attester writes it")
    return value


def _put(data: bytearray, at: int, form: str, value: object, where: str) -> None:
    size = {"<B": 1, "<I": 4, "<Q": 8}[form]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 8 * size:
        raise MalformedEvidence(f"a whole number of {size} bytes is expected", where=where, remedy="give the evidence as Trustee's attester writes it")
    data[at : at + size] = pack(form, value)


def octets(value: object, size: int | None, where: str) -> bytes:
    """Bytes from a list of numbers, of a size where one is given.

    Raises:
        MalformedEvidence: it is none.
    """
    if isinstance(value, list) and (size is None or len(value) == size) and all(isinstance(each, int) and not isinstance(each, bool) for each in value):
        try:
            return bytes(value)
        except ValueError:
            pass
    raise MalformedEvidence(f"a list of {'' if size is None else f'{size} '}bytes as numbers is expected", where=where,
                            remedy="give the evidence as Trustee's attester writes it")
