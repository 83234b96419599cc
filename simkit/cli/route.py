"""`simkit route`."""

from __future__ import annotations

import click

from simkit.cli.options import Stated, host_argument, host_options, output_format
from simkit.cli.output import print_json
from simkit.cli.what_if import acs_option, bios_option, controls, switches


@click.command()
@host_argument
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@acs_option
@bios_option
@output_format()
@host_options
def route(*, host: str, source: str, target: str, acs: tuple[str, ...], bios: tuple[str, ...], output: str, stated: Stated) -> None:
    """The way of a memory request from function SRC to the memory of function DST.

    Two answers with two names: what switches and ports do with the request, and whether Linux's P2PDMA (NVMe, RDMA over
    dma-buf) would let SRC reach memory of DST at all. NVIDIA's drivers among themselves do not ask the latter.

    \b
    simkit route hgx-h100 0000:03:00.0 0000:04:00.0
    simkit route hgx-h100 0000:03:00.0 0000:04:00.0 --acs 0000:02:00.0=

    Exit status: 0 answered, 2 bad input.
    """
    from simkit.cli import documents
    from simkit.model.address import Address
    from simkit.semantics.p2p import nearness
    from simkit.semantics.p2pdma import p2pdma
    from simkit.semantics.routes import route as find
    from simkit.semantics.what_if import what_if

    model = stated.open(host)
    if acs or bios:
        model = what_if(model, acs=controls(acs), bios=switches(bios))
    way = find(model, Address.parse(source), Address.parse(target))
    linux = p2pdma(model, way.target, way.source)
    if output == "json":
        print_json(documents.route(way, linux))
        return
    beside = nearness(model, way.source, way.target)
    click.echo(f"{way.source} → {way.target}: {way.nearness}" + (f" over PCIe, {beside} by a link beside it" if beside != way.nearness else ""))
    up = len(way.via) if way.direct else len(tuple(model.ancestors(model[way.source])))
    for index, address in enumerate(way.via):
        if index == up:
            click.echo("  over the host bridge")
        click.echo(f"  over {address} {model[address].label}" + ("  ◀ redirects upstream" if address == way.redirected_by and index < up else ""))
    click.echo(way.why)
    if way.bandwidth_gbps is not None:
        click.echo(f"slowest link on the way: {way.bandwidth_gbps:.0f} Gb/s")
    click.echo(f"Linux's P2PDMA: {' or '.join(kind.value for kind in linux.possible)}, distance {linux.distance}: {linux.why}")
    for assumption in dict.fromkeys((*way.assumptions, *linux.assumptions)):
        click.echo(f"assumed: {assumption.text} ({assumption.place})")
