"""`simkit apply`, `status`, `resume`, `rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simkit.cli.output import print_json

if TYPE_CHECKING:
    from simkit.executors.apply import Applied, Progress
    from simkit.executors.node import Node

_plan = click.argument("plan", type=click.Path(exists=True, dir_okay=False))
_executor = click.option("--executor", type=click.Choice(["local", "recorded"]), required=True, help="This machine, or a recorded tree in a folder.")
_folder = click.option("--node", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The recorded tree's folder.")
_journal = click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="Where the journal is kept; beside the plan if left out.")
_format = click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)


def _node(executor: str, folder: Path | None) -> Node:
    if executor == "recorded":
        if folder is None:
            raise click.UsageError("--executor recorded needs --node FOLDER; `simkit record HOST FOLDER` makes one")
        from simkit.executors.recorded import RecordedNode

        return RecordedNode(folder)
    if folder is not None:
        raise click.UsageError("--node is for --executor recorded")
    from simkit.executors.local import LocalNode

    return LocalNode()


def _beside(plan: str, journal: Path | None) -> Path:
    return journal if journal is not None else Path(plan).with_suffix(".journal")


def _line(progress: Progress) -> None:
    click.echo(f"  {progress.number:>3}/{progress.total} {progress.what:<8} {progress.step.summary}")


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
@_plan
@_executor
@_folder
@_journal
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing, list the steps.")
@click.option("--fail-at", metavar="STEP", help="Make one step fail, to rehearse the undoing.")
@click.option("--allow", multiple=True, metavar="ADDRESS", help="A function that may be taken although the host uses it.")
@_format
def apply(
    *, plan: str, executor: str, folder: Path | None, journal: Path | None, dry_run: bool, fail_at: str | None, allow: tuple[str, ...], output: str
) -> None:
    """Carry out PLAN on a node, or leave the node as it was.

    Every write is journalled first and read back after; on failure everything is undone in reverse order. Applying again is harmless,
    and after a crash it finishes or undoes what was begun.
    """
    from simkit.executors.apply import apply as carry_out
    from simkit.formats.source import open_plan
    from simkit.model.address import Address

    model = open_plan(plan)
    if dry_run and output == "text":
        for step in model.steps:
            click.echo(f"{step.id}: {step.summary}")
            for action in step.do:
                click.echo(f"    {_action(action)}")
    done = carry_out(
        model,
        _node(executor, folder),
        _beside(plan, journal),
        dry_run=dry_run,
        fail_at=fail_at,
        allow=tuple(Address.parse(text) for text in allow),
        progress=_line if output == "text" else None,
    )
    _say(done, output, f"{plan} on {'this machine' if folder is None else folder}")


def _action(action: object) -> str:
    from simkit.model.step import SetAcs, Write

    if isinstance(action, Write):
        return f"write {action.text!r} to /{action.path}"
    assert isinstance(action, SetAcs)
    return f"set ACS Control of {action.function} to 0x{action.value:02x} under mask 0x{action.mask:02x}"


@click.command()
@_plan
@_journal
@_format
def status(*, plan: str, journal: Path | None, output: str) -> None:
    """How far an apply of PLAN has got, from its journal."""
    from simkit.executors.apply import status as ask

    found = ask(_beside(plan, journal))
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
@_plan
@_executor
@_folder
@_journal
@_format
def resume(*, plan: str, executor: str, folder: Path | None, journal: Path | None, output: str) -> None:
    """Finish an apply of PLAN that was interrupted, or its undoing."""
    from simkit.executors.apply import resume as carry_on

    _say(carry_on(_beside(plan, journal), _node(executor, folder), progress=_line if output == "text" else None), output, plan)


@click.command()
@_plan
@_executor
@_folder
@_journal
@_format
def rollback(*, plan: str, executor: str, folder: Path | None, journal: Path | None, output: str) -> None:
    """Undo all that an apply of PLAN did, last step first."""
    from simkit.executors.apply import rollback as undo

    _say(undo(_beside(plan, journal), _node(executor, folder), progress=_line if output == "text" else None), output, plan)
