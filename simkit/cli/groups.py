"""`simkit groups`."""

from __future__ import annotations

import click

from simkit.cli.options import Stated, host_options, hosts_argument, output_format
from simkit.cli.output import print_json


@click.command()
@hosts_argument
@output_format()
@host_options
def groups(*, hosts: tuple[str, ...], output: str, stated: Stated) -> None:
    """IOMMU groups as Linux builds them, or as the kernel reported them, with why.

    What the source cannot tell is not guessed: the answer then says what it assumed, or is the coarsest that is possible.

    \b
    simkit groups hgx-h100
    simkit groups node7.yaml node8.yaml --kernel 6.12 --format json

    Exit status: 0 answered (also where the answer rests on assumptions or is ambiguous: it says so), 2 bad input.
    """
    from simkit.cli import documents
    from simkit.formats import draw_text
    from simkit.semantics.groups import groups as group

    for source in hosts:
        host = stated.open(source)
        grouping = group(host)
        if output == "json":
            print_json(documents.groups(source, grouping))
        else:
            click.echo(draw_text.groups(host, grouping))
