"""What is written for Trustee and the pods, held against independent readings: other tools' digests, another reader of TOML, the engine, the linter."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import validate
from trustee_plans import USUAL, both_tees, planned

from simkit.attest.artefacts.release import release, unattested
from simkit.attest.lint import attestation_bank, resource_bank
from simkit.attest.lint.case import Base
from simkit.attest.lint.lint import Lint, Outcome, PolicyKind, class_of, lint
from simkit.attest.rego.engine import RefusedPolicy, World, evaluate
from simkit.cli.attest.artefacts import make
from simkit.cli.main import cli, main
from simkit.errors import InputError
from simkit.formats.evidence.source import open_support
from simkit.formats.native.plan import dump_plan
from simkit.formats.schema import schema
from simkit.formats.trustee import agent_policy
from simkit.formats.trustee.attestation_policy import names_asked
from simkit.model.platform import TeeKind


def own(made) -> list[Base]:
    """Each guest's own token, asking for its own key."""
    return [Base(each.folder, World(json.loads(made.files[f"guests/{each.folder}/token.json"]), {**resource_bank.ASKED, "resource-path": [each.folder, "key", "1"]}, {}))
            for each in made.guests]


# What is asked of a guest

def test_appraisals_are_the_plans_devices() -> None:
    plan = planned("two-guests", "hgx-h100")
    asked = {guest.name: release(plan, guest, repository=guest.name, init_data=b"", references=()) for guest in plan.guests}
    assert asked["train"].submodules == ("cpu0", "gpu0", "gpu1", "gpu2", "gpu3")
    assert asked["infer"].submodules == ("cpu0", "gpu0")
    assert list(unattested(plan, plan.guests[1])) == ["virtual functions, which give no evidence of their own: 0000:84:00.1"]
    board = planned("whole-machine", "hgx-h100")
    whole = release(board, board.guests[0], repository="x", init_data=b"", references=())
    assert whole.submodules == ("cpu0", *(f"gpu{number}" for number in range(8)), *(f"switch{number}" for number in range(4)), "ppcie0")
    assert whole.distinct == whole.submodules[1:-1]


