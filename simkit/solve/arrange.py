"""The ladder of engines: sums, a guess that a checker and bounds judge, CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simkit.model.plan import Plan
from simkit.semantics.placement import check
from simkit.solve.assignment import Assignment
from simkit.solve.bounds import contradiction
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime
from simkit.solve.greedy import guess
from simkit.solve.making import make
from simkit.solve.objective import figures, least
from simkit.solve.problem import Problem
from simkit.solve.windows import decide_within


@dataclass(frozen=True, slots=True)
class Arranged:
    """A choice, and the plan of it where it is checked already."""

    chosen: Assignment
    plan: Plan | None = None


def arrange(problem: Problem, *, seed: int = 0, limit: float = LIMIT, best: bool = True) -> Arranged | Impossible | OutOfTime:
    """All constraints served, the best way if told to."""
    labels = problem.labels()
    if contradiction(problem, labels):
        return Impossible()
    guessed = guess(problem, problem.wishes)
    if _complete(problem, guessed):
        guessed = replace(guessed, levels=figures(problem, guessed))
        if not best or guessed.levels == least(problem):
            plan = make(problem, guessed)
            if not check(plan):
                return Arranged(guessed, plan)
    answer = decide_within(problem, labels, seed=seed, optimise=best, limit=limit, begin=guessed)
    return Arranged(answer) if isinstance(answer, Assignment) else answer


def _complete(problem: Problem, guessed: Assignment) -> bool:
    served = all(len(guessed.chosen[wish.guest, wish.index]) == wish.request.count for wish in problem.wishes)
    return served and all(sum(guessed.cores[guest.name, number] for number, _, _ in problem.nodes) * problem.threads >= guest.cpus
                          for guest in problem.workload.guests if problem.nodes)
