"""`simkit diff`."""

from __future__ import annotations

import sys

import click

from simkit.cli.options import Stated, complete_host, host_options, output_format
from simkit.cli.output import print_json


@click.command()
@click.argument("before", metavar="A", shell_complete=complete_host)
@click.argument("after", metavar="B", shell_complete=complete_host)
@output_format()
@host_options
def diff(*, before: str, after: str, output: str, stated: Stated) -> None:
    """In what two hosts differ, fact by fact. Exit status 1 if they do."""
    from simkit.cli import documents
    from simkit.semantics.diff import diff as compare

    changes = compare(stated.open(before), stated.open(after))
    if output == "json":
        print_json({"before": before, "after": after, "differences": [documents.change(change) for change in changes]})
    elif not changes:
        click.echo("no difference")
    else:
        for change in changes:
            if change.field:
                click.echo(f"{change.subject} {change.field}: {documents.plain(change.before)} → {documents.plain(change.after)}")
            else:
                click.echo(f"only in {after if change.before is None else before}: {change.subject} {change.after or change.before}")
        click.echo(f"{len(changes)} difference{'s' * (len(changes) > 1)}")
    sys.exit(1 if changes else 0)
