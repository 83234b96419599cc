"""What ties a report to a session: `report_data`, which the guest chose, against what the relying party expects of it."""

from __future__ import annotations

from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.given import Given

SIZE = 64


def report_data_check(report_data: bytes, given: Given) -> Check:
    """`report_data`: all 64 bytes; a shorter value that was given is padded with zeros (Trustee@78962cd:deps/verifier/src/lib.rs, `regularize_data`)."""
    expected = given.report_data
    if expected is None:
        return skipped(CheckId.REPORT_DATA, f"no report data were given to compare with; they are {report_data.hex()[:16]}…")
    if len(expected) > SIZE:
        return fail(CheckId.REPORT_DATA, f"{len(expected)} bytes are expected, and report data have {SIZE}", given=True)
    padded = expected + bytes(SIZE - len(expected))
    return decide(CheckId.REPORT_DATA, report_data == padded, f"the report data are the {len(expected)} bytes given{_zeros(expected)}",
                  f"the report data are {report_data.hex()[:32]}…, where {padded.hex()[:32]}… is expected{_zeros(expected)}", given=True)


def nonce_check(report_data: bytes, given: Given) -> Check:
    """`nonce`: the report data begin with the nonce itself; what follows it may be a key's digest.

    A protocol that hashes the nonce together with keys (Trustee: SHA-384 of the canonical JSON of additional-evidence, nonce and
    tee-pubkey) cannot be followed from the nonce alone: its digest is to be given as report data, or its whole message as evidence.
    """
    nonce = given.nonce
    if nonce is None:
        return skipped(CheckId.NONCE, "no nonce was given")
    if not 0 < len(nonce) <= SIZE:
        return fail(CheckId.NONCE, f"a nonce of {len(nonce)} bytes, where report data hold 1 to {SIZE}", given=True)
    return decide(CheckId.NONCE, report_data.startswith(nonce), f"the report data begin with the nonce of {len(nonce)} bytes",
                  f"the report data begin {report_data[: len(nonce)].hex()[:32]}, not with the nonce {nonce.hex()[:32]} (a nonce that was hashed with a key "
                  "cannot be seen: give the digest as report data)", given=True)


def _zeros(expected: bytes) -> str:
    return f", and {SIZE - len(expected)} zeros" if len(expected) < SIZE else ""
