"""`simkit apply` and its sisters: what is a no and what is bad input, and which plan a journal is of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli, main

GPU = "sys/bus/pci/devices/0000:03:00.0"


class Bench:
    """A plan for a recorded node, and the command line in front of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.plan, self.node, self.capsys = folder / "plan.json", folder / "node", capsys
        self.on = ("--executor", "recorded", "--node", str(self.node))
        CliRunner().invoke(cli, ["solve", "two-guests", "--host", "hgx-h100", "-o", str(self.plan)])
        CliRunner().invoke(cli, ["record", "hgx-h100", str(self.node)])

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = self.capsys.readouterr()
        return int(str(caught.value.code)), out, err

    def another_plan(self) -> Path:
        found = json.loads(self.plan.read_text())
        found["workload"]["name"] = "another"
        other = self.plan.with_name("other.json")
        other.write_text(json.dumps(found))
        return other


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
@pytest.mark.parametrize(("change", "words"), [
    ({f"{GPU}/boot_vga": "1\n"}, "it is the console (boot_vga)"),
    ({f"{GPU}/vendor": "0x1002\n"}, "another device is at 0000:03:00.0"),
])
def test_a_refusal_is_a_no_and_nothing_else_is_said(bench: Bench, change: dict[str, str], words: str, dry: tuple[str, ...]) -> None:
    for path, text in change.items():
        (bench.node / path).write_text(text)
    code, out, err = bench.run("apply", str(bench.plan), *bench.on, *dry)
    assert (code, out) == (1, "")
    assert words in err
    assert not bench.plan.with_suffix(".journal").exists()


def test_help_says_so(bench: Bench) -> None:
    _, out, _ = bench.run("apply", "--help")
    assert "1 refused (the node has changed since, or the host uses what would be taken) or a step failed" in " ".join(out.split())


def test_a_dry_run_that_may_be_done_lists_the_steps(bench: Bench) -> None:
    code, out, _ = bench.run("apply", str(bench.plan), *bench.on, "--dry-run")
    assert code == 0
    assert "write 'vfio-pci' to /sys/bus/pci/devices/0000:03:00.0/driver_override" in out
    assert out.splitlines()[-1].startswith("rehearsed: ")


@pytest.mark.parametrize("command", ["status", "resume", "rollback"])
def test_a_journal_of_another_plan_is_refused(bench: Bench, command: str) -> None:
    assert bench.run("apply", str(bench.plan), *bench.on)[0] == 0
    journal, more = str(bench.plan.with_suffix(".journal")), bench.on if command != "status" else ()
    before = Path(journal).read_text()
    code, out, err = bench.run(command, str(bench.another_plan()), "--journal", journal, *more)
    assert (code, out) == (2, "")
    assert err.startswith(f"simkit: {journal}: this journal is of another plan (sha256:")
    assert "which is applied" in err
    assert "give the plan that was applied (the first line of the journal holds it" in err
    assert Path(journal).read_text() == before
    assert bench.run(command, str(bench.plan), *more)[0] == 0


def test_the_plan_that_a_journal_holds_is_the_one_it_is_of(bench: Bench) -> None:
    """So that a lost plan is no reason for a node to stay as it is."""
    assert bench.run("apply", str(bench.plan), *bench.on)[0] == 0
    journal = bench.plan.with_suffix(".journal")
    kept = bench.plan.with_name("kept.json")
    kept.write_text(json.dumps(json.loads(journal.read_text().splitlines()[0])["plan"]))
    assert bench.run("rollback", str(kept), "--journal", str(journal), *bench.on)[0] == 0
