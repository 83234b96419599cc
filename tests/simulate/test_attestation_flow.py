"""Every row of the adversary table is what it says: stopped by its check and by that check only, or getting through, with a run that replays."""

import ast
import time
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations, islice
from pathlib import Path

import pytest

from simkit.attest.flow.adversaries import ADVERSARIES
from simkit.attest.flow.flaws import FLAWS, Of
from simkit.attest.flow.handshake import handshake
from simkit.attest.flow.parties import Level
from simkit.attest.flow.rule import Property
from simkit.attest.flow.switches import CHECKS, FEATURES
from simkit.simulate.attestation import replay as replay_module
from simkit.simulate.attestation.compile import compiled
from simkit.simulate.attestation.flow import FLOW, Flow, Outcome, Placement, Setting, pairs
from simkit.simulate.attestation.replay import replay
from simkit.simulate.attestation.search import explore, sequence
from tests.simulate.naive import naive

BY_NAME = {adversary.name: adversary for adversary in ADVERSARIES}
ALL_ON = Flow()


@cache
def without(*checks: str) -> Flow:
    return Flow(Setting(without=frozenset(checks)))


@cache
def having(*features: str) -> Flow:
    return Flow(Setting(having=frozenset(features)))


def replays(flow: Flow, adversary, property_: Property) -> bool:
    """The run that shows a violation, carried out by the table's words alone, ends in one."""
    run = flow.attack([adversary], property_)
    again = replay(FLOW, flow.setting.on, frozenset(adversary.can), run)
    return not again.refused and property_.value in again.violated


def test_the_network_alone_brings_nothing_about_and_the_flow_completes() -> None:
    found = ALL_ON.search(reduce=False)
    assert (found.states, found.transitions, found.violated, found.complete, found.whole) == (158, 1863, (), True, True)
    assert naive(FLOW, ALL_ON.setting.on, set()) == (158, [])


def test_undisturbed_every_attester_gives_evidence_and_no_step_can_be_left_out() -> None:
    run = ALL_ON.undisturbed()
    assert {step.rule for step in run.steps} == {
        "unseal", "endorse", "node evidence", "join", "start pod", "auth", "challenge", "session", "measure", "measure switch", "report", "attest", "release",
        "open", "use",
    }
    assert len(run.steps) == 15
    for index in range(15):
        again = ALL_ON.replay(replace(run, steps=run.steps[:index] + run.steps[index + 1 :]), [])
        assert again.refused or "used gpu" not in again.facts
    assert {step.rule for step in having("tdisp").undisturbed().steps} >= {"TSM session", "lock", "measure locked", "start", "use running"}


@pytest.mark.parametrize("adversary", [each for each in ADVERSARIES if each.stops], ids=lambda each: each.name)
def test_a_row_is_stopped_by_its_check_and_gets_through_without_it(adversary) -> None:
    judged = ALL_ON.judge(adversary)
    assert judged.outcome is Outcome.STOPPED
    assert judged.found.violated == ()
    assert judged.found.complete, "nothing gets through because nothing goes through"
    assert judged.unchecked.violated == adversary.breaks
    open_ = without(adversary.stops)
    assert all(replays(open_, adversary, each) for each in adversary.breaks)
    refused = ALL_ON.replay(open_.attack([adversary]), [adversary]).refused
    assert refused.endswith(f"stopped by {adversary.stops}"), "the run that gets through without the check, carried out with it"


