"""Why there is no plan: the fewest constraints that cannot hold together."""

from __future__ import annotations

from collections.abc import Sequence

from simkit.solve.assignment import Assignment
from simkit.solve.bounds import contradiction
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime
from simkit.solve.labels import Label, What
from simkit.solve.problem import Problem
from simkit.solve.windows import decide_within

FIRST_TO_GO = (What.LIMITS, What.MEMORY, What.CPUS, What.NUMA, What.TEE, What.GROUP,
               What.SPREAD, What.ISOLATION, What.PARTITION, What.PROTECTED, What.NEAR, What.PEERS, What.COUNT)
"""What is tried without first, so that what remains is told in terms of devices where it can be."""


def feasible(problem: Problem, active: Sequence[Label], *, seed: int = 0, limit: float = LIMIT) -> Assignment | Impossible | OutOfTime:
    """Whether the active constraints can hold together: by counting, else by CP-SAT."""
    if contradiction(problem, active):
        return Impossible()
    return decide_within(problem, active, seed=seed, optimise=False, limit=limit)


def minimal_core(problem: Problem, active: Sequence[Label], *, seed: int = 0) -> tuple[tuple[Label, ...], bool]:
    """Constraints that cannot hold together, none of which can be left out, in the order of `labels`; whether that was proven of each.

    A deletion filter: each constraint in turn is left out, and stays out where what remains is still impossible. Those of a kind, then half of
    them, are left out together first: where that is impossible still, it is so after each of them.
    """
    core = list(contradiction(problem, active) or active)
    proven = True
    parts = [sorted(label for label in core if label.what is what) for what in reversed(FIRST_TO_GO)]
    while parts:
        part = [label for label in parts.pop() if label in core]
        if not part:
            continue
        without = [other for other in core if other not in part and not any(_hangs_on(other, label) for label in part)]
        answer = feasible(problem, without, seed=seed)
        if isinstance(answer, Impossible):
            core = without
        elif len(part) > 1:
            parts += [part[len(part) // 2 :], part[: len(part) // 2]]
        elif isinstance(answer, OutOfTime):
            proven = False
    order = {label: number for number, label in enumerate(problem.labels())}
    return tuple(sorted(core, key=lambda label: order[label])), proven


def _hangs_on(other: Label, label: Label) -> bool:
    """A bound on devices says nothing once the devices are not asked for."""
    return label.what is What.COUNT and other.what in (What.PEERS, What.NEAR) and (other.guest, other.request) == (label.guest, label.request)
