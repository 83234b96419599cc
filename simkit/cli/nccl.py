"""`simkit nccl`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from simkit.cli.options import Word, complete_host, output_format
from simkit.cli.output import print_json
from simkit.errors import InputError, UnknownName
from simkit.formats.source import READERS
from simkit.model.plan import Plan

if TYPE_CHECKING:
    from simkit.model.host import Host
    from simkit.model.nccl_answer import NcclAnswer
    from simkit.model.nccl_topology import NcclTopology
    from simkit.semantics.nccl.environment import Environment

_ASSUMPTIONS = 12


@click.command()
@click.argument("subject", metavar="HOST|topo.xml|plan.json", shell_complete=complete_host)
@click.option("--guest", metavar="NAME", help="One guest of a plan; all of them if left out.")
@click.option("--env", "assignments", multiple=True, metavar="NAME=VALUE", help="One of NCCL's variables, for example NCCL_P2P_LEVEL=SYS; may be repeated.")
@click.option("--topo-file", metavar="topo.xml", help="A file of your own for NCCL_TOPO_FILE: what NCCL makes of it on that host, or in that guest.")
@click.option("--reader", type=Word(READERS), metavar="NAME", help=f"Force a reader instead of finding it from the content: {', '.join(READERS)}.")
@output_format()
def nccl(*, subject: str, guest: str | None, assignments: tuple[str, ...], topo_file: str | None, reader: str | None, output: str) -> None:
    """What NCCL will conclude: paths and bandwidths between GPUs and to network ports, P2P, GPUDirect RDMA.

    Of NCCL's own XML what it will conclude with NCCL_TOPO_FILE, of any other HOST what it will find out by itself, of a plan's guests both: by itself,
    and with the file that `simkit render --to nccl` makes. With --topo-file what it concludes with that file: NCCL reads the file first and the
    machine for what it leaves out, and passes over entries that the machine has not. These are NCCL's rules (2.30.7), no measurement:
    `simkit route` tells what the hardware does with a request. What the source does not say (port speeds, say) is taken as is usual, and told.

    \b
    simkit nccl hgx-h100
    simkit nccl topo.xml --env NCCL_P2P_LEVEL=SYS --env NCCL_PXN_DISABLE=1 --format json
    simkit nccl plan.json --guest train
    simkit nccl plan.json --guest train --topo-file mine.xml

    Exit status: 0 answered, 2 bad input.
    """
    from simkit.cli import documents
    from simkit.formats.draw.nccl_changes import changes
    from simkit.formats.source import open_for_nccl
    from simkit.semantics.nccl.environment import Environment

    environment = Environment.of(assignments)
    found = open_for_nccl(subject, reader=reader)
    for number, (name, answer, told) in enumerate(_answers(found, guest, _file(topo_file), environment)):
        if output == "json":
            print_json(documents.nccl(answer, name) | ({"with_file": documents.nccl(told)} if told is not None else {}))
        else:
            click.echo(("\n" if number else "") + _text(answer, name or subject, assignments))
            if told is not None:
                click.echo("\n" + _text(told, _with(name or subject, topo_file), assignments) + "\n\n" + changes(answer, told))


def _file(topo_file: str | None) -> NcclTopology | None:
    from simkit.formats.source import open_for_nccl
    from simkit.model.nccl_topology import NcclTopology

    if topo_file is None:
        return None
    found = open_for_nccl(topo_file, reader="nccl")
    if not isinstance(found, NcclTopology):
        raise InputError(f"--topo-file: {topo_file} is no file of NCCL's", remedy="give the XML that NCCL_TOPO_FILE is to name")
    return found


def _with(name: str, topo_file: str | None) -> str:
    return f"{name} with {topo_file}" if topo_file else f"{name} with the file of `simkit render --to nccl`"


def _answers(
    found: Plan | Host | NcclTopology, guest: str | None, own: NcclTopology | None, environment: Environment
) -> Iterator[tuple[str | None, NcclAnswer, NcclAnswer | None]]:
    from simkit.semantics.guest_view import guest_view
    from simkit.semantics.nccl.predict import predict, predict_guest, predict_stated, predict_with_file

    if not isinstance(found, Plan):
        if guest is not None:
            raise InputError("--guest is for plans, and this is none", remedy="leave it out, or give a plan")
        yield None, predict(found, environment), None if own is None else predict_stated(own, found, environment)
        return
    chosen = [one for one in found.guests if guest in (None, one.name)]
    if not chosen:
        names = ", ".join(one.name for one in found.guests)
        raise UnknownName(f"the plan has no guest {guest!r}" if guest else "the plan has no guests", remedy=f"it has {names}" if names else "")
    for one in chosen:
        told = predict_with_file(found.host, one, environment) if own is None else predict_stated(own, guest_view(found.host, one), environment)
        yield one.name, predict_guest(found.host, one, environment), told


def _text(answer: NcclAnswer, name: str, assignments: tuple[str, ...]) -> str:
    from simkit.formats.draw.nccl import matrix

    said = f" with {' '.join(assignments)}" if assignments else ""
    lines = [f"NCCL {answer.version} on {name}{said}: {_count(len(answer.gpus), 'GPU')}, {_count(len(answer.nets), 'network port')}", "", matrix(answer)]
    lines += [f"assumed: {sentence}" for sentence in answer.assumed[:_ASSUMPTIONS]]
    if len(answer.assumed) > _ASSUMPTIONS:
        lines.append(f"… and {len(answer.assumed) - _ASSUMPTIONS} more assumptions (--format json)")
    return "\n".join(lines)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
