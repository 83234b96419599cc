"""`simkit show`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from simkit.cli.options import Stated, complete_host, host_options, output_format
from simkit.cli.output import print_json
from simkit.model.host import Host


@click.command()
@click.argument("hosts", metavar="[HOST]...", nargs=-1, shell_complete=complete_host)
@click.option("--as", "view", type=click.Choice(["tree", "groups", "p2p", "svg", "html"]), default="tree", show_default=True)
@click.option("--all", "whole", is_flag=True, help="Every function, not only branches with GPUs, NICs, NVSwitches and disks.")
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file (SVG, HTML).")
@output_format()
@host_options
def show(*, hosts: tuple[str, ...], view: str, whole: bool, target: Path | None, output: str, stated: Stated) -> None:
    """Draw a host. Without a HOST, list the shipped ones."""
    if not hosts:
        _list(output)
        return
    if target is not None and len(hosts) > 1:
        raise click.UsageError("-o takes one HOST; draw several one by one")
    for source in hosts:
        host = stated.open(source)
        if output == "json" and view in ("tree", "groups", "p2p"):
            print_json(_document(source, host, view))
            continue
        text = _text(host, view, whole=whole)
        if target is None:
            click.echo(text)
        else:
            target.write_text(text + "\n", encoding="utf-8")
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
    from simkit.formats.native import dump_host

    document: dict[str, object] = json.loads(dump_host(host, style="json"))
    return document


def peers(host: Host) -> tuple:  # type: ignore[type-arg]
    """The functions of the peer-to-peer matrix: GPUs, then NICs, then NVMe disks; virtual ones left out."""
    from simkit.model.function import Kind

    return tuple(function.address for kind in (Kind.GPU, Kind.NIC) for function in host.of_kind(kind) if not function.is_vf)


def _text(host: Host, view: str, *, whole: bool) -> str:
    from simkit.formats import draw_text
    from simkit.semantics.groups import groups

    grouping = groups(host)
    if view == "groups":
        return draw_text.groups(host, grouping)
    if view == "p2p":
        from simkit.semantics.p2p import matrix

        return draw_text.matrix(host, peers(host), matrix(host, peers(host)).nearness)
    if view == "svg":
        from simkit.formats.draw_svg import svg

        return svg(host, grouping, whole=whole)
    if view == "html":
        from simkit.formats.draw_html import page

        return page(host, grouping)
    from simkit.cli.summary import unknowns

    missing = [f"unknown: {line}" for line in unknowns(host)]
    assumed = [f"assumed: {line}" for line in host.assumed]
    return "\n".join([draw_text.headline(host), "", draw_text.tree(host, grouping, whole=whole), *([""] if missing or assumed else []), *missing, *assumed])
