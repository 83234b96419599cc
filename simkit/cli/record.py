"""`simkit record`."""

from __future__ import annotations

from pathlib import Path

import click

from simkit.cli.options import Stated, host_argument, host_options


@click.command()
@host_argument
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@host_options
def record(*, host: str, folder: Path, stated: Stated) -> None:
    """Write HOST as a recorded node into FOLDER: the sysfs that it would show, for plans to be tried on.

    \b
    simkit record hgx-h100 node/
    simkit apply plan.json --executor recorded --node node/

    Exit status: 0 recorded, 2 bad input or a folder that cannot be written.
    """
    from simkit.formats.sysfs.tree import write

    write(stated.open(host), folder)
    click.echo(f"recorded in {folder}; try a plan on it with `simkit apply plan.json --executor recorded --node {folder}`")
