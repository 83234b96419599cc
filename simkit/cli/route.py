"""`simkit route`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simkit.cli.options import Stated, host_argument, host_options, output_format
from simkit.cli.output import print_json
from simkit.cli.what_if import acs_option, bios_option, controls, switches

if TYPE_CHECKING:
    from simkit.model.nccl_answer import GpuPath, NetPath


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

    Three answers with three names: what switches and ports do with the request; whether Linux's P2PDMA (NVMe, RDMA over dma-buf)
    would let SRC reach memory of DST at all, which NVIDIA's drivers among themselves do not ask; and what NCCL will conclude of two
    GPUs, or of a GPU and a NIC.

    \b
    simkit route hgx-h100 0000:03:00.0 0000:04:00.0
    simkit route hgx-h100 0000:03:00.0 0000:04:00.0 --acs 0000:02:00.0=

    Exit status: 0 answered, 2 bad input.
    """
    from simkit.cli import documents
    from simkit.model.address import Address
    from simkit.semantics.nccl.predict import between
    from simkit.semantics.p2p import nearness
    from simkit.semantics.p2pdma import p2pdma
    from simkit.semantics.routes import route as find
    from simkit.semantics.what_if import what_if

    model = stated.open(host)
    if acs or bios:
        model = what_if(model, acs=controls(acs), bios=switches(bios))
    way = find(model, Address.parse(source), Address.parse(target))
    linux = p2pdma(model, way.target, way.source)
    concluded = between(model, way.source, way.target)
    if output == "json":
        print_json(documents.route(way, linux, concluded))
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
    if concluded is not None:
        click.echo(f"NCCL: {concluded.nearness}, {concluded.bandwidth:g} GB/s as it counts, {_used(concluded)}")
    for assumption in dict.fromkeys((*way.assumptions, *linux.assumptions)):
        click.echo(f"assumed: {assumption.text} ({assumption.place})")


def _used(path: GpuPath | NetPath) -> str:
    from simkit.model.nccl_answer import GpuPath

    if isinstance(path, GpuPath):
        return "P2P is used" if path.p2p else "P2P is not used"
    return "no GPUDirect RDMA" if path.gdr == "off" else "GPUDirect RDMA is used"
