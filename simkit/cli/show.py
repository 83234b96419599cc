"""`simkit show`."""

from __future__ import annotations

from pathlib import Path

import click

from simkit.cli.options import Stated, Word, complete_host, host_options, output_file, output_format
from simkit.cli.output import print_json, to_stdout, write
from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.group import Grouping, Status
from simkit.model.host import Host


@click.command()
@click.argument("hosts", metavar="[HOST]...", nargs=-1, shell_complete=complete_host)
@click.option("--as", "view", type=Word(["tree", "groups", "p2p", "bars", "svg", "html"]), default="tree", show_default=True, help="What is drawn.")
@click.option("--all", "whole", is_flag=True, help="Every function, not only branches with GPUs, NICs, NVSwitches and disks.")
@output_file("Write to a file in place of standard output; one HOST only.")
@output_format()
@host_options
def show(*, hosts: tuple[str, ...], view: str, whole: bool, target: Path | None, output: str, stated: Stated) -> None:
    """Draw a host. Without a HOST, list the shipped ones.

    As JSON: `tree` is the whole snapshot, `groups`, `p2p` and `bars` are answers (`simkit schema host`, `groups`, `p2p`, `bars`); pictures have none.

    \b
    simkit show hgx-h100
    simkit show here.yaml --as p2p --format json
    simkit show topo.xml --as html -o topo.html

    Exit status: 0 drawn, 2 bad input.
    """
    if not hosts:
        _list(output)
        return
    if target is not None and len(hosts) > 1:
        raise InputError("-o takes one HOST", remedy="draw several one by one")
    if output == "json" and view in ("svg", "html"):
        raise InputError(f"--as {view} is a picture and has no JSON", remedy="leave --format out, or draw as tree, groups, p2p or bars")
    for source in hosts:
        host = stated.open(source)
        if output == "json":
            print_json(_document(source, host, view), target)
        elif view in ("svg", "html") or not to_stdout(target):
            write(_text(source, host, view, whole=whole) + "\n", target)
        else:
            click.echo(_text(source, host, view, whole=whole))
    if not to_stdout(target):
        click.echo(f"written to {target}")


def _list(output: str) -> None:
    from simkit.formats.source import shipped

    if output == "json":
        print_json({kind: list(shipped(kind)) for kind in ("hosts", "workloads", "policies")})
        return
    for kind in ("hosts", "workloads", "policies"):
        click.echo(f"{kind}: {', '.join(shipped(kind))}")
    click.echo("draw one with `simkit show HOST`; a HOST is also any file or folder that a reader understands")


def _document(source: str, host: Host, view: str) -> dict[str, object]:
    from simkit.cli import documents
    from simkit.semantics.groups import groups

    if view == "groups":
        return documents.groups(source, groups(host))
    if view == "p2p":
        from simkit.semantics.p2p import matrix

        answer = matrix(host, peers(host))
        return documents.p2p(host, answer.functions, answer.nearness, answer.bandwidth_gbps)
    if view == "bars":
        from simkit.cli import bars

        return bars.document(source, host)
    from simkit.formats.native.emit import to_json
    from simkit.formats.native.host import host_document

    document: dict[str, object] = to_json(host_document(host))
    return document


def peers(host: Host) -> tuple[Address, ...]:
    """The functions of the peer-to-peer matrix: GPUs, then NICs; virtual ones left out."""
    from simkit.model.function import Kind

    return tuple(function.address for kind in (Kind.GPU, Kind.NIC) for function in host.of_kind(kind) if not function.is_vf)


def _text(source: str, host: Host, view: str, *, whole: bool) -> str:
    if view == "bars":
        from simkit.cli import bars

        return bars.text(host)
    from simkit.formats.draw import text as draw_text
    from simkit.semantics.groups import groups

    grouping = groups(host)
    if view == "groups":
        return draw_text.groups(host, grouping)
    if view == "p2p":
        from simkit.semantics.p2p import matrix

        return draw_text.matrix(host, peers(host), matrix(host, peers(host)).nearness)
    if view == "svg":
        from simkit.formats.draw.svg import svg

        return svg(host, grouping, whole=whole)
    if view == "html":
        from simkit.formats.draw.html import Peers, page
        from simkit.semantics.p2p import matrix

        near = Peers(peers(host), matrix(host, peers(host)).nearness)
        return page(host, grouping, peers=near, sections=[("What this rests on", "\n".join(_notes(source, host, grouping)))], whole=whole)
    notes = _notes(source, host, grouping)
    return "\n".join([draw_text.headline(host), "", draw_text.tree(host, grouping, whole=whole), *([""] if notes else []), *notes])


def _notes(source: str, host: Host, grouping: Grouping) -> list[str]:
    """What the drawing rests on: predictions, gaps, and what the source itself marks as not measured."""
    from simkit.cli.summary import unknowns

    missing = [f"unknown: {line}" for line in unknowns(host)]
    assumed = [f"assumed: {line}" for line in host.assumed]
    return [*_of_groups(source, grouping), *missing, *assumed]


def _of_groups(source: str, grouping: Grouping) -> list[str]:
    """What the drawn group numbers rest on, where no kernel reported them."""
    if grouping.reported or not grouping.groups:
        return []
    certainty = {
        Status.EXACT: "",
        Status.ASSUMED: f", on {len(grouping.assumptions)} assumption{'s' * (len(grouping.assumptions) > 1)}",
        Status.AMBIGUOUS: f"; what is not known matters: {len(grouping.groups)} groups at the coarsest, which is drawn, {len(grouping.finest)} at the finest",
    }
    return [f"groups: #n is predicted, as Linux {grouping.kernel} would build it{certainty[grouping.status]} (simkit groups {source})"]
