"""The command line as a user meets it: exit status, one-paragraph errors, JSON that keeps its schema."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from simkit.cli.main import cli, main
from simkit.formats.schema import names, schema
from simkit.formats.source import shipped


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def status(*arguments: str, capsys) -> tuple[int, str, str]:
    """As the entry point does it: exit status, what was printed, what was complained."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capsys.readouterr()
    return int(caught.value.code or 0), printed.out, printed.err


def document(name: str, result: Result) -> dict:
    lines = result.output.splitlines()
    assert len(lines) == 1
    found = json.loads(lines[0])
    jsonschema.validate(found, schema(name))
    return found


def test_help_names_every_command_and_each_has_help_of_its_own() -> None:
    text = run("--help").output
    for name in cli.list_commands(None):
        assert f"  {name} " in text
        shown = run(name, "--help")
        assert shown.exit_code == 0
        assert len(shown.output) > 60


@pytest.mark.parametrize("host", shipped("hosts"))
def test_show_groups_and_routes_of_every_shipped_host(host: str) -> None:
    assert host in run("show", host).output
    assert document("host", run("show", host, "--format", "json"))["name"] == host
    found = document("groups", run("groups", host, "--format", "json"))
    members = [function for group in found["groups"] for function in group["functions"]] + found["ungrouped"]
    assert sorted(members) == sorted(document("host", run("show", host, "--format", "json"))["functions"])
    p2p = document("p2p", run("show", host, "--as", "p2p", "--format", "json"))
    assert all(row[index] == "LOC" for index, row in enumerate(p2p["class"]))
    assert p2p["class"] == [list(row) for row in zip(*p2p["class"], strict=True)]
    if len(p2p["functions"]) > 1:
        way = document("route", run("route", host, p2p["functions"][0], p2p["functions"][1], "--format", "json"))
        assert way["source"] == p2p["functions"][0]
    assert run("show", host, "--as", "svg").output.startswith("<svg")
    assert "<script>" in run("show", host, "--as", "html").output
    assert len(run("show", host, "--as", "groups").output.splitlines()) > 3


def test_several_hosts_give_a_document_each() -> None:
    lines = run("groups", "edge-single", "split-roots", "--format", "json").output.splitlines()
    assert [json.loads(line)["host"] for line in lines] == ["edge-single", "split-roots"]


def test_what_the_source_does_not_tell_can_be_stated() -> None:
    stated = json.loads(run("groups", "edge-single", "--iommu", "none", "--kernel", "6.1.0-9-amd64", "--format", "json").output)
    assert stated["kernel"] == "6.1"
    assert stated["groups"] == []


def test_solve_verify_render_apply_roll_back(tmp_path: Path) -> None:
    plan, node = str(tmp_path / "plan.json"), str(tmp_path / "node")
    solved = run("solve", "two-guests", "--host", "hgx-h100", "-o", plan, "--format", "json")
    assert solved.exit_code == 0
    assert document("solve", solved)["answer"] == "planned"
    jsonschema.validate(json.loads(Path(plan).read_text()), schema("plan"))
    report = run("verify", plan, "--policy", "demo", "--format", "json")
    assert report.exit_code == 0
    assert document("verify", report)["verdict"] == "residual"
    for target in ("qemu", "libvirt", "kata", "cdi", "script"):
        assert document("render", run("render", plan, "--to", target, "--format", "json"))["files"]
        assert run("render", plan, "--to", target, "-o", str(tmp_path / target)).exit_code == 0
    assert run("record", "hgx-h100", node).exit_code == 0
    rehearsed = document("apply", run("apply", plan, "--executor", "recorded", "--node", node, "--dry-run", "--format", "json"))
    assert rehearsed["outcome"] == "rehearsed"
    done = document("apply", run("apply", plan, "--executor", "recorded", "--node", node, "--format", "json"))
    assert done["outcome"] == "applied"
    assert done["done"] == rehearsed["pending"]
    assert document("status", run("status", plan, "--format", "json"))["phase"] == "applied"
    after = json.loads(run("show", node, "--format", "json").output)
    assert after["functions"]["0000:03:00.0"]["driver"] == "vfio-pci"
    undone = document("apply", run("rollback", plan, "--executor", "recorded", "--node", node, "--format", "json"))
    assert undone["outcome"] == "restored"
    assert run("diff", "hgx-h100", node).exit_code == 1


