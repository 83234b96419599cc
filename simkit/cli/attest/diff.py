"""`simkit attest diff`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from simkit.cli.options import output_format
from simkit.cli.output import print_json


@click.command()
@click.argument("before", type=click.Path(allow_dash=True))
@click.argument("after", type=click.Path(allow_dash=True))
@output_format()
def diff(*, before: str, after: str, output: str) -> None:
    """In what two pieces of evidence differ, claim by claim, device by device in the order of the files.

    \b
    simkit attest diff hgx-h100-gpus.json hgx-h100-switches.json

    Exit status: 0 equal, 1 they differ, 2 bad input.
    """
    from simkit.attest.appraise import describe
    from simkit.formats.evidence.source import open_evidence

    pairs = [[describe(statement) for statement in open_evidence((name,)).statements] for name in (before, after)]
    changes = []
    for number in range(max(map(len, pairs))):
        old, new = ({} if number >= len(side) else {"kind": side[number].kind.value, "id": side[number].id, **side[number].claims} for side in pairs)
        changes += [{"device": number, "claim": path, "before": left, "after": right} for path, left, right in _changes(old, new, "")]
    if output == "json":
        print_json({"before": before, "after": after, "changes": changes})
    elif not changes:
        click.echo("equal: every claim of every device")
    else:
        for each in changes:
            click.echo(f"device {each['device']}  {each['claim']}: {_word(each['before'])} -> {_word(each['after'])}")
    sys.exit(1 if changes else 0)


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Leaves in which two claims differ, by path; what one side lacks as a whole is told leaf by leaf too."""
    if (isinstance(old, dict) and (new is None or isinstance(new, dict))) or (old is None and isinstance(new, dict)):
        old, new = old or {}, new or {}
        for name in [*old, *(each for each in new if each not in old)]:
            yield from _changes(old.get(name), new.get(name), f"{path}/{name}" if path else str(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _changes(left, right, f"{path}/{number}")
    elif old != new:
        yield path, old, new


def _word(value: Any) -> str:
    return "(absent)" if value is None else value if isinstance(value, str) else json.dumps(value)
