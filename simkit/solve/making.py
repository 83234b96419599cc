"""From a choice to a plan: guests by name and address, what is assumed, who vouches for it, and why."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.group import Status
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Certificate, Plan
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.partitions import partitions_of
from simkit.solve.assignment import Assignment
from simkit.solve.labels import listed
from simkit.solve.naming import guests
from simkit.solve.objective import AWAY, BROKEN
from simkit.solve.problem import Problem
from simkit.solve.processors import cores

LEAST = "each part of the objective is least, given the ones before it"


def make(problem: Problem, answer: Assignment) -> Plan:
    """The plan of a choice, without steps; not checked yet."""
    made = guests(problem, answer)
    engine = LEAST if answer.proven else "feasible; the limit was hit before the objective was proven least"
    counted = (("devices", sum(len(guest.devices) for guest in made)), ("guests", len(made)))
    again = "devices, groups, classes, CPUs, memory and guest trees are as asked for, derived again from the host"
    certificates = (Certificate(answer.by, engine, answer.levels), Certificate("simkit.semantics.placement", again, counted))
    return Plan(problem.asked, problem.host, fingerprint(problem.host), made, (), tuple(_assumptions(problem, made)), certificates)


def weighed(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """What the objective's parts came to, in sentences."""
    return tuple(_weighed(problem, dict(plan.certificates[0].figures), proven=plan.certificates[0].says == LEAST))


def _weighed(problem: Problem, counts: dict[str, int], *, proven: bool) -> Iterator[str]:
    shown = "the least possible" if proven else "the least found"
    if problem.facts.switches and any(request.kind is Kind.GPU for guest in problem.guests for request in guest.devices):
        broken = counts[BROKEN]
        some = f"{broken} {'switch is' if broken == 1 else 'switches are'} left partly used, {shown}"
        yield some if broken else "no switch is left partly used"
    if problem.nodes and any(guest.devices for guest in problem.guests):
        away = counts[AWAY]
        every = all(any(request.kind is Kind.GPU for request in guest.devices) for guest in problem.guests)
        homes = "GPUs" if every else "GPUs or devices"
        some = f"{'' if proven else 'at most '}{away * problem.threads} CPUs are away from their guest's {homes}, {shown}"
        yield some if away else f"every CPU is on a NUMA node of its guest's {homes}"
    if not proven:
        yield "the engine's limit was hit: there may be a better plan"


def _assumptions(problem: Problem, made: tuple[GuestPlan, ...]) -> Iterator[str]:
    host, facts = problem.host, problem.facts
    for assumption in facts.grouping.assumptions:
        yield f"{assumption.text} ({assumption.place})"
    if facts.grouping.status is Status.AMBIGUOUS:
        yield "where IOMMU groups could not be decided, the coarsest possible ones were planned with"
    if late := sorted({device.address for guest in made for device in guest.bound if device.address in facts.late}):
        yield f"vfio-pci makes the IOMMU groups of {listed([str(address) for address in late])} as planned: they have none before a driver is bound"
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
    yield from _cut_up(made)


def _cut_up(made: tuple[GuestPlan, ...]) -> Iterator[str]:
    """MIG instances and vGPUs are the GPU driver's to make: no file in sysfs does."""
    parts: dict[Address, list[GuestDevice]] = {}
    for device in (device for guest in made for device in guest.devices):
        if device.profile is not None and device.vf_of is not None:
            parts.setdefault(device.vf_of, []).append(device)
    for gpu, devices in sorted(parts.items()):
        mig = [f"{device.profile}:{device.mig_start}" for device in devices if device.mig_start is not None]
        first = f"`nvidia-smi -i {gpu} -mig 1` and `nvidia-smi mig -i {gpu} -cgi {','.join(mig)} -C` have been run, and " if mig else ""
        yield f"{first}NVIDIA's vGPU manager has given the virtual functions of {gpu} their types: {_types(devices)}"


def _types(devices: list[GuestDevice]) -> str:
    return ", ".join(f"{device.address} {device.profile}" for device in devices)


def _sibling(problem: Problem, cpus: tuple[int, ...]) -> int:
    node = next(node for node in problem.host.numa_nodes if is_known(node.cpus) and node.cpus.cpus == cpus)
    return cores(problem.host, node, problem.threads)[0][1]


def _fabric(problem: Problem, guest: GuestPlan) -> Iterator[str]:
    """NVLink through NVSwitches is the fabric manager's to give, by partitions (NVIDIA fabric manager's user guide)."""
    facts, host = problem.facts, problem.host
    gpus = [device.address for device in guest.devices if device.vf_of is None and host[device.address].kind is Kind.GPU]
    if len(gpus) < 2 or partitions_of(host) or not host.of_kind(Kind.NVSWITCH) or facts.nearness(gpus[0], gpus[1]) is not PeerClass.NVL:
        return
    if len(gpus) < len([gpu for gpu in host.of_kind(Kind.GPU) if not gpu.is_vf]):
        yield f"the fabric manager has a partition of just the {len(gpus)} GPUs of {guest.name}, without which their NVLinks stay off"
        if guest.tee is not TeeKind.NONE:
            yield (f"the GPUs of {guest.name} run in a mode that allows NVLink among {len(gpus)} of them: "
                   "Hopper's confidential mode offers single GPUs, or all eight with the NVSwitches")
