"""`simkit verify`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from simkit.cli.options import Stated, Word, complete_host, host_options, shipped_or_file
from simkit.cli.output import print_json
from simkit.cli.progress import waiting
from simkit.cli.what_if import acs_option, controls
from simkit.verify.report import Finding, Outcome, Report, Verdict

if TYPE_CHECKING:
    from simkit.model.host import Host
    from simkit.model.plan import Plan

_MARK = {Outcome.HOLDS: "holds    ", Outcome.VIOLATED: "VIOLATED ", Outcome.RESIDUAL: "residual ", Outcome.UNDECIDED: "UNDECIDED", Outcome.SKIPPED: "SKIPPED  "}


@click.command()
@click.argument("subject", metavar="HOST|plan.json", shell_complete=complete_host)
@click.option("--policy", required=True, metavar="POLICY", shell_complete=shipped_or_file("policies"), help="A shipped policy's name, or a file.")
@acs_option
@click.option("--format", "output", type=Word(["text", "json", "junit", "sarif"]), default="text", show_default=True,
              help="For people, or for programs: JUnit's XML for test reports, SARIF for code scanning.")
@host_options
def verify(*, subject: str, policy: str, acs: tuple[str, ...], output: str, stated: Stated) -> None:
    """Decide every rule of a policy over a host, or over what a plan makes of its host.

    \b
    simkit verify plan.json --policy isolation
    simkit verify hgx-h100 --policy fabric --acs 0000:02:00.0=
    simkit verify plan.json --policy isolation --format junit > report.xml

    Exit status: 0 pass (also with residual risk), 1 something is violated, 2 bad input, 3 nothing is violated, but
    something could not be decided.
    """
    from simkit.cli import documents
    from simkit.formats.source import open_policy
    from simkit.model.plan import Plan
    from simkit.verify.verify import verify as decide

    found = stated.open_plan_or_host(subject)
    if acs:
        found = _what_if(found, acs)
    rules = open_policy(policy)
    with waiting("verifying"):
        report = decide(found, rules)
    if output == "json":
        print_json(documents.report(subject, report))
    elif output in ("junit", "sarif"):
        from simkit import __version__
        from simkit.formats.findings import junit, sarif

        document = documents.report(subject, report)
        click.echo(junit(document) if output == "junit" else sarif(document, version=__version__), nl=False)
    else:
        click.echo(describe(report, of_plan=isinstance(found, Plan)))
    sys.exit(0 if report.verdict is not Verdict.FAIL else 3 if report.undecided else 1)


def _what_if(subject: Plan | Host, changes: tuple[str, ...]) -> Plan | Host:
    """The host, or the plan's host, with ACS Control of some ports as a run-time write would leave it: groups that exist stay."""
    from simkit.model.plan import Plan
    from simkit.semantics.what_if import with_control

    if isinstance(subject, Plan):
        return replace(subject, host=with_control(subject.host, controls(changes)))
    return with_control(subject, controls(changes))


def describe(report: Report, *, of_plan: bool) -> str:
    """The report for people: a line a property, the counterexample of what is violated in full."""
    words = {Verdict.PASS: "pass", Verdict.RESIDUAL: "pass with residual risk", Verdict.FAIL: "not decided" if report.undecided else "fail"}
    lines = [f"{words[report.verdict]}: {'plan for ' if of_plan else ''}{report.subject} against policy {report.policy}"]
    for finding in report.findings:
        lines.extend(_describe(finding))
    return "\n".join(lines)


def _describe(finding: Finding) -> list[str]:
    lines = [f"  {_MARK[finding.outcome]}  {finding.property}: {finding.text}"]
    if finding.outcome in (Outcome.VIOLATED, Outcome.UNDECIDED, Outcome.SKIPPED):
        lines.append(f"             at {finding.where}")
    if finding.remedy and finding.outcome is not Outcome.HOLDS:
        lines.append(f"             remedy: {finding.remedy}")
    lines += [f"             assuming {assumption}" for assumption in finding.assumptions]
    return lines
