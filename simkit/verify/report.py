"""What a verification says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.place import Place


class Outcome(StrEnum):
    """What came of one property."""

    HOLDS = "holds"
    VIOLATED = "violated"
    RESIDUAL = "residual"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """The whole: `residual` is a pass with a risk that no check can see or that the policy accepts by name."""

    PASS = "pass"
    RESIDUAL = "residual"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A request that should not get through: from `source` (owned by `source_owner`) over `via` to `target`'s memory.

    It replays: `simkit route HOST SOURCE TARGET` gives the same ports.
    """

    source: Address
    target: Address
    source_owner: str
    target_owner: str
    via: tuple[Address, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One property's outcome. `text` says what was established, over how many cases; `assumptions` what it rests on."""

    property: str
    outcome: Outcome
    text: str
    where: Place
    counterexample: Counterexample | None = None
    remedy: str = ""
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one policy over one subject."""

    policy: str
    subject: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Fail if anything is violated, undecided or skipped; residual if anything is; else pass. No findings at all is no pass."""
        outcomes = {finding.outcome for finding in self.findings}
        if not outcomes or outcomes & {Outcome.VIOLATED, Outcome.UNDECIDED, Outcome.SKIPPED}:
            return Verdict.FAIL
        return Verdict.RESIDUAL if Outcome.RESIDUAL in outcomes else Verdict.PASS

    @property
    def undecided(self) -> bool:
        """Whether nothing is known to be wrong, but something could not be decided."""
        outcomes = {finding.outcome for finding in self.findings}
        return Outcome.VIOLATED not in outcomes and bool(outcomes & {Outcome.UNDECIDED, Outcome.SKIPPED})
