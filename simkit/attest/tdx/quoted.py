"""`signature` and `hwid` of a quote: the attestation key signed it, the quoting enclave made that key, the platform's PCK signed the enclave's report.

Intel, DCAP QVL API §4.1.2.4.12 to .16. Beyond Intel's QVL, the second half of the report data must be zero, and where no enclave identity is
given the quoting enclave must still be Intel's by its MRSIGNER: any other enclave of a genuine platform can get a report signed by a PCK too.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType

from simkit.attest.signature import der_of, key_of_point, verifies
from simkit.model.evidence.certificate import Algorithm, Certificate
from simkit.model.evidence.check import Check, CheckId, fail, ok, skipped
from simkit.model.evidence.tdx import SGX, TDX, Quote

P256 = Algorithm.ECDSA_P256_SHA256
INTEL_QE = MappingProxyType({
    SGX: (bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"), 1),
    TDX: (bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"), 2)})
"""MRSIGNER and ISVPRODID of Intel's quoting enclaves, by TEE type (Intel PCS, /sgx and /tdx certification v4, qe/identity)."""


def signs(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether r and s, 32 bytes each and big-endian, are a signature by a P-256 key."""
    return verifies(P256, public_key, der_of(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")), message)


def vouched_for(quote: Quote, pck: Certificate) -> bool:
    """Whether the PCK signed the quoting enclave's report."""
    return signs(pck.public_key, quote.qe_report_signature, quote.qe_report.raw)


def signature_check(quote: Quote, pck: Certificate | None, *, identified: bool) -> Check:
    """The three signatures and bindings from the quote to the PCK; `identified` says that a QE identity was given, which judges the enclave."""
    fault = _quote_fault(quote) or _enclave_fault(quote, identified=identified)
    if fault:
        return fail(CheckId.SIGNATURE, fault)
    if pck is None:
        return skipped(CheckId.SIGNATURE, f"the quote names its PCK by PPID only (certification data of type {quote.certification_type}), and none was given: "
                                          "give the PCK certificate as --chain")
    if not vouched_for(quote, pck):
        return fail(CheckId.SIGNATURE, "the report of the quoting enclave is not signed by the PCK")
    return ok(CheckId.SIGNATURE, f"header and body ({len(quote.signed)} bytes) are signed by the attestation key {quote.attestation_key.hex()[:16]}…, "
                                 f"which the quoting enclave (ISVSVN {quote.qe_report.isv_svn}) reports and whose report the PCK signed")


def hwid_check(quote: Quote, pck: Certificate | None) -> Check:
    """`hwid`: the platform that the PCK certificate names is the one whose quoting enclave spoke."""
    if pck is None or pck.sgx is None:
        return skipped(CheckId.HWID, "there is no PCK certificate that would name the platform")
    name = f"PPID {pck.sgx.ppid.hex()[:16]}…, FMSPC {pck.sgx.fmspc.hex()}"
    if not vouched_for(quote, pck):
        return fail(CheckId.HWID, f"the PCK certificate is of another platform ({name}) than the one that signed")
    return ok(CheckId.HWID, f"signed on the platform that the PCK certificate names: {name}")


def _quote_fault(quote: Quote) -> str:
    key = key_of_point(P256, quote.attestation_key[:32], quote.attestation_key[32:])
    if key is None:
        return "the attestation key is no point of P-256"
    if not signs(key, quote.signature, quote.signed):
        return f"header and body ({len(quote.signed)} bytes) are not signed by the quote's attestation key {quote.attestation_key.hex()[:16]}…"
    return ""


def _enclave_fault(quote: Quote, *, identified: bool) -> str:
    report = quote.qe_report
    bound = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest() + bytes(32)
    if report.report_data != bound:
        return (f"the quoting enclave reports {report.report_data.hex()[:16]}…, where the digest of attestation key and authentication data, "
                f"then zeros, is {bound.hex()[:16]}…")
    signer, product = INTEL_QE[quote.header.tee_type]
    if not identified and (report.mr_signer, report.isv_prod_id) != (signer, product):
        return (f"the quoting enclave (MRSIGNER {report.mr_signer.hex()[:16]}…, ISVPRODID {report.isv_prod_id}) is not Intel's "
                f"({signer.hex()[:16]}…, {product}), and no QE identity was given that would say otherwise")
    return ""
