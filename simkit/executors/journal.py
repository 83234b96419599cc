"""What an apply has done so far, on disk before and after every write, so that whoever comes next can finish or undo it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from simkit.errors import ExecutorError, MalformedDocument
from simkit.executors.node import refused
from simkit.model.address import Address
from simkit.model.plan import Plan
from simkit.model.step import Step

_FORMAT = "journal/1"
_SHORT = len("sha256:") + 12


class Mark(StrEnum):
    """What a record says: of a step, or (the last three) of the whole."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    UNDOING = "undoing"
    APPLIED = "applied"
    RESTORED = "restored"


class Phase(StrEnum):
    """Where a journal stands: `applying` and `undoing` are unfinished, and `resume` carries on."""

    APPLYING = "applying"
    UNDOING = "undoing"
    APPLIED = "applied"
    RESTORED = "restored"


_PHASE = {Mark.INTENT: Phase.APPLYING, Mark.UNDOING: Phase.UNDOING, Mark.APPLIED: Phase.APPLIED, Mark.RESTORED: Phase.RESTORED}


@dataclass(frozen=True, slots=True)
class Record:
    """One line after the first: `detail` is what was read or what went wrong."""

    mark: Mark
    step: str = ""
    detail: str = ""


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan as it is written (`simkit.formats.native.plan`)."""
    from simkit.formats.native.plan import dump_plan

    return "sha256:" + hashlib.sha256(dump_plan(plan).encode()).hexdigest()


class Journal:
    """JSON lines: a header with the whole plan, then a :class:`Record` each, on disk (fsync) before `append` returns.

    A last line that was torn by a crash is no record and is cut off before the next one is written.
    """

    def __init__(self, path: Path, handle: int, plan: Plan, allow: tuple[Address, ...], node: str, machine: str,
                 records: tuple[Record, ...] | None) -> None:
        """`open_journal` and `start_journal` make them; `records` None: there is nothing in the file yet, not even a header."""
        self.path, self.plan, self.allow, self.node, self.machine = path, plan, allow, node, machine
        self.records = list(records or ())
        self._handle = handle
        self._begun = records is not None

    @property
    def phase(self) -> Phase:
        """Where it stands, by the last record that says so; a new journal is applying."""
        return next((_PHASE[record.mark] for record in reversed(self.records) if record.mark in _PHASE), Phase.APPLYING)

    @property
    def touched(self) -> tuple[Step, ...]:
        """The steps that were begun and not undone since, in the plan's order."""
        begun: set[str] = set()
        for record in self.records:
            if record.mark is Mark.INTENT:
                begun.add(record.step)
            elif record.mark is Mark.UNDONE:
                begun.discard(record.step)
        return tuple(step for step in self.plan.steps if step.id in begun)

    def require_node(self, name: str, machine: str) -> None:
        """Refuse a node that is not the one this journal tells of: on it nothing would be there to undo, and that would be written down as undone.

        Raises:
            ExecutorError: it is another one by name, or by its machine-id.
        """
        if name != self.node or (machine and self.machine and machine != self.machine):
            mine, other = (self.node, name) if name != self.node else (f"{self.node} of machine {self.machine}", f"{name} of machine {machine}")
            raise ExecutorError(f"this journal tells of node {mine}, not of {other}", where=str(self.path),
                                remedy="go on with that node, or name another journal for this one")

    def require_plan(self, plan: Plan | None) -> None:
        """Refuse a plan that is not the one this journal tells of; None asks for none.

        Raises:
            ExecutorError: it is another one, by its hash.
        """
        if plan is None:
            return
        mine, given = plan_hash(self.plan), plan_hash(plan)
        if given != mine:
            raise ExecutorError(f"this journal is of another plan ({mine[:_SHORT]}, which is {self.phase}) than the one given ({given[:_SHORT]})",
                                where=str(self.path), remedy="give the plan that was applied (the first line of the journal holds it, under `plan`), "
                                "or name the journal of the plan given")

    def append(self, mark: Mark, step: str = "", detail: str = "") -> None:
        """Write a record, the first time a header before it, and wait until it is on disk.

        Raises:
            ExecutorError: the disk is full, or broken.
        """
        if not self._begun:
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            _write(self._handle, self.path, _header(self.plan, self.node, self.machine, self.allow))
            _sync_folder(self.path)
            self._begun = True
        record = Record(mark, step, detail)
        _write(self._handle, self.path, {key: str(value) for key, value in (("mark", mark), ("step", step), ("detail", detail)) if value})
        self.records.append(record)