@pytest.mark.parametrize("adversary", [each for each in ADVERSARIES if not each.stops and each.in_scope], ids=lambda each: each.name)
def test_a_residual_row_gets_through_and_is_closed_by_what_it_names(adversary) -> None:
    assert ALL_ON.judge(adversary).outcome is Outcome.RESIDUAL
    assert ALL_ON.search(adversary).violated == adversary.breaks
    assert all(replays(ALL_ON, adversary, each) for each in adversary.breaks)
    for feature in FEATURES:
        closed = having(feature).search(adversary)
        assert (closed.violated == ()) == (feature == adversary.closes), feature
        assert closed.complete


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_check_the_rows_it_stops_get_through_and_three_checks_carry_more(check) -> None:
    """Three are what others rest on: the status (Trustee's default policy asks for none), new evidence after a reset, measurements under a lower policy."""
    changed_vm, changed_device = ({name for name, flaw in FLAWS.items() if flaw.of is kind} for kind in (Of.VM, Of.DEVICE))
    rest = {
        "ear_status": changed_vm | changed_device | {"copy", "map-other"},
        "reattest": changed_device | {"swap", "reset", "copy", "recorded", "map-other"},
        "measurements": {"own-image"},
    }.get(check, set())
    flow = without(check)
    through = {row.name for row in ADVERSARIES if row.stops and flow.search(row).violated}
    assert through == {row.name for row in ADVERSARIES if row.stops == check or (row.stops and not rest.isdisjoint(row.can))}
    assert flow.search().violated == (), "the network alone"
    assert flow.search().complete


def test_ide_takes_the_place_of_encrypted_bounce_buffers_and_nvlink_encryption_that_of_topology() -> None:
    for feature, check, name in (("ide", "bounce_encryption", "interposer"), ("nvlink_encryption", "topology", "false-switch")):
        assert without(check).search(BY_NAME[name]).violated == (Property.SECRECY,)
        found = Flow(Setting(without=frozenset({check}), having=frozenset({feature}))).search(BY_NAME[name])
        assert (found.violated, found.complete) == ((), True)
        assert having(feature).judge(BY_NAME[name]).outcome is Outcome.ANYWAY


@pytest.mark.parametrize("name", ["swap-gpu", "operator-reset"])
def test_tdisp_takes_a_device_that_was_reset_out_of_run_whatever_the_guest_checks(name: str) -> None:
    assert without("reattest").search(BY_NAME[name]).violated == BY_NAME[name].breaks
    found = Flow(Setting(without=frozenset({"reattest"}), having=frozenset({"tdisp"}))).search(BY_NAME[name], reduce=False)
    assert (found.violated, found.complete) == ((), True)


def test_what_is_out_of_scope_is_one_row_and_breaks_nothing() -> None:
    (row,) = [each for each in ADVERSARIES if not each.in_scope]
    assert row.name == "denial-of-service"
    assert ALL_ON.judge(row).outcome is Outcome.OUT_OF_SCOPE


def test_how_many_rows_are_what() -> None:
    rows = ALL_ON.alone()
    assert Counter(row.outcome for row in rows) == {Outcome.STOPPED: 62, Outcome.RESIDUAL: 12, Outcome.OUT_OF_SCOPE: 1}
    assert Counter(row.adversary.level for row in rows) == {Level.POD: 57, Level.NODE: 7, Level.CONTROL_PLANE: 11}


