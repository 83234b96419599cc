"""Intel quotes of versions 3, 4 and 5, and TDREPORTs, from bytes or from Trustee's JSON (Intel TDX DCAP Quoting Library API, appendix A.3 and A.4).

A quote's length fields must account for every byte of its signature data. What stands after its stated end is tolerated and told: firmware
and cloud providers hand out buffers that are larger than the quote in them.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace

from simkit.errors import MalformedEvidence
from simkit.formats.evidence.certificates import MOST, read_certificate
from simkit.formats.evidence.cursor import Cursor
from simkit.formats.evidence.encoding import Content, unbase64, unhex_or_base64
from simkit.formats.evidence.event_log import read_log
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.evidence import Statement
from simkit.model.evidence.tdx import SGX, TDX, EnclaveReport, Quote, QuoteHeader, TdBody, TdExtension, TdReport

VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
"""The only QE vendor that there is: Intel."""
ECDSA_P256 = 2
QE_REPORT, PPID_ONLY, CHAIN = 6, (1, 2, 3), 5
"""Types of certification data (A.3.9): the quoting enclave's report; a PCK named by its PPID; the PCK's chain in PEM."""
BODIES = {1: (SGX, 384), 2: (TDX, 584), 3: (TDX, 648), 4: (TDX, 885)}
"""Body type -> TEE type and size (A.4)."""
TDREPORT = 1024
_CHAIN = re.compile(rb"(?:-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/=]{1,76}\r?\n)+-----END CERTIFICATE-----(?:\r?\n\0?\Z|\r?\n(?=-)|\Z))+")
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\r\n]+)-----END")


def recognise(content: Content) -> bool:
    """A quote by two of its header's three marks, a TDREPORT by its size, Trustee's evidence by its member `quote`."""
    if isinstance(content, bytes):
        return _is_quote(content) or _may_be_report(content)
    return isinstance(content, dict) and isinstance(content.get("quote"), str) and not {"hcl_report", "td_quote"} & content.keys()


def _is_quote(data: bytes) -> bool:
    marks = (data[:2] in (b"\3\0", b"\4\0", b"\5\0") and data[2:4] in (b"\2\0", b"\3\0"), data[4:8] in (bytes(4), b"\x81\0\0\0"), data[12:28] == VENDOR)
    return len(data) >= 48 and sum(marks) >= 2


def _may_be_report(data: bytes) -> bool:
    return len(data) == TDREPORT and data[:2] != b"\x30\x82" and any(byte > 0x7F for byte in data)


def read(content: Content, *, source: str) -> tuple[tuple[Statement, ...], tuple[str, ...]]:
    """The quote or TDREPORT of a file, and a note on bytes after its end.

    Raises:
        MalformedEvidence: it is cut off, contradicts itself, or is of a version or kind that nobody has defined.
    """
    if not isinstance(content, bytes):
        assert isinstance(content, dict)
        quote = read_quote(unhex_or_base64(content["quote"], source=f"{source}, quote"), source=f"{source}, quote")
        log = content.get("cc_eventlog")
        if log is not None and not isinstance(log, str):
            raise MalformedEvidence("cc_eventlog is no text", where=source, remedy="give the CCEL in base64, or null")
        if log:
            quote = replace(quote, event_log=read_log(unbase64(log, source=f"{source}, cc_eventlog"), source=f"{source}, cc_eventlog"))
        beside = sorted(content.keys() - {"quote", "cc_eventlog"})
        return (quote,), (*_notes(quote), *((f"nothing was done with what stands beside the quote: {', '.join(beside)[:200]}",) if beside else ()))
    if not _is_quote(content):
        return (read_report(content, source=source),), ()
    quote = read_quote(content, source=source)
    return (quote,), _notes(quote)


def _notes(quote: Quote) -> tuple[str, ...]:
    if not quote.trailing:
        return ()
    return (f"{len(quote.trailing)} bytes after the end of the quote, {'not all' if any(quote.trailing) else 'all'} zero: nothing vouches for them",)


def read_quote(data: bytes, *, source: str) -> Quote:
    """A quote from its bytes.

    Raises:
        MalformedEvidence: as `read`.
    """
    cursor = Cursor(data, source=source)
    header = _header(cursor)
    kind = _body_type(cursor, header)
    body = _td_body(cursor, kind) if BODIES[kind][0] == TDX else read_enclave_report(cursor)
    signed = data[: cursor.at]
    size = cursor.number(4, "the length of the signature data")
    start = cursor.at
    auth = Cursor(cursor.take(size, "the signature data"), source=source, base=start)
    signature, key = auth.take(64, "the quote's signature"), auth.take(64, "the attestation key")
    if header.version > 3:
        if (found := auth.number(2, "the type of certification data")) != QE_REPORT:
            raise auth.fault(f"certification data of type {found}, where version {header.version} has type {QE_REPORT}")
        size = auth.number(4, "the length of the certification data")
        start = auth.base + auth.at
        inner = Cursor(auth.take(size, "the certification data"), source=source, base=start)
        auth.end("the signature data")
        auth = inner
    report, report_signature = read_enclave_report(auth), auth.take(64, "the signature of the quoting enclave's report")
    told = auth.take(auth.number(2, "the length of the QE authentication data"), "the QE authentication data")
    certification, certificates = _certification(auth)
    return Quote(header, kind, body, signed, signature, key, report, report_signature, told, certification, certificates, cursor.rest())


def _header(cursor: Cursor) -> QuoteHeader:
    version, key_type, tee = cursor.number(2, "the version"), cursor.number(2, "the attestation key type"), cursor.number(4, "the TEE type")
    if version not in (3, 4, 5):
        raise cursor.fault(f"quote version {version}, where 3, 4 and 5 are defined")
    if key_type != ECDSA_P256:
        raise cursor.fault(f"attestation key type {key_type}, where Intel's quoting enclaves sign with {ECDSA_P256} (ECDSA P-256)")
    if tee not in (SGX, TDX) or (version == 3 and tee != SGX):
        raise cursor.fault(f"TEE type {tee:#x} in a quote of version {version}")
    header = QuoteHeader(version, key_type, tee, cursor.number(2, "QE SVN"), cursor.number(2, "PCE SVN"), cursor.take(16, "the QE vendor"),
                         cursor.take(20, "the user data"))
    if header.qe_vendor_id != VENDOR:
        raise cursor.fault(f"QE vendor {header.qe_vendor_id.hex()}, which is not Intel ({VENDOR.hex()})")
    return header


def _body_type(cursor: Cursor, header: QuoteHeader) -> int:
    if header.version < 5:
        return 1 if header.tee_type == SGX else 2
    kind, size = cursor.number(2, "the body type"), cursor.number(4, "the body size")
    if BODIES.get(kind) != (header.tee_type, size):
        raise cursor.fault(f"a body of type {kind} and {size} bytes in a quote of TEE type {header.tee_type:#x}")
    return kind


def read_enclave_report(cursor: Cursor) -> EnclaveReport:
    """An SGX report body, 384 bytes (Intel SDM table 39-21); its reserved fields must be zero."""
    raw = cursor.data[cursor.at : cursor.at + 384]
    cpu_svn, misc_select = cursor.take(16, "CPUSVN"), cursor.take(4, "MISCSELECT")
    cursor.zero(12, "a reserved field of the enclave's report")
    product, attributes, enclave = cursor.take(16, "ISVEXTPRODID"), cursor.take(16, "ATTRIBUTES"), cursor.take(32, "MRENCLAVE")
    cursor.zero(32, "a reserved field of the enclave's report")
    signer = cursor.take(32, "MRSIGNER")
    cursor.zero(32, "a reserved field of the enclave's report")
    config, prod_id, isv_svn, config_svn = cursor.take(64, "CONFIGID"), *(cursor.number(2, name) for name in ("ISVPRODID", "ISVSVN", "CONFIGSVN"))
    cursor.zero(42, "a reserved field of the enclave's report")
    return EnclaveReport(raw, cpu_svn, misc_select, product, attributes, enclave, signer, config, prod_id, isv_svn, config_svn,
                         cursor.take(16, "ISVFAMILYID"), cursor.take(64, "REPORTDATA"))


def _td_body(cursor: Cursor, kind: int) -> TdBody:
    def one(size: int, name: str) -> bytes:
        return cursor.take(size, name)

    body = TdBody(one(16, "TEE_TCB_SVN"), one(48, "MRSEAM"), one(48, "MRSIGNERSEAM"), one(8, "SEAMATTRIBUTES"), one(8, "TDATTRIBUTES"), one(8, "XFAM"),
                  one(48, "MRTD"), one(48, "MRCONFIGID"), one(48, "MROWNER"), one(48, "MROWNERCONFIG"),
                  (one(48, "RTMR0"), one(48, "RTMR1"), one(48, "RTMR2"), one(48, "RTMR3")), one(64, "REPORTDATA"))
    if kind > 2:
        body = replace(body, tee_tcb_svn_2=one(16, "TEE_TCB_SVN_2"), mr_service_td=one(48, "MRSERVICETD"))
    if kind > 3:
        sizes = (1, 32, 48, 48, 8, 16, 16, 12, 48, 8)
        body = replace(body, extension=TdExtension(*(one(size, "the extended TD report") for size in sizes)))
    return body


def _certification(cursor: Cursor) -> tuple[int, tuple[Certificate, ...]]:
    kind = cursor.number(2, "the type of certification data")
    size = cursor.number(4, "the length of the certification data")
    where = f"{cursor.source}, byte {cursor.base + cursor.at}"
    data = cursor.take(size, "the certification data")
    cursor.end("the certification data")
    if kind in PPID_ONLY:
        return kind, ()
    if kind != CHAIN:
        raise MalformedEvidence(f"certification data of type {kind}, where {PPID_ONLY} and {CHAIN} are in use", where=where)
    if not (ders := _side_by_side(data)) and not _CHAIN.fullmatch(data):
        raise MalformedEvidence("the PCK's chain is not certificates, in PEM or DER, and nothing else", where=where)
    blocks = ders or [b"".join(body.split()) for body in _BLOCK.findall(data)]
    if len(blocks) > MOST:
        raise MalformedEvidence(f"{len(blocks)} certificates, where a PCK's chain has 3", where=where)
    return kind, tuple(read_certificate(each if ders else _canonical(each, where), source=where, number=number) for number, each in enumerate(blocks, 1))


def _side_by_side(data: bytes) -> list[bytes]:
    """Certificates in DER, one after the other to the end, as the quotes have them that Intel makes for its own library's samples; else nothing."""
    found, at = [], 0
    while data[at : at + 2] == b"\x30\x82":
        found.append(data[at : at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")])
        at += len(found[-1])
    return found if at == len(data) else []


def _canonical(text: bytes, where: str) -> bytes:
    """Bytes of base64 whose unused bits are zero (RFC 4648 §3.5), so that one certificate has one writing."""
    der = unbase64(text.decode(), source=where)
    if base64.b64encode(der) != text:
        raise MalformedEvidence("a certificate in base64 that is not canonical", where=where)
    return der


def read_report(data: bytes, *, source: str) -> TdReport:
    """A TDREPORT_STRUCT (Intel TDX module ABI): its three parts as they stand, judged by nobody yet.

    Raises:
        MalformedEvidence: it has not 1,024 bytes.
    """
    cursor = Cursor(data, source=source)
    mac = Cursor(cursor.take(256, "REPORTMACSTRUCT"), source=source)
    tcb, gap, info = cursor.take(239, "TEE_TCB_INFO"), cursor.take(17, "a reserved field"), cursor.take(512, "TDINFO_STRUCT")
    cursor.end("the TDREPORT")
    kind, reserved, cpu_svn = mac.take(4, "REPORTTYPE"), mac.take(12, "a reserved field"), mac.take(16, "CPUSVN")
    tcb_hash, info_hash, report_data = mac.take(48, "TEE_TCB_INFO_HASH"), mac.take(48, "TEE_INFO_HASH"), mac.take(64, "REPORTDATA")
    later = kind[2] > 0
    rtmrs = (info[208:256], info[256:304], info[304:352], info[352:400])
    body = TdBody(tcb[8:24], tcb[24:72], tcb[72:120], tcb[120:128], info[:8], info[8:16], info[16:64], info[64:112], info[112:160], info[160:208], rtmrs,
                  report_data, tcb[128:144] if later else None, info[400:448] if later else None)
    return TdReport(kind, reserved + gap + mac.take(32, "a reserved field"), cpu_svn, tcb_hash, info_hash, tcb, info, body)
