"""docs/flow.md says what the code says: `make regold` rewrites what is made from it, and a person reads the diff."""

import os
import re
from pathlib import Path

import pytest

from simkit.cli.main import cli
from tests.attest.flow.page import QUICK, SLOW

PAGE = Path(__file__).parents[3] / "docs/flow.md"


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- made: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_what_the_page_says_is_what_the_code_says(name: str) -> None:
    made = f"\n{(QUICK | SLOW)[name]()}\n\n"
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("REGOLD") == "1":
        text = block(name).sub(lambda _: made, text, count=1)
        PAGE.write_text(text, encoding="utf-8")
    (kept,) = block(name).findall(text)
    assert kept == made, "if it should be otherwise, run `make regold` and read the diff"


def test_the_page_has_every_part_once_and_names_only_options_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(re.findall(r"<!-- made: (\w+) -->", text)) == sorted(QUICK | SLOW)
    flow = cli.get_command(None, "attest").get_command(None, "flow")
    known = {option for parameter in flow.params for option in parameter.opts}
    assert set(re.findall(r"(?<![-\w])--[a-z]+", text)) <= known
