"""What `simkit attest flow` answers: for each question a text for people, a document for programs, and an exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from simkit.attest.flow.adversaries import ADVERSARIES, Adversary
from simkit.attest.flow.parties import NAMES
from simkit.attest.flow.rule import Property
from simkit.cli.attest import flow_words as say
from simkit.cli.progress import waiting
from simkit.formats.draw.sequence import chart, mermaid, svg
from simkit.model.sequence import Sequence as Run
from simkit.simulate.attestation.flow import Flow, Setting, pairs

_DRAW = {"text": chart, "mermaid": mermaid, "svg": svg}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in both forms."""

    text: str
    document: dict[str, Any]
    status: int


def table(setting: Setting, level: str | None) -> Answer:
    """Every row, or those of a level."""
    flow = Flow(setting)
    rows = [row for row in flow.alone() if level in (None, row.adversary.level.value)]
    complete = flow.search().complete
    lines = [f"{len(rows)} adversaries against the flow{say.under(setting)}", "", *say.table(rows)]
    states, transitions, whole = sum(row.states for row in rows), sum(row.transitions for row in rows), all(row.whole for row in rows)
    lines += ["", say.summary(rows, complete=complete), say.explored(states, transitions, whole=whole), *say.legend(rows)]
    document = {"question": "table", **say.setting_document(setting), "complete": complete, "rows": [say.row_document(row) for row in rows],
                **say.counts(states, transitions, whole=whole)}
    return Answer("\n".join(lines), document, say.status(rows))


def in_pairs(setting: Setting, level: str | None) -> Answer:
    """The table and what pairs bring about beyond it."""
    first, flow = table(setting, level), Flow(setting)
    with waiting("searching all pairs"):
        found = pairs(flow, [row for row in ADVERSARIES if level in (None, row.level.value)])
    emergent = [f"  {one.name} with {other.name}: {say.properties(more)}" for one, other, more in found.emergent]
    what = f"{len(emergent)} bring about what neither row does alone" + (":" if emergent else "")
    lines = [first.text, "", f"{found.searched:,} pairs: in {found.through:,} something gets through, {what}", *emergent,
             say.explored(found.states, found.transitions, whole=found.whole)]
    shown = [{"adversaries": [one.name, other.name], "breaks": [each.value for each in more]} for one, other, more in found.emergent]
    document = first.document | {"question": "pairs", "pairs": {
        "searched": found.searched, "through": found.through, "emergent": shown, "states": found.states, "transitions": found.transitions, "whole": found.whole,
    }}
    status = first.status or (1 if found.emergent else 0 if found.whole else 3)
    return Answer("\n".join(lines), document, status)


def run(setting: Setting, adversaries: Sequence[Adversary], drawing: str, property_: str | None) -> Answer:
    """Adversaries together, drawn where they get through; none at all: the flow undisturbed."""
    flow = Flow(setting)
    found = flow.search(*adversaries, reduce=False)
    attack = flow.attack(adversaries, Property(property_) if property_ else None) if adversaries else None
    shown = attack or (None if adversaries else flow.undisturbed())
    document = {
        "question": "run", **say.setting_document(setting), "adversaries": [each.name for each in adversaries],
        "breaks": [each.value for each in found.violated],
        "complete": found.complete, "run": say.run_document(shown) if shown else None,
        **say.counts(found.states, found.transitions, whole=found.whole),
    }
    status = 1 if found.violated else 0 if found.whole else 3
    if shown is not None and drawing != "text":
        return Answer(_DRAW[drawing](shown), document, status)
    lines = [f"{each.name} ({each.level}): {each.does}" for each in adversaries]
    if shown is not None:
        refused = flow.replay(shown, adversaries).refused
        again = f"refused at {refused}" if refused else f"all {len(shown.steps)} steps are allowed"
        lines += ["", chart(shown), "", f"replayed by the table's words alone: {again}"]
        lines += ["", *(f"{name}: {NAMES[name]}" for name in shown.parties if name in NAMES)]
    elif adversaries:
        nothing = f"{property_} does not fall" if property_ and found.violated else "nothing gets through"
        lines += ["", nothing + say.under(setting) if found.whole else "nothing was found before the search was cut short"]
        lines += [_stop(setting, each) for each in adversaries if each.stops in setting.on and found.whole and not found.violated]
    if not found.complete:
        lines += ["", "and the flow does not complete: nothing is released to anybody"]
    lines += ["", f"breaks {say.properties(found.violated)}" if found.violated else "no property is violated"]
    lines += [f"what stays of {each.name}: {each.residual}" for each in adversaries if each.residual and (found.violated or not each.in_scope)]
    lines += [f"--with {each.closes} closes it" for each in adversaries if each.closes and found.violated and each.closes not in setting.features]
    lines.append(say.explored(found.states, found.transitions, whole=found.whole))
    return Answer("\n".join(lines), document, status)


def _stop(setting: Setting, adversary: Adversary) -> str:
    """Where a row's check stops it: the run that gets through without that check, carried out with it."""
    attack = Flow(replace(setting, without=setting.without | {adversary.stops})).attack([adversary])
    if attack is None:
        return f"nothing gets through without {adversary.stops} either"
    return f"the run that gets through --without {adversary.stops} is refused at {Flow(setting).replay(attack, [adversary]).refused}"


