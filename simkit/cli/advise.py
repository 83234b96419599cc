"""`simkit advise`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import Stated, Word, host_argument, host_options, output_file, output_format, shipped_or_file
from simkit.cli.output import print_json, to_stdout, write
from simkit.errors import InputError

if TYPE_CHECKING:
    from simkit.model.advice import Advice, Advised
    from simkit.model.guest import GuestPlan
    from simkit.model.host import Host
    from simkit.semantics.advice.wanted import Wanted

_AIMS = ("isolate", "p2p", "rdma", "host")


@click.command()
@host_argument
@click.option(
    "--for", "workload", metavar="WORKLOAD", shell_complete=shipped_or_file("workloads"), help="Only for the devices that a plan for it would give away."
)
@click.option("--aim", "aims", multiple=True, type=Word(_AIMS), help="isolate, p2p, rdma or host; several may be given. All, if left out.")
@output_file("Write what can be set at run time (ACS bits, what NICs may send, huge pages) as a plan for `simkit apply`.")
@output_format()
@host_options
def advise(*, host: str, workload: str | None, aims: tuple[str, ...], target: Path | None, output: str, stated: Stated) -> None:
    """What to set on HOST, what it gains, costs and opens: ACS bits, kernel parameters, firmware switches, what devices may send.

    \b
    isolate  each GPU and NIC alone in its IOMMU group, no request past the IOMMU
    p2p      peers below one switch reach each other directly, if it can be with isolation kept
    rdma     which NIC for which GPU, read requests, relaxed ordering
    host     with --for: which vCPU on which CPU, CPUs kept free, huge pages, interrupts elsewhere

    Nothing is changed. With -o a plan is written of the registers and huge pages to set, if there are any: `simkit apply` sets them until the
    next reboot. Each piece says how long it lasts and whether it rests on the groups that were reported, on what the
    registers hold now, or on the next boot.

    \b
    simkit advise hgx-h100
    simkit advise split-roots --aim rdma
    simkit advise hgx-h100 --for two-guests --format json

    Exit status: 0 answered, also where nothing is to be set; 1 there is no plan for WORKLOAD; 2 bad input; 3 whether there is one is undecided.
    """
    from simkit.formats.draw.advice import draw_advice
    from simkit.model.advice import Aim
    from simkit.semantics.advice.advise import advise as find

    if "host" in aims and workload is None:
        raise InputError("--aim host is about the guests of a plan", remedy="name their workload with --for")
    model = stated.open(host)
    wanted = _wanted(model, workload)
    advised = find(model, wanted, tuple(Aim(aim) for aim in aims) or tuple(Aim))
    if output == "json":
        print_json(document(host, model, advised))
    else:
        click.echo(draw_advice(model, advised))
    if target is not None:
        _write_plan(model, advised, wanted.guests, target)


def _write_plan(host: Host, advised: Advised, guests: tuple[GuestPlan, ...], target: Path) -> None:
    from simkit.formats.native.plan import dump_plan
    from simkit.plan.advised import plan_of

    if to_stdout(target):
        raise InputError("-o - would mix the plan with the advice", remedy="name a file")
    plan = plan_of(host, advised, guests)
    if plan is None:
        click.echo(f"{target} is not written: nothing is to be set that can be set at run time", err=True)
        return
    write(dump_plan(plan), target)
    count = len(plan.steps)
    click.echo(f"\nwritten to {target}: {count} step{'s' * (count > 1)}; next: simkit apply {target} --executor local --dry-run", err=True)


def _wanted(host: Host, workload: str | None) -> Wanted:
    """All devices, or those of a plan for the workload. Exits with 1 or 3 where there is none."""
    import sys

    from simkit.cli.solve import describe
    from simkit.formats.source import open_workload
    from simkit.semantics.advice.wanted import all_devices, of_guests

    if workload is None:
        return all_devices(host)
    from simkit.solve.answer import Infeasible, Planned
    from simkit.solve.solve import solve

    answer = solve(open_workload(workload), host)
    if not isinstance(answer, Planned):
        click.echo(f"no advice for {workload}: there is no plan for it. Without --for all devices are looked at.\n{describe(answer, ())}", err=True)
        sys.exit(1 if isinstance(answer, Infeasible) else 3)
    return of_guests(host, answer.plan.guests)


def document(source: str, host: Host, advised: Advised) -> dict[str, Any]:
    """The document of `simkit advise`."""
    from simkit.semantics import kernel as kernels

    return {
        "host": source,
        "kernel": kernels.name(host.kernel),
        "aims": [aim.value for aim in advised.aims],
        "found": [{"aim": aim.value, "text": text} for aim, text in advised.found],
        "advice": [_piece(piece) for piece in advised.pieces],
        "pairs": [
            {**asdict(pair), "gpu": str(pair.gpu), "nic": None if pair.nic is None else str(pair.nic), "nearness": str(pair.nearness)} for pair in advised.pairs
        ],
        "parameters": list(advised.parameters),
        "cmdline": advised.cmdline,
        "firmware": list(advised.firmware),
    }


def _piece(piece: Advice) -> dict[str, Any]:
    from simkit.formats.native.values import acs_text

    return {
        "aim": piece.aim.value,
        "call": piece.call.value,
        "subject": None if piece.subject is None else str(piece.subject),
        "do": piece.do,
        "how": piece.how,
        "lasts": piece.lasts.value,
        "rests_on": piece.rests_on.value,
        "gains": piece.gains,
        "costs": piece.costs,
        "opens": piece.opens,
        "sources": list(piece.sources),
        "device_control": None if piece.device_control is None else {"mask": piece.device_control[0], "value": piece.device_control[1]},
        "acs": {str(address): acs_text(bits) for address, bits in piece.controls},
        "parameters": list(piece.parameters),
        "without": list(piece.without),
        "firmware": list(piece.firmware),
    }
