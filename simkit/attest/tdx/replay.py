"""`event_log`: replaying a log into RTMR0 to RTMR3 gives what the quote says (UEFI 2.10 §38.4; Intel TDX module ABI, TDG.MR.RTMR.EXTEND)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from simkit.model.evidence.check import Check, CheckId, fail, ok, skipped
from simkit.model.evidence.event_log import NO_ACTION, SHA384, EventLog

COUNT = 4


def replayed(log: EventLog) -> tuple[bytes, ...] | None:
    """RTMR0 to RTMR3 after all events, each SHA-384 of the old value and the event's digest; None where the log has no SHA-384 digests."""
    registers = [bytes(48)] * COUNT
    for event in log.events:
        if event.register == 0 or event.type == NO_ACTION:
            continue
        digest = event.digest(SHA384)
        if digest is None:
            return None
        registers[event.register - 1] = hashlib.sha384(registers[event.register - 1] + digest).digest()
    return tuple(registers)


def extends(log: EventLog) -> int:
    """How many events extend a register."""
    return sum(1 for event in log.events if event.register and event.type != NO_ACTION)


def event_log_check(rtmrs: Sequence[bytes], own: EventLog | None, given: Sequence[EventLog]) -> Check:
    """The log that came with the quote, and one at least of those that were given."""
    if own is None and not given:
        return skipped(CheckId.EVENT_LOG, "no event log was given")
    for wanted in ([own] if own else [], list(given)):
        faults = [(each, _fault(rtmrs, each)) for each in wanted]
        if faults and all(fault for _, fault in faults):
            return fail(CheckId.EVENT_LOG, "; ".join(f"{log.source}: {fault}" for log, fault in faults), given=True)
    fits = next(each for each in (*([own] if own else []), *given) if not _fault(rtmrs, each))
    return ok(CheckId.EVENT_LOG, f"{extends(fits)} of {len(fits.events)} events of {fits.source} replay to RTMR0 to RTMR3", given=True)


def _fault(rtmrs: Sequence[bytes], log: EventLog) -> str:
    found = replayed(log)
    if found is None:
        return "the log has no SHA-384 digests"
    wrong = [f"RTMR{number} replays to {mine.hex()[:16]}…, and the quote has {theirs.hex()[:16]}…"
             for number, (mine, theirs) in enumerate(zip(found, rtmrs, strict=True)) if mine != theirs]
    return ", ".join(wrong)
