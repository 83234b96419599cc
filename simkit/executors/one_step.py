"""One step, done or undone: journal, write, read again, compare, journal."""

from __future__ import annotations

from simkit.errors import ExecutorError, StepFailed
from simkit.executors.journal import Journal, Mark
from simkit.executors.node import Node
from simkit.executors.observe import holds, key, mismatches, missing, perform, target, written
from simkit.executors.stale import another_device
from simkit.model.step import Action, Expect, Step, StepKind

_FEWER = "memory of that node is taken, or in pieces: end what uses it, reserve the pages on the kernel command line, or ask for smaller ones"
_STAY = ": huge pages in use stay until whoever has them ends"


def do(log: Journal, node: Node, step: Step, *, fails: bool) -> None:
    """Make a step; `fails`: as if its first write had been refused.

    Raises:
        StepFailed: it found something else than it expects, a write was refused, or re-reading shows something else.
        ExecutorError: the node cannot be read, or the journal not written.
    """
    wrong = mismatches(node, step.before)
    if wrong:
        raise StepFailed(f"{step.id}: {wrong[0]} before it", step=step.id, path=wrong[0].path, read=wrong[0].found,
                         remedy="something else changes the node; find out what, and apply again")
    log.append(Mark.INTENT, step.id)
    if fails:
        raise StepFailed(f"{step.id}: made to fail, as asked", step=step.id, path=target(step.do[0]), written=written(step.do[0]))
    for action in step.do:
        _write(node, step, action)
    wrong = mismatches(node, step.check)
    if wrong:
        raise StepFailed(f"{step.id}: wrote {written(step.do[-1])} to {target(step.do[-1])}, but {wrong[0]}", step=step.id, path=wrong[0].path,
                         written=written(step.do[-1]), read=wrong[0].found,
                         remedy=_FEWER if step.kind is StepKind.HUGEPAGES else "the kernel log (dmesg) says why")
    log.append(Mark.DONE, step.id)


def undo(log: Journal, node: Node, step: Step, start: dict[str, Expect]) -> None:
    """Undo a step that was begun; `start` is the state at the very start (`stale.first`).

    What it changes is compared with what was there before it. Where that is so already, or as at the very start, there is nothing to
    undo: it was never written, or the node rebooted; nor where the device is gone, or another one is in its place. What was done, and
    is now neither as done nor as before, somebody else has changed: that is left to whoever did.

    Raises:
        StepFailed: somebody else changed it, a write was refused, or re-reading shows something else.
        ExecutorError: the node cannot be read, or the journal not written.
    """
    changed = {key(expect) for expect in step.check}
    before = [expect for expect in step.before if key(expect) in changed]
    initial = [start[name] for name in changed if name in start]
    gone = missing(node, step.subject) or another_device(node, log.plan, step.subject)
    if not (gone or (before and holds(node, before)) or (initial and holds(node, initial))):
        if before:
            _require_ours(log, node, step)
        for action in step.undo:
            _write(node, step, action)
        wrong = mismatches(node, before)
        if wrong:
            stay = _STAY if step.kind is StepKind.HUGEPAGES else ""
            raise StepFailed(f"{step.id}: undone, but {wrong[0]}{stay}", step=step.id, path=wrong[0].path, written=written(step.undo[-1]), read=wrong[0].found)
    log.append(Mark.UNDONE, step.id)


def _require_ours(log: Journal, node: Node, step: Step) -> None:
    marks = [record.mark for record in log.records if record.step == step.id and record.mark in (Mark.INTENT, Mark.DONE)]
    wrong = mismatches(node, step.check) if marks[-1] is Mark.DONE else ()
    if wrong:
        raise StepFailed(f"{step.id}: {wrong[0]}, neither as the plan left it nor as it was: something else has changed it", step=step.id, path=wrong[0].path,
                         read=wrong[0].found, remedy="bring it to one of the two")


def _write(node: Node, step: Step, action: Action) -> None:
    try:
        perform(node, action)
    except ExecutorError as error:
        raise StepFailed(f"{step.id}: {written(action)} was refused: {error.what}", step=step.id, path=target(action), written=written(action),
                         remedy=error.faults[0].remedy or "the kernel log (dmesg) says why") from error
