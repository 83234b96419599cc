"""SEV-SNP evidence in all its clothes: a report, an extended report with its table of certificates, the firmware's response, Trustee's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificate_table import Entry, read_table, recognise_table
from simkit.formats.evidence.certificates import MOST, read_certificates
from simkit.formats.evidence.snp_json import chain_entries, report_bytes
from simkit.formats.evidence.snp_report import SIZE, read_report
from simkit.model.evidence.snp import SnpEvidence

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.formats.evidence.source import Support
    from simkit.model.evidence.certificate import Certificate

_RESPONSE = SIZE.to_bytes(4, "little")
_HEADER = 32
"""MSG_REPORT_RSP (AMD 56860): status, size of the report, 24 reserved bytes."""
_HIGHEST = 15
"""A first integer up to this is taken for a report's version, and refused by name where it is not one that is known."""


def recognise(content: Content) -> bool:
    """Whether bytes begin with a small version or have a report's very length, or JSON has an `attestation_report`."""
    if isinstance(content, bytes):
        version = int.from_bytes(content[:4], "little") if len(content) >= 4 else 0
        return 0 < version <= _HIGHEST or (len(content) == SIZE and content[:2] != b"\x30\x82") or _is_response(content)
    return isinstance(content, dict) and "attestation_report" in content


def read(content: Content, *, source: str) -> tuple[tuple[SnpEvidence, ...], tuple[str, ...]]:
    """One statement, and what was tolerated.

    Raises:
        MalformedEvidence: the report or what comes with it contradicts its format.
    """
    if isinstance(content, bytes):
        return _binary(content, source)
    assert isinstance(content, dict)
    if unknown := set(content) - {"attestation_report", "cert_chain"}:
        raise MalformedEvidence(f"fields that Trustee's SEV-SNP evidence does not have: {', '.join(sorted(unknown))[:200]}", where=source,
                                remedy="give attestation_report and cert_chain")
    report = read_report(report_bytes(content["attestation_report"], source=source), source=source)
    certificates, notes = _certificates(chain_entries(content.get("cert_chain"), source=source), source)
    return (SnpEvidence(report, certificates, "Trustee's JSON, its bytes built anew"),), notes


def recognise_support(content: Content) -> bool:
    """Whether a file is a table of certificates alone, as the kernel's configfs gives it (`auxblob`)."""
    return isinstance(content, bytes) and recognise_table(content)


def read_support(content: Content, *, source: str) -> Support:
    """The certificates of a table; one that cannot be read is a fault here, as it was given as a link of the chain."""
    from simkit.formats.evidence.source import Support

    assert isinstance(content, bytes)
    entries, _ = read_table(content, source=source)
    return Support(certificates=_certificates(entries, source)[0])


def _binary(content: bytes, source: str) -> tuple[tuple[SnpEvidence, ...], tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if _is_response(content):
        content, notes = content[_HEADER:], ("the report was inside the firmware's response to MSG_REPORT_REQ",)
    report, rest = read_report(content, source=source), content[SIZE:]
    if not rest.strip(b"\0"):
        return (SnpEvidence(report, trailing=len(rest)),), notes if not rest else (*notes, f"{len(rest)} trailing bytes after the report, all zero")
    if not recognise_table(rest):
        raise MalformedEvidence(f"{len(rest)} bytes after the report, which are no table of certificates", where=f"{source}, byte {SIZE:#x}",
                                remedy="give the report alone, or with the table that came with it")
    entries, behind = read_table(rest, source=source, base=SIZE)
    certificates, said = _certificates(entries, source)
    trailing = (f"{behind} trailing bytes after the last certificate",) if behind else ()
    return (SnpEvidence(report, certificates, "an extended report with its certificates", behind),), (*notes, *said, *trailing)


def _certificates(entries: tuple[Entry, ...], source: str) -> tuple[tuple[Certificate, ...], tuple[str, ...]]:
    """Certificates of the kinds that a chain has; of others a note. A list that the attester brings is not the verifier's."""
    found: list[Certificate] = []
    notes = []
    for entry in entries:
        if entry.name in ("VCEK", "VLEK", "ASK", "ARK"):
            found += read_certificates(entry.data, source=f"{source}#{entry.name}")
        elif entry.name == "CRL":
            notes.append("a revocation list came with the report and is not counted: who presents evidence may present an old one; give it as --collateral")
        elif entry.guid.int:
            notes.append(f"{len(entry.data)} bytes under {entry.guid}, which is no certificate that is known")
        if len(found) > MOST:
            raise MalformedEvidence(f"over {MOST} certificates beside one report", where=source, remedy="a chain has three")
    return tuple(found), tuple(notes)


def _is_response(content: bytes) -> bool:
    return len(content) >= _HEADER + SIZE and content[:_HEADER] == bytes(4) + _RESPONSE + bytes(24)