@pytest.mark.slow
def test_all_pairs_are_searched_and_none_does_what_its_rows_do_not() -> None:
    begin = time.perf_counter()
    found = pairs(ALL_ON)
    assert (found.searched, found.through, found.emergent, found.whole) == (75 * 74 // 2, 75 * 74 // 2 - 63 * 62 // 2, (), True)
    assert time.perf_counter() - begin < 60


def test_a_pair_can_do_what_neither_does_alone() -> None:
    """A lower policy releases nothing by itself, a debugged guest is refused; together they get through where nobody compares the policy's digest."""
    lower = replace(BY_NAME["lowered-policy"], can=("lowered-policy",))
    debug = BY_NAME["debug-guest"]
    flow = without("policy_digest")
    assert flow.search(lower).violated == flow.search(debug).violated == ()
    assert flow.search(lower, debug).violated == (Property.SECRECY, Property.NO_ROLLBACK)
    assert ALL_ON.search(lower, debug).violated == ()


@pytest.mark.slow
def test_with_one_check_off_pairs_do_no_more_than_their_rows_but_under_a_lowered_policy() -> None:
    """Each check off in turn, each row that gets through then with every other. What a lowered policy releases to is warned of: another device in use."""
    more = {}
    for check in CHECKS:
        flow = without(check)
        alone = {row.name: frozenset(flow.search(row).violated) for row in ADVERSARIES}
        for row in ADVERSARIES:
            if row.stops and alone[row.name]:
                for other in ADVERSARIES:
                    gained = frozenset(flow.search(row, other).violated) - alone[row.name] - alone[other.name]
                    if gained:
                        more[check, row.name, other.name] = gained
    binding = frozenset({Property.BINDING})
    assert more == {("policy_digest", "lowered-policy", name): binding for name in ("one-as-eight", "cdi-file", "mig-slice", "kubelet")}


@pytest.mark.parametrize(("name", "off", "on"), [
    ("debug-guest", (), ()), ("swap-gpu", ("reattest",), ()), ("relay-gpu", (), ()), ("relay-gpu", (), ("tdisp",)), ("repeated-challenge", ("nonce_once",), ()),
    ("replay", ("nonce",), ()), ("devtools-gpu", ("attributes",), ()), ("chip-key", (), ()), ("acs-cleared", ("isolation_drift",), ("tdisp",)), ("acs-cleared", ("isolation_drift",), ()),
    ("status-ignored", ("ear_status",), ()), ("kept-token", ("token_expiry",), ()),
])
def test_the_search_agrees_with_one_that_shares_nothing_with_it(name, off, on) -> None:
    adversary = BY_NAME[name]
    flow = Flow(Setting(without=frozenset(off), having=frozenset(on)))
    expected = naive(FLOW, flow.setting.on, set(adversary.can))
    every_order = flow.search(adversary, reduce=False)
    assert (every_order.states, [each.value for each in every_order.violated]) == expected
    assert flow.search(adversary).violated == every_order.violated


@pytest.mark.parametrize("rows", [ADVERSARIES[4::9], pytest.param(ADVERSARIES, marks=pytest.mark.slow)], ids=["every ninth", "all"])
def test_carrying_out_at_once_what_takes_nothing_away_changes_no_answer(rows) -> None:
    for adversary in rows:
        for flow in (ALL_ON, without(adversary.stops) if adversary.stops else having("tdisp")):
            quick, slow = flow.search(adversary), flow.search(adversary, reduce=False)
            assert (quick.violated, quick.complete) == (slow.violated, slow.complete), adversary.name
            assert quick.states <= slow.states


@pytest.mark.slow
def test_the_same_for_pairs() -> None:
    searched = 0
    for one, other in islice(combinations(ADVERSARIES, 2), 11, None, 89):
        for flow in (Flow(), Flow(Setting(without=frozenset({one.stops, other.stops} - {""})))):
            quick, slow = flow.search(one, other), flow.search(one, other, reduce=False)
            assert (quick.violated, quick.complete, quick.reached) == (slow.violated, slow.complete, slow.reached), (one.name, other.name)
            searched += 1
    assert searched == 64


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), [("debug-guest", "lowered-policy"), ("replay", "kept-token"), ("relay-gpu", "chip-key")])
def test_a_pair_agrees_with_the_search_that_shares_nothing(one: str, other: str) -> None:
    pair = BY_NAME[one], BY_NAME[other]
    found = ALL_ON.search(*pair, reduce=False)
    assert naive(FLOW, ALL_ON.setting.on, {can for row in pair for can in row.can}) == (found.states, [each.value for each in found.violated])


def test_a_search_that_is_cut_short_says_so_and_is_no_pass() -> None:
    found = explore(ALL_ON.compiled(), frozenset(), reduce=False, limit=10)
    assert not found.whole
    assert found.states < 84


def test_the_same_run_every_time() -> None:
    first, second = (without("reattest").attack([BY_NAME["swap-gpu"]]) for _ in range(2))
    assert first == second
    assert first.outcome == "P1 violated: the adversary knows the workload-key"


