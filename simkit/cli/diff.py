"""`simkit diff`."""

from __future__ import annotations

import sys

import click

from simkit.cli.moves import told
from simkit.cli.options import Stated, complete_host, host_options, output_format
from simkit.cli.output import print_json


@click.command()
@click.argument("before", metavar="A", shell_complete=complete_host)
@click.argument("after", metavar="B", shell_complete=complete_host)
@output_format()
@host_options
def diff(*, before: str, after: str, output: str, stated: Stated) -> None:
    """In what two hosts differ, fact by fact, in the words of a snapshot, and which IOMMU groups split or merge because of that.

    \b
    simkit diff before.yaml after.yaml

    Exit status: 0 no difference, 1 they differ, 2 bad input.
    """
    from simkit.cli import documents
    from simkit.formats.native import fact
    from simkit.semantics.groups import groups
    from simkit.semantics.regroup import regroup

    one, other = stated.open(before), stated.open(after)
    differences, moves = documents.differences(one, other), regroup(groups(one), groups(other))
    if output == "json":
        print_json({"before": before, "after": after, "differences": differences, "groups": [documents.move(move) for move in moves]})
    elif not differences:
        click.echo("no difference")
    else:
        for each in differences:
            if each["field"]:
                click.echo(f"{each['subject']} {each['field']}: {fact.text(each['before'])} → {fact.text(each['after'])}")
            else:
                side, whole = (after, each["after"]) if each["before"] is None else (before, each["before"])
                click.echo(f"only in {side}: {each['subject']} {whole.get('name') or fact.text({key: value for key, value in whole.items() if key != 'id'})}")
        click.echo(f"{len(differences)} difference{'s' * (len(differences) > 1)}")
        if moves:
            click.echo(told(moves, "", "IOMMU groups:"))
    sys.exit(1 if differences else 0)
