"""The linter on what Trustee ships: each finding by its name, each counterexample replayed by the engine alone."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from simkit.attest.lint import attestation_bank, resource_bank
from simkit.attest.lint.case import Base, Level
from simkit.attest.lint.lint import Lint, Outcome, PolicyKind, class_of, guess, lint, status
from simkit.attest.rego.engine import Answer, World, evaluate
from simkit.model.evidence.ear import Tier

RESTATED = Path(__file__).parent / "restated"
ORIGINAL = {"any_tee": "kbs/sample_policies/default.rego", "every_status": "kbs/sample_policies/affirming.rego"} | {
    f"default_{each}": f"attestation-service/src/ear_token/ear_default_policy_{each}.rego" for each in ("cpu", "gpu", "switch", "ppcie")}
COMMIT = "78962cd"
SAYS_NO = {f"{what}-{word}" for what in ("cpu", "gpu", "switch", "ppcie") for word in ("contraindicated", "warning", "none")} | {
    "cpu-status-number", "submodules-empty", "submodules-absent", "empty", *(f"{what}-{claim}-warning" for what in ("cpu", "gpu") for claim in ("executables", "configuration"))}
"""Cases of which the token itself says no."""
UNPINNED = {"cpu-status-absent", "gpu-status-absent", "cpu-absent", "gpus-absent", "gpu-fewer", "switches-absent", "ppcie-absent", "gpu-repeated", "device-unplanned", "gpu-sample", "tpm-alone",
            "debug", "migratable", "measurement-other", "init-data-other", "init-data-absent", "init-data-unsaid", "evidence-absent", "issuer-other", "issuer-unsaid",
            "profile-other", "policy-other", "path-other", "path-short", "rtmr-0-other", "rtmr-1-other", "rtmr-2-other"}


def text_of(name: str) -> str:
    return (RESTATED / f"{name}.rego").read_text()


@cache
def linted(name: str) -> Lint:
    return lint(text_of(name), guess(text_of(name)), source=name, device_class=class_of(name))


def found(name: str) -> dict[str, set[str]]:
    """Case ids by level."""
    result = linted(name)
    return {level.value: {finding.case.id for finding in result.findings if finding.case.level is level} for level in Level}


def test_the_shipped_resource_policy_releases_whatever_the_status_says() -> None:
    assert found("any_tee") == {"fail": SAYS_NO, "residual": UNPINNED}
    result = linted("any_tee")
    assert (result.outcome, len(result.findings), result.tried, len(result.good)) == (Outcome.FAIL, 47, 181, 5)
    first = result.findings[0]
    assert (first.case.id, first.world.input["submods"]["cpu0"]["ear.status"], first.made) == ("cpu-contraindicated", "contraindicated", {"allow": True})


def test_a_policy_that_looks_at_every_status_lets_no_other_status_through() -> None:
    assert found("every_status") == {"fail": set(), "residual": UNPINNED | {"plugin-other", "sample-attester"}}
    assert linted("every_status").outcome is Outcome.RESIDUAL


def test_what_the_shipped_cpu_policy_affirms() -> None:
    assert found("default_cpu") == {
        "fail": {"debug", "migratable", "collateral-expired", "configuration-other", "tsme-other"},
        "residual": {"ve-on", "tpm-alone", "references-absent-trusted", "configuration-unregistered", "rtmr-0-other", "rtmr-3-other", "seam-other",
                     "init-data-other", "init-data-absent"},
    }
    result = linted("default_cpu")
    where = {finding.case.id: finding.bases for finding in result.findings}
    assert where["debug"] == ("az-snp-vtpm", "az-tdx-vtpm"), "bare SNP and TDX guests in debug are not affirmed, Azure's are"
    assert where["migratable"] == ("az-snp-vtpm",)
    assert where["configuration-other"] == where["configuration-unregistered"] == ("snp",)
    assert where["init-data-absent"] == result.good == ("snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm", "tpm", "se")
    assert where["references-absent-trusted"] == ("se",)


def test_what_the_shipped_device_policies_affirm() -> None:
    assert found("default_gpu") == {
        "fail": {"driver-rim-certificate-revoked", "gpu-vbios-version-other", "gpu-driver-version-other", "overall-no"},
        "residual": {"references-absent-trusted", "manifests-overlap"},
    }
    assert found("default_switch") == {"fail": {"switch-bios-version-other", "overall-no"}, "residual": {"references-absent-trusted"}}
    assert found("default_ppcie") == {"fail": set(), "residual": {"references-absent-trusted"}}


@pytest.mark.parametrize("name", ORIGINAL)
def test_each_finding_replays_and_its_base_differs(name: str) -> None:
    """The counterexamples alone are let through, and are not inputs in which nothing is wrong."""
    result = linted(name)
    rule = resource_bank.RULE if result.kind is PolicyKind.RESOURCE else attestation_bank.RULE
    bases = [base.world for base in (*resource_bank.bases(), *attestation_bank.bases())]
    answers = evaluate(text_of(name), rule, [finding.world for finding in result.findings], source=name).each
    for finding, answer in zip(result.findings, answers, strict=True):
        assert answer.value is True or status(answer) is Tier.AFFIRMING, finding.case.id
        assert finding.world not in bases or finding.case.id in ("tpm-alone", "gpus-absent"), "without its GPUs a guest is one that was planned without"


@pytest.mark.parametrize("name", ORIGINAL)
def test_restated_policies_decide_as_the_originals(name: str) -> None:
    checkout = os.environ.get("SIMKIT_TRUSTEE")
    if not checkout:
        pytest.skip("SIMKIT_TRUSTEE names no checkout of confidential-containers/trustee: its policies are not part of the project")
    shown = subprocess.run(["git", "-C", checkout, "show", f"{COMMIT}:{ORIGINAL[name]}"], capture_output=True, text=True, check=True).stdout
    bank, rule = (resource_bank, resource_bank.RULE) if guess(shown) is PolicyKind.RESOURCE else (attestation_bank, attestation_bank.RULE)
    bases = bank.bases()
    worlds = [base.world for base in bases] + [made for case in bank.cases() for base in bases if (made := case.change(base.world)) is not None]
    assert evaluate(shown, rule, worlds, source="original").each == evaluate(text_of(name), rule, worlds, source="restated").each


@pytest.mark.slow
def test_a_policy_that_lets_nothing_through_shows_nothing() -> None:
    result = lint("package policy\ndefault allow := false\n", PolicyKind.RESOURCE, source="deny")
    assert (result.outcome, result.findings, result.good) == (Outcome.UNDECIDED, (), ())


def test_a_pinned_policy_is_decided_by_an_input_that_it_lets_through() -> None:
    pinned = """package policy
