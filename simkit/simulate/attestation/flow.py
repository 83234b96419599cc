"""The adversaries run: alone, in pairs, with checks off and features on; at each set of levels; nested and beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from simkit.attest.flow.adversaries import ADVERSARIES, Adversary
from simkit.attest.flow.moves import RULES
from simkit.attest.flow.parties import ORDER
from simkit.attest.flow.properties import VIOLATIONS
from simkit.attest.flow.rule import Property, Table
from simkit.attest.flow.rules import BEGIN, GOAL
from simkit.attest.flow.switches import BESIDE, CHECKS, NESTED, with_needs
from simkit.model.sequence import Sequence as Run
from simkit.simulate.attestation.compile import Compiled, grounded
from simkit.simulate.attestation.replay import Replayed, replay
from simkit.simulate.attestation.search import Explored, explore, sequence

FLOW = Table("flow", BEGIN, RULES, VIOLATIONS, GOAL, ORDER)
BOUNDS = (
    "2 sessions with a challenge each",
    "2 pod VMs, one of them as the host likes it",
    "2 GPUs of the pod's, one of them in a slot that the host controls, 1 GPU of somebody else's, 1 emulated, 1 NVSwitch",
    "any number of resets, of repeated messages and of messages that never arrive",
)
"""Within what the search is exhaustive."""


class Placement(StrEnum):
    """Where the pod runs: as a VM of the host's, as L2 in an L1 VM, or beside an L1 VM that asked for it."""

    DIRECT = "direct"
    NESTED = NESTED
    BESIDE = BESIDE


class Outcome(StrEnum):
    """What becomes of a row. `ANYWAY`: nothing gets through with its check off either, as something else stops it."""

    STOPPED = "stopped"
    ANYWAY = "stopped anyway"
    RESIDUAL = "residual"
    THROUGH = "gets through"
    OUT_OF_SCOPE = "out of scope"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is switched on: all checks but those of `without`, the features of `having`."""

    without: frozenset[str] = frozenset()
    having: frozenset[str] = frozenset()
    placement: Placement = Placement.DIRECT

    @property
    def features(self) -> frozenset[str]:
        """The features, with those that they rest on."""
        return with_needs(self.having)

    @property
    def on(self) -> frozenset[str]:
        """Every switch that is on."""
        place = frozenset() if self.placement is Placement.DIRECT else frozenset({self.placement.value})
        return frozenset(CHECKS) - self.without | self.features | place


@dataclass(frozen=True, slots=True)
class Judged:
    """A row and what the search says: `unchecked` is the search without the row's own check, or with the feature that should close it."""

    adversary: Adversary
    outcome: Outcome
    found: Explored
    unchecked: Explored | None

    @property
    def states(self) -> int:
        """States explored for this row."""
        return self.found.states + (self.unchecked.states if self.unchecked else 0)

    @property
    def whole(self) -> bool:
        """Whether every state was seen."""
        return self.found.whole and (self.unchecked is None or self.unchecked.whole)

    @property
    def transitions(self) -> int:
        """Transitions carried out for this row."""
        return self.found.transitions + (self.unchecked.transitions if self.unchecked else 0)


class Flow:
    """The flow under one setting, its tables compiled once."""

    def __init__(self, setting: Setting | None = None) -> None:
        """All checks on and no feature, unless said otherwise."""
        self.setting = setting or Setting()
        self._grounded = grounded(FLOW)
        self._compiled: dict[frozenset[str], Compiled] = {}
        self._in_every_order: dict[frozenset[str], Explored] = {}

    def compiled(self, on: frozenset[str] | None = None) -> Compiled:
        """The table under this setting, or with other switches."""
        on = self.setting.on if on is None else on
        if on not in self._compiled:
            self._compiled[on] = self._grounded.under(on)
        return self._compiled[on]

    def search(self, *adversaries: Adversary, reduce: bool = True) -> Explored:
        """All that these can bring about together; none at all: the network alone."""
        can = _can(adversaries)
        if reduce:
            return explore(self.compiled(), can)
        if can not in self._in_every_order:
            self._in_every_order[can] = explore(self.compiled(), can, reduce=False)
        return self._in_every_order[can]

    def judge(self, adversary: Adversary) -> Judged:
        """Search a row, and again without what should stop it (or with what should close it)."""
        found = self.search(adversary)
        other: Explored | None = None
        if not adversary.in_scope:
            return Judged(adversary, Outcome.OUT_OF_SCOPE if not found.violated else Outcome.THROUGH, found, None)
        if adversary.stops:
            other = explore(self.compiled(self.setting.on - {adversary.stops}), _can([adversary]))
            outcome = Outcome.THROUGH if found.violated else Outcome.STOPPED if other.violated else Outcome.ANYWAY
        else:
            if adversary.closes:
                other = explore(self.compiled(self.setting.on | with_needs(frozenset({adversary.closes}))), _can([adversary]))
            outcome = Outcome.RESIDUAL if found.violated else Outcome.STOPPED
        whole = found.whole and (other is None or other.whole)
        return Judged(adversary, outcome if whole else Outcome.UNDECIDED, found, other)

    def alone(self) -> tuple[Judged, ...]:
        """Every row."""
        return tuple(self.judge(adversary) for adversary in ADVERSARIES)

    def attack(self, adversaries: Iterable[Adversary], violated: Property | None = None) -> Run | None:
        """A shortest run that violates a property (the first that falls, or the one named); None where there is none."""
        chosen = tuple(adversaries)
        found = self.search(*chosen, reduce=False)
        property_ = violated or next(iter(found.violated), None)
        if property_ is None or property_ not in found.runs:
            return None
        return sequence(self.compiled(), found.runs[property_], " with ".join(adversary.name for adversary in chosen) or "the network alone")

    def replay(self, run: Run, adversaries: Iterable[Adversary]) -> Replayed:
        """A run carried out by the table's words alone."""
        return replay(FLOW, self.setting.on, _can(adversaries), run)

    def undisturbed(self) -> Run | None:
        """The flow as it should be; None where it cannot come to its end."""
        done = self.search(reduce=False).done
        return sequence(self.compiled(), done, "the flow, undisturbed") if done else None


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs: how many were searched, those that get through although neither does alone, and what was explored."""

    searched: int
    through: int
    emergent: tuple[tuple[Adversary, Adversary, tuple[Property, ...]], ...]
    states: int
    transitions: int
    whole: bool


def pairs(flow: Flow, rows: Sequence[Adversary] = ADVERSARIES) -> Pairs:
    """Search every pair of rows. What a pair brings about beyond what its two rows do alone is emergent."""
    alone = {adversary.name: frozenset(flow.search(adversary).violated) for adversary in rows}
    searched = through = states = transitions = 0
    whole, emergent = True, []
    for one, other in combinations(rows, 2):
        found = flow.search(one, other)
        searched += 1
        through += bool(found.violated)
        states, transitions, whole = states + found.states, transitions + found.transitions, whole and found.whole
        more = tuple(each for each in found.violated if each not in alone[one.name] | alone[other.name])
        if more:
            emergent.append((one, other, more))
    return Pairs(searched, through, tuple(emergent), states, transitions, whole)


def _can(adversaries: Iterable[Adversary]) -> frozenset[str]:
    return frozenset(can for adversary in adversaries for can in adversary.can)
