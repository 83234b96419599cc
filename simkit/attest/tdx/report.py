"""A TDREPORT alone: its parts can be compared with their digests, but the MAC over those is of a key that never leaves the CPU (EVERIFYREPORT2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields

from simkit.attest.tdx.attributes import attributes_check, body_debug_check
from simkit.attest.tdx.bound import nonce_check, report_data_check
from simkit.model.evidence.check import Check, CheckId, decide, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.tdx import TDX, TdBody, TdReport

_NO_QUOTE = "a TDREPORT carries no certificate: have the platform quote it"


def checks(report: TdReport, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """What can be said of a TDREPORT; `signature` is skipped, and so is what stands above it."""
    wrong = list(faults(report))
    yield decide(CheckId.FORMAT, not wrong, "a TDREPORT whose parts have the digests that it states", "; ".join(wrong))
    yield skipped(CheckId.SIGNATURE, "a TDREPORT is under a MAC that only the CPU that made it can check: have that platform quote it")
    yield from (skipped(each, _NO_QUOTE) for each in (CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY))
    if not wrong:
        yield body_debug_check(report.body, policy.tdx)
        yield attributes_check(report.body, policy.tdx)
        yield report_data_check(report.body.report_data, given)
        yield nonce_check(report.body.report_data, given)


def faults(report: TdReport) -> Iterator[str]:
    """What in a TDREPORT contradicts the digests under its MAC or must be zero."""
    if report.report_type[0] != TDX or report.report_type[1] or report.report_type[3]:
        yield f"REPORTTYPE is {report.report_type.hex()}, where a TDREPORT has {TDX:02x}00 and its version"
    if any(report.reserved):
        yield "reserved fields are not zero"
    for name, stated, part in (("TEE_TCB_INFO", report.tcb_info_hash, report.tcb_info), ("TDINFO_STRUCT", report.td_info_hash, report.td_info)):
        if hashlib.sha384(part).digest() != stated:
            yield f"the stated digest of {name}, {stated.hex()[:16]}…, is not that of its bytes"


def unlike(report: TdReport, body: TdBody) -> Iterator[str]:
    """In what a quote's body differs from the TDREPORT that it should have been made from; fields that one of them has not are not compared."""
    for field in fields(TdBody):
        here, there = getattr(report.body, field.name), getattr(body, field.name)
        if here is not None and there is not None and here != there:
            yield f"{field.name} of the TDREPORT is not that of the quote"