def test_the_replayer_shares_nothing_with_the_search_but_the_form_of_a_table() -> None:
    imported = {node.module for node in ast.walk(ast.parse(Path(replay_module.__file__).read_text())) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("simkit")} == {"simkit.attest.flow.rule", "simkit.model.sequence"}


def test_what_does_not_replay_is_told_with_its_step() -> None:
    flow, adversary = without("reattest"), BY_NAME["swap-gpu"]
    run = flow.attack([adversary])
    can = frozenset(adversary.can)
    for index in range(len(run.steps)):
        again = replay(FLOW, flow.setting.on, can, replace(run, steps=run.steps[:index] + run.steps[index + 1 :]))
        assert again.refused or Property.SECRECY.value not in again.violated, "a step could be left out: the run is not the shortest"
    assert "cannot do this (swap" in replay(FLOW, flow.setting.on, frozenset(), run).refused
    refused = ALL_ON.replay(run, [adversary]).refused
    assert refused == f"step {len(run.steps) - 1} (use anew): stopped by reattest"
    first = run.steps[0]
    for step, words in (
        (replace(first, rule="nothing"), "no rule has this name"), (replace(first, bound=(("s", "s1"),)), "a variable has a value"),
        (run.steps[-1], "lacks"), (replace(first, rule="TSM session"), "takes ide, tdisp, which is off"),
    ):
        assert words in replay(FLOW, flow.setting.on, can, replace(run, steps=(step,))).refused


def test_lowes_attack_is_found_and_his_repair_holds() -> None:
    """Lowe 1995, figure 1: A runs with I, and I runs with B as A."""
    table = compiled(handshake(repaired=False), frozenset())
    broken = explore(table)
    assert (broken.states, broken.violated, broken.complete) == (12, (Property.SECRECY, Property.AGREEMENT), True)
    run = sequence(table, broken.runs[Property.AGREEMENT], "Lowe")
    sent = [(step.sender, step.receiver, step.says) for step in run.steps if step.sender != step.receiver]
    assert sent == [
        ("A", "I", "{na, A} for I"), ("I", "B", "{na, A} for B"), ("B", "A", "{na, nb} for A"), ("A", "I", "{nb} for I"), ("I", "B", "{nb} for B"),
    ]
    assert replay(handshake(repaired=False), frozenset(), frozenset(), run).violated == ("P1", "P2")
    assert "close" in replay(handshake(repaired=True), frozenset(), frozenset(), run).refused
    mended = explore(compiled(handshake(repaired=True), frozenset()))
    assert (mended.states, mended.violated, mended.complete, mended.whole) == (12, (), True, True)


def test_a_shared_challenge_binds_gpu_to_cpu_except_where_it_is_relayed() -> None:
    """Foreign and copied evidence is refused; the live relay is found, over an emulated GPU; with TDISP it is gone."""
    for name in ("recorded-gpu", "one-as-eight", "cdi-file"):
        assert ALL_ON.search(BY_NAME[name]).violated == ()
    relayed = ALL_ON.attack([BY_NAME["relay-gpu"]], Property.BINDING)
    assert [step.rule for step in relayed.steps if step.by_adversary] == ["swap", "relay"]
    assert relayed.steps[-1].receiver == "toy"
    assert having("tdisp").search(BY_NAME["relay-gpu"], reduce=False).violated == ()


def test_nested_no_evidence_reaches_the_chip_and_beside_it_does() -> None:
    lie = BY_NAME["nested-lie"]
    nested = Flow(Setting(placement=Placement.NESTED))
    assert (nested.search().complete, nested.search(lie).violated) == (False, ())
    believed = Flow(Setting(without=frozenset({"root"}), placement=Placement.NESTED))
    assert (believed.search().complete, believed.search(lie).violated) == (True, (Property.SECRECY, Property.AGREEMENT))
    assert replays(believed, lie, Property.SECRECY)
    beside = Flow(Setting(placement=Placement.BESIDE))
    assert (beside.search().complete, beside.search(lie).violated) == (True, ())
    assert [row.outcome for row in beside.alone()] == [row.outcome for row in ALL_ON.alone()]
