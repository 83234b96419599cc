"""Charts of runs: every step once, from and to whom it says, the adversary's marked; whatever texts may hold."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InputError
from simkit.formats.draw.sequence import chart, mermaid, svg
from simkit.formats.native.sequence import load_run
from simkit.model.sequence import Sequence, Step

RUN = Sequence("a run", (
    Step("ask", (), "A", "B", "what <is> it; #1?"), Step("tell", (), "C", "A", "nothing & more"), Step("think", (), "B", "B", "to itself", by_adversary=True),
    Step("take", (), "A", "C", "all", by_adversary=True),
), "P1 violated", order=("B", "A"))
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
WORDS = st.lists(NAMES, min_size=1, max_size=12).map(" ".join)
STEPS = st.builds(Step, NAMES, st.just(()), NAMES, NAMES, WORDS, by_adversary=st.booleans())
RUNS = st.builds(Sequence, WORDS, st.lists(STEPS, max_size=8).map(tuple), WORDS)


def test_parties_stand_in_the_order_that_is_asked_for_then_as_they_appear() -> None:
    assert RUN.parties == ("B", "A", "C")


def test_the_chart_points_from_the_sender_to_the_receiver() -> None:
    lines = chart(RUN).splitlines()
    heads = {name: lines[2].index(name) for name in RUN.parties}
    arrows = [line for line in lines if re.match(r" *\d+[! ] ", line)]
    assert [line[:4] for line in arrows] == ["  1 ", "  2 ", "  3!", "  4!"]
    first, second, third, fourth = arrows
    assert first[heads["B"] + 1] == "<"
    assert set(first[heads["B"] + 2 : heads["A"]]) == {"─"}
    assert second[heads["A"] + 1] == "<"
    assert third[heads["B"] : heads["B"] + 3] == "│═┐"
    assert fourth[heads["C"] - 1] == ">"
    assert set(fourth[heads["A"] + 1 : heads["C"] - 1]) == {"═"}
    assert lines[-1] == "P1 violated"


def test_mermaid_takes_every_letter() -> None:
    lines = mermaid(RUN).splitlines()
    assert "  p1->>p0: what <is> it#59; #35;1?" in lines
    assert lines.count("  rect rgb(252, 228, 226)") == 2
    assert lines[-1] == "  note over p0,p2: P1 violated"


def test_svg_has_an_arrow_a_step_at_the_lanes_it_joins() -> None:
    drawn = ET.fromstring(svg(RUN))
    space = "{http://www.w3.org/2000/svg}"
    heads = {text.text: float(text.get("x")) for text in drawn.iter(f"{space}text") if text.get("class") == "party"}
    paths = [path.get("d") for path in drawn.iter(f"{space}path")]
    assert len(paths) == 4
    begin, end = re.match(r"M(\d+) \d+H(\d+)", paths[0]).groups()
    assert (float(begin), float(end)) == (heads["A"], heads["B"])
    assert [group.get("class") for group in drawn.iter(f"{space}g")] == ["step", "step", "hot", "hot"]


@given(RUNS)
def test_no_run_breaks_a_drawing(run: Sequence) -> None:
    assert len([line for line in chart(run).splitlines() if re.match(r" *\d+[! ] ", line)]) >= len(run.steps)
    assert len(re.findall(r"^ +p\d+->>p\d+: ", mermaid(run), re.MULTILINE)) == len(run.steps)
    drawn = ET.fromstring(svg(run))
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) == len(run.steps)


@given(st.text(max_size=300) | st.recursive(st.text(max_size=9) | st.integers() | st.none(), lambda each: st.lists(each, max_size=3) | st.dictionaries(
    st.sampled_from(["adversaries", "run", "title", "outcome", "steps", "rule", "bound", "sender", "receiver", "says", "by_adversary", "x"]), each, max_size=6)).map(str))
def test_no_text_breaks_the_reader_of_runs(text: str) -> None:
    try:
        found = load_run(text, source="fuzz")
    except InputError as error:
        assert str(error)
    else:
        assert isinstance(found.run, Sequence)


def test_a_run_that_is_none_is_told_with_every_fault() -> None:
    with pytest.raises(InputError) as caught:
        load_run('{"adversaries": ["a"],\n "run": {"title": "t", "steps": [{"rule": "r", "bound": []}], "colour": 1}}', source="f.json")
    told = str(caught.value)
    for words in ("a run has no 'outcome'", "bound: must be a mapping", "a step has no 'says'", "knows no key 'colour'", "f.json:2"):
        assert words in told
    with pytest.raises(InputError, match="another question: levels"):
        load_run('{"question": "levels", "levels": []}', source="f.json")
    with pytest.raises(InputError, match="holds no run"):
        load_run('{"adversaries": ["a"], "run": null}', source="f.json")
