"""`simkit solve`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from simkit.cli.options import Stated, complete_host, host_options, output_format, output_path, shipped_or_file
from simkit.cli.output import fold, print_json, to_stdout, write
from simkit.cli.progress import waiting
from simkit.errors import InputError
from simkit.model.plan import Plan
from simkit.solve.answer import Infeasible, Planned, Undecided

_FIRST, _LAST = 6, 6
_MOST_HOSTS = 16


@click.command()
@click.argument("workload", shell_complete=shipped_or_file("workloads"))
@click.option("--host", "hosts", multiple=True, required=True, metavar="HOST", shell_complete=complete_host,
              help="Where the guests may run: a HOST, again for each further one; HOST*COUNT for equal ones; or a fleet document.")
@output_path("Write the plan here (with - to standard output, and what is said about it to standard error); with several hosts a folder, one plan a host.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same input and seed, same plan.")
@click.option("--prove", is_flag=True, help="Let z3 prove again that no plan is better, or that there is none; on one host.")
@output_format()
@host_options
def solve(*, workload: str, hosts: tuple[str, ...], target: Path | None, seed: int, prove: bool, output: str, stated: Stated) -> None:
    """A plan for the guests of WORKLOAD on one or several hosts, or why there is none and what would help.

    \b
    simkit solve two-guests --host hgx-h100 -o plan.json
    simkit solve two-guests --host hgx-h100 -o - | simkit verify - --policy isolation
    simkit solve three-guests --host 'hgx-h100*2' -o plans/

    Exit status: 0 planned, 1 infeasible, 2 bad input, 3 undecided.
    """
    from simkit.formats.native.plan import dump_plan
    from simkit.formats.source import open_fleet, open_workload
    from simkit.plan.plan import with_steps
    from simkit.solve.fleet.solve import solve_fleet

    plan_to_stdout = target is not None and to_stdout(target)
    if plan_to_stdout and output == "json":
        raise InputError("-o - and --format json would both write to standard output", remedy="the JSON answer holds the plan: leave -o out")
    wish, fleet = open_workload(workload), open_fleet(hosts, read=stated.open)
    several = len(fleet.members) > 1
    if target is not None:
        _refuse(target, several=several, plan_to_stdout=plan_to_stdout)
    with waiting("solving"):
        answer = solve_fleet(wish, fleet, seed=seed, prove=prove)
        plans = tuple(with_steps(plan) for plan in answer.plans) if isinstance(answer, Planned) else ()
    written = []
    if target is not None:
        written = [target / f"{plan.host.name}.json" if several else target for plan in plans]
        for plan, path in zip(plans, written, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(dump_plan(plan), path)
    if output == "json":
        print_json(document(answer, plans))
    else:
        say = partial(click.echo, err=plan_to_stdout)
        say(describe(answer, plans))
        if written and not plan_to_stdout:
            say(f"\nwritten to {target}; next: simkit verify {written[0]} --policy isolation · simkit render {written[0]} --to qemu")
    sys.exit({Planned: 0, Infeasible: 1, Undecided: 3}[type(answer)])


def _refuse(target: Path, *, several: bool, plan_to_stdout: bool) -> None:
    """A target that plans cannot be written to, before they are looked for."""
    if several and plan_to_stdout:
        raise InputError("-o - takes one plan, and each of several hosts gets its own", remedy="name a folder, or use --format json")
    if several and target.exists() and not target.is_dir():
        raise InputError("several hosts need a folder for their plans", where=str(target), remedy="name a folder, or one that is not there yet")
    if not several and target.is_dir():
        raise InputError("the plan of one host goes to a file", where=str(target), remedy=f"write -o {target / 'plan.json'}")


def document(answer: Planned | Infeasible | Undecided, plans: Sequence[Plan]) -> dict[str, Any]:
    """The document of `simkit solve`: `plan` is the one plan where there is one, `plans` are all."""
    from simkit.formats.native.plan import dump_plan

    match answer:
        case Planned():
            because = [{"text": text, "where": []} for text in answer.because]
            made = [json.loads(dump_plan(plan)) for plan in plans]
            return {"answer": "planned", "plan": made[0] if len(made) == 1 else None, "plans": made, "because": because, "relaxations": [], "reason": None}
        case Infeasible():
            because = [{"text": reason.text, "where": [str(place) for place in reason.places]} for reason in answer.because]
            relaxations = [{"text": relaxation.text, "cost": relaxation.cost} for relaxation in answer.relaxations]
            found = {"answer": "infeasible", "plan": None, "plans": [], "because": because, "relaxations": relaxations, "reason": None}
            proofs = [{"by": certificate.by, "says": certificate.says} for certificate in answer.certificates]
            return found | ({"certificates": proofs} if proofs else {})
    facts = [{"text": fact.text, "where": [str(place) for place in fact.places]} for fact in answer.facts]
    cases = [{"if": case.if_, **document(case.answer, case.answer.plans if isinstance(case.answer, Planned) else ())} for case in answer.cases]
    return {"answer": "undecided", "plan": None, "plans": [], "because": facts, "relaxations": [], "reason": answer.reason, "cases": cases}


def describe(answer: Planned | Infeasible | Undecided, plans: Sequence[Plan]) -> str:
    """The answer for people."""
    match answer:
        case Planned():
            return _describe_plan(answer, plans[0]) if len(plans) == 1 else _describe_plans(answer, plans)
        case Infeasible():
            reasons = [reason.text + "".join(f"\n      {place}" for place in reason.places) for reason in answer.because]
            lines = ["infeasible: these cannot hold together, and none of them can be left out:", fold(reasons)]
            if answer.relaxations:
                lines += ["feasible if, smallest change first:", fold([relaxation.text for relaxation in answer.relaxations])]
            else:
                lines.append("no change that was tried makes it feasible")
            lines += [f"proven by {certificate.by}: {certificate.says}" for certificate in answer.certificates]
            return "\n".join(lines)
    lines = [f"undecided: {answer.reason}"]
    facts = [fact.text + "".join(f"\n      {place}" for place in fact.places) for fact in answer.facts]
    lines += ["what would decide it:", fold(facts)] if facts else []
    for case in answer.cases:
        told = describe(case.answer, case.answer.plans if isinstance(case.answer, Planned) else ())
        lines += ["", f"if {case.if_}:", *(f"  {line}" for line in told.splitlines())]
    return "\n".join(lines)


def _ends(sentences: tuple[str, ...]) -> list[str]:
    """A long list without its middle: first stands what is not known of the host, last what the plan itself takes for granted."""
    hidden = len(sentences) - _FIRST - _LAST
    return list(sentences) if hidden < 2 else [*sentences[:_FIRST], f"… {hidden} more, all of them in the plan …", *sentences[-_LAST:]]


def _describe_plans(answer: Planned, plans: Sequence[Plan]) -> str:
    """Which guest is where; equal sets of guests in one line each."""
    from simkit.formats.draw.text import guest_line

    lines = [f"planned: {sum(len(plan.guests) for plan in plans)} guests on {len(plans)} hosts", ""]
    for plan in plans[:_MOST_HOSTS]:
        lines += [f"{plan.host.name}", *(f"  {guest_line(plan.host, guest)}" for guest in plan.guests)]
    if len(plans) > _MOST_HOSTS:
        lines.append(f"… {len(plans) - _MOST_HOSTS} more hosts, each in a plan of its own (-o FOLDER, or --format json)")
    lines += ["", "Why:", fold(answer.because)]
    assumptions = tuple(dict.fromkeys(assumption for plan in plans for assumption in plan.assumptions))
    if assumptions:
        lines += ["", f"Assumed ({len(assumptions)}):", fold(_ends(assumptions))]
    lines.append(f"checked by simkit.semantics.placement: every one of the {len(plans)} plans, derived again from its host")
    return "\n".join(lines)


def _describe_plan(answer: Planned, plan: Plan) -> str:
    from simkit.formats.draw.text import guest_summary

    lines = [f"planned: {len(plan.guests)} guest{'s' * (len(plan.guests) > 1)} on {plan.host.name}"]
    for guest in plan.guests:
        lines += ["", guest_summary(plan.host, guest)]
    lines += ["", "Why:", fold(answer.because)] if answer.because else []
    if plan.steps:
        lines += ["", f"{len(plan.steps)} steps to get there (simkit apply --dry-run shows them)"]
    if plan.assumptions:
        lines += ["", f"Assumed ({len(plan.assumptions)}):", fold(_ends(plan.assumptions))]
    lines += [f"checked by {certificate.by}: {certificate.says}" for certificate in plan.certificates]
    return "\n".join(lines)