def read_journal(path: Path) -> Journal:
    """What a journal says at the moment; nothing can be appended, and a process that writes it is not in the way.

    Raises:
        ExecutorError: it cannot be opened.
        MalformedDocument: as `open_journal`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise refused(str(path), error, remedy="name the journal of an apply") from error
    try:
        return _read(path, -1, _begun(path, _lines(path, handle)[0]))
    finally:
        os.close(handle)


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """An existing journal, locked against other processes while it is open.

    Raises:
        ExecutorError: it cannot be opened, or another process holds it.
        MalformedDocument: it is no journal, or a line before the last is damaged.
    """
    with _locked(path, os.O_RDWR) as handle:
        lines, length = _lines(path, handle)
        found = _read(path, handle, _begun(path, lines))
        os.ftruncate(handle, length)
        os.lseek(handle, 0, os.SEEK_END)
        yield found


@contextmanager
def start_journal(path: Path, plan: Plan, node: str, allow: tuple[Address, ...], machine: str = "") -> Iterator[Journal]:
    """The journal of `plan` at `path`: a new one, or the one that is there if it is of the same plan.

    One of another plan or node, or with other allowances, is begun anew if nothing of what it tells is left: what was allowed once is not
    allowed for good. Nothing is written before the first record.

    Raises:
        ExecutorError: as `open_journal`, or the journal is another plan's, and not restored.
    """
    with _locked(path, os.O_RDWR | os.O_CREAT) as handle:
        try:
            lines, length = _lines(path, handle)
            found = _read(path, handle, lines) if lines else Journal(path, handle, plan, allow, node, machine, None)
            other = plan_hash(found.plan) != plan_hash(plan)
            if other or (not found.touched and (found.node, found.machine, found.allow) != (node, machine, allow)):
                if found.touched:
                    raise ExecutorError(f"this journal is of another plan, which is {found.phase}", where=str(path),
                                        remedy="roll that plan back first, or name another journal")
                found = Journal(path, handle, plan, allow, node, machine, None)
            elif lines:
                os.ftruncate(handle, length)
                os.lseek(handle, 0, os.SEEK_END)
            yield found
        finally:
            if os.fstat(handle).st_size == 0:
                path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[int]:
    try:
        handle = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise refused(str(path), error, remedy="name a journal in a folder that you may write to") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExecutorError("another process is using this journal", where=str(path), remedy="wait for it, or see `simkit status`") from error
        yield handle
    finally:
        os.close(handle)


def _header(plan: Plan, node: str, machine: str, allow: tuple[Address, ...]) -> dict[str, Any]:
    from simkit.formats.native.plan import dump_plan

    return {"simkit": _FORMAT, "plan_sha256": plan_hash(plan), "fingerprint": plan.fingerprint, "node": node, "machine": machine,
            "allow": [str(address) for address in allow], "plan": json.loads(dump_plan(plan))}


def _write(handle: int, path: Path, line: dict[str, Any]) -> None:
    data = (json.dumps(line, separators=(",", ":")) + "\n").encode()
    start = os.lseek(handle, 0, os.SEEK_CUR)
    try:
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    except OSError as error:
        os.ftruncate(handle, start)
        os.lseek(handle, start, os.SEEK_SET)
        raise refused(str(path), error, remedy="the journal must be on a disk with room; nothing is done without it") from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lines(path: Path, handle: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines and their length in bytes."""
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        whole, newline, _torn = file.read().rpartition(b"\n")
    lines = []
    for number, text in enumerate(whole.split(b"\n") if newline else (), start=1):
        try:
            line = dict(json.loads(text))
        except (TypeError, ValueError) as error:
            raise MalformedDocument(f"a damaged journal: {error}", where=f"{path}:{number}",
                                    remedy="undo by hand what the lines before it say was done") from error
        lines.append(line)
    return lines, len(whole) + len(newline)


def _begun(path: Path, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not lines:
        raise MalformedDocument("an empty journal: nothing was begun", where=str(path), remedy="apply the plan; nothing has to be undone")
    return lines


def _read(path: Path, handle: int, lines: list[dict[str, Any]]) -> Journal:
    from simkit.formats.native.plan import load_plan

    header, *rest = lines
    if header.get("simkit") != _FORMAT:
        raise MalformedDocument("not a journal of simkit apply", where=f"{path}:1", remedy="name the journal, not the plan")
    try:
        plan = load_plan(json.dumps(header["plan"]), source=str(path))
        if plan_hash(plan) != header["plan_sha256"]:
            raise ValueError("the plan in it is not the one whose hash it has")
        allow = tuple(Address.parse(text) for text in header["allow"])
        records = tuple(Record(Mark(line["mark"]), str(line.get("step", "")), str(line.get("detail", ""))) for line in rest)
        return Journal(path, handle, plan, allow, str(header["node"]), str(header.get("machine", "")), records)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedDocument(f"a damaged journal: {error}", where=str(path), remedy="undo by hand what it says was done") from error
