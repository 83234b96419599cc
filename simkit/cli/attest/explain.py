"""`simkit attest explain`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.attest.inputs import Time
from simkit.cli.options import output_format
from simkit.cli.output import print_json

if TYPE_CHECKING:
    from datetime import datetime

    from simkit.model.evidence.evidence import Evidence


@click.command()
@click.argument("evidence", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--at", type=Time(), metavar="TIME", help="Also say what a verifier would hold against it at this time, with the shipped roots alone.")
@output_format()
def explain(*, evidence: tuple[str, ...], at: datetime | None, output: str) -> None:
    """Say what evidence says: who speaks, of what, with which flags and versions. Nothing is verified, unless --at is given.

    \b
    simkit attest explain milan-report.bin
    simkit attest explain hgx-h100-gpus.json --at 2025-07-01 --format json

    Exit status: 0 explained, 2 bad input.
    """
    from simkit.attest.appraise import describe
    from simkit.formats.evidence.source import open_evidence

    found = open_evidence(evidence)
    devices = [describe(statement) for statement in found.statements]
    faults = [] if at is None else _faults(found, at)
    if output == "json":
        print_json({"source": found.source, "devices": [{"kind": each.kind.value, "id": each.id, "claims": dict(each.claims)} for each in devices],
                    "notes": list(found.notes), "faults": faults})
        return
    lines = []
    for number, each in enumerate(devices):
        lines.append(f"device {number}: {each.kind.value} {each.id or '(not named)'}")
        lines += _outline(each.claims, 1)
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"wrong at that time: {fault}" for fault in faults]
    click.echo("\n".join(lines))
    if at is None:
        click.echo("nothing of this was verified; `simkit attest verify` does", err=sys.stdout.isatty())


def _faults(found: Evidence, at: datetime) -> list[str]:
    """What fails with nothing given but the shipped roots."""
    from simkit.attest.appraise import appraise
    from simkit.formats.evidence.given import open_given

    checks = appraise(found, open_given(at)).checks
    return [f"{check.id.value}: {check.why}" for check in checks if check.status.value == "fail"]


def _outline(value: Any, depth: int) -> list[str]:
    """Claims as an outline: a name and its value a line, mappings and lists of mappings below their name."""
    lines = []
    for name, inside in value.items():
        if isinstance(inside, dict):
            lines += [f"{'  ' * depth}{name}", *_outline(inside, depth + 1)]
        elif isinstance(inside, list) and inside and isinstance(inside[0], dict):
            for number, each in enumerate(inside):
                lines += [f"{'  ' * depth}{name} {number}", *_outline(each, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{name}: {_word(inside)}")
    return lines


def _word(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case list():
            return ", ".join(_word(each) for each in value) or "none"
        case _:
            return str(value)
