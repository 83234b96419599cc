"""CPUs and memory of guests by number: whole cores, lowest first, and memory beside them."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.guest import GuestNode
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest
from simkit.solve.assignment import Assignment
from simkit.solve.problem import Problem

_MIB, _GIB = 1 << 20, 1 << 30
_SIBLINGS_IN_HALVES = ("x86_64", "i686")


def cores(host: Host, node: NumaNode, threads: int) -> list[tuple[int, ...]]:
    """A node's cores, each as its logical CPUs.

    x86 firmware lists the first threads of all cores before the second ones, so that a core's threads are as far apart as the
    node has cores; other architectures number them next to each other. The source does not tell: `Plan.assumptions` says so.
    """
    cpus = node.cpus.cpus if is_known(node.cpus) else ()
    if host.cpu.arch in _SIBLINGS_IN_HALVES or not is_known(host.cpu.arch):
        count = len(cpus) // threads
        return [tuple(cpus[index + part * count] for part in range(threads)) for index in range(count)]
    return [tuple(cpus[index : index + threads]) for index in range(0, len(cpus), threads)]


def guest_nodes(problem: Problem, assignment: Assignment) -> dict[str, tuple[GuestNode, ...]]:
    """Every guest's NUMA nodes, by name; none where the host's CPUs are unknown."""
    free = {node.id: iter(cores(problem.host, node, problem.threads)) for node in problem.host.numa_nodes if is_known(node.cpus)}
    memory = _memory(problem, assignment)
    return {guest.name: tuple(_nodes(problem, guest, assignment, memory[guest.name], free)) for guest in problem.workload.guests}


def _nodes(problem: Problem, guest: GuestRequest, assignment: Assignment, memory: dict[int, int],
           free: dict[int, Iterator[tuple[int, ...]]]) -> Iterator[GuestNode]:
    """A guest's last core may stay half empty, but goes to nobody else."""
    left, number = guest.cpus, 0
    for node, _, _ in problem.nodes:
        wanted = assignment.cores.get((guest.name, node), 0)
        if wanted or memory.get(node):
            cpus = [cpu for _ in range(wanted) for cpu in next(free[node])][:left]
            left -= len(cpus)
            yield GuestNode(number, node, CpuSet.of(cpus), memory.get(node, 0))
            number += 1


def _memory(problem: Problem, assignment: Assignment) -> dict[str, dict[int, int]]:
    """Bytes by guest and node: in proportion to cores where that fits every node, else as the engine found."""
    guests = problem.workload.guests
    known = all(room is not None for _, _, room in problem.nodes)
    shares = {guest.name: _proportional(guest, {node: assignment.cores.get((guest.name, node), 0) for node, _, _ in problem.nodes}) for guest in guests}
    if not known or all(sum(_ceil(share.get(node, 0)) for share in shares.values()) <= (room or 0) // _MIB for node, _, room in problem.nodes):
        return shares
    return {guest.name: _exact(guest, {node: assignment.memory.get((guest.name, node), 0) for node, _, _ in problem.nodes}) for guest in guests}


def _ceil(size_bytes: int) -> int:
    return -(-size_bytes // _MIB)


def _proportional(guest: GuestRequest, by_node: dict[int, int]) -> dict[int, int]:
    total = sum(by_node.values())
    if not total:
        return {}
    whole = guest.memory_bytes % _GIB == 0 and guest.memory_bytes >= _GIB * sum(count > 0 for count in by_node.values())
    unit = guest.hugepage_bytes or (_GIB if whole else _MIB)
    whole_units = guest.memory_bytes // unit
    units = {node: max(1, whole_units * count // total) for node, count in by_node.items() if count}
    left = whole_units - sum(units.values())
    for node in sorted(units)[: max(left, 0)]:
        units[node] += 1
    for _ in range(max(-left, 0)):
        units[max(sorted(units), key=lambda node: units[node])] -= 1
    return _bytes(guest, units, unit)


def _exact(guest: GuestRequest, by_node: dict[int, int]) -> dict[int, int]:
    return _bytes(guest, {node: count for node, count in by_node.items() if count}, _MIB)


def _bytes(guest: GuestRequest, units: dict[int, int], unit: int) -> dict[int, int]:
    """In bytes; what is not a whole unit is added to, or taken from, the fullest node."""
    found = {node: count * unit for node, count in units.items()}
    if found:
        fullest = max(sorted(found), key=lambda node: found[node])
        found[fullest] += guest.memory_bytes - sum(found.values())
    return found
