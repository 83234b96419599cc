"""From what the engine chose to everything decided for each guest."""

from __future__ import annotations

from collections.abc import Iterable

from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan
from simkit.model.numa import CpuSet
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest, Share
from simkit.semantics.sriov import vf_address
from simkit.solve.cpsat import Assignment
from simkit.solve.problem import Problem
from simkit.solve.topology import Place, arrange

_MEMORY_STEP = 1 << 20


def guest_plans(problem: Problem, assignment: Assignment) -> tuple[GuestPlan, ...]:
    """All guests, in the order of the workload: virtual functions numbered, CPUs named, trees built."""
    taken: dict[Address, int] = {}
    free = {node.id: _cores(node.cpus, problem.host.cpu.threads_per_core) for node in problem.host.numa_nodes if is_known(node.cpus)}
    return tuple(_guest(problem, assignment, guest, taken, free) for guest in problem.workload.guests)


def _guest(problem: Problem, assignment: Assignment, guest: GuestRequest, taken: dict[Address, int], free: dict[int, list[tuple[int, ...]]]) -> GuestPlan:
    places: list[Place] = []
    for index, request in enumerate(guest.devices):
        for address in assignment.chosen.get((guest.name, index), ()):
            if request.share is Share.VF:
                places.append(_virtual(problem, address, taken))
            else:
                places.append(Place(GuestDevice(address, "", group=_group(problem, address)), problem.host[address]))
    given = {place.device.address for place in places if place.device.vf_of is None}
    for address in sorted(given):
        for other in problem.members[address]:
            if other not in given:
                given.add(other)
                places.append(Place(GuestDevice(other, "", group=_group(problem, other), companion_of=address), problem.host[other]))
    ports, devices = arrange(problem.host, guest.topology, places)
    nodes = tuple(_nodes(problem, assignment, guest, free))
    return GuestPlan(guest.name, guest.tee, guest.topology, guest.cpus, guest.memory_bytes, ports, devices, nodes, tuple(_because(problem, guest, devices)))


def _group(problem: Problem, address: Address) -> int | None:
    group = problem.grouping.of(address)
    return group.id if group else None


def _virtual(problem: Problem, physical: Address, taken: dict[Address, int]) -> Place:
    index = taken.get(physical, 0)
    taken[physical] = index + 1
    address = vf_address(problem.host[physical], index)
    assert is_known(address)
    return Place(GuestDevice(address, "", vf_of=physical, vf_index=index), problem.host[physical])


def _cores(cpus: CpuSet, threads: object) -> list[tuple[int, ...]]:
    """A node's cores as tuples of sibling CPUs: Linux numbers the first threads of all cores before the second ones (x86)."""
    per_core = threads if isinstance(threads, int) and threads and len(cpus) % threads == 0 else 1
    count = len(cpus) // per_core
    return [tuple(cpus.cpus[thread * count + core] for thread in range(per_core)) for core in range(count)]


def _nodes(problem: Problem, assignment: Assignment, guest: GuestRequest, free: dict[int, list[tuple[int, ...]]]) -> Iterable[GuestNode]:
    """Whole cores from each node, memory in proportion; the last node takes what rounding leaves."""
    shares = [(node.id, assignment.cpus.get((guest.name, node.id), 0)) for node in problem.host.numa_nodes]
    used = [(node, cores) for node, cores in shares if cores]
    total = sum(cores for _, cores in used)
    memory, cpus = guest.memory_bytes, guest.cpus
    for index, (node, cores) in enumerate(used):
        picked = [cpu for core in free[node][:cores] for cpu in core]
        del free[node][:cores]
        last = index == len(used) - 1
        part = memory if last else guest.memory_bytes * cores // total // _MEMORY_STEP * _MEMORY_STEP
        memory -= part
        mine = picked[:cpus]
        cpus -= len(mine)
        yield GuestNode(index, node, CpuSet.of(mine), part)


def _because(problem: Problem, guest: GuestRequest, devices: tuple[GuestDevice, ...]) -> Iterable[str]:
    host = problem.host
    by_home: dict[Address, list[str]] = {}
    for device in devices:
        if device.companion_of is None:
            by_home.setdefault(problem.home[device.vf_of or device.address], []).append(host[device.vf_of or device.address].kind.value.upper())
    for home, kinds in sorted(by_home.items()):
        listed = " and ".join(f"{kinds.count(kind)} {kind}{'s' * (kinds.count(kind) > 1)}" for kind in sorted(set(kinds)))
        gpus = [address for address, at in problem.home.items() if at == home and host[address].kind is Kind.GPU]
        mine = {device.address for device in devices}
        whole = len(gpus) > 1 and mine.issuperset(gpus)
        yield f"{listed} below {home} {host[home].label}" + (": all its GPUs, so that no neighbourhood is left half used" if whole else "")
    companions = [device for device in devices if device.companion_of is not None]
    if companions:
        yield f"{len(companions)} companions come along: they share IOMMU groups with what was asked for"
    for request in guest.devices:
        if request.peers is not None and request.count > 1:
            yield f"every two of its {request.kind.value.upper()}s are {request.peers} or nearer"
    yield from _acs(problem, devices)


def _acs(problem: Problem, devices: tuple[GuestDevice, ...]) -> Iterable[str]:
    """What isolates the guest's devices: the ACS control of the ports right above them."""
    above = {port.address: port for device in devices for port in [problem.host.parent(problem.host[device.vf_of or device.address])] if port is not None}
    bits: dict[str, list[str]] = {}
    for port in above.values():
        control = getattr(port.acs, "control", None)
        text = ",".join(bit.name or "" for bit in control) or "off" if isinstance(control, AcsBits) else "none" if port.acs is None else "unknown"
        bits.setdefault(text, []).append(str(port.address))
    for text, ports in sorted(bits.items()):
        yield f"ACS {text} at {', '.join(sorted(ports))}, right above its devices"
    ats = sorted({"unknown" if not is_known(value) else "not there" if value is None else "enabled" if value.enabled is True else "off"
                  for device in devices for value in [problem.host[device.vf_of or device.address].ats]})
    if ats:
        yield f"ATS of its devices: {', '.join(ats)}; Linux enables it when a guest's IOMMU domain is attached, where device and root complex have it"
