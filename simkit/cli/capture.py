"""`simkit capture`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simkit.cli.options import Word, complete_host, output_file
from simkit.cli.output import to_stdout, write
from simkit.formats.source import READERS

if TYPE_CHECKING:
    from simkit.model.host import Host
    from simkit.model.merge import Disagreement

_SHOWN = 20


@click.command()
@click.option(
    "--from",
    "sources",
    multiple=True,
    default=("local",),
    show_default="local",
    metavar="local|ssh://[USER@]HOST[:PORT]|HOST",
    shell_complete=complete_host,
    help="This machine, another one over ssh (nothing need be installed there), or any file or folder that a reader understands. Several, of one "
    "machine, are put together: what only one knows is taken from it; where two differ the one named first is kept, and the difference told.",
)
@output_file("Where to write; standard output if left out.")
@click.option("--format", "output", type=Word(["yaml", "json"]), help="By the file's ending; YAML if left out.")
@click.option("--reader", type=Word(READERS), metavar="NAME", help=f"Force a reader instead of finding it from the content: {', '.join(READERS)}.")
@click.option("--print-script", is_flag=True, help="Print the script that ssh:// runs, for a machine that cannot be reached: run it there with `sh`, as "
    "root if you can, and give what it prints as HOST.")
def capture(*, sources: tuple[str, ...], target: Path | None, output: str | None, reader: str | None, print_script: bool) -> None:
    """Read the facts of a node into a portable snapshot.

    Works as root or not: what could not be read is left out, which means unknown, and every answer made from it says so.

    \b
    simkit capture -o here.yaml
    simkit capture --from ssh://root@node7 -o node7.yaml
    simkit capture --from node7-sysfs.tar.bz2 -o node7.yaml
    simkit capture --from lspci-vvvnn.txt --from dmesg.txt --from topo.xml -o node8.yaml

    Exit status: 0 captured, 2 a source cannot be read or reached, or sources are of different machines.
    """
    if print_script:
        from simkit.formats.sysfs.stream import script

        write(script().decode(), target)
        return
    from simkit.formats.native.host import dump_host
    from simkit.model.merge import merge

    if reader is not None and len(sources) > 1:
        raise click.UsageError("--reader goes with one --from: with several, the reader of each is found from its content")
    hosts = [_read(source, reader) for source in sources]
    if len(hosts) > 1:
        hosts = [replace(host, assumed=tuple(f"{source}: {text}" for text in host.assumed)) for source, host in zip(sources, hosts, strict=True)]
    merged = merge(hosts)
    host = replace(merged.host, assumed=(*merged.host.assumed, *_told(merged.disagreements)))
    style = output or ("json" if target is not None and target.suffix == ".json" else "yaml")
    text = dump_host(host, style="json" if style == "json" else "yaml")
    write(text, target)
    for line in _told(merged.disagreements):
        click.echo(line, err=to_stdout(target))
    if to_stdout(target):
        return
    from simkit.cli.summary import unknowns
    from simkit.formats.draw.text import headline

    click.echo(headline(host))
    for line in unknowns(host):
        click.echo(f"unknown: {line}")
    click.echo(f"written to {target}; look at it with `simkit show {target}`")


def _read(source: str, reader: str | None) -> Host:
    if source == "local":
        from simkit.formats.sysfs.reader import capture_local

        return capture_local()
    if source.startswith("ssh://"):
        from simkit.executors.remote import Remote
        from simkit.formats.sysfs.reader import read_named
        from simkit.formats.sysfs.stream import StreamFiles, script

        remote = Remote.parse(source)
        return read_named(StreamFiles(remote.run(script()), name=str(remote)), otherwise=remote.host)
    from simkit.formats.source import open_host

    return open_host(source, reader=reader)


def _told(disagreements: tuple[Disagreement, ...]) -> list[str]:
    """One line for each of the first; they stand in the snapshot too, so that whoever reads it knows."""
    lines = [f"sources differ: {one}" for one in disagreements[:_SHOWN]]
    return [*lines, f"sources differ in {len(disagreements) - _SHOWN} facts more"] if len(disagreements) > _SHOWN else lines
