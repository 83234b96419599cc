"""The words in which `simkit attest flow` answers, and the parts of its documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from simkit.attest.flow.adversaries import Adversary
from simkit.attest.flow.properties import SAYS
from simkit.model.sequence import Sequence as Run
from simkit.simulate.attestation.flow import BOUNDS, Judged, Outcome, Placement, Setting
from simkit.simulate.attestation.replay import Replayed

_WHERE = {Placement.DIRECT: "a VM of the host's", Placement.NESTED: "nested in L1", Placement.BESIDE: "beside L1"}


def table(rows: Sequence[Judged]) -> list[str]:
    """A line for each row, and a sentence for each that leaves something."""
    lines = [f"{'no.':>4}  {'adversary':<21}{'level':<15}{'outcome':<41}{'falls':<12}what it does"]
    for row in rows:
        who = row.adversary
        lines.append(f"{who.number:>4}  {who.name:<21}{who.level:<15}{outcome(row):<41}{falls(row):<12}{who.does}")
    stays = [f"  {row.adversary.name}: {row.adversary.residual}" for row in rows if row.outcome in (Outcome.RESIDUAL, Outcome.OUT_OF_SCOPE)]
    return [*lines, "", "In brackets: what would fall without the check.", *(["", "What stays:", *stays] if stays else [])]


def outcome(row: Judged) -> str:
    """What becomes of a row, and by what; loud where somebody should look."""
    adversary = row.adversary
    match row.outcome:
        case Outcome.STOPPED:
            return f"stopped by {adversary.stops or adversary.closes}" if adversary.stops or adversary.closes else "stopped"
        case Outcome.ANYWAY:
            return f"stopped, without {adversary.stops} too"
        case Outcome.RESIDUAL:
            return f"residual, {adversary.closes} closes it" if row.unchecked and not row.unchecked.violated else "residual"
        case Outcome.THROUGH:
            return f"GETS THROUGH, takes {adversary.stops}" if adversary.stops else "GETS THROUGH"
        case Outcome.UNDECIDED:
            return "UNDECIDED: the search was cut short"
    return row.outcome.value


def falls(row: Judged) -> str:
    """The properties that fall; in brackets those that would."""
    if row.found.violated or row.unchecked is None:
        return properties(row.found.violated)
    return f"({properties(row.unchecked.violated)})" if row.unchecked.violated else ""


def summary(rows: Sequence[Judged], *, complete: bool) -> str:
    """How many rows are what, and whether the undisturbed flow comes to its end."""
    counted = Counter(row.outcome for row in rows)
    many = {Outcome.THROUGH: "get through"}
    outcomes = ", ".join(f"{counted[each]} {many.get(each, each) if counted[each] > 1 else each}" for each in Outcome if counted[each])
    return f"{outcomes}; undisturbed, the flow {'completes' if complete else 'does NOT complete: nothing is released to anybody'}"


def explored(states: int, transitions: int, bounds: Sequence[str] = BOUNDS, *, whole: bool = True) -> str:
    """What was searched, and within what."""
    extent = "all that there are" if whole else "CUT SHORT, there are more"
    return fill(f"{states:,} states, {transitions:,} transitions explored, {extent} within: {'; '.join(bounds)}", 150, subsequent_indent="  ")


def through(rows: Sequence[Adversary]) -> str:
    """Who gets through."""
    return f"{', '.join(row.name for row in rows)} get{'s' * (len(rows) == 1)} through" if rows else "nothing gets through"


def legend(rows: Sequence[Judged]) -> list[str]:
    """A sentence for each property that falls somewhere in the table."""
    fallen = {each for row in rows for found in (row.found, row.unchecked) if found for each in found.violated}
    return [f"{each} {SAYS[each]}" for each in SAYS if each in fallen]


def under(setting: Setting) -> str:
    """The setting, as the end of a sentence."""
    count = len(setting.without)
    off = f"without {', '.join(sorted(setting.without)) if count < 8 else f'{count} checks'}" if count else "all checks on"
    on = f"with {', '.join(sorted(setting.features))}" if setting.features else "no feature"
    return f", {off}, {on}" + ("" if setting.placement.value == "direct" else f", the pod {_WHERE[setting.placement]}")


def carried_out(done: Replayed) -> str:
    """What became of a run that was carried out once more."""
    if done.refused:
        return f"refused at {done.refused}"
    return f"carried out, {properties(done.violated)} violated" if done.violated else "carried out, no property is violated"


def properties(fallen: Sequence[str]) -> str:
    """Their names."""
    return " ".join(fallen)


def status(rows: Sequence[Judged]) -> int:
    """The exit status of a table."""
    outcomes = {row.outcome for row in rows}
    return 1 if Outcome.THROUGH in outcomes else 3 if Outcome.UNDECIDED in outcomes else 0


def setting_document(setting: Setting) -> dict[str, Any]:
    """The setting, as a part of a document."""
    return {"without": sorted(setting.without), "with": sorted(setting.features), "placement": setting.placement.value}


def counts(states: int, transitions: int, bounds: Sequence[str] = BOUNDS, *, whole: bool = True) -> dict[str, Any]:
    """What was searched, as a part of a document."""
    return {"states": states, "transitions": transitions, "whole": whole, "bounds": list(bounds)}


def row_document(row: Judged) -> dict[str, Any]:
    """A row, as a part of a document."""
    adversary = row.adversary
    return {
        "number": adversary.number, "name": adversary.name, "level": adversary.level.value, "does": adversary.does, "outcome": row.outcome.value,
        "stops": adversary.stops or None, "closes": adversary.closes or None, "residual": adversary.residual or None,
        "breaks": [each.value for each in row.found.violated], "otherwise": [each.value for each in row.unchecked.violated] if row.unchecked else None,
    }


def replay_document(done: Replayed) -> dict[str, Any]:
    """What became of a run, as a part of a document; where a step was refused, what had fallen before it."""
    return {"refused": done.refused or None, "breaks": list(done.violated)}


def run_document(run: Run) -> dict[str, Any]:
    """A run, as a part of a document."""
    return {"title": run.title, "outcome": run.outcome, "steps": [
        {"rule": step.rule, "bound": dict(step.bound), "sender": step.sender, "receiver": step.receiver, "says": step.says, "by_adversary": step.by_adversary}
        for step in run.steps
    ]}
