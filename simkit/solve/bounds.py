"""Counting first: contradictions that sums show, without search."""

from __future__ import annotations

from collections.abc import Collection

from simkit.model.capabilities import Sriov
from simkit.model.unknown import is_known
from simkit.model.workload import Share
from simkit.solve.problem import Label, Problem, What


def contradiction(problem: Problem, active: Collection[Label]) -> frozenset[Label] | None:
    """A set of active wishes that cannot hold together by counting; None where counting finds none."""
    return _devices(problem, active) or _platform(problem, active)


def _devices(problem: Problem, active: Collection[Label]) -> frozenset[Label] | None:
    """Wishes of physical functions over the same candidates: more wanted than there are (Hall's condition on nested candidate sets)."""
    wanted = [wish for wish in problem.wishes if Label(wish.guest, What.COUNT, wish.index) in active]
    for pool in {frozenset(wish.candidates) for wish in wanted}:
        inside = [wish for wish in wanted if pool.issuperset(wish.candidates) and wish.request.share is Share.PF]
        if sum(wish.request.count for wish in inside) > len(pool):
            return frozenset(Label(wish.guest, What.COUNT, wish.index) for wish in inside)
        virtual = [wish for wish in wanted if pool.issuperset(wish.candidates) and wish.request.share is Share.VF]
        room = sum(sriov.total_vfs for address in pool if isinstance(sriov := problem.host[address].sriov, Sriov))
        if sum(wish.request.count for wish in virtual) > room:
            return frozenset(Label(wish.guest, What.COUNT, wish.index) for wish in virtual)
    return None


def _platform(problem: Problem, active: Collection[Label]) -> frozenset[Label] | None:
    host = problem.host
    tees = [label for label in active if label.what is What.TEE]
    if is_known(host.tees):
        offered = {tee.kind: tee.max_guests for tee in host.tees}
        for label in tees:
            if problem.workload.guest(label.guest).tee not in offered:
                return frozenset([label])
        for kind, most in offered.items():
            asking = [label for label in tees if problem.workload.guest(label.guest).tee is kind]
            if is_known(most) and len(asking) > most:
                return frozenset(asking)
    cpus = [label for label in active if label.what is What.CPUS]
    if host.numa_nodes and all(is_known(node.cpus) for node in host.numa_nodes) and sum(problem.workload.guest(label.guest).cpus for label in cpus) > cpu_count(problem):
        return frozenset(cpus)
    memory = [label for label in active if label.what is What.MEMORY]
    room = [node.memory_bytes for node in host.numa_nodes]
    if room and all(is_known(each) for each in room):
        total = sum(each for each in room if is_known(each))
        if sum(problem.workload.guest(label.guest).memory_bytes for label in memory) > total:
            return frozenset(memory)
    return None


def cpu_count(problem: Problem) -> int:
    """Logical CPUs of all nodes whose CPUs are known."""
    return sum(len(node.cpus) for node in problem.host.numa_nodes if is_known(node.cpus))
