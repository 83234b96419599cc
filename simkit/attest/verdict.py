"""From checks to a verdict, as an appraisal policy says (RFC 9334 §8.5): skipped is never pass."""

from __future__ import annotations

from collections.abc import Sequence

from simkit.model.evidence.appraisal import Verdict
from simkit.model.evidence.check import Check, CheckId, CheckStatus
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.policy import AppraisalPolicy

_EVIDENCE_ALONE = frozenset({CheckId.SIGNATURE, CheckId.CHAIN, CheckId.VALIDITY})
_OF_A_RIM = frozenset({CheckId.RIM_SIGNATURE, CheckId.RIM_CHAIN, CheckId.RIM_VALIDITY})


def verdict(kind: Kind, checks: Sequence[Check], policy: AppraisalPolicy) -> tuple[Verdict, tuple[Check, ...], tuple[str, ...]]:
    """The verdict, the checks that fail it, and the risks that stay.

    A required check must have been made for every device that has any check of that id, and must be ok; a required check that nobody
    made at all fails too, unless it is one that only some kinds have (debug, distinct).
    """
    required = _required(kind, policy)
    because = [check for check in checks if _fails(check, required, policy)]
    made = {check.id for check in checks}
    because += [Check(each, CheckStatus.SKIPPED, "the policy requires it, and this evidence has nothing that it could be made of")
                for each in sorted(required - made - {CheckId.DEBUG, CheckId.DISTINCT})]
    residual = [check.residual for check in checks if check.residual and check.status is CheckStatus.OK]
    failed = [check for check in checks if check.status is CheckStatus.FAIL and check.id in policy.tolerated]
    residual += [f"{check.id.value} failed and is tolerated: {check.why}" for check in failed]
    if because:
        return Verdict.FAIL, tuple(because), tuple(dict.fromkeys(residual))
    return (Verdict.RESIDUAL if residual else Verdict.PASS), (), tuple(dict.fromkeys(residual))


def _required(kind: Kind, policy: AppraisalPolicy) -> frozenset[CheckId]:
    if kind is Kind.RIM:
        return policy.required - _EVIDENCE_ALONE | _OF_A_RIM
    return policy.required - {CheckId.SIGNATURE} if kind is Kind.CERTIFICATE else policy.required


def _fails(check: Check, required: frozenset[CheckId], policy: AppraisalPolicy) -> bool:
    if check.status is CheckStatus.OK:
        return False
    if check.status is CheckStatus.FAIL:
        return check.id not in policy.tolerated
    return check.id in required or (policy.required_if_given and check.given)
