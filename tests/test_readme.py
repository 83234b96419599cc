"""The README shows the answers of a real run: each block below a marker is what the command prints now."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.formats.draw.svg import svg
from simkit.formats.library import folder
from simkit.formats.source import open_plan
from simkit.notebook import Plan
from simkit.semantics.groups import groups as plan_groups

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"<!-- \$ simkit (?P<command>[^\n]*?)(?: \| (?P<end>head|tail) -(?P<lines>\d+))? -->\n\n```text\n(?P<text>.*?)```\n", re.DOTALL)


def printed(command: str, end: str | None, lines: str | None, home: Path) -> str:
    """What a command prints, run in an empty folder where plan.json is the plan of the shipped two guests."""
    runner = CliRunner()
    if not (home / "plan.json").exists():
        runner.invoke(cli, ["solve", "two-guests", "--host", "hgx-h100", "-o", "plan.json"])
    result = runner.invoke(cli, command.split())
    assert result.output, result.exception
    text = result.output.replace(f"{folder()}/", "models/")
    every = text.rstrip().splitlines()
    return "".join(f"{line}\n" for line in (every if lines is None else every[-int(lines) :] if end == "tail" else every[: int(lines)]))


def picture(home: Path) -> str:
    """The machine with the plan's guests, and in red the counterexample of one port without ACS."""
    plan = Plan(open_plan(str(home / "plan.json")))
    report = plan.what_if(acs={"0000:82:00.0": ""}).verify("isolation")
    example = next(finding.counterexample for finding in report.data.findings if finding.counterexample)
    return svg(report.host, plan_groups(plan.data.host), report.owners, path=(example.source, *example.via, example.target)) + "\n"


def test_readme_shows_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = README.read_text()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 4
    fresh = BLOCK.sub(lambda block: block[0][: block.start("text") - block.start()] + printed(block["command"], block["end"], block["lines"], tmp_path) + "```\n", text)
    if os.environ.get("REGOLD"):
        README.write_text(fresh)
        (README.parent / "docs").mkdir(exist_ok=True)
        (README.parent / "docs" / "hgx-h100.svg").write_text(picture(tmp_path))
    assert (README.parent / "docs" / "hgx-h100.svg").read_text() == picture(tmp_path)
    assert fresh == text, "the README's answers are not those of today: REGOLD=1 writes them anew, then read the diff"


def test_readme_names_only_commands_and_files_that_exist() -> None:
    text = README.read_text()
    for name in re.findall(r"`simkit ([a-z]+)", text):
        assert name in cli.list_commands(None), name
    for link in re.findall(r"\]\(((?!https?:)[^)#]+)\)", text):
        assert (README.parent / link).exists(), link
