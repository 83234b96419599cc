"""From checks to a verdict: skipped is never pass, a failure always counts, and what nobody checked is noticed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.attest.verdict import ALWAYS, refused, verdict
from simkit.model.evidence.appraisal import Device, Verdict
from simkit.model.evidence.check import Check, CheckId, CheckStatus, fail, ok, skipped
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.policy import AppraisalPolicy

CPU = Device(Kind.SNP, "chip", {})
BASE = tuple(replace(ok(each, "fine"), device=0) for each in sorted(ALWAYS))


def decided(*checks, policy=None, devices=(CPU,)):
    return verdict(devices, [replace(check, device=0) if check.device is None else check for check in checks], policy or AppraisalPolicy())


def test_all_ok_passes() -> None:
    assert decided(*BASE) == (Verdict.PASS, (), ())


@pytest.mark.parametrize("each", sorted(CheckId))
def test_any_failure_fails(each) -> None:
    found, because, _ = decided(*BASE, fail(each, "wrong"))
    assert found is Verdict.FAIL
    assert any(check.id is each for check in because)


@pytest.mark.parametrize("each", sorted(ALWAYS))
def test_a_base_check_that_was_skipped_or_never_made_fails(each) -> None:
    others = [check for check in BASE if check.id is not each]
    assert decided(*others, skipped(each, "nothing given"))[0] is Verdict.FAIL
    found, because, _ = decided(*others)
    assert (found, [check.id for check in because]) == (Verdict.FAIL, [each])


def test_a_second_device_without_checks_fails() -> None:
    assert verdict((CPU, CPU), BASE, AppraisalPolicy())[0] is Verdict.FAIL


def test_no_device_is_no_evidence() -> None:
    assert verdict((), (), AppraisalPolicy())[0] is Verdict.FAIL


def test_skipped_counts_where_an_input_was_given() -> None:
    assert decided(*BASE, skipped(CheckId.TCB, "no match"))[0] is Verdict.PASS
    assert decided(*BASE, skipped(CheckId.TCB, "no match", given=True))[0] is Verdict.FAIL
    assert decided(*BASE, skipped(CheckId.TCB, "no match", given=True), policy=AppraisalPolicy(required_if_given=False))[0] is Verdict.PASS


def test_what_may_be_skipped_is_a_residual_risk_and_a_failure_is_not() -> None:
    policy = AppraisalPolicy(required=AppraisalPolicy().required | {CheckId.REVOCATION}, may_be_skipped=frozenset({CheckId.REVOCATION}))
    found, _, residual = decided(*BASE, skipped(CheckId.REVOCATION, "no list"), policy=policy)
    assert (found, residual) == (Verdict.RESIDUAL, ("revocation could not be checked: no list",))
    assert decided(*BASE, fail(CheckId.REVOCATION, "revoked"), policy=policy)[0] is Verdict.FAIL


def test_a_risk_that_stays_is_told() -> None:
    assert decided(*BASE, ok(CheckId.TCB, "SWHardeningNeeded", residual="the platform needs it"))[::2] == (Verdict.RESIDUAL, ("the platform needs it",))


def test_fresh_means_compared() -> None:
    policy = AppraisalPolicy(require_fresh=True)
    assert decided(*BASE, policy=policy)[0] is Verdict.FAIL
    assert decided(*BASE, skipped(CheckId.NONCE, "none given"), policy=policy)[0] is Verdict.FAIL
    assert decided(*BASE, ok(CheckId.REPORT_DATA, "equal"), policy=policy)[0] is Verdict.PASS


def test_what_cannot_be_read_is_refused() -> None:
    found = refused(Kind.TDX, "cut off", datetime(2025, 1, 1, tzinfo=UTC), AppraisalPolicy())
    assert found.verdict is Verdict.FAIL
    assert [check.id for check in found.because] == [CheckId.FORMAT]


@given(st.lists(st.builds(Check, st.sampled_from(CheckId), st.sampled_from(CheckStatus), st.just("why"), given=st.booleans(), device=st.just(0)), max_size=12),
       st.frozensets(st.sampled_from(CheckId)), st.frozensets(st.sampled_from(CheckId)))
def test_worsening_a_check_never_betters_the_verdict(checks, required, skippable) -> None:
    order = [Verdict.FAIL, Verdict.RESIDUAL, Verdict.PASS]
    policy = AppraisalPolicy(required=required, may_be_skipped=skippable)
    before = order.index(verdict((CPU,), checks, policy)[0])
    for number, check in enumerate(checks):
        worse = [*checks[:number], replace(check, status=CheckStatus.FAIL), *checks[number + 1:]]
        assert order.index(verdict((CPU,), worse, policy)[0]) <= before