def replayed(setting: Setting, again: Run, adversaries: Sequence[Adversary], found: Setting) -> Answer:
    """A run carried out once more: as it was found, and under the setting that is asked about."""
    before, done = (Flow(each).replay(again, adversaries) for each in (found, setting))
    lines = [f"{again.title}, {len(again.steps)} steps", f"as it was found{say.under(found)}: {say.carried_out(before)}"]
    if found != setting:
        lines.append(f"here{say.under(setting)}: {say.carried_out(done)}")
    document = {
        "question": "replay", **say.setting_document(setting), "adversaries": [each.name for each in adversaries], "steps": len(again.steps),
        **say.replay_document(done), "found": {**say.setting_document(found), **say.replay_document(before)},
    }
    return Answer("\n".join(lines), document, 1 if done.violated and not done.refused else 0)


def at_levels() -> Answer:
    """Sets of levels, and ways to run the pod."""
    from simkit.attest.flow.parties import TIERS
    from simkit.simulate.attestation.levels import chains, compositions

    with waiting("searching every set of levels"):
        sets, ways = compositions(), chains()
    lines = ["What evidence of each level adds", *(f"  {tier.level:<14}opens the {tier.opens}: {tier.adds}" for tier in TIERS)]
    lines += ["", f"{'with evidence of':<30}{'get through':>12}  secrets that fall", *(
        f"{', '.join(each.attested) or 'none':<30}{len(each.through):>12}  {', '.join(each.fallen) or 'none'}"
        + (f" (to {', '.join(row.name for row in each.through)})" if 0 < len(each.through) < 5 else "")
        for each in sets
    )]
    lines += ["", "Where the pod runs", *(
        f"  {each.placement + (' without ' + ', '.join(each.without) if each.without else ''):<22}{'completes' if each.complete else 'no release':<12}"
        f"{say.through(each.through)}; {each.says}" for each in ways
    )]
    states, transitions = (sum(getattr(each, what) for each in (*sets, *ways)) for what in ("states", "transitions"))
    lines += ["", "Beyond what the table calls residual in any case.", say.explored(states, transitions)]
    document = {"question": "levels", "levels": [
        {"attested": [level.value for level in each.attested], "through": [row.name for row in each.through], "fallen": list(each.fallen)}
        for each in sets
    ], "placements": [
        {"placement": each.placement.value, "without": list(each.without), "complete": each.complete, "through": [row.name for row in each.through],
         "says": each.says}
        for each in ways
    ], **say.counts(states, transitions)}
    return Answer("\n".join(lines), document, 0)


def bound() -> Answer:
    """The binding equations, whole and with each field left out."""
    from simkit.attest.flow.binding import AGREEMENTS, CHALLENGE, REPORT_DATA, Binding
    from simkit.solve.proof import version
    from simkit.solve.terms import implied

    cases = [("as Trustee binds", Binding()), ("with TDISP", Binding(mapped=True))]
    cases += [(f"challenge without {field}", Binding().without("challenge", field)) for field in CHALLENGE]
    cases += [(f"report data without {field}", Binding().without("report_data", field)) for field in REPORT_DATA]
    decided = [(name, implied(binding)) for name, binding in cases]
    word = {True: "implied", False: "NOT", None: "undecided"}
    lines = [f"{'':<40}" + "".join(f"{name:<15}" for name in AGREEMENTS)]
    lines += [f"{name:<40}" + "".join(f"{word[each.holds]:<15}" for each in row).rstrip() for name, row in decided]
    lines += ["", *(f"{name}: {says}" for name, says in AGREEMENTS.items()), "", "as Trustee binds, all comparisons right and another device mapped:"]
    lines += [f"  {name} = {value}" for name, value in decided[0][1][-1].counterexample.items()]
    lines += ["", f"decided by {version()} for any nonces, keys and evidence; digests without collisions, signatures without forgery"]
    document = {"question": "bindings", "cases": [
        {"name": name, "agreements": [{"agreement": each.agreement, "implied": each.holds, "counterexample": dict(each.counterexample)} for each in row]}
        for name, row in decided
    ]}
    return Answer("\n".join(lines), document, 3 if any(each.holds is None for _, row in decided for each in row) else 0)


def calibrated() -> Answer:
    """A protocol whose flaw and repair are known, by the same search."""
    from simkit.attest.flow.handshake import BOUNDS as OF_HANDSHAKE
    from simkit.attest.flow.handshake import handshake
    from simkit.simulate.attestation.compile import compiled
    from simkit.simulate.attestation.search import explore, sequence

    broken, mended = compiled(handshake(repaired=False), frozenset()), compiled(handshake(repaired=True), frozenset())
    found, none = explore(broken), explore(mended)
    mix_up = found.runs.get(Property.AGREEMENT)
    attack = sequence(broken, mix_up, "Needham-Schroeder public key, Lowe's attack (1995)") if mix_up else None
    lines = [chart(attack) if attack else "Lowe's attack was not found", say.explored(found.states, found.transitions, OF_HANDSHAKE), ""]
    fallen = f"{say.properties(none.violated)} fall" if none.violated else "no property is violated"
    lines += [f"with Lowe's repair: {fallen}", say.explored(none.states, none.transitions, OF_HANDSHAKE)]
    document = {"question": "calibration", "run": say.run_document(attack) if attack else None, "breaks": [each.value for each in found.violated],
                "repaired": [each.value for each in none.violated],
                **say.counts(found.states + none.states, found.transitions + none.transitions, OF_HANDSHAKE)}
    return Answer("\n".join(lines), document, 0 if attack and none.complete and none.whole and not none.violated else 1)
