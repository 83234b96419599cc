"""`simkit apply`, `status`, `resume`, `rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simkit.cli import streams
from simkit.cli.faults import Interrupted
from simkit.cli.options import Word, output_format, plan_argument
from simkit.cli.output import print_json
from simkit.errors import InputError, UnknownName

if TYPE_CHECKING:
    from simkit.executors.apply import Applied, Progress
    from simkit.executors.node import Node
    from simkit.model.plan import Plan

_executor = click.option("--executor", type=Word(["local", "recorded"]), required=True, help="This machine, or a recorded tree in a folder.")
_folder = click.option("--node", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The recorded tree's folder.")
_journal = click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="Where the journal is kept; beside the plan if left out.")


def _node(executor: str, folder: Path | None) -> Node:
    if executor == "recorded":
        if folder is None:
            raise InputError("--executor recorded needs --node FOLDER", remedy="`simkit record HOST FOLDER` makes one")
        from simkit.executors.recorded import RecordedNode

        return RecordedNode(folder)
    if folder is not None:
        raise InputError("--node is for --executor recorded", remedy="leave it out, or name that executor")
    from simkit.executors.local import LocalNode

    return LocalNode()


def _beside(plan: str, journal: Path | None) -> Path:
    if journal is None and plan == "-":
        raise InputError("a plan from standard input has no place for a journal beside it", remedy="name one with --journal")
    return journal if journal is not None else Path(plan).with_suffix(".journal")


def _begun(plan: str, journal: Path | None) -> tuple[Path, Plan]:
    """The journal of an apply that has begun, and the plan that it should be of.

    Raises:
        UnknownName: there is none, so nothing was begun.
    """
    from simkit.formats.source import open_plan

    place = _beside(plan, journal)
    if not place.exists():
        raise UnknownName(f"{plan} was not applied: there is no journal", where=str(place), remedy="apply it, or name the journal with --journal")
    return place, open_plan(plan)


def _line(progress: Progress) -> None:
    """A step's line. A terminal that goes away, or a full disk behind it, must not stop a transaction half way."""
    try:
        click.echo(f"  {progress.number:>3}/{progress.total} {progress.what:<8} {progress.step.summary}")
        streams.finish()
    except OSError:
        streams.abandon()


@contextmanager
def _carrying_on(plan: str) -> Iterator[None]:
    """Whoever presses Ctrl-C in the middle is told how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        remedy = f"`simkit status {plan}` says how far it got, `simkit resume {plan} …` goes on, `simkit rollback {plan} …` undoes it"
        raise Interrupted("interrupted", remedy=remedy) from error


def _say(applied: Applied, output: str, what: str) -> None:
    if output == "json":
        print_json(
            {
                "outcome": applied.outcome.value,
                "done": list(applied.done),
                "skipped": list(applied.skipped),
                "undone": list(applied.undone),
                "pending": list(applied.pending),
            }
        )
        return
    parts = [f"{len(getattr(applied, name))} {name}" for name in ("done", "skipped", "undone", "pending") if getattr(applied, name)]
    click.echo(f"{applied.outcome}: {what}" + (f" ({', '.join(parts)})" if parts else ""))


@click.command()
@plan_argument
@_executor
@_folder
@_journal
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing, list the steps.")
@click.option("--fail-at", metavar="STEP", help="Make one step fail, to rehearse the undoing.")
@click.option("--allow", multiple=True, metavar="ADDRESS", help="A function that may be taken although the host uses it.")
@output_format()
def apply(
    *, plan: str, executor: str, folder: Path | None, journal: Path | None, dry_run: bool, fail_at: str | None, allow: tuple[str, ...], output: str
) -> None:
    """Carry out PLAN on a node, or leave the node as it was.

    Every write is journalled first and read back after; on failure everything is undone in reverse order. Applying again is harmless,
    and after a crash it finishes or undoes what was begun.

    \b
    simkit apply plan.json --executor recorded --node node/ --dry-run
    simkit apply plan.json --executor local

    Exit status: 0 applied or already so, 1 refused (the node has changed since, or the host uses what would be taken) or a step failed and
    all was undone, 2 bad use or bad input, or a node that cannot be read.
    """
    from simkit.executors.apply import apply as carry_out
    from simkit.formats.source import open_plan
    from simkit.model.address import Address

    place = _beside(plan, journal)
    model = open_plan(plan)
    taken = tuple(Address.parse(text) for text in allow)
    listener = _line if output == "text" else None
    with _carrying_on(plan):
        done = carry_out(model, _node(executor, folder), place, dry_run=dry_run, fail_at=fail_at, allow=taken, progress=listener)
    if dry_run and output == "text":
        _list(model)
    _say(done, output, f"{plan} on {'this machine' if folder is None else folder}")


def _list(plan: Plan) -> None:
    for step in plan.steps:
        click.echo(f"{step.id}: {step.summary}")
        for action in step.do:
            click.echo(f"    {_action(action)}")


def _action(action: object) -> str:
    from simkit.model.step import SetAcs, SetDeviceControl, Write

    if isinstance(action, Write):
        return f"write {action.text!r} to /{action.path}"
    assert isinstance(action, SetAcs | SetDeviceControl)
    return f"set {'ACS' if isinstance(action, SetAcs) else 'Device'} Control of {action.function} to 0x{action.value:02x} under mask 0x{action.mask:02x}"


@click.command()
@plan_argument
@_journal
@output_format()
def status(*, plan: str, journal: Path | None, output: str) -> None:
    """How far an apply of PLAN has got, from its journal.

    \b
    simkit status plan.json

    Exit status: 0 answered, 2 PLAN was not applied, or the journal is another plan's or cannot be read.
    """
    from simkit.executors.apply import status as ask

    place, model = _begun(plan, journal)
    found = ask(place, plan=model)
    if output == "json":
        print_json(
            {
                "phase": found.phase.value,
                "plan": found.plan_sha256,
                "node": found.node,
                "steps": found.steps,
                "touched": list(found.touched),
                "last_failure": found.last_failure,
            }
        )
        return
    click.echo(
        f"{found.phase}: {len(found.touched)} of {found.steps} steps stand on {found.node}"
        + (f"; last failure: {found.last_failure}" if found.last_failure else "")
    )


@click.command()
@plan_argument
@_executor
@_folder
@_journal
@output_format()
def resume(*, plan: str, executor: str, folder: Path | None, journal: Path | None, output: str) -> None:
    """Finish an apply of PLAN that was interrupted, or its undoing.

    \b
    simkit resume plan.json --executor local

    Exit status: 0 finished, 1 refused (as apply) or a step failed, 2 bad use or bad input, PLAN was not applied, or the journal is another plan's.
    """
    from simkit.executors.apply import resume as carry_on

    place, model = _begun(plan, journal)
    with _carrying_on(plan):
        done = carry_on(place, _node(executor, folder), plan=model, progress=_line if output == "text" else None)
    _say(done, output, plan)


@click.command()
@plan_argument
@_executor
@_folder
@_journal
@output_format()
def rollback(*, plan: str, executor: str, folder: Path | None, journal: Path | None, output: str) -> None:
    """Undo all that an apply of PLAN did, last step first.

    \b
    simkit rollback plan.json --executor local

    Exit status: 0 the node is as it was, 1 refused (a process has open what would be taken) or a step could not be undone, 2 bad use or bad
    input, PLAN was not applied, or the journal is another plan's.
    """
    from simkit.executors.apply import rollback as undo

    place, model = _begun(plan, journal)
    with _carrying_on(plan):
        done = undo(place, _node(executor, folder), plan=model, progress=_line if output == "text" else None)
    _say(done, output, plan)
