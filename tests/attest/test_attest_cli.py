"""`simkit attest verify`, `explain` and `diff` as a user meets them: exit status, JSON by its schema, errors with a remedy."""

import json
import re
import shlex

import jwt
import pytest
from authority import issue, key
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jsonschema import validate

from simkit.cli.main import cli, main
from simkit.formats.library import folder
from simkit.formats.schema import schema


@pytest.fixture
def files(tmp_path):
    """A chain in files: root, middle, leaf; and a key to sign results."""
    made = {"root": issue("root", key(1), "root", key(1)), "middle": issue("middle", key(2), "root", key(1)), "leaf": issue("leaf", key(3), "middle", key(2), ca=False)}
    for name, certificate in made.items():
        (tmp_path / name).write_bytes(certificate.der)
    (tmp_path / "key").write_bytes(key(9).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {name: str(tmp_path / name) for name in ("root", "middle", "leaf", "key")}


def run(*arguments):
    return CliRunner().invoke(cli, ["attest", *arguments])


def failed(capsys, *arguments):
    """What `simkit attest` says on stderr, and its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["attest", *arguments])
    return capsys.readouterr().err, ended.value.code


def test_pass_fail_and_the_roots_that_are_asked_for(files) -> None:
    usual = ["verify", files["leaf"], "--chain", files["middle"], "--at", "2025-07-01"]
    right = run(*usual, "--root", files["root"])
    assert (right.exit_code, right.output.splitlines()[0].split(":")[0]) == (0, "pass")
    wrong = run(*usual, "--chain", files["root"])
    assert wrong.exit_code == 1
    assert "because root of device 0 failed: root (SHA-256 " in wrong.output


def test_json_is_by_its_schema(files) -> None:
    done = run("verify", files["leaf"], "--chain", files["middle"], "--root", files["root"], "--at", "2025-07-01T00:00:00+02:00", "--format", "json")
    found = json.loads(done.output)
    validate(found, schema("attest"))
    assert (found["verdict"], found["at"], found["kind"]) == ("pass", "2025-06-30T22:00:00Z", "certificate")
    assert [check["id"] for check in found["checks"]] == ["format", "chain", "root", "validity", "revocation"]


def test_the_policy_counts(files) -> None:
    usual = ["verify", files["leaf"], "--chain", files["middle"], "--root", files["root"], "--at", "2025-07-01"]
    assert "because revocation of device 0 was not checked" in run(*usual, "--policy", "strict").output
    offline = run(*usual, "--policy", "offline")
    assert (offline.exit_code, "pass with residual risk" in offline.output) == (0, True)


def test_a_result_as_token(files, tmp_path) -> None:
    done = run("verify", files["leaf"], "--chain", files["middle"], "--root", files["root"], "--at", "2025-07-01", "--ear", str(tmp_path / "ear.jwt"), "--key", files["key"])
    assert done.exit_code == 0
    token = jwt.decode((tmp_path / "ear.jwt").read_text().strip(), key(9).public_key(), algorithms=["ES256"])
    assert token["submods"]["certificate0"]["ear.status"] == "affirming"


@pytest.mark.parametrize(("arguments", "words"), [
    (("verify", "LEAF"), "missing option '--at'"),
    (("verify", "LEAF", "--at", "yesterday"), "is no time; write 2025-07-01"),
    (("verify", "LEAF", "--at", "2025-07-01", "--nonce", "xyz"), "is not hexadecimal"),
    (("verify", "LEAF", "--at", "2025-07-01", "--nonce", "00" * 65), "65 bytes, where 1 to 64"),
    (("verify", "LEAF", "--at", "2025-07-01", "--policy", "stirct"), "did you mean strict"),
    (("verify", "KEY", "--at", "2025-07-01"), "this is no evidence that simkit knows"),
    (("verify", "LEAF", "--at", "2025-07-01", "--root", "KEY"), "no certificate and no revocation list, but PRIVATE KEY"),
    (("verify", "nowhere", "--at", "2025-07-01"), "nowhere: cannot be opened"),
    (("verfiy", "LEAF"), "did you mean verify"),
])
def test_bad_use(files, capsys, arguments, words) -> None:
    said, status = failed(capsys, *[{"LEAF": files["leaf"], "KEY": files["key"]}.get(each, each) for each in arguments])
    assert status == 2
    assert words in said


def test_explain_and_diff(files) -> None:
    explained = json.loads(run("explain", files["leaf"], "--format", "json").output)
    validate(explained, schema("explain"))
    assert explained["devices"][0]["claims"]["subject"] == "CN=leaf"
    late = run("explain", files["leaf"], "--at", "2031-01-01").output
    assert "wrong at that time: chain: the certificate of middle" in late
    assert run("diff", files["leaf"], files["leaf"]).exit_code == 0
    different = run("diff", files["leaf"], files["middle"], "--format", "json")
    validate(json.loads(different.output), schema("attest-diff"))
    assert different.exit_code == 1
    assert "device 0  subject: CN=leaf -> CN=middle" in run("diff", files["leaf"], files["middle"]).output


def test_what_one_side_lacks_is_told_leaf_by_leaf() -> None:
    lines = run("diff", "milan-report.bin", "tdx-quote.bin").output.splitlines()
    assert "device 0  policy/debug_allowed: false -> (absent)" in lines
    assert "device 0  tdx_module/version: (absent) -> 1" in lines
    assert not [line for line in lines if "{" in line]


def test_times_and_nonces_as_people_write_them() -> None:
    """RFC 3339 lets `t` and `z` be small; openssl writes colons."""
    tdx = ("verify", "tdx-quote.bin", "--format", "json")
    assert json.loads(run(*tdx, "--at", "2025-07-01t00:00:00z").output)["at"] == "2025-07-01T00:00:00Z"
    told = {run(*tdx, "--at", "2025-07-01", "--nonce", nonce).output for nonce in ("abcd", "0xabcd", "0XABCD", "AB:CD", "0xab:cd")}
    assert len(told) == 1
    assert run(*tdx, "--at", "2025-07-01", "--nonce", "ab:xd").exit_code == 2


def test_every_command_has_help() -> None:
    listed = run("--help").output
    for name in ("verify", "explain", "diff"):
        assert name in listed
        assert "Exit status" in run(name, "--help").output


def test_the_examples_of_help_work(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [example for name in ("verify", "explain", "diff") for example in re.findall(r"^ +simkit attest (.+)$", run(name, "--help").output, re.MULTILINE)]
    assert len(examples) == 6
    for example in examples:
        done = run(*shlex.split(example))
        assert done.exit_code == (1 if example.startswith("diff") else 0), (example, done.output)
    assert json.loads((tmp_path / "ear.json").read_text())["submods"]["cpu0"]["ear.status"] == "affirming"


def test_one_gpu_eight_times_is_told_once(tmp_path) -> None:
    board = json.loads((folder() / "evidence" / "hgx-h100-gpus.json").read_text())
    (tmp_path / "eight.json").write_text(json.dumps([board[0]] * 8))
    done = run("verify", str(tmp_path / "eight.json"), "hgx-h100-switches.json", "--at", "2025-07-01", "--nonce", "00" * 32)
    assert done.exit_code == 1
    assert "  because distinct failed: presented more than once" in done.output
    assert "  because nonce of devices 0-11 failed: " in done.output
    assert "  nvidia-gpu: 8 devices, 0-7" in done.output
    whole = run("verify", "hgx-h100-gpus.json", "hgx-h100-switches.json", "--at", "2025-07-01", "--nonce", board[0]["nonce"], "--each")
    assert (whole.exit_code, whole.output.count("\n  device ")) == (0, 12)
