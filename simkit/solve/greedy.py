"""A quick guess: the largest guests first, each where it fits best. Nothing rests on it: a checker and bounds judge it, an engine mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.route import PeerClass
from simkit.model.workload import GuestRequest
from simkit.solve.assignment import Assignment
from simkit.solve.problem import Problem, Wish


def guess(problem: Problem, wishes: Sequence[Wish]) -> Assignment:
    """Lots by wish, whole cores by guest and NUMA node; each wish as far as there is room."""
    guesser = _Guesser(problem)
    for guest in sorted(problem.workload.guests, key=lambda guest: -sum(request.count for request in guest.devices)):
        guesser.serve(guest, [wish for wish in wishes if wish.guest == guest.name])
    return Assignment(guesser.chosen, guesser.cores, guesser.memory, by="counting")


@dataclass(slots=True)
class _Guesser:
    problem: Problem
    whole: dict[Address, int] = field(init=False)
    parts: dict[Address, int] = field(init=False)
    room: dict[int, int] = field(init=False)
    chosen: dict[tuple[str, int], tuple[Address, ...]] = field(default_factory=dict)
    cores: dict[tuple[str, int], int] = field(default_factory=dict)
    memory: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What is free: functions by lot, virtual functions by physical one, cores by node."""
        self.whole = {lot: len(members) for lot, members in self.problem.lots.items()}
        self.parts = {address: len(indices) for address, indices in self.problem.facts.virtual.items()}
        self.room = {number: cores for number, cores, _ in self.problem.nodes}

    def free(self, wish: Wish, lot: Address) -> int:
        if wish.request.share.virtual:
            return self.parts.get(lot, 0) if self.whole.get(lot, 0) else 0
        return self.whole[lot] if len(self.problem.facts.virtual.get(lot, ())) == self.parts.get(lot, 0) else 0

    def serve(self, guest: GuestRequest, wishes: list[Wish]) -> None:
        gpus: Counter[Address] = Counter()
        mine: list[Address] = []
        for wish in sorted(wishes, key=lambda wish: wish.request.kind is not Kind.GPU):
            if wish.request.kind is Kind.GPU or not gpus:
                taken = self._together(wish, [other for other in wishes if other.request.near is not None and other is not wish])
            else:
                taken = self._beside(wish, gpus)
            for lot in taken:
                self._take(wish, lot)
            gpus.update(taken if wish.request.kind is Kind.GPU else ())
            mine += taken
            self.chosen[wish.guest, wish.index] = tuple(sorted(taken))
        self._processors(guest, list(gpus or mine))

    def _take(self, wish: Wish, lot: Address) -> None:
        if wish.request.share.virtual:
            self.parts[lot] -= 1
            return
        self.whole[lot] = max(0, self.whole[lot] - 1)
        for other in self.problem.facts.members[lot]:
            if other != lot and other in self.whole:
                self.whole[other] = 0

    def _together(self, wish: Wish, near: list[Wish]) -> list[Address]:
        """From the NUMA node, then the switches, that have just enough; where none has, from those with most."""
        best: list[Address] = []
        for cluster in self._clusters(wish):
            free = {lot: self._usable(wish, lot, near) for lot in cluster}
            found = self._fill(free, wish.request.count, self.problem.facts.node)
            if len(found) > len(best):
                best = found
            if len(best) == wish.request.count:
                break
        return best

    def _clusters(self, wish: Wish) -> Iterator[list[Address]]:
        """Lots within the class of each other, the smallest sufficient cluster first."""
        bound = wish.request.peers
        if bound is None or bound >= PeerClass.SYS:
            yield list(wish.lots)
            return
        nearness = self.problem.facts.nearness
        found: dict[tuple[Address, ...], int] = {}
        for lot in wish.lots:
            cluster = [other for other in wish.lots if other == lot or nearness(lot, other) <= bound]
            found[tuple(cluster)] = sum(self.free(wish, other) for other in cluster)
        yield from (list(cluster) for cluster in sorted(found, key=lambda cluster: (found[cluster] < wish.request.count, found[cluster])))

    def _usable(self, wish: Wish, lot: Address, near: list[Wish]) -> int:
        """How many of a lot are free; none where what the guest wants beside them is used up."""
        free = self.free(wish, lot)
        for other in near:
            bound = other.request.near
            assert bound is not None
            if free and not any(self.free(other, device) and self.problem.facts.nearness(device, lot) <= bound for device in other.lots):
                return 0
        return free

    def _fill(self, free: dict[Address, int], count: int, where: object) -> list[Address]:
        """Lots from the places that take it with least left over; places are NUMA nodes first, then switches or ports within them."""
        facts = self.problem.facts
        inner = where != facts.node
        places: dict[object, dict[Address, int]] = {}
        for lot, there in free.items():
            if there:
                places.setdefault(where(lot), {})[lot] = there  # type: ignore[operator]
        taken: list[Address] = []
        while count and places:
            place = min(places, key=lambda place: _fit(sum(places[place].values()), count))
            inside = places.pop(place)
            some = min(count, sum(inside.values()))
            taken += _spell(inside, some) if inner else self._fill(inside, some, facts.home.__getitem__)
            count -= some
        return taken

    def _beside(self, wish: Wish, gpus: Counter[Address]) -> list[Address]:
        """One for each GPU in turn, the nearest that is free."""
        nearness = self.problem.facts.nearness
        left = {lot: self.free(wish, lot) for lot in wish.lots}
        taken: list[Address] = []
        spelled = list(gpus.elements())
        for number in range(wish.request.count):
            gpu = spelled[number % len(spelled)]
            lot = min((lot for lot in left if left[lot]), key=lambda lot: (nearness(lot, gpu), lot), default=None)
            if lot is None:
                break
            left[lot] -= 1
            taken.append(lot)
        return taken

    def _processors(self, guest: GuestRequest, near: list[Address]) -> None:
        """As even as can be on the nodes of its GPUs, else of its devices; then from where there is most."""
        wanted = -(-guest.cpus // self.problem.threads)
        homes = sorted({node for lot in near if (node := self.problem.facts.node(lot)) in self.room})
        if not homes and self.room:
            homes = [min(self.room, key=lambda number: _fit(self.room[number], wanted))]
        others = sorted((number for number in self.room if number not in homes), key=lambda number: -self.room[number])
        for number in homes:
            self.cores[guest.name, number] = 0
        while wanted and (open_homes := [number for number in homes if self.room[number]]):
            number = min(open_homes, key=lambda number: (self.cores[guest.name, number], number))
            self.cores[guest.name, number] += 1
            self.room[number] -= 1
            wanted -= 1
        for number in others:
            some = min(wanted, self.room[number])
            self.cores[guest.name, number] = some
            self.room[number] -= some
            wanted -= some


def _fit(there: int, wanted: int) -> tuple[bool, int]:
    """Best first: what suffices with least over, then what has most."""
    return (there < wanted, there if there >= wanted else -there)


def _spell(inside: dict[Address, int], count: int) -> list[Address]:
    return [lot for lot in sorted(inside) for _ in range(inside[lot])][:count]
