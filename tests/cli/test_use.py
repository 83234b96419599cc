"""How the command line is used: examples that work, words that are nearly right, standard input and output, what users state."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from simkit.cli.main import cli, main
from simkit.errors import InputError
from simkit.executors.apply import Progress
from simkit.formats.source import shipped

CONTEXT = click.Context(cli)
COMMANDS = {name: cli.get_command(CONTEXT, name) for name in cli.list_commands(CONTEXT)}
EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in re.findall(r"^ +simkit (.+)$", command.help, re.MULTILINE)]


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=given)


def complaint(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_purpose_an_example_and_the_exit_statuses(name: str) -> None:
    text = run(name, "--help").output
    assert "Exit status: 0" in text
    assert any(command == name for command, _ in EXAMPLES)
    assert all(option.help for option in COMMANDS[name].params if option.param_type_name == "option"), name


def test_the_examples_of_help_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it stands, in a folder where the files that it names are there; those that write to this machine only as far as their options go."""
    monkeypatch.chdir(tmp_path)
    run("solve", "two-guests", "--host", "hgx-h100", "-o", "plan.json")
    for file in {word for _, example in EXAMPLES for word in example.split() if re.search(r"\.(yaml|xml|txt|bz2)$", word)}:
        run("capture", "--from", "edge-single", "--format", "yaml", "-o", file)
    Path("mine.xml").write_text(run("render", "plan.json", "--guest", "train", "--to", "nccl").output)
    tried = [example for _, example in EXAMPLES if "local" not in example and not example.startswith("rehearse") and "status" not in example and "ssh:" not in example and "|" not in example and ">" not in example]
    assert len(tried) >= 19
    for example in sorted(tried, key=lambda example: not example.startswith("record")):
        result = run(*shlex.split(example))
        assert result.exit_code in (0, 1), (example, result.output)
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit), example


