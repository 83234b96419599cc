"""What is rendered, as files in golden/*/expected for golden/*/given: `make regold` rewrites both, and a person reads the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import render_worlds as worlds

from simkit.formats.guest.render import TARGETS, artefacts
from simkit.formats.native.plan import dump_plan, load_plan

GOLDEN = Path(__file__).parent / "golden"
REGOLD = os.environ.get("REGOLD") == "1"


def rewrite(name: str) -> None:
    for folder, files in (("given", {"plan.json": dump_plan(worlds.PLANS[name]())}), ("expected", rendered(name))):
        path = GOLDEN / name / folder
        path.mkdir(parents=True, exist_ok=True)
        for old in path.iterdir():
            old.unlink()
        for file, text in files.items():
            (path / file).write_text(text, encoding="utf-8")


def rendered(name: str) -> dict[str, str]:
    plan = load_plan((GOLDEN / name / "given/plan.json").read_text(encoding="utf-8"), source=name) if not REGOLD else worlds.PLANS[name]()
    return {file: text for target in TARGETS for file, text in artefacts(plan, target).items()}


@pytest.mark.parametrize("name", sorted(worlds.PLANS))
def test_rendered_files_are_the_expected_ones(name: str) -> None:
    if REGOLD:
        rewrite(name)
    expected = {path.name: path.read_text(encoding="utf-8") for path in (GOLDEN / name / "expected").iterdir()}
    found = rendered(name)
    assert found.keys() == expected.keys()
    for file, text in found.items():
        assert text == expected[file], f"{file} differs; if it should, run `make regold` and read the diff"


@pytest.mark.parametrize("name", sorted(worlds.PLANS))
def test_the_given_plan_is_the_one_made_by_hand(name: str) -> None:
    assert (GOLDEN / name / "given/plan.json").read_text(encoding="utf-8") == dump_plan(worlds.PLANS[name]())
