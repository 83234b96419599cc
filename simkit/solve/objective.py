"""How good a choice is, counted from the choice alone, and the least that each count could be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.workload import GuestRequest
from simkit.solve.assignment import Assignment
from simkit.solve.problem import Problem, Wish

BROKEN, REACH, AWAY, NODES, UNEVEN = (
    "switches left partly used", "switches, ports and NUMA nodes that guests' devices are spread over", "cores away from the guest's GPUs",
    "NUMA nodes that cores come from without need", "cores on the fullest node of each guest")

Figures = tuple[tuple[str, int], ...]


def figures(problem: Problem, assignment: Assignment) -> Figures:
    """The counts by name, most important first: of a choice that keeps every constraint, the smaller is the better, the first that differs decides.

    A switch is left partly used where guests have some of the GPUs below it, but not all. CPUs are local on the nodes of a guest's
    GPUs, or of its devices where it has no GPU.
    """
    reach = away = needless = uneven = 0
    for guest in problem.workload.guests:
        mine = [address for (name, _), chosen in assignment.chosen.items() if name == guest.name for address in chosen]
        reach += len({problem.facts.home[address] for address in mine}) + len({problem.facts.node(address) for address in mine})
        near = _near(problem, guest, mine)
        cores = {number: count for (name, number), count in assignment.cores.items() if name == guest.name and count}
        distant = [count for number, count in cores.items() if number not in near]
        away += sum(distant) if guest.devices else 0
        needless += len(distant)
        uneven += max(cores.values(), default=0) if len(problem.nodes) > 1 else 0
    return (BROKEN, _broken(problem, assignment)), (REACH, reach), (AWAY, away), (NODES, needless), (UNEVEN, uneven)


def least(problem: Problem) -> Figures:
    """A bound on each count that no choice can go below, whatever the other counts are; on cores, where devices are spread as little as can be.

    So a choice that reaches all of them is the best there is: its first counts are least, and any other that reaches these has its
    devices on as few nodes as the bound on cores takes them to be on.
    """
    reach = needless = uneven = 0
    for guest in problem.workload.guests:
        wishes = [wish for wish in problem.wishes if wish.guest == guest.name]
        homes = max((_fewest(wish, problem, problem.facts.home.__getitem__) for wish in wishes), default=0)
        nodes = max((_fewest(wish, problem, problem.facts.node) for wish in wishes), default=0)
        reach += homes + nodes
        if problem.nodes:
            cores = -(-guest.cpus // problem.threads)
            if not nodes:
                nodes = _at_least(cores, [room for _, room, _ in problem.nodes])
                needless += nodes
            uneven += -(-cores // nodes) if len(problem.nodes) > 1 and nodes else 0
    return (BROKEN, _least_broken(problem)), (REACH, reach), (AWAY, 0), (NODES, needless), (UNEVEN, uneven)


def _near(problem: Problem, guest: GuestRequest, mine: Sequence[Address]) -> set[int | None]:
    host = problem.host
    gpus = [address for address in mine if host[address].kind is Kind.GPU]
    asks = any(request.kind is Kind.GPU for request in guest.devices)
    return {problem.facts.node(address) for address in (gpus if asks else mine)}


def _broken(problem: Problem, assignment: Assignment) -> int:
    facts = problem.facts
    given: Counter[Address] = Counter()
    for wish in problem.wishes:
        if problem.kept(wish.guest):
            continue
        for lot, count in Counter(assignment.chosen.get((wish.guest, wish.index), ())).items():
            if wish.request.share.virtual:
                given[lot] = 1
            elif len(problem.lots[lot]) > 1:
                given[lot] += count
            else:
                given.update({other: 1 for other in facts.members[lot] if not given[other]})
    broken = 0
    for gpus in facts.switches.values():
        count = sum(given[gpu] for gpu in gpus)
        broken += 0 < count < len(gpus)
    return broken


def _fewest(wish: Wish, problem: Problem, where: object) -> int:
    """How many homes or nodes a wish touches at least."""
    room: Counter[object] = Counter()
    for lot in wish.lots:
        room[where(lot)] += problem.room(wish, lot)  # type: ignore[operator]
    return _at_least(wish.request.count, list(room.values()))


def _at_least(wanted: int, rooms: list[int]) -> int:
    """How many of `rooms` it takes."""
    found = 0
    for room in sorted(rooms, reverse=True):
        if wanted <= 0:
            break
        wanted -= room
        found += 1
    return found


def _least_broken(problem: Problem) -> int:
    """Switches partly used at least, with as many GPUs given away as guests ask for, or more where GPUs can come along: by sums over the tree."""
    facts = problem.facts
    gpus = {gpu for below in facts.switches.values() for gpu in below}
    asked = [wish for wish in problem.wishes if wish.request.kind is Kind.GPU and not problem.kept(wish.guest)]
    if not gpus:
        return 0
    elsewhere = sum(sum(address not in gpus for address in problem.lots[lot]) for lot in {lot for wish in asked for lot in wish.lots})
    wanted = sum(wish.request.count for wish in asked if not wish.request.share.virtual)
    exact = not elsewhere and not any(wish.request.share.virtual for wish in asked) and not any(
        other != lot and facts.host[other].kind is Kind.GPU for wish in problem.wishes for lot in wish.lots for other in facts.members.get(lot, ()))
    least = _by_count(problem, gpus)
    possible = range(max(wanted - elsewhere, 0), len(gpus) + 1)
    return min((least[count] for count in (possible[:1] if exact else possible)), default=0)


def _by_count(problem: Problem, gpus: set[Address]) -> list[int]:
    """For each number of GPUs given away, the fewest switches partly used."""
    switches = {switch: frozenset(below) for switch, below in problem.facts.switches.items()}
    order = sorted(switches, key=lambda switch: len(switches[switch]))
    tables: dict[frozenset[Address], list[int]] = {}
    for switch in order:
        below = switches[switch]
        inner = list(_outermost(tables, below))
        table = _joined([tables.pop(key) for key in inner], len(below - frozenset().union(*inner)))
        for count in range(1, len(below)):
            table[count] += 1
        tables[below] = table
    return _joined(list(tables.values()), len(gpus - frozenset().union(*tables)))


def _outermost(tables: dict[frozenset[Address], list[int]], below: frozenset[Address]) -> Iterator[frozenset[Address]]:
    yield from [key for key in tables if key <= below]


def _joined(tables: list[list[int]], single: int) -> list[int]:
    """Least sums over counts that add up; `single` are GPUs below no further switch, which cost nothing."""
    total = [0] * (single + 1)
    for table in tables:
        combined = [len(table) + len(total)] * (len(total) + len(table) - 1)
        for a, one in enumerate(total):
            for b, two in enumerate(table):
                combined[a + b] = min(combined[a + b], one + two)
        total = combined
    return total
