"""What solving answers: never a bare bool."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.place import Place
from simkit.model.plan import Certificate, Plan


@dataclass(frozen=True, slots=True)
class Reason:
    """One necessary part of a contradiction: a sentence, and the lines of workload or host that it ends at."""

    text: str
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One change that makes the workload feasible, found so by solving again. `cost`: devices, steps of nearness or guests given up."""

    text: str
    cost: int


@dataclass(frozen=True, slots=True)
class Planned:
    """Plans that an independent checker has replayed, one for each host that has guests; `because` says what was weighed."""

    plans: tuple[Plan, ...]
    because: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """The plan, where there is one host."""
        (plan,) = self.plans
        return plan


@dataclass(frozen=True, slots=True)
class Infeasible:
    """There is no plan. `because` is minimal: leaving out any one of them would make it feasible. `certificates`: who has shown it."""

    because: tuple[Reason, ...]
    relaxations: tuple[Relaxation, ...] = ()
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nobody knows: `reason` names the limit that was hit, or says that facts are missing, which `facts` are; `cases` say what follows from either way."""

    reason: str
    facts: tuple[Reason, ...] = ()
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What the answer is if something holds."""

    if_: str
    answer: Answer


Answer = Planned | Infeasible | Undecided
