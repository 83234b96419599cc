"""`solve`: guests on one host. Counting, a guess, CP-SAT where that is not enough; then a checker that shares no code with any of them."""

from __future__ import annotations

from simkit.errors import Fault, SimkitError
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.workload import Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Answer, Infeasible, Planned, Undecided
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.assignment import Assignment
from simkit.solve.core import minimal_core
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime
from simkit.solve.host_changes import host_changes
from simkit.solve.making import make, weighed
from simkit.solve.open_facts import open_question
from simkit.solve.problem import Problem, build
from simkit.solve.reasons import reasons
from simkit.solve.relax import relaxations


class CheckerDisagrees(SimkitError, RuntimeError):
    """The independent checker refuses what was planned: a defect of simkit, never of the input."""

    exit_status = 3


def solve(workload: Workload, host: Host, *, seed: int = 0, limit: float = LIMIT) -> Answer:
    """A plan for the guests of `workload` on `host`, or why there is none, or which limit was hit.

    The same input and `seed` give the same answer. `limit` is CP-SAT's deterministic time for each question put to it.

    Raises:
        UnknownName: the workload pins a device that is not there.
        CheckerDisagrees: a plan did not pass `simkit.semantics.placement.check`; please report it.
    """
    problem = build(workload, host)
    match arrange(problem, seed=seed, limit=limit):
        case Arranged(chosen, made):
            plan = made or sound(problem, chosen)
            return Planned((plan,), weighed(problem, plan))
        case OutOfTime() as spent:
            return Undecided(f"CP-SAT found neither a plan nor a contradiction within {spent.limit:g} units of deterministic time")
        case Impossible():
            return _why_not(problem, seed, limit)


def _why_not(problem: Problem, seed: int, limit: float) -> Answer:
    core, proven = minimal_core(problem, problem.labels(), seed=seed)
    told = reasons(problem, core)
    if not proven:
        return Undecided(f"these cannot hold together, but CP-SAT's limit of {limit:g} was hit before the fewest were found: "
                         + "; ".join(reason.text for reason in told))
    changes = [*relaxations(problem.asked, problem.facts, core, seed=seed), *host_changes(problem, core, seed=seed)]
    refused = Infeasible(told, tuple(sorted(changes, key=lambda change: change.cost)))
    return open_question(problem, refused, lambda host: solve(problem.asked, host, seed=seed, limit=limit)) or refused


def sound(problem: Problem, chosen: Assignment) -> Plan:
    """The plan of an engine's choice, checked.

    Raises:
        CheckerDisagrees: it is not sound.
    """
    plan = make(problem, chosen)
    faults = check(plan)
    if faults:
        remedy = "please report this with the workload and host"
        raise CheckerDisagrees("the independent checker refuses the plan", faults=tuple(Fault(text, remedy=remedy) for text in faults))
    return plan
