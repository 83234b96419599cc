"""`solve`: counting, then CP-SAT, then a second opinion; or the reasons why not."""

from __future__ import annotations

from collections.abc import Collection

from simkit.errors import Fault, SimkitError
from simkit.model.group import Status
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Certificate, Plan
from simkit.model.unknown import is_known
from simkit.model.workload import Workload
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.guest_limits import shortfalls
from simkit.semantics.placement import check
from simkit.solve import bounds, explain
from simkit.solve.answer import Answer, Infeasible, Planned, Reason, Undecided
from simkit.solve.cpsat import LIMIT, Assignment, Impossible, OutOfTime, decide
from simkit.solve.guests import guest_plans
from simkit.solve.problem import Label, Problem, What, build


class CheckerDisagrees(SimkitError, RuntimeError):
    """The independent checker refuses what the solver found: a defect of simkit, not of the input."""

    exit_status = 3


def solve(workload: Workload, host: Host, *, seed: int = 0, limit: float = LIMIT) -> Answer:
    """Place the guests of a workload on one host.

    `limit` is CP-SAT's deterministic time for one question. The same workload, host and seed give the same answer, byte for byte.

    Raises:
        UnknownName: the workload pins a function that the host does not have.
        CheckerDisagrees: the answer does not survive its check.
    """
    problem = build(workload, host)
    labels = problem.labels()
    counted = bounds.contradiction(problem, labels)
    if counted is not None:
        return _infeasible(problem, counted, seed, limit)
    found = decide(problem, labels, seed=seed, limit=limit)
    match found:
        case Impossible():
            return _infeasible(problem, labels, seed, limit)
        case OutOfTime():
            return Undecided(f"CP-SAT gave up at its limit of {found.limit:g} units of deterministic time")
        case Assignment():
            guests = guest_plans(problem, found)
            return _planned(problem, found, guests) if _fit(guests, labels) else _infeasible(problem, labels, seed, limit)


def _fit(guests: tuple[GuestPlan, ...], active: Collection[Label]) -> bool:
    """Whether the guests' trees fit their virtual machines, for those where it matters. The number of ports follows from the request, not from the choice."""
    return not any(shortfalls(guest.ports, guest.devices) for guest in guests if Label(guest.name, What.LIMITS) in active)


def _planned(problem: Problem, found: Assignment, guests: tuple[GuestPlan, ...]) -> Planned:
    host = problem.host
    assumptions = [f"{assumption.text} ({assumption.place})" for assumption in problem.grouping.assumptions]
    if problem.grouping.status is Status.AMBIGUOUS:
        assumptions.append("where IOMMU groups could not be decided the coarsest possible ones were planned with")
    if not is_known(host.tees) and any(guest.tee != "none" for guest in guests):
        assumptions.append("the host offers the TEE that is asked for (its firmware and kernel were not read)")
    if is_known(host.cpu.threads_per_core) and host.cpu.threads_per_core > 1:
        assumptions.append("sibling CPUs are numbered as Linux does on x86: the first threads of all cores of a node, then the second ones")
    certificate = Certificate("CP-SAT", "this is the best by the stated objective", (("objective", found.cost), ("bound", found.bound)))
    plan = Plan(problem.workload, host, fingerprint(host), guests, assumptions=(*host.assumed, *assumptions), certificates=(certificate,))
    faults = check(plan)
    if faults:
        raise CheckerDisagrees("the independent checker refuses the plan", faults=tuple(Fault(text, remedy="please report this with the workload and host") for text in faults))
    checked = Certificate("simkit.semantics.placement", "every wish of the workload holds on this host", (("guests", len(guests)), ("devices", sum(len(guest.devices) for guest in guests))))
    because = ("fewest neighbourhoods left half used, then each guest's devices together, then CPUs near its GPUs, then lowest addresses",)
    return Planned(Plan(plan.workload, plan.host, plan.fingerprint, plan.guests, (), plan.assumptions, (certificate, checked)), because)


def _infeasible(problem: Problem, start: Collection[Label], seed: int, limit: float) -> Infeasible | Undecided:
    undecided = []

    def feasible(asked: Problem, active: Collection[Label]) -> bool:
        if bounds.contradiction(asked, active) is not None:
            return False
        found = decide(asked, active, seed=seed, optimise=False, limit=limit)
        if isinstance(found, OutOfTime):
            undecided.append(found)
        return isinstance(found, OutOfTime) or (isinstance(found, Assignment) and _fit(guest_plans(asked, found), active))

    def solvable(workload: Workload) -> bool:
        changed = build(workload, problem.host)
        return feasible(changed, changed.labels())

    def core_of(workload: Workload) -> tuple[Problem, tuple[Label, ...]]:
        changed = build(workload, problem.host)
        return changed, explain.minimal_core(changed, bounds.contradiction(changed, changed.labels()) or changed.labels(), feasible)

    core = explain.minimal_core(problem, start, feasible)
    helps = explain.relaxations(problem, core, solvable, core_of)
    if undecided:
        return Undecided(f"CP-SAT gave up at its limit of {limit:g} units of deterministic time while looking for the reasons")
    return Infeasible((*explain.reasons(problem, core), *_limits(problem, core, seed, limit)), helps)


def _limits(problem: Problem, core: Collection[Label], seed: int, limit: float) -> tuple[Reason, ...]:
    """Which limits of a virtual machine the core runs into, found by placing it without them."""
    tight = [label for label in core if label.what is What.LIMITS]
    found = decide(problem, [label for label in core if label not in tight], seed=seed, optimise=False, limit=limit) if tight else None
    if not isinstance(found, Assignment):
        return ()
    plans = {guest.name: guest for guest in guest_plans(problem, found)}
    return tuple(Reason(f"that takes {text}", (problem.place(label),)) for label in tight for text in shortfalls(plans[label.guest].ports, plans[label.guest].devices))
