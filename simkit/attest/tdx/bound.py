"""`report_data` and `nonce`: what the guest put into REPORTDATA is what the relying party expects.

A quote has no field for a nonce: a nonce of up to 64 bytes stands in REPORTDATA itself, then zeros, as Trustee's attesters and go-tdx-guest do it.
Where REPORTDATA is a digest over the nonce, its expected value is to be given as report data.
"""

from __future__ import annotations

from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.given import Given

SIZE = 64


def report_data_check(report_data: bytes, given: Given) -> Check:
    """REPORTDATA is the expected one; a shorter one is followed by zeros."""
    return _compared(CheckId.REPORT_DATA, report_data, given.report_data, "report data", "")


def nonce_check(report_data: bytes, given: Given) -> Check:
    """REPORTDATA is the nonce."""
    return _compared(CheckId.NONCE, report_data, given.nonce, "nonce", ": if it holds a digest of the nonce, give that as --report-data")


def _compared(check: CheckId, report_data: bytes, expected: bytes | None, what: str, hint: str) -> Check:
    if expected is None:
        return skipped(check, f"no {what} was given to compare REPORTDATA with")
    if not 0 < len(expected) <= SIZE:
        return fail(check, f"the {what} has {len(expected)} bytes, and REPORTDATA holds 1 to {SIZE}", given=True)
    return decide(check, report_data == expected.ljust(SIZE, b"\0"), f"REPORTDATA is the {what} that was given: {expected.hex()[:16]}…",
                  f"REPORTDATA is {report_data.hex()[:16]}…, where {expected.hex()[:16]}…{' then zeros' if len(expected) < SIZE else ''} is expected{hint}",
                  given=True)