def test_values_of_a_guest_stand_before_those_of_any(tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("simkit: reference/1\nsnp: {measurement: " + "11" * 48 + ", host_data: " + "22" * 32 + "}\ntdx: {mrtd: " + "33" * 48 + "}\n"
                                     "guests:\n  train: {snp: {measurement: " + "44" * 48 + "}}\n")
    found = make(planned("two-guests", "hgx-h100"), **{**USUAL, "references": (str(tmp_path / "r.yaml"),)})
    pinned = {each.release.guest: {pin.name: pin.values for pin in each.release.pinned} for each in found.guests}
    assert pinned == {"train": {"snp.measurement": ("44" * 48,)}, "infer": {"snp.measurement": ("11" * 48,)}}


# The resource policy

def test_the_policy_releases_to_its_guests_and_to_nothing_else_of_the_bank(made) -> None:
    result = lint(made.files["kbs/resource-policy.rego"], PolicyKind.RESOURCE, source="p", given=own(made))
    assert (result.outcome, result.good, result.findings, result.errors) == (Outcome.PASS, ("train", "infer"), (), ())
    assert result.tried == 259


@pytest.mark.slow
def test_protected_pcie_is_asked_for_whole(tmp_path) -> None:
    plan = planned("whole-machine", "hgx-h100")
    plan = replace(plan, guests=(replace(plan.guests[0], tee=TeeKind.SEV_SNP),))
    (tmp_path / "r.yaml").write_text("simkit: reference/1\nsnp: {measurement: " + "11" * 48 + "}\n")
    found = make(plan, **{**USUAL, "references": (str(tmp_path / "r.yaml"),)})
    result = lint(found.files["kbs/resource-policy.rego"], PolicyKind.RESOURCE, source="p", given=own(found))
    assert (result.outcome, len(result.good), result.findings) == (Outcome.PASS, 1, ())
    assert set(found.files) >= {"as/default_cpu.rego", "as/default_gpu.rego", "as/default_switch.rego"}


def test_one_guests_token_gets_nothing_of_anothers(made) -> None:
    policy = made.files["kbs/resource-policy.rego"]
    tokens = {base.name: base.world.input for base in own(made)}
    worlds = {(name, path): World(claims, {**resource_bank.ASKED, "resource-path": [path, "key", "1"]}, {}) for name, claims in tokens.items() for path in (*tokens, "default")}
    answers = evaluate(policy, resource_bank.RULE, worlds.values(), source="p").each
    assert {pair for pair, answer in zip(worlds, answers, strict=True) if answer.value is True} == {("train", "train"), ("infer", "infer")}


def test_either_of_two_measurements_will_do(made) -> None:
    claims = own(made)[0].world
    other = json.loads(json.dumps(claims.input).replace("ab" * 48, "ba" * 48))
    assert other != claims.input
    answer = evaluate(made.files["kbs/resource-policy.rego"], resource_bank.RULE, [replace(claims, input=other)], source="p").each[0]
    assert answer.value is True


def weakened(policy: str) -> dict[str, str]:
    """The policy without one of its conditions at a time; what is no condition by itself stays."""
    lines = policy.splitlines()
    kept = (":=", "some name in names", "every name in names", "{", "}", ")", "])", "yes([", "claims[name] == true")
    conditions = [number for number, text in enumerate(lines) if text.startswith("\t") and not any(word in text for word in kept[:3])
                  and text.strip() not in kept and not text.strip().startswith('"')]
    return {f"{number + 1}: {lines[number].strip()}": "\n".join(lines[:number] + lines[number + 1:]) + "\n" for number in conditions}


def test_without_the_status_the_policy_fails_the_linter(made) -> None:
    weaker = [policy for left_out, policy in weakened(made.files["kbs/resource-policy.rego"]).items() if "ear.status" in left_out]
    assert len(weaker) == 1
    assert lint(weaker[0], PolicyKind.RESOURCE, source="weaker", given=own(made)).outcome is Outcome.FAIL


@pytest.mark.slow
def test_without_any_of_its_conditions_the_policy_fails_the_linter(made) -> None:
    weaker = weakened(made.files["kbs/resource-policy.rego"])
    assert len(weaker) == 25
    for left_out, policy in weaker.items():
        result = lint(policy, PolicyKind.RESOURCE, source=left_out, given=own(made))
        assert result.findings, f"nobody notices that this is gone: {left_out}"


# Attestation policies and reference values

NOT_IN_THE_BANK = {"input.tdx.quote.header.tee_type == \"81000000\"", "input.tdx.quote.header.vendor_id == \"939a7233f79c4ca9940a0db3957f0607\"",
                   "replace(tdx_body.mrsigner_seam, \"0\", \"\") == \"\" # the module is Intel's own"}
"""Conditions on what Trustee's verifier refuses by itself, or that only another maker of TDX modules would fail."""


def attestation_policies(made) -> dict[str, Lint]:
    return {name: lint(text, PolicyKind.ATTESTATION, source=name, device_class=class_of(name)) for name, text in made.files.items() if name.startswith("as/")}


def test_attestation_policies_pass_the_linter(made) -> None:
    found = attestation_policies(made)
    assert {name: (result.outcome, result.good, tuple(finding.case.id for finding in result.findings)) for name, result in found.items()} == {
        "as/default_cpu.rego": (Outcome.RESIDUAL, ("snp", "tdx"), ("rtmr-3-other", "seam-other")),
        "as/default_gpu.rego": (Outcome.PASS, ("gpu",), ()),
    }


@pytest.mark.slow
def test_each_condition_of_the_attestation_policies_counts(made) -> None:
    found, unnoticed = attestation_policies(made), set()
    for name, before in found.items():
        for left_out, policy in weakened(made.files[name]).items():
            result = lint(policy, PolicyKind.ATTESTATION, source=left_out, device_class=class_of(name))
            if len(result.findings) == len(before.findings):
                unnoticed.add(left_out.partition(": ")[2])
    assert unnoticed == NOT_IN_THE_BANK


def test_rtmr0_is_asked_for_only_where_it_is_known() -> None:
    assert "rtmr_0" not in names_asked(make(both_tees(), **USUAL).files["as/default_cpu.rego"])


def test_reference_values_are_what_the_reader_of_rvps_reads(made, tmp_path) -> None:
    values = json.loads(made.files["rvps/reference-values.json"])
    assert values["snp_launch_measurement"] == ["ab" * 48, "ba" * 48]
    assert values["rtmr_0"] == ["e0" * 48]
    assert values["init_data"] == sorted(each.release.init_data for each in made.guests)
    message = json.loads(made.files["rvps/message.json"])
    assert (message["version"], message["type"]) == ("0.1.0", "sample")
    assert json.loads(base64.b64decode(message["payload"])) == values
    (tmp_path / "message.json").write_text(made.files["rvps/message.json"])
    found = open_support([str(tmp_path / "message.json")]).references[0]
    assert {(value.name, value.value.hex()) for value in found.values} == {
        ("snp.measurement", "ab" * 48), ("snp.measurement", "ba" * 48), ("tdx.mrtd", "cd" * 48), *((f"tdx.rtmr{number}", f"e{number}" * 48) for number in range(3))}


def test_missing_reference_values_are_named_and_can_be_given(tmp_path) -> None:
    plan = planned("two-guests", "hgx-h100")
    before = make(plan, **USUAL)
    assert before.missing["snp_bootloader"] == "as/default_cpu.rego"
    assert before.missing["allowed_vbios_versions"] == "as/default_gpu.rego"
    rest = {name: [1] for name in before.missing}
    (tmp_path / "rvps.json").write_text(json.dumps(rest | {"site": {"any": "value"}}))
    after = make(plan, **{**USUAL, "rvps": str(tmp_path / "rvps.json")})
    assert after.missing == {}
    assert json.loads(after.files["rvps/reference-values.json"])["site"] == {"any": "value"}
    assert "- none that these policies ask for" in after.files["README.md"]
    (tmp_path / "rvps.json").write_text(json.dumps({"init_data": ["77"]}))
    with pytest.raises(InputError, match="contradict"):
        make(plan, **{**USUAL, "rvps": str(tmp_path / "rvps.json")})


# Kata's agent

def test_the_agents_policy_denies_what_looks_into_the_guest() -> None:
    assert (len(agent_policy.ALLOWED), len(agent_policy.DENIED)) == (25, 19)
    assert not set(agent_policy.ALLOWED) & set(agent_policy.DENIED)
    text = agent_policy.agent_policy()
    asked = {name: evaluate(text, f"data.agent_policy.{name}", [World({}, {}, {})], source="agent").each[0].value
             for name in ("ExecProcessRequest", "SetPolicyRequest", "ReadStreamRequest", "WriteStreamRequest", "CreateContainerRequest", "StartContainerRequest")}
    assert asked == {"ExecProcessRequest": False, "SetPolicyRequest": False, "ReadStreamRequest": False, "WriteStreamRequest": False,
                     "CreateContainerRequest": True, "StartContainerRequest": True}


# The command

@pytest.fixture
def plan_file(tmp_path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(dump_plan(both_tees()))
    return path


def run(*arguments):
    return CliRunner().invoke(cli, ["attest", "artefacts", *map(str, arguments)])


def failed(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["attest", "artefacts", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_files_on_disk_lint_as_the_readme_says(plan_file, tmp_path) -> None:
    done = run(plan_file, "--kbs", "https://kbs.example", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "train (sev-snp): kbs:///train/… for cpu0, gpu0, gpu1, gpu2, gpu3; pinned: init-data, no measurement" in done.output
    page = (tmp_path / "out" / "README.md").read_text()
    named = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    on_disk = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(named) | {"README.md"} == on_disk, "the page names each file"
    checked = CliRunner().invoke(cli, ["attest", "lint", str(tmp_path / "out/kbs/resource-policy.rego"), "--input", str(tmp_path / "out/guests/train/token.json"),
                                       "--resource", "train/key/1", "--format", "json"])
    assert json.loads(checked.output)["verdict"] == "residual"
    assert {finding["id"] for finding in json.loads(checked.output)["findings"]} == {"measurement-other"}, "no measurement was given"


def test_json_is_by_its_schema_and_the_same_bytes_twice(plan_file) -> None:
    first, second = (run(plan_file, "--kbs", "https://kbs.example", "--format", "json") for _ in range(2))
    assert first.output == second.output
    found = json.loads(first.output)
    validate(found, schema("artefacts"))
    assert [(guest["name"], guest["init_data"]["field"], len(guest["init_data"]["digest"])) for guest in found["guests"]] == [
        ("train", "HOSTDATA", 64), ("infer", "MRCONFIGID", 96)]


@pytest.mark.parametrize("url", ["kbs.example", "ftp://kbs.example", "https://kbs example", 'https://a"b', "https://a/'''", "https://", "https://a\n"])
def test_urls_that_are_none(plan_file, capsys, url) -> None:
    assert "no URL of a KBS" in failed(capsys, plan_file, "--kbs", url, "--format", "json")


def test_plans_with_nobody_to_trust(tmp_path, capsys) -> None:
    plan = planned("two-guests", "hgx-h100")
    (tmp_path / "p.json").write_text(dump_plan(replace(plan, guests=tuple(replace(guest, tee=TeeKind.NONE) for guest in plan.guests))))
    assert "no guest of the plan is confidential" in failed(capsys, tmp_path / "p.json", "--kbs", "https://a", "--format", "json")
    (tmp_path / "p.json").write_text(dump_plan(replace(plan, guests=(plan.guests[0], replace(plan.guests[1], tee=TeeKind.NONE)))))
    done = run(tmp_path / "p.json", "--kbs", "https://a", "--format", "json")
    assert json.loads(done.output)["skipped"] == ["infer"]


@pytest.mark.parametrize(("option", "data", "said"), [
    ("--agent-policy", b"package policy\nallow := true\n", "its package is not agent_policy"),
    ("--agent-policy", b"# package agent_policy\n", "its package is not agent_policy"),
    ("--agent-policy", b"\xff", "byte 0 is not UTF-8"),
    ("--kbs-certificate", b"{}", "certificate"),
    ("--kbs-certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
])
def test_files_that_guests_could_not_use(plan_file, tmp_path, capsys, option, data, said) -> None:
    (tmp_path / "given").write_bytes(data)
    assert said in failed(capsys, plan_file, "--kbs", "https://a", option, tmp_path / "given", "--format", "json")


def test_init_data_that_no_pod_can_carry(plan_file, tmp_path, capsys) -> None:
    noise = base64.b64encode(b"".join(hashlib.sha256(bytes([number % 256, number // 256])).digest() for number in range(8000))).decode()
    (tmp_path / "policy.rego").write_text("package agent_policy\n# " + noise + "\n")
    assert "all of a pod's may have 262144" in failed(capsys, plan_file, "--kbs", "https://a", "--agent-policy", tmp_path / "policy.rego", "--format", "json")


def test_use_that_is_refused(plan_file, tmp_path, capsys) -> None:
    assert "give -o DIR" in failed(capsys, plan_file, "--kbs", "https://a")
    assert "--kbs" in failed(capsys, plan_file, "--format", "json")
    (tmp_path / "own.toml").write_text("version = 1\n")
    assert "init-data that Kata does not take" in failed(capsys, plan_file, "--kbs", "https://a", "--init-data", tmp_path / "own.toml", "--format", "json")
    assert "no issuer's name" in failed(capsys, plan_file, "--kbs", "https://a", "--issuer", "a\nb", "--format", "json")


@pytest.mark.parametrize("issuer", ['quo"te', "back\\slash", "{{brace}}", "#"])
def test_no_issuers_name_breaks_the_policy(issuer) -> None:
    found = make(planned("two-guests", "hgx-h100"), **{**USUAL, "issuer": issuer})
    base = own(found)[0]
    try:
        answer = evaluate(found.files["kbs/resource-policy.rego"], resource_bank.RULE, [base.world], source="p").each[0]
    except RefusedPolicy as error:
        pytest.fail(str(error))
    assert answer.value is True
    assert base.world.input["iss"] == issuer


def test_the_bank_of_attestation_knows_the_names_that_the_policies_ask_for(made) -> None:
    from simkit.attest.lint import claims

    asked = {name for file, text in made.files.items() if file.startswith("as/") for name in names_asked(text)}
    assert asked <= set(claims.REFERENCES)
    assert attestation_bank.CLASSES == ("cpu", "gpu", "switch", "ppcie")
