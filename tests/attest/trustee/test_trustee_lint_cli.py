"""`simkit attest lint` as a user meets it: exit status, JSON by its schema, counterexamples in files that replay, errors with a remedy."""

import json
import re
import shutil
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate

from simkit.attest.lint import resource_bank
from simkit.cli.main import cli, main
from simkit.errors import SimkitError
from simkit.formats.schema import schema
from simkit.formats.trustee.documents import read_claims, read_counterexample, read_policy, read_references

RESTATED = Path(__file__).parent / "restated"


def run(*arguments):
    return CliRunner().invoke(cli, ["attest", "lint", *map(str, arguments)])


def failed(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["attest", "lint", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_policy_that_ignores_the_status_fails_with_files_that_replay(tmp_path) -> None:
    policy = RESTATED / "any_tee.rego"
    done = run(policy, "-o", tmp_path / "made")
    assert done.exit_code == 1
    assert done.output.startswith(f"fail: {policy} (resource policy of Trustee 0.21 and later), 181 inputs tried by rego-cpp ")
    assert "FAIL  cpu-contraindicated: lets through a token whose cpu has the status contraindicated (snp, tdx, snp-gpu, tdx-gpu, snp-board)" in done.output
    assert len(list((tmp_path / "made").glob("*.json"))) == 47
    example = tmp_path / "made" / "cpu-contraindicated.json"
    again = run(policy, "--replay", example)
    assert (again.exit_code, again.output) == (1, f"{policy} lets through {example}: true\n")
    other = run(RESTATED / "every_status.rego", "--replay", example)
    assert (other.exit_code, other.output) == (0, f"{RESTATED / 'every_status.rego'} does not let through {example}: false\n")


def test_residual_findings_pass_unless_strict() -> None:
    assert run(RESTATED / "default_ppcie.rego").exit_code == 0
    assert run(RESTATED / "default_ppcie.rego", "--strict").exit_code == 1


def test_nothing_let_through_is_not_a_pass(tmp_path) -> None:
    (tmp_path / "deny.rego").write_text("package policy\ndefault allow := false\n")
    done = run(tmp_path / "deny.rego")
    assert done.exit_code == 3
    assert done.output.startswith("not decided: ")
    assert "--input" in done.output


def test_json_is_by_its_schema_and_the_class_comes_from_the_name() -> None:
    for name, kind, tried in (("any_tee", "resource", 181), ("default_gpu", "attestation", 21)):
        done = run(RESTATED / f"{name}.rego", "--format", "json")
        found = json.loads(done.output)
        validate(found, schema("lint"))
        assert (found["kind"], found["tried"], done.exit_code) == (kind, tried, 1)
    assert json.loads(run(RESTATED / "default_gpu.rego", "--class", "switch", "--format", "json").output)["verdict"] == "undecided"


def test_an_attestation_counterexample_says_the_status(tmp_path) -> None:
    run(RESTATED / "default_gpu.rego", "-o", tmp_path)
    again = run(RESTATED / "default_gpu.rego", "--replay", tmp_path / "gpu-vbios-version-other.json")
    assert again.exit_code == 1
    assert again.output.endswith(", status affirming\n")


def test_an_input_of_ones_own_may_be_json_or_a_token(tmp_path) -> None:
    claims = resource_bank.token({"cpu0": resource_bank.appraisal({"snp": {}, "init_data": "77"})})
    (tmp_path / "claims.json").write_text(json.dumps(claims))
    (tmp_path / "token.jwt").write_text(jwt.encode(claims, "k" * 32, algorithm="HS256"))
    (tmp_path / "p.rego").write_text('package policy\nimport rego.v1\nallow if { input.submods.cpu0["ear.veraison.annotated-evidence"].init_data == "77"\n'
                                     'data["resource-path"] == ["a", "b", "c"] }\n')
    assert read_claims((tmp_path / "claims.json").read_bytes(), source="x") == read_claims((tmp_path / "token.jwt").read_bytes(), source="x") == claims
    done = run(tmp_path / "p.rego", "--input", tmp_path / "token.jwt", "--resource", "a/b/c", "--format", "json")
    found = json.loads(done.output)
    assert found["lets_through"] == [str(tmp_path / "token.jwt")]
    assert {"cpu-contraindicated", "plugin-other"} <= {finding["id"] for finding in found["findings"]}
    assert not {"path-other", "init-data-other"} & {finding["id"] for finding in found["findings"]}


def test_reference_values_can_be_the_users(tmp_path) -> None:
    (tmp_path / "default_cpu.rego").write_text('package policy\nimport rego.v1\ndefault e := 33\ne := 3 if input.snp.measurement in query_reference_value("mine")\n'
                                               'trust_claims := {"executables": e}\n')
    (tmp_path / "claims.json").write_text(json.dumps({"snp": {"measurement": "77"}}))
    (tmp_path / "rv.json").write_text(json.dumps({"mine": ["77"]}))
    assert run(tmp_path / "default_cpu.rego", "--input", tmp_path / "claims.json").exit_code == 3
    done = run(tmp_path / "default_cpu.rego", "--input", tmp_path / "claims.json", "--reference", tmp_path / "rv.json", "--format", "json")
    assert json.loads(done.output)["lets_through"] == [str(tmp_path / "claims.json")]


@pytest.mark.parametrize(("text", "said"), [
    (b"[]", "no JSON object"),
    (b'{"submods": []}', "no object of objects"),
    (b'{"submods": {"cpu0": 1}}', "no object of objects"),
    (b'{"a": NaN}', "NaN is not JSON"),
    (b"[" * 100000, "cannot be read"),
    (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 64 deep"),
    (b"a.b.c", "not base64 of UTF-8"),
    (b"\xff", "not UTF-8"),
])
def test_inputs_that_cannot_be_used(tmp_path, capsys, text, said) -> None:
    (tmp_path / "claims").write_bytes(text)
    assert said in failed(capsys, RESTATED / "any_tee.rego", "--input", tmp_path / "claims")


@pytest.mark.parametrize(("data", "said"), [
    (b"package policy\nallow if {\n", ":2: this is not Rego that loads: this is unclosed"),
    (b"package policy\nimport rego.v1\nallow if f(1)\nf(x) if g(x)\ng(x) if f(x)\n", "this can be evaluated on no input at all: the engine has no answer; a rule that needs itself"),
    (b"package policy\n# \xff\nallow := true\n", "byte 17 is not UTF-8"),
    (b"package policy\ndefault allow := false\n\0\nallow := true\n", ":3: a zero character"),
    (b"\xef\xbb\xbfpackage policy\nallow := true\n", ":1: a byte order mark"),
    (b"#" * (10 << 20), "more than 4194304 bytes"),
    (b"", "its package is not `policy`"),
    (b"package agent_policy\nimport rego.v1\n# package policy\ndefault allow := true\n", "its package is not `policy`"),
])
def test_policies_that_cannot_be_used(tmp_path, capsys, data, said) -> None:
    (tmp_path / "p.rego").write_bytes(data)
    assert said in failed(capsys, tmp_path / "p.rego")


def test_a_resource_is_a_path_of_three(capsys) -> None:
    assert "repository/type/tag" in failed(capsys, RESTATED / "any_tee.rego", "--resource", "key")


def test_without_the_engine_the_remedy_is_said(capsys, monkeypatch) -> None:
    monkeypatch.setattr("simkit.attest.rego.engine.find_spec", lambda name: None)
    assert "pip install 'simkit-pcie[rego]'" in failed(capsys, RESTATED / "any_tee.rego")


def test_counterexamples_of_others_are_refused(tmp_path, capsys) -> None:
    (tmp_path / "x.json").write_text('{"data": {}}')
    assert "`simkit attest lint -o` wrote" in failed(capsys, RESTATED / "any_tee.rego", "--replay", tmp_path / "x.json")


@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode) | st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["submods", "input", "data", "cpu0", "ear.status"]), inner, max_size=3)).map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_no_bytes_break_the_readers_of_documents(data: bytes) -> None:
    for read in (read_policy, read_claims, read_references, read_counterexample):
        try:
            read(data, source="x")
        except SimkitError as error:
            assert re.match(r"x(:[0-9]+)?: ", str(error))


@given(st.recursive(st.none() | st.booleans() | st.integers(-200, 200) | st.sampled_from(["affirming", "00" * 32]), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
    st.sampled_from(["submods", "cpu0", "gpu0", "gpu1", "nvidia", "snp", "tdx", "quote", "body", "init_data", "ear.veraison.annotated-evidence", "ear.status", "iss", "td_attributes"]), inner, max_size=4), max_leaves=20))
@settings(deadline=None)
def test_no_claims_break_the_bank(value) -> None:
    """Whatever the user's own input is, each case either changes it or leaves it alone."""
    from simkit.attest.lint import attestation_bank
    from simkit.attest.rego.engine import World

    try:
        claims = read_claims(json.dumps(value).encode(), source="x")
    except SimkitError:
        return
    for bank in (resource_bank, attestation_bank):
        for case in bank.cases():
            made = case.change(World(claims, resource_bank.ASKED, {}))
            assert made is None or isinstance(made.input, dict)


def test_restated_policies_are_text(tmp_path) -> None:
    shutil.copy(RESTATED / "any_tee.rego", tmp_path / "p.rego")
    assert run(tmp_path / "p.rego", "--kind", "attestation", "--class", "ppcie", "--trustee", "0.21").exit_code == 3
