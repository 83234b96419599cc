"""From checks to a verdict, as an appraisal policy says (RFC 9334 §8.5): skipped is never pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from simkit.model.evidence.appraisal import Appraisal, Device, Verdict
from simkit.model.evidence.check import Check, CheckId, CheckStatus, fail
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.policy import AppraisalPolicy

ALWAYS = frozenset({CheckId.FORMAT, CheckId.SIGNATURE, CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY})
"""Checks that every device has; one that was not even made is a fault of the verifier and fails."""
_OF_A_RIM = {CheckId.SIGNATURE: CheckId.RIM_SIGNATURE, CheckId.CHAIN: CheckId.RIM_CHAIN, CheckId.VALIDITY: CheckId.RIM_VALIDITY}


def refused(kind: Kind, why: str, at: datetime, policy: AppraisalPolicy) -> Appraisal:
    """The appraisal of what was recognised and could not be read: `format` fails, and nothing else could be checked."""
    broken = fail(CheckId.FORMAT, why)
    return Appraisal(Verdict.FAIL, at, kind, policy.name, (), (broken,), (broken,))


def verdict(devices: Sequence[Device], checks: Sequence[Check], policy: AppraisalPolicy) -> tuple[Verdict, tuple[Check, ...], tuple[str, ...]]:
    """The verdict, the checks that fail it, and the risks that stay."""
    made = [*checks, *_not_made(devices, checks, policy)]
    bad = [check for check in made if _counts(check, policy)]
    unseen = [check for check in bad if check.status is CheckStatus.SKIPPED and check.id in policy.may_be_skipped]
    because = tuple(check for check in bad if check not in unseen)
    residual = [check.residual for check in checks if check.residual and check.status is CheckStatus.OK]
    residual += [f"{check.id.value} could not be checked: {check.why}" for check in unseen]
    if because:
        return Verdict.FAIL, because, tuple(dict.fromkeys(residual))
    return (Verdict.RESIDUAL if residual else Verdict.PASS), (), tuple(dict.fromkeys(residual))


def _counts(check: Check, policy: AppraisalPolicy) -> bool:
    """Whether the policy minds how a check came out."""
    if check.status is CheckStatus.OK:
        return False
    if check.status is CheckStatus.FAIL:
        return True
    return check.id in policy.required or check.id in _OF_A_RIM.values() or (policy.required_if_given and check.given)


def _not_made(devices: Sequence[Device], checks: Sequence[Check], policy: AppraisalPolicy) -> Iterator[Check]:
    """What the policy asks of every device and nobody checked; no device at all is no evidence."""
    if not devices:
        yield fail(CheckId.FORMAT, "there is no statement of any device in this evidence")
    for number, device in enumerate(devices):
        mine = [check for check in checks if check.device == number]
        for each in sorted(_asked(device.kind) & policy.required):
            wanted = _OF_A_RIM.get(each, each) if device.kind is Kind.RIM else each
            if all(check.id is not wanted for check in mine):
                yield Check(wanted, CheckStatus.SKIPPED, "the policy requires it, and nothing could be checked for it", given=True, device=number)
        fresh = any(check.status is CheckStatus.OK and check.id in (CheckId.NONCE, CheckId.REPORT_DATA) for check in mine)
        if policy.require_fresh and not fresh and device.kind not in (Kind.RIM, Kind.CERTIFICATE):
            yield Check(CheckId.NONCE, CheckStatus.SKIPPED, "neither nonce nor report data was compared, so an earlier run's evidence would pass",
                        given=True, device=number)


def _asked(kind: Kind) -> frozenset[CheckId]:
    return ALWAYS - {CheckId.SIGNATURE} if kind is Kind.CERTIFICATE else ALWAYS
