"""`solve`: guests on one host. Counting, a guess, CP-SAT where that is not enough; then a checker that shares no code with any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simkit.errors import Fault, SimkitError
from simkit.model.host import Host
from simkit.model.plan import Certificate, Plan
from simkit.model.workload import Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Answer, Infeasible, Planned, Undecided
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.assignment import Assignment
from simkit.solve.core import minimal_core
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime
from simkit.solve.host_changes import host_changes
from simkit.solve.labels import Label
from simkit.solve.making import make, weighed
from simkit.solve.open_facts import open_question
from simkit.solve.problem import Problem, build
from simkit.solve.proof import no_plan, none_better, version
from simkit.solve.reasons import reasons
from simkit.solve.relax import relaxations


class CheckerDisagrees(SimkitError, RuntimeError):
    """The independent checker refuses what was planned: a defect of simkit, never of the input."""

    exit_status = 3


def solve(workload: Workload, host: Host, *, seed: int = 0, limit: float = LIMIT, prove: bool = False) -> Answer:
    """A plan for the guests of `workload` on `host`, or why there is none, or which limit was hit.

    The same input and `seed` give the same answer. `limit` is CP-SAT's deterministic time for each question put to it. `prove`: z3 is
    asked as well, and its word stands among the certificates.

    Raises:
        UnknownName: the workload pins a device that is not there.
        CheckerDisagrees: a plan did not pass `simkit.semantics.placement.check`; please report it.
    """
    problem = build(workload, host)
    match arrange(problem, seed=seed, limit=limit):
        case Arranged(chosen, made):
            plan = made or sound(problem, chosen)
            because = weighed(problem, plan)
            if prove:
                plan = replace(plan, certificates=(*plan.certificates, _proven_best(problem, chosen, seed)))
            return Planned((plan,), because)
        case OutOfTime() as spent:
            return Undecided(f"CP-SAT found neither a plan nor a contradiction within {spent.limit:g} units of deterministic time")
        case Impossible():
            return _why_not(problem, seed, limit, prove=prove)


def _proven_best(problem: Problem, chosen: Assignment, seed: int) -> Certificate:
    answer = none_better(problem, chosen, seed=seed)
    said = {True: "no plan is better in any part of the objective, the ones before it being equal", False: "there is a better plan",
            None: "its limit was hit: neither a better plan nor a proof that there is none"}
    return Certificate(version(), said[answer], chosen.levels)


def _proven_core(problem: Problem, core: Sequence[Label], seed: int) -> Certificate:
    answer = no_plan(problem, core, seed=seed)
    each = [no_plan(problem, [other for other in core if other != label], seed=seed) for label in core] if answer else []
    if answer is None or None in each:
        return Certificate(version(), "its limit was hit before it was sure")
    minimal = "and hold together without any one of them" if not any(each) else "and some of them even without others"
    return Certificate(version(), f"these cannot hold together, {minimal}" if answer else "these can hold together", (("constraints", len(core)),))


def _why_not(problem: Problem, seed: int, limit: float, *, prove: bool) -> Answer:
    core, proven = minimal_core(problem, problem.labels(), seed=seed)
    told = reasons(problem, core)
    if not proven:
        return Undecided(f"these cannot hold together, but CP-SAT's limit of {limit:g} was hit before the fewest were found: "
                         + "; ".join(reason.text for reason in told))
    changes = [*relaxations(problem.asked, problem.facts, core, seed=seed), *host_changes(problem, core, seed=seed)]
    certificates = (_proven_core(problem, core, seed),) if prove else ()
    refused = Infeasible(told, tuple(sorted(changes, key=lambda change: change.cost)), certificates)
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
