"""Whether some guests fit one host: by sums, by what is known of more or fewer guests, else by solving for that host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simkit.errors import UnknownName
from simkit.model.function import Kind
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known
from simkit.model.workload import Scope, Spread, Workload
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.assignment import Assignment
from simkit.solve.core import feasible
from simkit.solve.cpsat import OutOfTime
from simkit.solve.facts import Facts
from simkit.solve.fleet.kinds import GuestKind, HostKind
from simkit.solve.labels import KEPT, What
from simkit.solve.problem import Problem, build, threads_per_core

Counts = Mapping[GuestKind, int]
Needs = Counter[object]
"""How much of what: GPUs and other devices by kind, cores, bytes, keys by technology."""

_QUESTION = 2.0
"""Deterministic time for one host's question."""


class Spent(Exception):
    """An engine's limit was hit, or more questions would be needed than may be asked."""


def needs(kind: GuestKind, host: HostKind) -> Needs:
    """What one guest takes of a host at least."""
    guest, found = kind.request, Needs()
    for index, request in enumerate(guest.devices):
        if not request.share.virtual and kind.asks(What.COUNT, index):
            found[request.kind] += request.count
    if kind.asks(What.CPUS):
        found["cores"] += -(-guest.cpus // threads_per_core(host.host))
    if kind.asks(What.MEMORY):
        found["bytes"] += guest.memory_bytes
    if guest.tee is not TeeKind.NONE and kind.asks(What.TEE):
        found[guest.tee] += 1
    return found


def offers(kind: HostKind) -> dict[object, int]:
    """What one host has at most, of what is known and bounded."""
    host, found = kind.host, dict[object, int]()
    free = [function for function in host.functions if not function.is_bridge and not function.is_vf and not function.usage]
    found |= {each: sum(function.kind is each for function in free) for each in Kind}
    nodes = [node for node in host.numa_nodes if is_known(node.cpus) and len(node.cpus)]
    if nodes:
        threads = threads_per_core(host)
        found["cores"] = sum(len(node.cpus) // threads for node in nodes if is_known(node.cpus))
        if all(is_known(node.memory_bytes) for node in nodes):
            found["bytes"] = sum(node.memory_bytes for node in nodes if is_known(node.memory_bytes))
    if is_known(host.tees):
        known = {tee.kind: tee.max_guests for tee in host.tees}
        found |= {each: most for each in TeeKind if is_known(most := known.get(each, 0))}
    return found


@dataclass(slots=True)
class _Known:
    """Answers for one kind of host: guests that fit, guests that do not."""

    yes: list[dict[GuestKind, int]]
    no: list[dict[GuestKind, int]]
    facts: Facts | None = None


class Fits:
    """The question, with memory. `asked` counts what had to be solved."""

    def __init__(self, *, seed: int, most: int, spread: Sequence[Spread] = ()) -> None:
        """At most so many questions are solved, after that `Spent` is raised. `spread` are the workload's rules, by number."""
        self.seed, self.most, self.asked, self.spread = seed, most, 0, tuple(spread)
        self._known: dict[int, _Known] = {}
        self._needs: dict[tuple[GuestKind, HostKind], Needs] = {}
        self._offers: dict[HostKind, dict[object, int]] = {}

    def needs(self, kind: GuestKind, host: HostKind) -> Needs:
        """`needs`, remembered."""
        if (kind, host) not in self._needs:
            self._needs[kind, host] = needs(kind, host)
        return self._needs[kind, host]

    def offers(self, host: HostKind) -> dict[object, int]:
        """`offers`, remembered."""
        if host not in self._offers:
            self._offers[host] = offers(host)
        return self._offers[host]

    def most_of(self, kind: GuestKind, host: HostKind, beside: Counts) -> int:
        """How many more of a kind fit by sums; 0 or more."""
        taken: Needs = Counter()
        for other, count in beside.items():
            for what, much in self.needs(other, host).items():
                taken[what] += much * count
        there = self.offers(host)
        rooms = [(there[what] - taken[what]) // much for what, much in self.needs(kind, host).items() if what in there and much]
        return max(0, min(rooms, default=1 << 30))

    def __call__(self, host: HostKind, counts: Counts) -> bool:
        """Whether they fit.

        Raises:
            Spent: nobody knows.
        """
        wanted = {kind: count for kind, count in counts.items() if count}
        if not wanted:
            return True
        for kind, count in wanted.items():
            if self.most_of(kind, host, {other: many for other, many in wanted.items() if other is not kind}) < count:
                return False
        if any(self.together(wanted, number) > self.spread[number].most for number in self.rules(wanted, Scope.HOST, Scope.DOMAIN)):
            return False
        known = self._of(host)
        if any(_within(wanted, other) for other in known.yes):
            return True
        if any(_within(other, wanted) for other in known.no):
            return False
        found = self._solve(host, wanted)
        (known.yes if found else known.no).append(wanted)
        return found

    def rules(self, counts: Counts, *scopes: Scope) -> set[int]:
        """The rules over these scopes that any of the guests is named by."""
        return {number for kind in counts for number in kind.rules if self.spread[number].by in scopes}

    @staticmethod
    def together(counts: Counts, rule: int) -> int:
        """How many of the guests a rule names."""
        return sum(count for kind, count in counts.items() if rule in kind.rules)

    def _of(self, host: HostKind) -> _Known:
        """What is known of such hosts, whatever their failure domain."""
        return self._known.setdefault(id(host.host), _Known([], []))

    def problem(self, host: HostKind, workload: Workload) -> Problem:
        """The tables for some guests on one such host; those of the host are read once."""
        known = self._of(host)
        problem = build(workload, host.host, known=known.facts)
        known.facts = problem.facts
        return problem

    def _solve(self, host: HostKind, wanted: Counts) -> bool:
        self.asked += 1
        if self.asked > self.most:
            raise Spent
        kinds = {f"{number}.{index}": kind for number, (kind, count) in enumerate(wanted.items()) if not kind.kept for index in range(count)}
        kept = [kind for kind, count in wanted.items() if kind.kept for _ in range(count)]
        rules = tuple(Spread(tuple(name for name, kind in kinds.items() if number in kind.rules), self.spread[number].by, self.spread[number].most)
                      for number in sorted(self.rules(wanted, Scope.NUMA, Scope.SWITCH)))
        whole = Workload("part", tuple(kind.named(name) for name, kind in kinds.items()), tuple(kind.request.devices[0] for kind in kept), rules)
        kinds |= {f"{KEPT}{number}": kind for number, kind in enumerate(kept)}
        try:
            problem = self.problem(host, whole)
        except UnknownName:
            return False
        if any(kind.dropped for kind in wanted):
            active = [label for label in problem.labels() if not label.guest or kinds[label.guest].active(label)]
            answer: object = feasible(problem, active, seed=self.seed, limit=_QUESTION)
        else:
            answer = arrange(problem, seed=self.seed, limit=_QUESTION, best=False)
        if isinstance(answer, OutOfTime):
            raise Spent
        return isinstance(answer, Assignment | Arranged)


def _within(small: Counts, large: Counts) -> bool:
    return all(large.get(kind, 0) >= count for kind, count in small.items())
