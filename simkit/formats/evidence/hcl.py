"""Azure's HCL reports: the blob of the vTPM's NV index 0x01400001, and Trustee's JSON around it (versions 0, 1, 2; SEV-SNP and TDX).

JSON: confidential-containers/trustee@78962cd, deps/verifier/src/az_snp_vtpm/compat.rs and az_tdx_vtpm/compat.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simkit.errors import MalformedEvidence
from simkit.formats.evidence import tdx, tpm_quote
from simkit.formats.evidence.certificates import read_certificates
from simkit.formats.evidence.encoding import unbase64
from simkit.formats.evidence.hcl_blob import MAGIC, NV_INDEX_BYTES, REPORT, RUNTIME, SNP, TD_REPORT_BYTES, hexadecimal, read_blob
from simkit.formats.evidence.snp_json import octets
from simkit.formats.evidence.snp_report import read_report
from simkit.model.evidence.hcl import HclEvidence, TpmQuote
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import Quote, TdReport

if TYPE_CHECKING:
    from simkit.formats.evidence.encoding import Content
    from simkit.formats.evidence.source import Support
    from simkit.model.evidence.certificate import Certificate

_SNP_JSON, _TDX_JSON = {"hcl_report", "tpm_quote", "vcek"}, {"hcl_report", "tpm_quote", "td_quote"}
_SNP_V0 = {"report", "quote", "vcek"}
Notes = tuple[str, ...]


def recognise(content: Content) -> bool:
    """Whether bytes begin with HCLA or fill the NV index with a JSON in its place, or JSON has the members of a version of Trustee's evidence."""
    if isinstance(content, bytes):
        return content.startswith(MAGIC) or (len(content) == NV_INDEX_BYTES and content[RUNTIME : RUNTIME + 1] == b"{")
    return isinstance(content, dict) and ("hcl_report" in content or set(content) >= _SNP_V0)


def read(content: Content, *, source: str) -> tuple[tuple[HclEvidence, ...], Notes]:
    """One statement, and what was tolerated.

    Raises:
        MalformedEvidence: blob, runtime data, quote or the hardware's report contradict their formats.
    """
    if isinstance(content, bytes):
        hcl, hardware, kind = read_blob(content, source)
        if kind == SNP:
            return (HclEvidence(SnpEvidence(read_report(hardware, source=f"{source}, byte {REPORT:#x} on"), (), "Azure's HCL report"), hcl),), ()
        inner, notes = _intel(hardware[:TD_REPORT_BYTES], f"{source}, byte {REPORT:#x} on")
        return (HclEvidence(inner, hcl),), notes
    assert isinstance(content, dict)
    return _json(content, source)


def recognise_support(content: Content) -> bool:
    """Whether a file is a TPM's quote, its message, or a signature alone (of an RSA key's length)."""
    return isinstance(content, bytes) and (tpm_quote.recognise_quote(content) or tpm_quote.recognise_signature(content))


def read_support(content: Content, *, source: str) -> Support:
    """The quote, or the signature that is to be one's."""
    from simkit.formats.evidence.source import Support

    assert isinstance(content, bytes)
    if tpm_quote.recognise_quote(content):
        return Support(tpm_quotes=(tpm_quote.read_file(content, source=source),))
    return Support(signatures=(content,))


def _json(content: dict[str, Any], source: str) -> tuple[tuple[HclEvidence, ...], Notes]:
    generation = content.get("version", 0)
    if type(generation) is not int or generation not in (0, 1, 2):
        raise MalformedEvidence("a version of Azure's evidence that is none of 0, 1 and 2", where=f"{source}#version", remedy="is there a newer simkit?")
    names = set(content) - {"version"}
    if generation == 0 and names == _SNP_V0:
        parts = {"hcl_report": content["report"], "tpm_quote": content["quote"], "vcek": content["vcek"]}
    elif names in (_SNP_JSON, _TDX_JSON):
        parts = content
    else:
        raise MalformedEvidence(f"members that no version of Azure's evidence has together: {', '.join(sorted(names))[:200]}", where=source,
                                remedy=f"it has {', '.join(sorted(_SNP_JSON))}, or td_quote in place of vcek")
    hcl, hardware, kind = read_blob(_octets(parts["hcl_report"], f"{source}#hcl_report"), f"{source}#hcl_report")
    quote = _quote(parts["tpm_quote"], f"{source}#tpm_quote")
    if ("vcek" in parts) != (kind == SNP):
        raise MalformedEvidence("the HCL report is of another kind of hardware than the evidence around it", where=f"{source}#hcl_report",
                                remedy="give it whole")
    form = f"Trustee's JSON of Azure's evidence, version {generation}"
    if kind == SNP:
        report = read_report(hardware, source=f"{source}#hcl_report, byte {REPORT:#x} on")
        inner: SnpEvidence | Quote | TdReport = SnpEvidence(report, _vcek(parts["vcek"], f"{source}#vcek"), form)
        return (HclEvidence(inner, hcl, quote, generation),), ()
    inner, notes = _intel(_octets(parts["td_quote"], f"{source}#td_quote"), f"{source}#td_quote")
    quoted = tdx.read_report(hardware[:TD_REPORT_BYTES], source=f"{source}#hcl_report, byte {REPORT:#x} on")
    return (HclEvidence(inner, hcl, quote, generation, quoted),), notes


def _quote(value: object, where: str) -> TpmQuote:
    """Message, signature and PCRs: lists of bytes in version 0, hex after it."""
    if not isinstance(value, dict) or set(value) != {"message", "signature", "pcrs"} or not isinstance(value["pcrs"], list) or len(value["pcrs"]) > 24:
        raise MalformedEvidence("a TPM quote that has not message, signature and at most 24 pcrs", where=where, remedy="give the evidence unchanged")
    message, signature = (_hex_or_octets(value[name], f"{where}.{name}") for name in ("message", "signature"))
    return tpm_quote.read_quote(message, signature, tuple(_hex_or_octets(each, f"{where}.pcrs") for each in value["pcrs"]), source=f"{where}.message")


def _vcek(value: object, where: str) -> tuple[Certificate, ...]:
    """PEM in version 0, base64 of DER after it."""
    if not isinstance(value, str):
        raise MalformedEvidence("a vcek that is no text", where=where, remedy="give the evidence unchanged")
    return read_certificates(value.encode("utf-8", "replace") if "-----BEGIN" in value else unbase64(value, source=where), source=where)


def _intel(data: bytes, source: str) -> tuple[Quote | TdReport, Notes]:
    if not tdx.recognise(data):
        raise MalformedEvidence("what stands for the hardware's statement is neither a TDX quote nor a TDREPORT", where=source, remedy="give it unchanged")
    statements, notes = tdx.read(data, source=source)
    inner = statements[0]
    assert isinstance(inner, Quote | TdReport)
    return inner, notes


def _octets(value: object, where: str) -> bytes:
    """A list of numbers (version 0) or base64."""
    return unbase64(value, source=where) if isinstance(value, str) else octets(value, None, where)


def _hex_or_octets(value: object, where: str) -> bytes:
    return hexadecimal(value, where) if isinstance(value, str) else octets(value, None, where)
