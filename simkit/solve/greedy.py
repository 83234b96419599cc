"""A first guess: guests in order, each beside one switch where one has room. What is no solution is the engine's to mend; nothing rests on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.workload import Share
from simkit.solve.problem import Problem, Wish


def guess(problem: Problem, wishes: Sequence[Wish]) -> tuple[dict[tuple[str, int], Counter[Address]], dict[tuple[str, int], int]]:
    """Functions by wish, and whole cores by guest and NUMA node.

    GPUs first, from the switch that has just enough left, else from those with most; other devices as near to them as there are.
    """
    facts = problem.facts
    left = {address: 1 for wish in wishes for address in wish.candidates if wish.request.share is Share.PF}
    parts = {address: len(indices) for address, indices in facts.virtual.items()}
    chosen: dict[tuple[str, int], Counter[Address]] = {}
    gpus: dict[str, list[Address]] = {}
    for wish in sorted(wishes, key=lambda wish: wish.request.kind is not Kind.GPU):
        pool = parts if wish.request.share is Share.VF else left
        free = [address for address in wish.candidates for _ in range(min(pool.get(address, 0), wish.request.count))]
        mine = gpus.setdefault(wish.guest, [])
        taken = _nearest(problem, free, mine, wish.request.count) if mine else _together(problem, free, wish.request.count)
        for address in taken:
            pool[address] -= 1
        mine += taken if wish.request.kind is Kind.GPU else []
        chosen[wish.guest, wish.index] = Counter(taken)
    return chosen, _cores(problem, gpus)


def _together(problem: Problem, free: list[Address], count: int) -> list[Address]:
    homes: dict[Address, list[Address]] = {}
    for address in free:
        homes.setdefault(problem.facts.home[address], []).append(address)
    order = sorted(homes, key=lambda home: (len(homes[home]) < count, len(homes[home]) if len(homes[home]) >= count else -len(homes[home]), home))
    return [address for home in order for address in homes[home]][:count]


def _nearest(problem: Problem, free: list[Address], mine: list[Address], count: int) -> list[Address]:
    return sorted(free, key=lambda address: (min(problem.facts.nearness(address, gpu) for gpu in mine), address))[:count]


def _cores(problem: Problem, gpus: dict[str, list[Address]]) -> dict[tuple[str, int], int]:
    room = {number: cores for number, cores, _ in problem.nodes}
    found: dict[tuple[str, int], int] = {}
    for guest in problem.workload.guests:
        wanted = -(-guest.cpus // problem.threads)
        homes = {problem.facts.node(address) for address in gpus.get(guest.name, ())}
        for number in sorted(room, key=lambda number: (number not in homes, number)):
            found[guest.name, number] = min(wanted, room[number])
            wanted -= found[guest.name, number]
            room[number] -= found[guest.name, number]
    return found
