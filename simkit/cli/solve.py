"""`simkit solve`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from simkit.cli.options import Stated, complete_host, host_options, output_file, output_format, shipped_or_file
from simkit.cli.output import fold, print_json, to_stdout, write
from simkit.cli.progress import waiting
from simkit.errors import InputError
from simkit.model.plan import Plan
from simkit.solve.answer import Infeasible, Planned, Undecided

_FIRST, _LAST = 6, 6


@click.command()
@click.argument("workload", shell_complete=shipped_or_file("workloads"))
@click.option("--host", "hosts", multiple=True, required=True, metavar="HOST", shell_complete=complete_host, help="Where the guests are to run.")
@output_file("Write the plan here; with - it goes to standard output, and what is said about it to standard error.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same input and seed, same plan.")
@output_format()
@host_options
def solve(*, workload: str, hosts: tuple[str, ...], target: Path | None, seed: int, output: str, stated: Stated) -> None:
    """A plan for the guests of WORKLOAD on a host, or why there is none and what would help.

    \b
    simkit solve two-guests --host hgx-h100 -o plan.json
    simkit solve two-guests --host hgx-h100 -o - | simkit verify - --policy isolation

    Exit status: 0 planned, 1 infeasible, 2 bad input, 3 undecided.
    """
    from simkit.formats.native.plan import dump_plan
    from simkit.formats.source import open_workload
    from simkit.plan.plan import with_steps
    from simkit.solve.solve import solve as find

    if len(hosts) > 1:
        raise InputError("one --host for now: guests are not yet spread over several hosts", remedy="solve for each host in turn")
    plan_to_stdout = target is not None and to_stdout(target)
    if plan_to_stdout and output == "json":
        raise InputError("-o - and --format json would both write to standard output", remedy="the JSON answer holds the plan: leave -o out")
    wish, host = open_workload(workload), stated.open(hosts[0])
    with waiting("solving"):
        answer = find(wish, host, seed=seed)
        plan = with_steps(answer.plan) if isinstance(answer, Planned) else None
    if plan is not None and target is not None:
        write(dump_plan(plan), target)
    if output == "json":
        print_json(document(answer, plan))
    else:
        say = partial(click.echo, err=plan_to_stdout)
        say(describe(answer, plan))
        if plan is not None and target is not None and not plan_to_stdout:
            say(f"\nwritten to {target}; next: simkit verify {target} --policy isolation · simkit render {target} --to qemu")
    sys.exit({Planned: 0, Infeasible: 1, Undecided: 3}[type(answer)])


def document(answer: Planned | Infeasible | Undecided, plan: Plan | None) -> dict[str, Any]:
    """The document of `simkit solve`."""
    from simkit.formats.native.plan import dump_plan

    match answer:
        case Planned():
            assert plan is not None
            because = [{"text": text, "where": []} for text in answer.because]
            return {"answer": "planned", "plan": json.loads(dump_plan(plan)), "because": because, "relaxations": [], "reason": None}
        case Infeasible():
            because = [{"text": reason.text, "where": [str(place) for place in reason.places]} for reason in answer.because]
            relaxations = [{"text": relaxation.text, "cost": relaxation.cost} for relaxation in answer.relaxations]
            return {"answer": "infeasible", "plan": None, "because": because, "relaxations": relaxations, "reason": None}
    return {"answer": "undecided", "plan": None, "because": [], "relaxations": [], "reason": answer.reason}


def describe(answer: Planned | Infeasible | Undecided, plan: Plan | None) -> str:
    """The answer for people."""
    match answer:
        case Planned():
            assert plan is not None
            return _describe_plan(answer, plan)
        case Infeasible():
            reasons = [reason.text + "".join(f"\n      {place}" for place in reason.places) for reason in answer.because]
            lines = ["infeasible: these cannot hold together, and none of them can be left out:", fold(reasons)]
            if answer.relaxations:
                lines += ["feasible if, smallest change first:", fold([relaxation.text for relaxation in answer.relaxations])]
            else:
                lines.append("no change that was tried makes it feasible")
            return "\n".join(lines)
    return f"undecided: {answer.reason}"


def _ends(sentences: tuple[str, ...]) -> list[str]:
    """A long list without its middle: first stands what is not known of the host, last what the plan itself takes for granted."""
    hidden = len(sentences) - _FIRST - _LAST
    return list(sentences) if hidden < 2 else [*sentences[:_FIRST], f"… {hidden} more, all of them in the plan …", *sentences[-_LAST:]]


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
