"""One check of a verifier: its id, how it came out, and a sentence that says why. The ids are stable; programs build on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckId(StrEnum):
    """What is checked."""

    FORMAT = "format"
    SIGNATURE = "signature"
    CHAIN = "chain"
    ROOT = "root"
    VALIDITY = "validity"
    REVOCATION = "revocation"
    TCB = "tcb"
    HWID = "hwid"
    FWID = "fwid"
    NONCE = "nonce"
    REPORT_DATA = "report_data"
    DEBUG = "debug"
    VMPL = "vmpl"
    ATTRIBUTES = "attributes"
    MEASUREMENTS = "measurements"
    RIM_SIGNATURE = "rim_signature"
    RIM_CHAIN = "rim_chain"
    RIM_VALIDITY = "rim_validity"
    EVENT_LOG = "event_log"
    RUNTIME_DATA = "runtime_data"
    DISTINCT = "distinct"
    TOPOLOGY = "topology"
    COLLATERAL = "collateral"


class CheckStatus(StrEnum):
    """How it came out; skipped is never ok."""

    OK = "ok"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """A check's outcome. `residual` names a risk that stays although the check is ok; `device` is None for what concerns the whole set.

    `given` says that the user supplied an input for this check, so that the default policy requires it.
    """

    id: CheckId
    status: CheckStatus
    why: str
    residual: str = ""
    given: bool = False
    device: int | None = None


def ok(check: CheckId, why: str, *, residual: str = "", given: bool = False) -> Check:
    """The check holds, because."""
    return Check(check, CheckStatus.OK, why, residual=residual, given=given)


def fail(check: CheckId, why: str, *, given: bool = False) -> Check:
    """The check does not hold, because."""
    return Check(check, CheckStatus.FAIL, why, given=given)


def skipped(check: CheckId, why: str, *, given: bool = False) -> Check:
    """The check could not be made: what was not there."""
    return Check(check, CheckStatus.SKIPPED, why, given=given)


def decide(check: CheckId, holds: bool, yes: str, no: str, *, given: bool = False) -> Check:  # noqa: FBT001 (the outcome itself)
    """`ok` with the sentence `yes` where it holds, else `fail` with `no`."""
    return ok(check, yes, given=given) if holds else fail(check, no, given=given)