def test_a_broken_switch_gives_a_counterexample_that_replays(tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    run("solve", "two-guests", "--host", "hgx-h100", "-o", plan)
    result = run("verify", plan, "--policy", "isolation", "--acs", "0000:82:00.0=", "--format", "json")
    assert result.exit_code == 1
    example = next(finding["counterexample"] for finding in document("verify", result)["findings"] if finding["counterexample"])
    assert example["via"][0] == "0000:82:00.0"
    host = json.loads(Path(plan).read_text())["host"]
    host["functions"]["0000:82:00.0"]["acs"]["control"] = ""
    (tmp_path / "broken.json").write_text(json.dumps(host))
    way = document("route", run("route", str(tmp_path / "broken.json"), example["source"], example["target"], "--format", "json"))
    assert way["direct"]
    assert way["via"] == example["via"]


def test_infeasible_ends_at_lines_and_says_what_would_help(capsys) -> None:
    code, printed, _ = status("solve", "three-guests", "--host", "hgx-h100", capsys=capsys)
    assert code == 1
    assert "batch" in printed
    assert "three-guests.yaml:" in printed
    assert "3 GPUs" in printed
    found = document("solve", run("solve", "three-guests", "--host", "hgx-h100", "--format", "json"))
    assert found["answer"] == "infeasible"
    assert found["relaxations"]
    assert all(reason["where"] for reason in found["because"])


def test_diff_says_nothing_of_a_host_and_itself() -> None:
    same = run("diff", "edge-single", "edge-single")
    assert (same.exit_code, same.output) == (0, "no difference\n")
    assert document("diff", run("diff", "edge-single", "split-roots", "--format", "json"))["differences"]


def test_capture_of_this_machine_can_be_shown(tmp_path: Path) -> None:
    here = str(tmp_path / "here.yaml")
    assert run("capture", "-o", here).exit_code == 0
    assert run("show", here).exit_code == 0
    assert document("host", run("show", here, "--format", "json"))["simkit"] == "host/1"


def test_schemas_are_listed_and_printed() -> None:
    assert run("schema").output.split() == list(names())
    assert json.loads(run("schema", "groups").output)["title"] == "simkit groups"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_SIMKIT_COMPLETE" in run("completion", shell).output


@pytest.mark.parametrize(("arguments", "words"), [
    (("show", "nothing-here"), "no host or file 'nothing-here'"),
    (("route", "edge-single", "0000:00:00.0", "x"), "not a PCI address"),
    (("route", "edge-single", "0000:00:00.0", "0000:99:00.0"), "no function 0000:99:00.0"),
    (("solve", "two-guests", "--host", "nowhere"), "no host or file"),
    (("verify", "edge-single", "--policy", "isolatio"), "did you mean isolation"),
    (("verify", "edge-single", "--policy", "isolation", "--acs", "0000:00:01.0=QQ"), "QQ is no ACS bit"),
    (("schema", "group"), "did you mean groups"),
])
def test_bad_use_is_one_paragraph_and_status_2(arguments: tuple[str, ...], words: str, capsys) -> None:
    code, printed, complaint = status(*arguments, capsys=capsys)
    assert code == 2
    assert words in complaint
    assert "Traceback" not in complaint
    assert printed == ""


def test_a_workload_that_pins_a_stranger(tmp_path: Path, capsys) -> None:
    (tmp_path / "w.yaml").write_text("simkit: workload/1\nname: w\nguests:\n  a:\n    devices:\n      - {kind: gpu, pinned: [0000:aa:00.0]}\n")
    code, _, complaint = status("solve", str(tmp_path / "w.yaml"), "--host", "hgx-h100", capsys=capsys)
    assert code == 2
    assert "0000:aa:00.0" in complaint
    assert "w.yaml:6" in complaint


def test_a_host_alone_does_not_pass_a_policy_of_plans() -> None:
    result = run("verify", "hgx-h100", "--policy", "performance", "--format", "json")
    assert result.exit_code == 3
    assert {finding["status"] for finding in document("verify", result)["findings"]} == {"skipped"}


@given(st.text(max_size=200))
def test_no_file_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("cli") / "x"
    path.write_text(text, encoding="utf-8", errors="replace")
    for arguments in (("show", str(path)), ("solve", str(path), "--host", "edge-single"), ("verify", "edge-single", "--policy", str(path)), ("render", str(path), "--to", "qemu")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_the_demo_tells_the_whole_story(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "simkit", "demo", "-o", "out"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for chapter in ("1. The node", "2. The wish", "3. The answer", "4. The proof", "5. The artefacts", "6. The trust", "7. The change"):
        assert chapter in done.stdout
    assert done.stdout.count("byte for byte: no difference") == 2
    assert "VIOLATED   no-peer-path" in done.stdout
    assert "topology      8 GPUs and 4 switches, each listing all of the others, one nonce" in done.stdout
    assert "distinct failed: presented more than once" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"plan.json", "hgx-h100.html", "qemu", "libvirt", "kata", "cdi", "kubernetes", "script", "nccl"}
