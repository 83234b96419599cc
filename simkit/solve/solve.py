"""`solve`: counting, a guess, CP-SAT where that is not enough; then a checker that shares no code with any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.errors import Fault, SimkitError
from simkit.model.function import Kind
from simkit.model.group import Status
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Certificate, Plan
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import Workload
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.placement import check
from simkit.solve.answer import Answer, Infeasible, Planned, Undecided
from simkit.solve.assignment import Assignment
from simkit.solve.bounds import contradiction
from simkit.solve.core import minimal_core
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime, decide
from simkit.solve.greedy import guess
from simkit.solve.labels import listed
from simkit.solve.naming import guests
from simkit.solve.objective import AWAY, BROKEN, figures, least
from simkit.solve.problem import Problem, build
from simkit.solve.processors import cores
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
    labels = problem.labels()
    if contradiction(problem, labels):
        answer: Assignment | Impossible | OutOfTime = Impossible()
    else:
        guessed = guess(problem, problem.wishes)
        if _complete(problem, guessed) and figures(problem, guessed) == least(problem):
            guessed = replace(guessed, levels=figures(problem, guessed))
            plan = _plan(problem, guessed)
            if not check(plan):
                return Planned(plan, tuple(_because(problem, guessed)))
        answer = decide(problem, labels, seed=seed, limit=limit, begin=guessed)
    match answer:
        case OutOfTime():
            return Undecided(f"CP-SAT found neither a plan nor a contradiction within {answer.limit:g} units of deterministic time")
        case Impossible():
            core, proven = minimal_core(problem, labels, seed=seed)
            told = reasons(problem, core)
            if not proven:
                return Undecided(f"these cannot hold together, but CP-SAT's limit of {limit:g} was hit before the fewest were found: "
                                 + "; ".join(reason.text for reason in told))
            return Infeasible(told, relaxations(workload, problem.facts, core, seed=seed))
    return _planned(problem, answer)


def _complete(problem: Problem, guessed: Assignment) -> bool:
    served = all(len(guessed.chosen[wish.guest, wish.index]) == wish.request.count for wish in problem.wishes)
    return served and all(sum(guessed.cores[guest.name, number] for number, _, _ in problem.nodes) * problem.threads >= guest.cpus
                          for guest in problem.workload.guests if problem.nodes)


def _planned(problem: Problem, answer: Assignment) -> Planned:
    plan = _plan(problem, answer)
    faults = check(plan)
    if faults:
        remedy = "please report this with the workload and host"
        raise CheckerDisagrees("the independent checker refuses the plan", faults=tuple(Fault(text, remedy=remedy) for text in faults))
    return Planned(plan, tuple(_because(problem, answer)))


def _plan(problem: Problem, answer: Assignment) -> Plan:
    made = guests(problem, answer)
    shown = "each part of the objective is least, given the ones before it"
    engine = shown if answer.proven else "feasible; the limit was hit before the objective was proven least"
    counted = (("devices", sum(len(guest.devices) for guest in made)), ("guests", len(made)))
    again = "devices, groups, classes, CPUs, memory and guest trees are as asked for, derived again from the host"
    certificates = (Certificate(answer.by, engine, answer.levels), Certificate("simkit.semantics.placement", again, counted))
    return Plan(problem.workload, problem.host, fingerprint(problem.host), made, (), tuple(_assumptions(problem, made)), certificates)


def _because(problem: Problem, answer: Assignment) -> Iterator[str]:
    counts = dict(answer.levels)
    shown = "the least possible" if answer.proven else "the least found"
    if problem.facts.switches and any(request.kind is Kind.GPU for guest in problem.workload.guests for request in guest.devices):
        broken = counts[BROKEN]
        some = f"{broken} {'switch is' if broken == 1 else 'switches are'} left partly used, {shown}"
        yield some if broken else "no switch is left partly used"
    if problem.nodes and any(guest.devices for guest in problem.workload.guests):
        away = counts[AWAY]
        every = all(any(request.kind is Kind.GPU for request in guest.devices) for guest in problem.workload.guests)
        homes = "GPUs" if every else "GPUs or devices"
        some = f"{'' if answer.proven else 'at most '}{away * problem.threads} CPUs are away from their guest's {homes}, {shown}"
        yield some if away else f"every CPU is on a NUMA node of its guest's {homes}"
    if not answer.proven:
        yield "the engine's limit was hit: there may be a better plan"


def _assumptions(problem: Problem, made: tuple[GuestPlan, ...]) -> Iterator[str]:
    host, facts = problem.host, problem.facts
    for assumption in facts.grouping.assumptions:
        yield f"{assumption.text} ({assumption.place})"
    if facts.grouping.status is Status.AMBIGUOUS:
        yield "where IOMMU groups could not be decided, the coarsest possible ones were planned with"
    yield from host.assumed
    if not is_known(host.tees) and any(guest.tee is not TeeKind.NONE for guest in made):
        kinds = sorted({str(guest.tee) for guest in made if guest.tee is not TeeKind.NONE})
        yield f"the host offers {listed(kinds)}, which is not known of it ({host.where('tees')})"
    if not problem.nodes:
        yield f"which CPUs the host has is unknown: no guest is given any by number ({host.where('numa_nodes')})"
    elif any(room is None for _, _, room in problem.nodes):
        yield f"how much memory a NUMA node has is unknown: taken to be enough ({host.where('numa_nodes')})"
    if problem.nodes and problem.threads > 1:
        first = next(node for node in host.numa_nodes if is_known(node.cpus) and len(node.cpus))
        assert is_known(first.cpus)
        yield f"threads of one core are numbered as Linux does on this architecture: CPU {first.cpus.cpus[0]} beside {_sibling(problem, first.cpus.cpus)}"
    elif problem.nodes and not is_known(host.cpu.threads_per_core):
        yield f"how many threads a core has is unknown: CPUs are handed out one by one ({host.where('cpu')})"
    for guest in made:
        yield from _fabric(problem, guest)


def _sibling(problem: Problem, cpus: tuple[int, ...]) -> int:
    node = next(node for node in problem.host.numa_nodes if is_known(node.cpus) and node.cpus.cpus == cpus)
    return cores(problem.host, node, problem.threads)[0][1]


def _fabric(problem: Problem, guest: GuestPlan) -> Iterator[str]:
    """NVLink through NVSwitches is the fabric manager's to give, by partitions (NVIDIA fabric manager's user guide)."""
    facts, host = problem.facts, problem.host
    gpus = [device.address for device in guest.devices if device.vf_of is None and host[device.address].kind is Kind.GPU]
    if len(gpus) < 2 or not host.of_kind(Kind.NVSWITCH) or facts.nearness(gpus[0], gpus[1]) is not PeerClass.NVL:
        return
    if len(gpus) < len([gpu for gpu in host.of_kind(Kind.GPU) if not gpu.is_vf]):
        yield f"the fabric manager has a partition of just the {len(gpus)} GPUs of {guest.name}, without which their NVLinks stay off"
        if guest.tee is not TeeKind.NONE:
            yield (f"the GPUs of {guest.name} run in a mode that allows NVLink among {len(gpus)} of them: "
                   "Hopper's confidential mode offers single GPUs, or all eight with the NVSwitches")
