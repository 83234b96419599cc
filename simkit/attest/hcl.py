"""Azure's confidential VMs: the hardware's statement by its own rules, then what binds the guest's vTPM to it and the session to the vTPM.

The chain: the report's data begin with SHA-256 of the runtime data; these hold the vTPM's attestation key (HCLAkPub); that key signs a quote
over the PCRs, whose extraData are the session's nonce. Trustee@78962cd: deps/verifier/src/az_snp_vtpm/mod.rs, az_tdx_vtpm/mod.rs. The report
must be asked for at VMPL 0, by the paravisor: a guest above it could bind runtime data with a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from simkit.attest import snp, tdx
from simkit.attest.measurements import measurements_check
from simkit.attest.signature import verifies
from simkit.attest.tdx import report
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Algorithm
from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.hcl import HclEvidence, TpmQuote
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import TdBody

UNBOUND = b"challenge"
"""What the library's examples put into extraData: bound to no session (kinvolk/azure-cvm-tooling@e4e4407)."""
INIT_DATA_PCR = 8
_OURS = frozenset({CheckId.RUNTIME_DATA, CheckId.NONCE, CheckId.REPORT_DATA, CheckId.MEASUREMENTS})
_USER_DATA = 64


@dataclass(frozen=True, slots=True)
class Quoted:
    """The quote that counts, None where there is none, and what is wrong with it, empty where nothing is."""

    quote: TpmQuote | None
    fault: str


def device(evidence: HclEvidence) -> Device:
    """The hardware's device, with what the paravisor and the vTPM say."""
    inner = snp.device(evidence.inner) if isinstance(evidence.inner, SnpEvidence) else tdx.device(evidence.inner)
    hcl, quote = evidence.hcl, evidence.quote
    claims = {"hcl": {"version": hcl.version, "evidence_version": evidence.generation, "runtime_data_sha256": sha256(hcl.runtime_data).hexdigest(),
                      "user_data": None if hcl.user_data is None else hcl.user_data.hex(), "vm_configuration": dict(hcl.vm_configuration),
                      "attestation_key_sha256": sha256(hcl.attestation_key).hexdigest()}}
    if quote is not None:
        pcrs = {f"pcr{number:02}": value.hex() for number, value in zip(quote.selection or (), quote.pcrs, strict=False)}
        claims["tpm"] = {"extra_data": quote.extra_data.hex(), "qualified_signer": quote.qualified_signer.hex(), "clock_ms": quote.clock_ms,
                         "reset_count": quote.reset_count, "restart_count": quote.restart_count, "safe": quote.safe,
                         "firmware_version": f"{quote.firmware_version:#x}", "pcr_digest": quote.pcr_digest.hex(), **pcrs}
    return replace(inner, claims={**inner.claims, **claims})


