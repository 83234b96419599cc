"""That a report is fresh."""

from __future__ import annotations

from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaEvidence

SIZE = 32


def nonce_check(evidence: NvidiaEvidence, given: Given) -> Check:
    """`nonce`: the one in the signed request is the one that was given.

    SPDM has room for 32 bytes. A verifier that derives 48 (a SHA-384, as Trustee does) sends the first 32; then these are compared, and the
    sentence says so. The nonce that stands beside the report in a file is compared too, and never enough.
    """
    asked, beside = evidence.report.nonce, evidence.claim.nonce
    if beside is not None and beside[:SIZE] != asked:
        return fail(CheckId.NONCE, f"the file says nonce {_short(beside)}, the signed request has {_short(asked)}", given=given.nonce is not None)
    if given.nonce is None:
        more = ", only the file's own claim, which agrees" if beside is not None else ""
        return skipped(CheckId.NONCE, f"no nonce was given to compare {_short(asked)} with{more}")
    if len(given.nonce) < SIZE:
        return fail(CheckId.NONCE, f"the nonce given has {len(given.nonce)} bytes, an SPDM request has {SIZE}", given=True)
    cut = f" (the first {SIZE} of the {len(given.nonce)} bytes given)" if len(given.nonce) > SIZE else ""
    return decide(CheckId.NONCE, given.nonce[:SIZE] == asked, f"the signed request has the nonce {_short(asked)}{cut}",
                  f"the signed request has the nonce {_short(asked)}, given was {_short(given.nonce)}{cut}", given=True)


def _short(nonce: bytes) -> str:
    return f"{nonce.hex()[:16]}…" if len(nonce) > 8 else nonce.hex()
