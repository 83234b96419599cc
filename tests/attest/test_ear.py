"""Attestation results: values of AR4SI, and no status better than the verdict."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import jwt
import pytest
from authority import key
from hypothesis import given
from hypothesis import strategies as st

from simkit.attest.ear import CLAIMS, result
from simkit.attest.verdict import verdict
from simkit.formats.evidence.ear import claims, encode
from simkit.model.evidence.appraisal import Appraisal, Device, Verdict
from simkit.model.evidence.check import Check, CheckId, CheckStatus, ok
from simkit.model.evidence.ear import Claim, Tier, tier
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.policy import AppraisalPolicy

AT = datetime(2025, 7, 1, tzinfo=UTC)
DEVICES = (Device(Kind.TDX, "cpu", {}), Device(Kind.NVIDIA_GPU, "a", {}), Device(Kind.NVIDIA_GPU, "b", {}), Device(Kind.NVIDIA_SWITCH, "s", {}))
BASE = [replace(ok(each, "fine"), device=number) for number in range(4) for each in (CheckId.FORMAT, CheckId.SIGNATURE, CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY)]


def appraised(checks, devices=DEVICES):
    decided, because, residual = verdict(devices, checks, AppraisalPolicy())
    return Appraisal(decided, AT, Kind.COMPOSITE, "default", devices, tuple(checks), because, residual)


@pytest.mark.parametrize(("value", "expected"), [(0, "none"), (1, "none"), (-1, "none"), (2, "affirming"), (31, "affirming"), (32, "warning"), (95, "warning"),
                                                 (96, "contraindicated"), (127, "contraindicated"), (-2, "affirming"), (-32, "affirming"), (-33, "warning"), (-96, "warning"), (-97, "contraindicated")])
def test_tiers(value, expected) -> None:
    assert tier(value).value == expected


def test_a_submodule_a_device() -> None:
    found = result(appraised(BASE))
    assert [each.name for each in found.submodules] == ["cpu0", "gpu0", "gpu1", "switch0"]
    assert {each.status for each in found.submodules} == {Tier.AFFIRMING}
    assert found.submodules[0].vector[Claim.FILE_SYSTEM] == 0


def test_a_failure_contraindicates_its_device_alone() -> None:
    found = result(appraised([*BASE, Check(CheckId.MEASUREMENTS, CheckStatus.FAIL, "differs", device=1)]))
    assert [each.status.value for each in found.submodules] == ["affirming", "contraindicated", "affirming", "affirming"]
    assert found.submodules[1].vector[Claim.EXECUTABLES] == 96


def test_a_fault_of_the_set_contraindicates_all() -> None:
    found = result(appraised([*BASE, Check(CheckId.DISTINCT, CheckStatus.FAIL, "twice")]))
    assert {each.status for each in found.submodules} == {Tier.CONTRAINDICATED}


def test_a_known_weakness_warns() -> None:
    found = result(appraised([*BASE, replace(ok(CheckId.TCB, "SWHardeningNeeded", residual="needs it"), device=0)]))
    assert found.submodules[0].status is Tier.WARNING


def test_every_check_speaks_for_a_claim() -> None:
    assert set(CLAIMS) == set(CheckId)
    assert all(tier(bad) is Tier.CONTRAINDICATED for _, _, bad in CLAIMS.values())


@given(st.lists(st.builds(Check, st.sampled_from(CheckId), st.sampled_from(CheckStatus), st.just("why"), given=st.booleans(), device=st.sampled_from([None, 0, 1, 2, 3])), max_size=10))
def test_no_status_is_better_than_the_verdict(checks) -> None:
    appraisal = appraised([*BASE, *checks])
    statuses = {each.status for each in result(appraisal).submodules}
    if appraisal.verdict is Verdict.FAIL:
        assert Tier.CONTRAINDICATED in statuses
    else:
        assert Tier.CONTRAINDICATED not in statuses


def test_the_token_is_signed_and_says_what_the_claims_say() -> None:
    found = result(appraised(BASE))
    token = encode(found, key=key(5))
    read = jwt.decode(token, key(5).public_key(), algorithms=["ES256"])
    assert read == json.loads(json.dumps(claims(found)))
    assert read["submods"]["gpu1"]["ear.status"] == "affirming"
    assert read["iat"] == 1751328000
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, key(6).public_key(), algorithms=["ES256"])


def test_without_a_key_there_is_no_token() -> None:
    assert json.loads(encode(result(appraised(BASE)), key=None)) == claims(result(appraised(BASE)))
