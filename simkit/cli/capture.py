"""`simkit capture`."""

from __future__ import annotations

from pathlib import Path

import click

from simkit.cli.options import Word, complete_host, output_file
from simkit.cli.output import to_stdout, write
from simkit.errors import InputError
from simkit.formats.source import READERS


@click.command()
@click.option(
    "--from",
    "source",
    default="local",
    show_default=True,
    metavar="local|HOST",
    shell_complete=complete_host,
    help="This machine, or any file or folder that a reader understands.",
)
@output_file("Where to write; standard output if left out.")
@click.option("--format", "output", type=Word(["yaml", "json"]), help="By the file's ending; YAML if left out.")
@click.option("--reader", type=Word(READERS), metavar="NAME", help=f"Force a reader instead of finding it from the content: {', '.join(READERS)}.")
def capture(*, source: str, target: Path | None, output: str | None, reader: str | None) -> None:
    """Read the facts of a node into a portable snapshot.

    Works as root or not: what could not be read is left out, which means unknown, and every answer made from it says so.

    \b
    simkit capture -o here.yaml
    simkit capture --from node7-sysfs.tar.bz2 -o node7.yaml

    Exit status: 0 captured, 2 the source cannot be read.
    """
    from simkit.formats.native import dump_host
    from simkit.formats.source import open_host

    if source == "local":
        from simkit.formats.sysfs import capture_local

        host = capture_local()
    elif source.startswith("ssh://"):
        raise InputError("capturing over SSH is not built yet", remedy="run `simkit capture -o node.yaml` there and copy the file")
    else:
        host = open_host(source, reader=reader)
    style = output or ("json" if target is not None and target.suffix == ".json" else "yaml")
    text = dump_host(host, style="json" if style == "json" else "yaml")
    write(text, target)
    if to_stdout(target):
        return
    from simkit.cli.summary import unknowns
    from simkit.formats.draw_text import headline

    click.echo(headline(host))
    for line in unknowns(host):
        click.echo(f"unknown: {line}")
    click.echo(f"written to {target}; look at it with `simkit show {target}`")