import rego.v1
default allow := false
allow if {
	input.submods.cpu0["ear.status"] == "affirming"
	input.submods.cpu0["ear.veraison.annotated-evidence"].init_data == "77"
}
"""
    assert lint(pinned, PolicyKind.RESOURCE, source="pinned").outcome is Outcome.UNDECIDED
    evidence = {"snp": {"policy_debug_allowed": False}, "init_data": "77"}
    own = Base("own", World(resource_bank.token({"cpu0": resource_bank.appraisal(evidence)}), resource_bank.ASKED, {}))
    result = lint(pinned, PolicyKind.RESOURCE, source="pinned", given=[own])
    assert result.good == ("own",)
    ids = {finding.case.id for finding in result.findings}
    assert {"debug", "path-other", "plugin-other", "issuer-other"} <= ids
    assert not ids & {"init-data-other", "init-data-absent", "init-data-unsaid", "cpu-contraindicated", "evidence-absent"}


@pytest.mark.parametrize(("claims", "fails"), [
    (["hardware"], {f"{what}-{claim}-warning" for what in ("cpu", "gpu") for claim in ("executables", "configuration")}),
    pytest.param(["hardware", "executables", "configuration"], set(), marks=pytest.mark.slow),
])
def test_a_policy_that_looks_at_the_vector_must_look_at_all_of_it(claims: list[str], fails: set[str]) -> None:
    policy = f"""package policy
import rego.v1
default allow := false
allow if {{
	input.submods.cpu0
	every appraisal in input.submods {{
		fine(appraisal)
	}}
}}
fine(appraisal) if {{
	every claim in {json.dumps(claims)} {{
		appraisal["ear.trustworthiness-vector"][claim] in {{2, 3}}
	}}
}}
"""
    result = lint(policy, PolicyKind.RESOURCE, source="vector")
    assert {finding.case.id for finding in result.findings if finding.case.level is Level.FAIL} == fails
    assert len(result.good) == 5


def test_every_case_does_something_somewhere() -> None:
    for bank, count in ((resource_bank, 49), (attestation_bank, 47)):
        cases = bank.cases()
        assert len({case.id for case in cases}) == len(cases) == count
        for case in cases:
            made = [(base.world, world) for base in bank.bases() if (world := case.change(base.world)) is not None]
            assert made, case.id
            assert all(before != after for before, after in made) or case.id == "tpm-alone", case.id


def test_changes_leave_the_base_untouched() -> None:
    for bank in (resource_bank, attestation_bank):
        before = json.dumps([[base.world.input, base.world.data] for base in bank.bases()])
        bases = bank.bases()
        for case in bank.cases():
            for base in bases:
                case.change(base.world)
        assert json.dumps([[base.world.input, base.world.data] for base in bases]) == before


@pytest.mark.parametrize(("answer", "expected"), [
    (Answer(defined=False), Tier.NONE),
    (Answer(defined=False, error="broken"), None),
    (Answer(defined=True, value={"hardware": 2, "configuration": 31}), Tier.AFFIRMING),
    (Answer(defined=True, value={"hardware": 2, "configuration": 32}), Tier.WARNING),
    (Answer(defined=True, value={"hardware": 0}), Tier.NONE),
    (Answer(defined=True, value={"hardware": 2, "executables": 97}), Tier.CONTRAINDICATED),
    (Answer(defined=True, value={"hardware": -97}), Tier.CONTRAINDICATED),
    (Answer(defined=True, value={"firmware": 2}), None),
    (Answer(defined=True, value={"hardware": True}), None),
    (Answer(defined=True, value={"hardware": 2.0}), None),
    (Answer(defined=True, value={"hardware": 300}), None),
    (Answer(defined=True, value={}), None),
    (Answer(defined=True, value=["dict"]), None),
])
def test_status_is_the_worst_claims_tier_and_no_token_is_no_status(answer: Answer, expected: Tier | None) -> None:
    assert status(answer) is expected