def checks(evidence: HclEvidence, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """The hardware's checks, but for what the vTPM answers in its place: `runtime_data`, `nonce`, `report_data`, `measurements`."""
    plain = replace(given, nonce=None, report_data=None, references=())
    inner = replace(policy, require_init_data=False, snp=replace(policy.snp, highest_vmpl=0), tdx=replace(policy.tdx, require_sept_ve_disable=False))
    if isinstance(evidence.inner, SnpEvidence):
        bound, measured = evidence.inner.report.report_data, snp.measured(evidence.inner.report)
        theirs = snp.checks(evidence.inner, plain, inner)
    else:
        bound, measured = evidence.inner.body.report_data, tdx.measured(evidence.inner.body)
        theirs = tdx.checks(evidence.inner, plain, inner)
    yield from (check for check in theirs if check.id not in _OURS)
    quoted = _quoted(evidence, given)
    yield _runtime_data(evidence, bound, quoted)
    yield _nonce(evidence, quoted, given)
    yield _report_data(evidence, quoted, given)
    yield measurements_check(measured | _pcrs(quoted), given, required=("vtpm.init_data",) if policy.require_init_data else ())


def _quoted(evidence: HclEvidence, given: Given) -> Quoted:
    """The quote that came along, else one that was given: with a signature of its own, or one of those that were given alone."""
    loose = [replace(quote, signature=each) for quote in given.tpm_quotes for each in ((quote.signature,) if quote.signature else given.loose_signatures)]
    candidates = [evidence.quote] if evidence.quote is not None else loose
    tried = [Quoted(quote, _fault(quote, evidence.hcl.attestation_key)) for quote in candidates]
    unsigned = [Quoted(quote, "the TPM quote has no signature with it") for quote in given.tpm_quotes if not quote.signature]
    return next((each for each in tried if not each.fault), next(iter([*tried, *unsigned]), Quoted(None, "no TPM quote came with it")))


def _fault(quote: TpmQuote, attestation_key: bytes) -> str:
    """Why a quote does not speak for this vTPM, or an empty string."""
    if not verifies(Algorithm.RSA_PKCS1_SHA256, attestation_key, quote.signature, quote.message):
        return "the TPM quote is not signed by the HCLAkPub of the runtime data"
    if quote.pcrs:
        if quote.selection is None:
            return "the TPM quote is over PCRs of another bank than SHA-256"
        if len(quote.pcrs) != len(quote.selection):
            return f"{len(quote.pcrs)} PCR values came with a TPM quote over {len(quote.selection)}"
        if sha256(b"".join(quote.pcrs)).digest() != quote.pcr_digest:
            return f"the PCR values hash to {sha256(b''.join(quote.pcrs)).hexdigest()[:16]}…, and the TPM quote is over {quote.pcr_digest.hex()[:16]}…"
    return ""


def _runtime_data(evidence: HclEvidence, bound: bytes, quoted: Quoted) -> Check:
    """`runtime_data`: report data and runtime data, runtime data and quote, quote and PCRs."""
    digest = sha256(evidence.hcl.runtime_data).digest()
    if bound[:32] != digest:
        return fail(CheckId.RUNTIME_DATA, f"the report data begin {bound[:32].hex()[:16]}…, and the runtime data hash to {digest.hex()[:16]}…")
    if quoted.quote is not None and quoted.fault:
        return fail(CheckId.RUNTIME_DATA, quoted.fault)
    if other := "; ".join(_of_another_td(evidence)):
        return fail(CheckId.RUNTIME_DATA, f"the HCL report is not the one that was quoted: {other}")
    said = f"SHA-256 of the runtime data is report_data[0:32] ({digest.hex()[:16]}…)"
    if quoted.quote is None:
        return decide(CheckId.RUNTIME_DATA, holds=True, yes=f"{said}; no TPM quote came with it, so nothing is said of PCRs", no="")
    values = f" and {len(quoted.quote.pcrs)} PCR values are what it is over" if quoted.quote.pcrs else ", without PCR values"
    return decide(CheckId.RUNTIME_DATA, holds=True, yes=f"{said}; its HCLAkPub signed the TPM quote{values}", no="")


def _of_another_td(evidence: HclEvidence) -> Iterator[str]:
    """The TDREPORT in the wrapping is what the host was given to have it quoted (kinvolk/azure-cvm-tooling@e4e4407:az-tdx-vtpm/src/imds.rs)."""
    if evidence.td_report is not None and not isinstance(evidence.inner, SnpEvidence) and isinstance(evidence.inner.body, TdBody):
        yield from report.faults(evidence.td_report)
        yield from report.unlike(evidence.td_report, evidence.inner.body)


def _nonce(evidence: HclEvidence, quoted: Quoted, given: Given) -> Check:
    """`nonce`: extraData of the quote, byte for byte; without a quote, what user data begin with."""
    nonce = given.nonce
    if nonce is None:
        extra = quoted.quote.extra_data if quoted.quote is not None else b""
        bare = "; the quote's extraData is the literal `challenge`, which binds it to no session" if extra == UNBOUND else ""
        return skipped(CheckId.NONCE, f"no nonce was given{bare}")
    if not nonce:
        return fail(CheckId.NONCE, "an empty nonce binds nothing", given=True)
    if quoted.quote is None:
        user_data = evidence.hcl.user_data or b""
        return decide(CheckId.NONCE, user_data.startswith(nonce), f"the user data of the runtime data begin with the nonce of {len(nonce)} bytes",
                      "no TPM quote came with it, and the user data do not begin with the nonce", given=True)
    if quoted.fault:
        return fail(CheckId.NONCE, f"{quoted.fault}, so its extraData says nothing", given=True)
    return decide(CheckId.NONCE, quoted.quote.extra_data == nonce, f"the quote's extraData is the nonce of {len(nonce)} bytes",
                  f"the quote's extraData is {_shown(quoted.quote.extra_data)}, not the nonce {_shown(nonce)}", given=True)


def _report_data(evidence: HclEvidence, quoted: Quoted, given: Given) -> Check:
    """`report_data`: the user data, padded with zeros, and extraData too unless a nonce was given for it; that is all that versions 0 and 1 bind."""
    expected, user_data = given.report_data, evidence.hcl.user_data
    if expected is None:
        return skipped(CheckId.REPORT_DATA, "no report data were given to compare user data and extraData with")
    if not 0 < len(expected) <= _USER_DATA:
        return fail(CheckId.REPORT_DATA, f"{len(expected)} bytes are expected, and user data have {_USER_DATA}", given=True)
    by_quote_alone = evidence.generation in (0, 1)
    faults = []
    if not by_quote_alone and user_data != expected.ljust(_USER_DATA, b"\0"):
        faults.append(f"the user data of the runtime data are {_shown(user_data or b'')}, where {_shown(expected)} is expected")
    if quoted.quote is not None and quoted.fault and (by_quote_alone or given.nonce is None):
        faults.append(f"{quoted.fault}, so its extraData says nothing")
    elif quoted.quote is not None and (by_quote_alone or given.nonce is None) and quoted.quote.extra_data != expected:
        faults.append(f"the quote's extraData is {_shown(quoted.quote.extra_data)}, where {_shown(expected)} is expected")
    where = "the quote's extraData is" if by_quote_alone else "the user data of the runtime data are"
    return decide(CheckId.REPORT_DATA, not faults, f"{where} the {len(expected)} bytes given", "; ".join(faults), given=True)


def _pcrs(quoted: Quoted) -> dict[str, bytes]:
    """PCRs under their names, where a quote vouches for them; PCR 8 also as what the init-data were extended into."""
    quote = quoted.quote
    if quote is None or quoted.fault or quote.selection is None or len(quote.selection) != len(quote.pcrs):
        return {}
    values = dict(zip(quote.selection, quote.pcrs, strict=True))
    found = {f"vtpm.pcr{number:02}": value for number, value in values.items() if number < 24}
    return found | ({"vtpm.init_data": values[INIT_DATA_PCR]} if INIT_DATA_PCR in values else {})


def _shown(data: bytes) -> str:
    return f"{data.hex()[:32]}{'…' if len(data) > 16 else ''}" or "empty"
