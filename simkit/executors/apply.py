"""Apply is a transaction: the node ends as planned, or as it was, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from simkit.errors import ExecutorError, SimkitError, StepFailed, UnknownName
from simkit.executors.in_use import in_use
from simkit.executors.journal import Journal, Mark, Phase, open_journal, plan_hash, start_journal
from simkit.executors.node import Node
from simkit.executors.observe import holds, key, mismatches, missing, perform, target, written
from simkit.executors.stale import final, first, require_fresh, wanted_already
from simkit.model.address import Address
from simkit.model.plan import Plan
from simkit.model.step import Action, Expect, Step
from simkit.plan.interlocks import require_free


class Outcome(StrEnum):
    """How an apply, resume or rollback ended. `already`: there was nothing to do; `rehearsed`: a dry run."""

    APPLIED = "applied"
    ALREADY = "already"
    RESTORED = "restored"
    REHEARSED = "rehearsed"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, as ids of steps in the order it was done; `skipped` were as wanted before, `pending` is what a dry run would do."""

    outcome: Outcome
    done: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """How far a journal has got. `touched` are steps that were begun and not undone, `last_failure` what the last failed one said since all was applied."""

    phase: Phase
    plan_sha256: str
    node: str
    steps: int
    touched: tuple[str, ...]
    last_failure: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One thing that happened to a step: done, skipped, failed or undone, `number` of `total`."""

    step: Step
    what: str
    number: int
    total: int


Listener = Callable[[Progress], None]


def apply(plan: Plan, node: Node, journal: Path, *, dry_run: bool = False, fail_at: str | None = None,
          allow: Collection[Address] = (), progress: Listener | None = None) -> Applied:
    """Carry out a plan on a node, or leave the node as it was.

    Each step: journal the intent, write, read again, compare, journal. Where one fails, all are undone in reverse order, each
    compared with what was there before. What is as wanted already is skipped, so that applying twice is applying once. An
    interrupted apply of the same plan in `journal` is finished (one that was undoing is undone first). `dry_run` checks
    everything and writes nothing, no journal either. `fail_at` makes the step of that id fail, for rehearsals. `allow` names
    functions that may be taken although the host uses them.

    Raises:
        StalePlan: the node has changed since; nothing was written.
        InterlockError: something in use would be taken away; nothing was written.
        StepFailed: a step failed and all was undone, or an undo failed and the journal says from where to go on.
        ExecutorError: the node cannot be read, or the journal cannot be used.
        UnknownName: `fail_at` is no step.
    """
    if fail_at is not None and fail_at not in {step.id for step in plan.steps}:
        raise UnknownName(f"the plan has no step {fail_at!r}", remedy="`simkit apply --dry-run` lists them")
    if dry_run:
        _require_possible(plan, node, allow)
        last = final(plan.steps)
        skipped = tuple(step.id for step in plan.steps if wanted_already(node, step, last))
        return Applied(Outcome.REHEARSED, skipped=skipped, pending=tuple(step.id for step in plan.steps if step.id not in skipped))
    with start_journal(journal, plan, node.name, tuple(sorted(allow))) as log:
        if log.phase is Phase.UNDOING:
            _undo(log, node, progress)
        if not log.touched:
            _require_possible(plan, node, allow)
        return _forward(log, node, fail_at, progress)


def resume(journal: Path, node: Node, *, progress: Listener | None = None) -> Applied:
    """Carry on after a crash: finish what was being applied, or undo what was being undone; a finished journal is left as it is.

    Raises:
        StepFailed: as `apply`.
        ExecutorError: the node cannot be read, or the journal cannot be used.
    """
    with open_journal(journal) as log:
        match log.phase:
            case Phase.APPLYING:
                if not log.touched:
                    _require_possible(log.plan, node, log.allow)
                return _forward(log, node, None, progress)
            case Phase.UNDOING:
                return _undo(log, node, progress)
            case Phase.APPLIED:
                return Applied(Outcome.ALREADY)
            case Phase.RESTORED:
                return Applied(Outcome.RESTORED)


def rollback(journal: Path, node: Node, *, progress: Listener | None = None) -> Applied:
    """Undo all that the journal says was done, in reverse order.

    Raises:
        StepFailed: an undo failed; the journal says from where to go on.
        ExecutorError: the node cannot be read, or the journal cannot be used.
    """
    with open_journal(journal) as log:
        return Applied(Outcome.RESTORED) if log.phase is Phase.RESTORED else _undo(log, node, progress)


def status(journal: Path) -> Status:
    """How far a journal has got.

    Raises:
        ExecutorError: it cannot be opened, or a running process holds it.
    """
    with open_journal(journal) as log:
        last = next((record for record in reversed(log.records) if record.mark in (Mark.FAILED, Mark.APPLIED)), None)
        failure = last.detail if last is not None else ""
        return Status(log.phase, plan_hash(log.plan), log.node, len(log.plan.steps), tuple(step.id for step in log.touched), failure)


def _require_possible(plan: Plan, node: Node, allow: Collection[Address]) -> None:
    require_fresh(plan, node)
    require_free(plan, uses=in_use(node), allow=allow)


def _forward(log: Journal, node: Node, fail_at: str | None, progress: Listener | None) -> Applied:
    done: list[str] = []
    skipped: list[str] = []
    steps, last = log.plan.steps, final(log.plan.steps)
    try:
        for number, step in enumerate(steps, start=1):
            if wanted_already(node, step, last):
                skipped.append(step.id)
                _tell(progress, step, "skipped", number, len(steps))
            else:
                _do(log, node, step, fails=step.id == fail_at)
                done.append(step.id)
                _tell(progress, step, "done", number, len(steps))
        wrong = mismatches(node, last.values())
        if wrong:
            raise StepFailed(f"all steps were made, but {wrong[0]}", path=wrong[0].path, read=wrong[0].found, remedy="something else changes the node")
        if done or log.phase is not Phase.APPLIED:
            log.append(Mark.APPLIED)
    except (SimkitError, OSError) as error:
        failure = _failure(error)
        log.append(Mark.FAILED, failure.step, str(failure))
        undone = _undo(log, node, progress, after=failure).undone
        raise StepFailed(f"{failure.what}; {len(undone)} step{'s' * (len(undone) != 1)} undone, the node is as it was", step=failure.step, path=failure.path,
                         written=failure.written, read=failure.read, remedy=failure.faults[0].remedy) from error
    return Applied(Outcome.APPLIED if done else Outcome.ALREADY, tuple(done), tuple(skipped))


def _do(log: Journal, node: Node, step: Step, *, fails: bool) -> None:
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
                         written=written(step.do[-1]), read=wrong[0].found, remedy="the kernel log (dmesg) says why")
    log.append(Mark.DONE, step.id)


def _write(node: Node, step: Step, action: Action) -> None:
    try:
        perform(node, action)
    except ExecutorError as error:
        raise StepFailed(f"{step.id}: {written(action)} was refused: {error.what}", step=step.id, path=target(action), written=written(action),
                         remedy=error.faults[0].remedy or "the kernel log (dmesg) says why") from error


def _undo(log: Journal, node: Node, progress: Listener | None, *, after: StepFailed | None = None) -> Applied:
    """Undo what the journal says was begun.

    What a step changes is compared with what was there before it. Where that is so already, or as at the very start, there is
    nothing to undo: it was never written, or the node rebooted.
    """
    if log.phase is not Phase.UNDOING:
        log.append(Mark.UNDOING)
    undone: list[str] = []
    touched = log.touched
    start = first(log.plan.steps)
    for number, step in enumerate(reversed(touched), start=1):
        try:
            _undo_step(log, node, step, start)
        except (SimkitError, OSError) as error:
            failure = _failure(error)
            why = f"{after.what}; then undoing failed" if after is not None else "undoing failed"
            raise StepFailed(f"{why}: {failure.what}", step=step.id, path=failure.path, written=failure.written, read=failure.read,
                             remedy=f"put right what stands in the way, then `simkit resume` carries on with {log.path}") from error
        undone.append(step.id)
        _tell(progress, step, "undone", number, len(touched))
    log.append(Mark.RESTORED)
    return Applied(Outcome.RESTORED, undone=tuple(undone))


def _undo_step(log: Journal, node: Node, step: Step, start: dict[str, Expect]) -> None:
    changed = {key(expect) for expect in step.check}
    before = [expect for expect in step.before if key(expect) in changed]
    initial = [start[name] for name in changed if name in start]
    if not (missing(node, step.subject) or (before and holds(node, before)) or (initial and holds(node, initial))):
        for action in step.undo:
            _write(node, step, action)
        wrong = mismatches(node, before)
        if wrong:
            raise StepFailed(f"{step.id}: undone, but {wrong[0]}", step=step.id, path=wrong[0].path, written=written(step.undo[-1]), read=wrong[0].found)
    log.append(Mark.UNDONE, step.id)


def _failure(error: SimkitError | OSError) -> StepFailed:
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, SimkitError):
        return StepFailed(error.what, path=error.faults[0].where, remedy=error.faults[0].remedy)
    return StepFailed(str(error), path=str(error.filename or ""))


def _tell(progress: Listener | None, step: Step, what: str, number: int, total: int) -> None:
    if progress is not None:
        progress(Progress(step, what, number, total))
