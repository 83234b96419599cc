"""Intel quotes: from the TD or enclave through the quoting enclave and the platform's PCK to Intel's root, and what Intel's collateral says of them.

Intel TDX DCAP Quoting Library API appendix A; Intel SGX ECDSA QVL API §4.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkit.attest.measurements import measurements_check
from simkit.attest.tdx import attributes, bound, platform, quoted, replay, report
from simkit.attest.tdx import collateral as collaterals
from simkit.attest.tdx.claims import device
from simkit.attest.tdx.tcb import tcb_check
from simkit.model.evidence.check import Check, CheckId, ok, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.tdx import EnclaveReport, Quote, QuoteEvidence, TdBody, TdReport

__all__ = ["checks", "device", "measured"]


def checks(statement: QuoteEvidence, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """Every check of a quote or of a TDREPORT, each once."""
    if isinstance(statement, TdReport):
        yield from report.checks(statement, given, policy)
        return
    tee, body = statement.header.tee_type, statement.body
    yield ok(CheckId.FORMAT, _format(statement))
    pck = platform.pck_certificate(statement, given)
    yield quoted.signature_check(statement, pck, identified=collaterals.identified(tee, given))
    found = platform.pck_path(statement, pck, given) if pck else None
    yield from platform.checks(found, given)
    yield quoted.hwid_check(statement, pck)
    sgx = pck.sgx if pck else None
    collateral = collaterals.find(tee, sgx, given)
    yield platform.revocation_check((*([found] if found else []), *collateral.paths), given)
    yield collateral.check
    if sgx is not None and collateral.usable and collateral.info is not None and collateral.identity is not None:
        yield tcb_check(statement, sgx, collateral.info, collateral.identity, policy.tdx)
    else:
        yield skipped(CheckId.TCB, "there is no collateral that holds, so nobody says whether the TCB is up to date", given=bool(given.collateral))
    yield attributes.debug_check(statement, policy.tdx)
    yield attributes.attributes_check(body, policy.tdx)
    yield bound.report_data_check(body.report_data, given)
    yield bound.nonce_check(body.report_data, given)
    init_data = ("tdx.mrconfigid",) if policy.require_init_data and isinstance(body, TdBody) else ()
    yield measurements_check(measured(body), given, required=init_data)
    if isinstance(body, TdBody):
        yield replay.event_log_check(body.rtmrs, statement.event_log, given.event_logs)


def measured(body: TdBody | EnclaveReport) -> dict[str, bytes]:
    """What can be compared with reference values, by their names."""
    if isinstance(body, EnclaveReport):
        return {"sgx.mrenclave": body.mr_enclave, "sgx.mrsigner": body.mr_signer}
    found = {"tdx.mrtd": body.mr_td, "tdx.mrseam": body.mr_seam, "tdx.mrsignerseam": body.mr_signer_seam, "tdx.mrconfigid": body.mr_config_id,
             "tdx.mrowner": body.mr_owner, "tdx.mrownerconfig": body.mr_owner_config, "tdx.xfam": body.xfam, "tdx.tdattributes": body.td_attributes,
             **{f"tdx.rtmr{number}": value for number, value in enumerate(body.rtmrs)}}
    return found if body.mr_service_td is None else found | {"tdx.mrservicetd": body.mr_service_td}


def _format(quote: Quote) -> str:
    what = f"a quote of version {quote.header.version} of {'an enclave' if isinstance(quote.body, EnclaveReport) else 'a TD'}, body type {quote.body_type}"
    return f"{what}; {len(quote.trailing)} bytes after its end count for nothing" if quote.trailing else what
