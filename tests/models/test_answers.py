"""What simkit answers where public issues ask for something that ends, is finer than a NUMA node, or is seen in the guest: kept word for word."""

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.formats.library import folder

GOLDEN = Path(__file__).parent / "golden"
REGOLD = os.environ.get("REGOLD") == "1"
ANSWERS = {
    "nccl-vm": (("solve nccl-vm --host hgx-a100 -o plan.json", 0), ("nccl plan.json", 0)),
    "aligned-pairs-xe8640": (("solve aligned-pairs --host xe8640", 1),),
    "aligned-pairs-split-roots": (("solve aligned-pairs --host split-roots", 1),),
    "aligned-pairs-mi300x": (("solve aligned-pairs --host mi300x", 0),),
    "strict-numa": (("solve strict-numa --host gb200", 0),),
    "gives-up": (("solve gives-up --host hgx-h100", 1),),
    "nvlink-guests": (("solve nvlink-guests --host hgx-h100", 0),),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_one_that_is_kept(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for command, status in ANSWERS[name]:
        ran = CliRunner().invoke(cli, shlex.split(command))
        assert ran.exit_code == status, ran.output
        said.append(f"$ simkit {command}\n{ran.output}".replace(str(folder()), "models"))
    text, kept = "\n".join(said), GOLDEN / f"{name}.txt"
    if REGOLD:
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8"), "if it should be otherwise, run `make regold` and read the diff"


def test_the_table_of_answers_is_what_is_kept() -> None:
    rows = (folder() / "README.md").read_text().partition("## Answers kept word for word")[2].partition("\n## ")[0]
    assert set(re.findall(r"`simkit ([^`]+)`", rows)) == {command for commands in ANSWERS.values() for command, _ in commands}
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(ANSWERS)
