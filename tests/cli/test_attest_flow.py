"""`simkit attest flow` as a user meets it: answers, exit status, drawings, documents that keep their schema."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from simkit.attest.flow.adversaries import ADVERSARIES
from simkit.attest.flow.switches import FEATURES
from tests.cli.test_cli import document, run, status


def asked(*arguments: str) -> dict:
    return document("flow", run("attest", "flow", *arguments, "--format", "json"))


def test_the_table_has_every_row_and_nothing_unexpected_gets_through() -> None:
    shown = run("attest", "flow")
    assert shown.exit_code == 0
    for adversary in ADVERSARIES:
        how = f"stopped by {adversary.stops} +\\({' '.join(adversary.breaks)}\\)" if adversary.stops else "residual.*|out of scope"
        assert re.search(rf"^ *{adversary.number}  {adversary.name} +{adversary.level} +({how}) .*{re.escape(adversary.does)}$", shown.output, re.MULTILINE)
        assert (f"\n  {adversary.name}: {adversary.residual}\n" in shown.output) == (not adversary.stops)
    assert "62 stopped, 12 residual, 1 out of scope; undisturbed, the flow completes" in shown.output
    assert re.search(r"^[\d,]+ states, [\d,]+ transitions explored, all that there are within: 2 sessions", shown.output, re.MULTILINE)
    told = " ".join(run("attest", "flow", "--help").output.split())
    assert f"and {len(ADVERSARIES)} adversaries against it" in told
    assert f"Have these features: {', '.join(FEATURES)}." in told
    found = asked()
    assert (found["question"], found["complete"], found["whole"], len(found["rows"])) == ("table", True, True, 75)
    assert found["rows"][4]["stops"] == "reattest"
    assert found["rows"][4]["otherwise"] == ["P1", "P4", "P6"]


@pytest.mark.parametrize("check", ["nonce", "root", "init_data", "node_tcb"])
def test_without_a_check_the_rows_that_it_stops_get_through_and_no_other(check: str) -> None:
    shown = run("attest", "flow", "--without", check, "--format", "json")
    found = document("flow", shown)
    assert shown.exit_code == 1
    assert [row["name"] for row in found["rows"] if row["outcome"] == "gets through"] == [row.name for row in ADVERSARIES if row.stops == check]


@pytest.mark.parametrize("feature", FEATURES)
def test_with_a_feature_what_it_closes_is_closed(feature: str) -> None:
    shown = run("attest", "flow", "--with", feature, "--format", "json")
    found = document("flow", shown)
    assert shown.exit_code == 0
    residual = [row["name"] for row in found["rows"] if row["outcome"] == "residual"]
    assert residual == [row.name for row in ADVERSARIES if row.in_scope and not row.stops and row.closes != feature]


def test_an_attack_is_drawn_and_is_a_no(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = status("attest", "flow", "--adversary", "swap-gpu", "--without", "reattest", capsys=capsys)
    assert code == 1
    assert re.search(r"^ +10! ", out, re.MULTILINE)
    assert "P1 violated: the adversary knows the workload-key" in out
    assert "breaks P1 P4 P6" in out
    code, out, _ = status("attest", "flow", "--adversary", "5", capsys=capsys)
    assert code == 0
    assert "nothing gets through, all checks on, no feature\nthe run that gets through --without reattest is refused at step" in out
    assert "(use anew): stopped by reattest" in out


def test_what_is_out_of_scope_or_residual_is_told_and_adversaries_are_named_with_commas_too() -> None:
    assert "no property is violated\nwhat stays of denial-of-service: nobody keeps a host from refusing" in run("attest", "flow", "--adversary", "45").output
    both = run("attest", "flow", "--adversary", "debug-guest, relay-gpu")
    assert both.exit_code == 1
    assert "what stays of relay-gpu: evidence shows" in both.output
    assert "--with tdisp closes it\n" in both.output
    assert "closes it" not in run("attest", "flow", "--adversary", "relay-gpu", "--with", "tdisp").output


def test_the_table_says_what_is_loud_and_what_something_else_stops() -> None:
    nested = run("attest", "flow", "--placement", "nested", "--level", "node").output
    assert "the pod nested in L1\n" in nested
    assert re.search(r"^ +31 .* stopped, without device_pinned too  ", nested, re.MULTILINE)
    assert "does NOT complete" in nested
    loud = run("attest", "flow", "--attested", "node", "--level", "node")
    assert loud.exit_code == 1
    assert re.search(r"^ +31 .* GETS THROUGH, takes device_pinned +P4  ", loud.output, re.MULTILINE)
    assert "5 stopped, 2 get through;" in loud.output


def test_drawings(tmp_path: Path) -> None:
    mermaid = run("attest", "flow", "--adversary", "relay-gpu", "--as", "mermaid").output
    assert mermaid.startswith("sequenceDiagram\n  title relay-gpu\n  participant p0 as vendors\n")
    assert mermaid.count("rect rgb") == 2
    target = tmp_path / "relay.svg"
    assert run("attest", "flow", "--adversary", "relay-gpu", "--property", "P4", "--as", "svg", "-o", str(target)).exit_code == 1
    drawn = ET.fromstring(target.read_text())
    space = "{http://www.w3.org/2000/svg}"
    assert len([group for group in drawn.iter(f"{space}g") if group.get("class") == "hot"]) == 2
    assert "P4 violated" in "".join(drawn.itertext())
    assert "the flow is complete" in run("attest", "flow", "--as", "text").output
    assert "START_INTERFACE" in run("attest", "flow", "--as", "mermaid", "--with", "tdisp").output


def test_a_run_is_replayed_under_other_settings(tmp_path: Path) -> None:
    file = str(tmp_path / "relay.json")
    assert run("attest", "flow", "--adversary", "relay-gpu", "--format", "json", "-o", file).exit_code == 1
    again = run("attest", "flow", "--replay", file)
    assert again.exit_code == 1
    assert again.output == "relay-gpu, 17 steps\nas it was found, all checks on, no feature: carried out, P1 P4 violated\n"
    closed = asked("--replay", file, "--with", "tdisp")
    assert closed["refused"].endswith("(relay): stopped by tdisp")
    assert closed["found"] == {"without": [], "with": [], "placement": "direct", "refused": None, "breaks": ["P1", "P4"]}
    assert run("attest", "flow", "--replay", file, "--with", "tdisp").exit_code == 0


def test_a_run_that_was_found_without_a_check_is_refused_with_it(tmp_path: Path) -> None:
    file = tmp_path / "swap.json"
    assert run("attest", "flow", "--adversary", "swap-gpu", "--without", "reattest", "--format", "json", "-o", str(file)).exit_code == 1
    again = run("attest", "flow", "--replay", str(file))
    assert again.exit_code == 0
    _, before, here = again.output.splitlines()
    assert before == "as it was found, without reattest, no feature: carried out, P1 P4 P6 violated"
    assert re.fullmatch(r"here, all checks on, no feature: refused at step \d+ \(use anew\): stopped by reattest", here)
    assert run("attest", "flow", "--replay", str(file), "--without", "reattest").exit_code == 1


@pytest.mark.parametrize(("good", "bad", "words"), [
    ('"without": ["reattest"]', '"without": ["reatest"]', "did you mean reattest?"),
    ('"placement": "direct"', '"placement": "Direct"', "there are direct, nested, beside"),
    ('"adversaries": ["swap-gpu"]', '"adversaries": ["swap-gpus"]', "did you mean swap-gpu?"),
])
def test_names_in_a_recorded_run_are_checked(good: str, bad: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = run("attest", "flow", "--adversary", "swap-gpu", "--without", "reattest", "--format", "json").output
    assert good in written
    file = tmp_path / "swap.json"
    file.write_text(written.replace(good, bad))
    code, _, error = status("attest", "flow", "--replay", str(file), capsys=capsys)
    assert code == 2
    assert words in error


def test_pairs_of_a_level() -> None:
    shown = run("attest", "flow", "--pairs", "--level", "node")
    assert shown.exit_code == 0
    assert "\n21 pairs: in 0 something gets through, 0 bring about what neither row does alone\n" in shown.output


@pytest.mark.slow
def test_pairs() -> None:
    found = asked("--pairs")
    pairs = found["pairs"]
    assert (pairs["searched"], pairs["emergent"], pairs["whole"]) == (2775, [], True)
    assert pairs["through"] == sum(1 for index, one in enumerate(ADVERSARIES) for other in ADVERSARIES[index + 1 :] if (one.in_scope and not one.stops) or (other.in_scope and not other.stops))


def test_levels_and_placements() -> None:
    found = asked("--levels")
    by_levels = {tuple(each["attested"]): (len(each["through"]), each["fallen"]) for each in found["levels"]}
    assert by_levels == {
        ("pod", "node", "control-plane"): (0, []),
        ("pod", "node"): (1, ["workload-key", "store-key"]),
        ("pod", "control-plane"): (2, ["join-credential"]),
        ("node", "control-plane"): (45, ["workload-key"]),
        ("pod",): (3, ["workload-key", "join-credential", "store-key"]),
        ("node",): (46, ["workload-key", "store-key"]),
        ("control-plane",): (47, ["workload-key", "join-credential"]),
        (): (48, ["workload-key", "join-credential", "store-key"]),
    }
    ways = [(each["placement"], each["without"], each["complete"], each["through"]) for each in found["placements"]]
    assert ways == [("direct", [], True, []), ("nested", [], False, []), ("nested", ["root"], True, ["foreign-ca", "nested-lie"]), ("beside", [], True, [])]
    node_less = asked("--attested", "pod,control-plane")
    assert [row["name"] for row in node_less["rows"] if row["outcome"] == "gets through"] == ["false-node", "old-node"]


def test_bindings_and_calibration() -> None:
    found = asked("--bindings")
    refuted = {case["name"]: [each["agreement"] for each in case["agreements"] if not each["implied"]] for case in found["cases"]}
    assert refuted["as Trustee binds"] == ["mapped device"]
    assert refuted["with TDISP"] == []
    assert len(refuted) == 7
    calibration = asked("--calibrate")
    assert (calibration["breaks"], calibration["repaired"], calibration["states"]) == (["P1", "P2"], [], 24)
    assert run("attest", "flow", "--calibrate").exit_code == 0


@pytest.mark.parametrize(("arguments", "words"), [
    (("--adversary", "swap-gpus"), "did you mean swap-gpu?"),
    (("--adversary", "76"), "`simkit attest flow` lists them"),
    (("--adversary", " , "), "names nobody"),
    (("--without", "reatest"), "did you mean reattest?"),
    (("--with", "tdips"), "did you mean tdisp?"),
    (("--attested", "pods"), "did you mean pod?"),
    (("--pairs", "--levels"), "two questions"),
    (("--pairs", "--as", "svg"), "--as draws a run"),
    (("--levels", "--without", "nonce"), "takes no checks"),
    (("--replay", "nowhere.json"), "cannot be read"),
    (("--property", "P1"), "name one with --adversary"),
    (("--level", "cluster"), "not one of pod, node, control-plane"),
])
def test_bad_use_is_one_paragraph(arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = status("attest", "flow", *arguments, capsys=capsys)
    assert code == 2
    assert words in error
    assert "Traceback" not in error
