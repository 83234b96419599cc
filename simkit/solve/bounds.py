"""Counting first: contradictions that sums show, without search."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from simkit.model.address import Address
from simkit.model.unknown import is_known
from simkit.semantics.partitions import unprotected
from simkit.solve.labels import Label, What
from simkit.solve.problem import Problem, Wish

_MOST_POOLS = 256


def contradiction(problem: Problem, active: Collection[Label]) -> tuple[Label, ...] | None:
    """Active constraints that cannot hold together by counting, in order; None where counting finds none."""
    for found in (*_devices(problem, active), *_tees(problem, active), *_protected(problem, active), *_processors(problem, active)):
        return tuple(sorted(found))
    return None


def _devices(problem: Problem, active: Collection[Label]) -> Iterator[list[Label]]:
    """Wishes over the same candidates: more wanted than there are (Hall's condition, on candidate sets and their unions)."""
    wanted = [wish for wish in problem.wishes if Label(wish.guest, What.COUNT, wish.index) in active]
    for virtual in (False, True):
        mine = [wish for wish in wanted if wish.request.share.virtual is virtual]
        for pool in _pools(mine):
            inside = [wish for wish in mine if pool.issuperset(wish.candidates)]
            room = len(pool) if not virtual else sum(len(problem.facts.virtual.get(address, ())) for address in pool)
            if sum(wish.request.count for wish in inside) > room:
                yield _fewest({Label(wish.guest, What.COUNT, wish.index): wish.request.count for wish in inside}, room)


def _fewest(sizes: dict[Label, int], room: int) -> list[Label]:
    """As few as together are still too many, the largest first."""
    found: list[Label] = []
    total = 0
    for label in sorted(sizes, key=lambda label: -sizes[label]):
        found.append(label)
        total += sizes[label]
        if total > room:
            break
    return found


def _pools(wishes: list[Wish]) -> list[frozenset[Address]]:
    """Candidate sets and unions of them, smallest first."""
    pools: dict[frozenset[Address], None] = {}
    for wish in wishes:
        own = frozenset(wish.candidates)
        for other in (own, *(own | pool for pool in pools)):
            if len(pools) < _MOST_POOLS:
                pools[other] = None
    return sorted(pools, key=lambda pool: (len(pool), sorted(pool)))


def _tees(problem: Problem, active: Collection[Label]) -> Iterator[list[Label]]:
    if not is_known(problem.host.tees):
        return
    offered = {tee.kind: tee.max_guests for tee in problem.host.tees}
    asking = sorted(label for label in active if label.what is What.TEE)
    for label in asking:
        if problem.workload.guest(label.guest).tee not in offered:
            yield [label]
    for kind, most in offered.items():
        same = [label for label in asking if problem.workload.guest(label.guest).tee is kind]
        if is_known(most) and len(same) > most:
            yield same[: most + 1]


def _protected(problem: Problem, active: Collection[Label]) -> Iterator[list[Label]]:
    for guest in problem.guests:
        label = Label(guest.name, What.PROTECTED)
        if label in active and unprotected(problem.host, guest):
            yield [label]


def _processors(problem: Problem, active: Collection[Label]) -> Iterator[list[Label]]:
    """CPUs in whole cores, and memory, of all nodes together."""
    if not problem.nodes:
        return
    guest = problem.workload.guest
    cores = sum(cores for _, cores, _ in problem.nodes)
    cpus = {label: -(-guest(label.guest).cpus // problem.threads) for label in active if label.what is What.CPUS}
    if sum(cpus.values()) > cores:
        yield _fewest(cpus, cores)
    memory = {label: guest(label.guest).memory_bytes for label in active if label.what is What.MEMORY}
    room = [known for _, _, known in problem.nodes if known is not None]
    if len(room) == len(problem.nodes) and sum(memory.values()) > sum(room):
        yield _fewest(memory, sum(room))