@pytest.mark.parametrize(("arguments", "words"), [
    (("shwo",), "there is no command 'shwo'; did you mean show?"),
    (("show", "hgx-h100", "--as", "sgv"), "did you mean svg?"),
    (("groups", "hgx-h100", "--reader", "hwlok"), "did you mean hwloc?"),
    (("render", "plan.json", "--to", "quemu"), "did you mean qemu?"),
    (("groups", "hgx-h100", "--kernel", "banana"), "write it as `uname -r` does"),
    (("show", "edge-single", "--as", "svg", "--format", "json"), "has no JSON"),
    (("show", "edge-single", "rtx-pro-8", "-o", "x"), "draw several one by one"),
    (("solve", "two-guests", "--host", "hgx-h100", "-o", "-", "--format", "json"), "leave -o out"),
    (("verify", "hgx-h100", "--policy", "fabric", "--acs", "0000:03:00.0=SV"), "has no ACS capability to set"),
    (("verify", "hgx-h100", "--policy", "fabric", "--acs", "0000:02:00.0=SV,0x80"), "does not implement ACS 0x80"),
    (("status", "nowhere.json"), "was not applied"),
    (("apply", "-", "--executor", "recorded", "--node", "."), "--journal"),
    (("capture", "--from", "ssh://-oProxyCommand=x"), "write it as ssh://HOST"),
    (("solve", "two-guests"), "missing option '--host'"),
])
def test_bad_use_is_one_line_that_says_what_to_do(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = complaint(*arguments, capsys=capsys)
    assert words in text
    assert text.count("\n") == 1


def test_what_is_stated_counts_on_a_plan_too(tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    run("solve", "two-guests", "--host", "hgx-h100", "-o", plan)
    with_iommu, without = (json.loads(run("verify", plan, "--policy", "isolation", "--format", "json", *more).output) for more in ((), ("--iommu", "none")))
    assert with_iommu["verdict"] == "pass"
    assert without["verdict"] == "fail"


def test_standard_input_and_output_are_a_dash(tmp_path: Path) -> None:
    plan = run("solve", "two-guests", "--host", "hgx-h100", "-o", "-").stdout
    assert json.loads(plan)["simkit"] == "plan/1"
    assert run("verify", "-", "--policy", "isolation", given=plan).exit_code == 0
    assert run("render", "-", "--to", "script", given=plan).exit_code == 0
    host = run("capture", "--from", "edge-single", "-o", "-").stdout
    assert host == run("capture", "--from", "edge-single").stdout
    assert run("groups", "-", "--format", "json", given=host).exit_code == 0
    assert run("show", "edge-single", "--as", "p2p", "-o", "-").output == run("show", "edge-single", "--as", "p2p").output
    run("show", "edge-single", "--as", "p2p", "--format", "json", "-o", str(tmp_path / "p2p.json"))
    assert json.loads((tmp_path / "p2p.json").read_text())["functions"]


def test_a_difference_is_said_in_the_words_of_a_snapshot() -> None:
    text = run("diff", "hgx-h100", "hgx-a100").output
    assert "0000:00:01.1 link.speed: 32 GT/s → 16 GT/s" in text
    assert "numa node 0 memory: 1152 GiB → 128 GiB" in text
    assert "only in hgx-a100: numa node 2 cpus 32-47,160-175, memory 128 GiB" in text
    assert not re.search(r"\w+\(|<", text)
    found = json.loads(run("diff", "edge-single", "split-roots", "--format", "json").output)["differences"]
    assert {"subject": "host", "field": "tees", "before": [], "after": [{"kind": "tdx"}]} in found


def test_long_lists_of_assumptions_are_cut_for_people_only(tmp_path: Path) -> None:
    bare = json.loads(run("capture", "--from", "split-roots", "--format", "json").output)
    for function in bare["functions"].values():
        function.pop("multifunction", None)
        function.pop("acs", None)
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    (tmp_path / "w.yaml").write_text("simkit: workload/1\nname: w\nguests:\n  a:\n    cpus: 4\n    memory: 8 GiB\n    devices:\n      - {kind: gpu, count: 1}\n")
    arguments = ("solve", str(tmp_path / "w.yaml"), "--host", str(tmp_path / "bare.json"))
    count = len(json.loads(run(*arguments, "--format", "json").output)["plan"]["assumptions"])
    text = run(*arguments).output
    assert count > 14
    assert f"Assumed ({count}):" in text
    assert f"… {count - 12} more, all of them in the plan …" in text


@pytest.mark.parametrize(("words", "there"), [
    (("show", "hg"), {"hgx-a100", "hgx-h100", "hgx-h100-vm"}),
    (("solve", ""), set(shipped("workloads"))),
    (("verify", "plan.json", "--policy", ""), set(shipped("policies"))),
    (("solve", "two-guests", "--host", "rt"), {"rtx-pro-8"}),
    (("schema", "gr"), {"groups"}),
    (("show", "x", "--as", "t"), {"tree"}),
])
def test_completion_offers_names_and_files(words: tuple[str, ...], there: set[str]) -> None:
    environment = {"_SIMKIT_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("simkit", *words)), "COMP_CWORD": str(len(words))}
    lines = CliRunner().invoke(cli, prog_name="simkit", env=environment).output.splitlines()
    assert {line.removeprefix("plain,") for line in lines if line.startswith("plain,")} == there
    assert not any(line.startswith("file,") for line in lines[1:]), "bash's script forgets the names that stand before a file"


def test_ctrl_c_in_the_middle_of_an_apply_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plan, node = str(tmp_path / "plan.json"), str(tmp_path / "node")
    run("solve", "two-guests", "--host", "hgx-h100", "-o", plan)
    run("record", "hgx-h100", node)

    def pressed(progress: Progress) -> None:
        if progress.number == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("simkit.cli.apply._line", pressed)
    arguments = (plan, "--executor", "recorded", "--node", node)
    with pytest.raises(SystemExit) as caught:
        main(("apply", *arguments))
    assert caught.value.code == 130
    assert f"`simkit resume {plan} …` goes on" in capsys.readouterr().err
    assert json.loads(run("status", plan, "--format", "json").output)["phase"] == "applying"
    monkeypatch.undo()
    assert run("resume", *arguments).exit_code == 0
    assert json.loads(run("status", plan, "--format", "json").output)["phase"] == "applied"


def test_guests_over_several_hosts(tmp_path: Path) -> None:
    """Nine GPUs do not fit one host of eight; two hosts get a plan each, in a folder."""
    done = run("solve", "three-guests", "--host", "hgx-h100*2", "-o", str(tmp_path / "plans"))
    assert done.exit_code == 0, done.output
    assert "planned: 3 guests on 2 hosts" in done.output
    assert sorted(path.name for path in (tmp_path / "plans").iterdir()) == ["hgx-h100-1.json", "hgx-h100-2.json"]
    assert run("verify", str(tmp_path / "plans" / "hgx-h100-2.json"), "--policy", "isolation").exit_code == 0
    done = run("solve", "three-guests", "--host", "hgx-h100*2", "--format", "json")
    document = json.loads(done.output)
    assert (document["answer"], document["plan"], len(document["plans"])) == ("planned", None, 2)
    assert isinstance(run("solve", "three-guests", "--host", "hgx-h100*2", "-o", "-").exception, InputError)
