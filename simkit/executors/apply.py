"""Apply is a transaction: the node ends as planned, or as it was, whatever happens in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from simkit.errors import ExecutorError, Fault, InputError, SimkitError, StalePlan, StepFailed, UnknownName
from simkit.executors.exclusive import exclusive
from simkit.executors.in_use import in_use
from simkit.executors.journal import Journal, Mark, Phase, open_journal, plan_hash, read_journal, start_journal
from simkit.executors.node import Node, machine
from simkit.executors.observe import mismatches
from simkit.executors.one_step import do, undo
from simkit.executors.open_files import held_open
from simkit.executors.stale import final, first, require_fresh, wanted_already
from simkit.model.address import Address
from simkit.model.plan import Plan
from simkit.model.step import Step, StepKind
from simkit.plan.interlocks import InterlockError, require_free
from simkit.plan.replay import replay


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
_log = logging.getLogger(__name__)


def apply(plan: Plan, node: Node, journal: Path, *, dry_run: bool = False, fail_at: str | None = None,
          allow: Collection[Address] = (), progress: Listener | None = None) -> Applied:
    """Carry out a plan on a node, or leave the node as it was.

    Each step: journal the intent, write, read again, compare, journal. Where one fails, all are undone in reverse order, each
    compared with what was there before. What is as wanted already is skipped, so that applying twice is applying once. An
    interrupted apply of the same plan in `journal` is finished (one that was undoing is undone first), if the node is still the
    same: after a reboot another device may be at an address. `dry_run` checks everything and writes nothing, no journal either.
    `fail_at` makes the step of that id fail, for rehearsals. `allow` names functions that may be taken although the host uses them.
    `progress` hears of each step after it is in the journal; an exception that it raises is logged and changes nothing.

    Raises:
        StalePlan: the node has changed since; nothing was written.
        InterlockError: something in use would be taken away; nothing was written.
        InputError: the plan's steps do not fit together, as when it was edited by hand; nothing was written.
        StepFailed: a step failed and all was undone, or an undo failed and the journal says from where to go on.
        ExecutorError: the node cannot be read, or the journal cannot be used, or is another node's.
        UnknownName: `fail_at` is no step.
    """
    if fail_at is not None and fail_at not in {step.id for step in plan.steps}:
        raise UnknownName(f"the plan has no step {fail_at!r}", remedy="`simkit apply --dry-run` lists them")
    if dry_run:
        _require_possible(plan, node, allow)
        last = final(plan.steps)
        skipped = tuple(step.id for step in plan.steps if wanted_already(node, step, last))
        return Applied(Outcome.REHEARSED, skipped=skipped, pending=tuple(step.id for step in plan.steps if step.id not in skipped))
    with exclusive(node), start_journal(journal, plan, node.name, tuple(sorted(allow)), machine(node)) as log:
        log.require_node(node.name, machine(node))
        if log.phase is Phase.UNDOING:
            _undo(log, node, progress)
        _require_possible(plan, node, {*allow, *log.allow}, log)
        return _forward(log, node, fail_at, progress)


def resume(journal: Path, node: Node, *, plan: Plan | None = None, progress: Listener | None = None) -> Applied:
    """Carry on after a crash: finish what was being applied, or undo what was being undone; a finished journal is left as it is.

    The plan in the journal counts; `plan` is the one that the caller takes it to be, None where only the journal is at hand.

    Raises:
        StalePlan, InterlockError, StepFailed, ExecutorError: as `apply`.
        ExecutorError: the journal is of another plan.
    """
    with exclusive(node), open_journal(journal) as log:
        log.require_plan(plan)
        log.require_node(node.name, machine(node))
        match log.phase:
            case Phase.APPLYING:
                _require_possible(log.plan, node, log.allow, log)
                return _forward(log, node, None, progress)
            case Phase.UNDOING:
                return _undo(log, node, progress)
            case Phase.APPLIED:
                return Applied(Outcome.ALREADY)
            case Phase.RESTORED:
                return Applied(Outcome.RESTORED)


def rollback(journal: Path, node: Node, *, plan: Plan | None = None, progress: Listener | None = None) -> Applied:
    """Undo all that the journal says was done, in reverse order; `plan` as for `resume`.

    Raises:
        InterlockError: a process, such as a guest's, has a device open that would be taken from it; nothing was written.
        StepFailed: an undo failed; the journal says from where to go on.
        ExecutorError: the node cannot be read, or the journal cannot be used, or is another node's or another plan's.
    """
    with exclusive(node), open_journal(journal) as log:
        log.require_plan(plan)
        log.require_node(node.name, machine(node))
        _require_closed(log, node)
        return Applied(Outcome.RESTORED) if log.phase is Phase.RESTORED else _undo(log, node, progress)


def status(journal: Path, *, plan: Plan | None = None) -> Status:
    """How far a journal has got; it is only read, and while another process writes it too. `plan` as for `resume`.

    Raises:
        ExecutorError: it cannot be opened, or is of another plan.
        MalformedDocument: as `open_journal`.
    """
    log = read_journal(journal)
    log.require_plan(plan)
    last = next((record for record in reversed(log.records) if record.mark in (Mark.FAILED, Mark.APPLIED)), None)
    failure = last.detail if last is not None else ""
    return Status(log.phase, plan_hash(log.plan), log.node, len(log.plan.steps), tuple(step.id for step in log.touched), failure)


def _require_possible(plan: Plan, node: Node, allow: Collection[Address], log: Journal | None = None) -> None:
    """What is as wanted already takes nothing away, so that a plan may be applied again under running guests."""
    faults = replay(plan)
    if faults:
        raise InputError("the steps of this plan do not fit together", faults=tuple(Fault(fault, remedy="was the plan edited by hand? solve again")
                                                                                    for fault in faults))
    try:
        require_fresh(plan, node)
    except StalePlan as error:
        if log is None or not log.touched:
            raise
        raise StalePlan(f"{error.what}, and {len(log.touched)} of its steps stand: `simkit rollback` undoes them", faults=error.faults) from error
    last = final(plan.steps)
    require_free(plan, uses=in_use(node), allow=allow, done=tuple(step.id for step in plan.steps if wanted_already(node, step, last)))


def _require_closed(log: Journal, node: Node) -> None:
    held = held_open(node)
    taking = {step.subject for step in log.touched if step.kind is StepKind.BIND and isinstance(step.subject, Address)}
    faults = tuple(Fault(f"{address} is {held[address]}", remedy="stop it first") for address in sorted(taking & held.keys()))
    if faults:
        raise InterlockError("undoing would take away what is in use", faults=faults)


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
                do(log, node, step, fails=step.id == fail_at)
                done.append(step.id)
                _tell(progress, step, "done", number, len(steps))
        wrong = mismatches(node, last.values())
        if wrong:
            raise StepFailed(f"all steps were made, but {wrong[0]}", path=wrong[0].path, read=wrong[0].found, remedy="something else changes the node")
        if done or log.phase is not Phase.APPLIED:
            log.append(Mark.APPLIED)
    except (SimkitError, OSError) as error:
        failure = _failure(error)
        try:
            log.append(Mark.FAILED, failure.step, str(failure))
        except ExecutorError as broken:
            raise StepFailed(f"{failure.what}; the journal cannot be written ({broken.what}), so nothing more was done: {len(log.touched)} steps stand",
                             step=failure.step, path=failure.path, remedy="make room for it, then `simkit resume` or `simkit rollback`") from error
        undone = _undo(log, node, progress, after=failure).undone
        raise StepFailed(f"{failure.what}; {len(undone)} step{'s' * (len(undone) != 1)} undone, the node is as it was", step=failure.step, path=failure.path,
                         written=failure.written, read=failure.read, remedy=failure.faults[0].remedy) from error
    return Applied(Outcome.APPLIED if done else Outcome.ALREADY, tuple(done), tuple(skipped))


def _undo(log: Journal, node: Node, progress: Listener | None, *, after: StepFailed | None = None) -> Applied:
    if log.phase is not Phase.UNDOING:
        log.append(Mark.UNDOING)
    undone: list[str] = []
    touched = log.touched
    start = first(log.plan.steps)
    for number, step in enumerate(reversed(touched), start=1):
        try:
            undo(log, node, step, start)
        except (SimkitError, OSError) as error:
            failure = _failure(error)
            why = f"{after.what}; then undoing failed" if after is not None else "undoing failed"
            raise StepFailed(f"{why}: {failure.what}", step=step.id, path=failure.path, written=failure.written, read=failure.read,
                             remedy=f"put right what stands in the way, then `simkit resume` carries on with {log.path}") from error
        undone.append(step.id)
        _tell(progress, step, "undone", number, len(touched))
    log.append(Mark.RESTORED)
    return Applied(Outcome.RESTORED, undone=tuple(undone))


def _failure(error: SimkitError | OSError) -> StepFailed:
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, SimkitError):
        return StepFailed(error.what, path=error.faults[0].where, remedy=error.faults[0].remedy)
    return StepFailed(str(error), path=str(error.filename or ""))


def _tell(progress: Listener | None, step: Step, what: str, number: int, total: int) -> None:
    """Tell whoever listens. Nothing it raises may look like a step that failed, or stop the undoing; Ctrl-C passes, and leaves the journal to be resumed."""
    if progress is None:
        return
    try:
        progress(Progress(step, what, number, total))
    except Exception:  # noqa: BLE001 (a listener may be anything, and the node is half changed)
        _log.warning("whoever listens to the progress failed at step %s, which is %s all the same", step.id, what, exc_info=True)
