"""A TDREPORT alone: its parts can be compared with their digests, but the MAC over those is of a key that never leaves the CPU (EVERIFYREPORT2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from simkit.attest.tdx.attributes import attributes_check, body_debug_check
from simkit.attest.tdx.bound import nonce_check, report_data_check
from simkit.model.evidence.check import Check, CheckId, decide, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.tdx import TDX, TdReport

_NO_QUOTE = "a TDREPORT carries no certificate: have the platform quote it"


def checks(report: TdReport, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """What can be said of a TDREPORT; `signature` is skipped, and so is what stands above it."""
    faults = list(_faults(report))
    yield decide(CheckId.FORMAT, not faults, "a TDREPORT whose parts have the digests that it states", "; ".join(faults))
    yield skipped(CheckId.SIGNATURE, "a TDREPORT is under a MAC that only the CPU that made it can check: have that platform quote it")
    yield from (skipped(each, _NO_QUOTE) for each in (CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY))
    if not faults:
        yield body_debug_check(report.body, policy.tdx)
        yield attributes_check(report.body, policy.tdx)
        yield report_data_check(report.body.report_data, given)
        yield nonce_check(report.body.report_data, given)


def _faults(report: TdReport) -> Iterator[str]:
    if report.report_type[0] != TDX or report.report_type[1] or report.report_type[3]:
        yield f"REPORTTYPE is {report.report_type.hex()}, where a TDREPORT has {TDX:02x}00 and its version"
    if any(report.reserved):
        yield "reserved fields are not zero"
    for name, stated, part in (("TEE_TCB_INFO", report.tcb_info_hash, report.tcb_info), ("TDINFO_STRUCT", report.td_info_hash, report.td_info)):
        if hashlib.sha384(part).digest() != stated:
            yield f"the stated digest of {name}, {stated.hex()[:16]}…, is not that of its bytes"
