"""Which groupings are possible where facts are unknown, without trying all of their 2^n combinations.

Each unknown fact speaks for isolation or against it, and every rule is monotone in it (acs.py): all possible groupings lie between the
coarsest and the finest. So each group of the coarsest is a region of its own, which no fact outside can touch; within it one fact is
decided either way, and either way falls apart into smaller regions. The port nearest the root comes first: if it does not isolate,
all below is settled at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from math import prod

from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.group import Assumption
from simkit.model.host import Host
from simkit.semantics.acs import Isolation
from simkit.semantics.group_builder import GroupBuilder
from simkit.semantics.group_rework import builder

MOST_CHOICES = 256
"""After so many decisions what is still open is left so."""

MOST_LISTED = 4096
"""Groupings that are listed, to count those once that two ways lead to."""

Partition = tuple[tuple[Address, ...], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Only this grouping is possible."""

    groups: Partition


@dataclass(frozen=True, slots=True)
class Choice:
    """One fact decides between what is possible if it speaks for isolation, and what if not."""

    fact: Assumption
    apart: Possible
    together: Possible


@dataclass(frozen=True, slots=True)
class Regions:
    """Parts that are open independently of each other."""

    parts: tuple[Possible, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Too much is open to be followed up: anything between these two, as `facts` decide."""

    coarsest: Partition
    finest: Partition
    facts: tuple[Assumption, ...]


Possible = Settled | Choice | Regions | Open


def possible(host: Host, given: Mapping[Address, int | None] | None = None, *, most_choices: int = MOST_CHOICES) -> Possible:
    """All groupings that are possible for a host, with the facts that decide; `given` are groups that exist already."""
    return _Search(host, builder(host), given or {}, most_choices).among(tuple(host.in_scan_order()), {})


def count(answer: Possible) -> int | None:
    """How many different groupings are possible; None where more than were followed up."""
    match answer:
        case Settled():
            return 1
        case Regions(parts):
            numbers = [count(part) for part in parts]
            return prod(number for number in numbers if number is not None) if None not in numbers else None
        case Choice(_, apart, together):
            one, other = count(apart), count(together)
            if one is None or other is None or (min(one, other) > MOST_LISTED):
                return None
            more, fewer = (apart, together) if one >= other else (together, apart)
            return max(one, other) + sum(1 for groups in listed(fewer) if not contains(more, groups))
    return None


def listed(answer: Possible) -> Iterator[Partition]:
    """Every possible grouping, each once; what is open only at its two ends."""
    match answer:
        case Settled(groups):
            yield groups
        case Regions(parts):
            for chosen in product(*(tuple(listed(part)) for part in parts)):
                yield tuple(sorted(group for groups in chosen for group in groups))
        case Choice(_, apart, together):
            seen: set[Partition] = set()
            for groups in chain(listed(apart), listed(together)):
                ordered = tuple(sorted(groups))
                if ordered not in seen:
                    seen.add(ordered)
                    yield ordered
        case Open(coarsest, finest, _):
            yield from (coarsest, finest)


def contains(answer: Possible, groups: Partition) -> bool:
    """Whether a grouping is among the possible ones."""
    match answer:
        case Settled(own):
            return set(own) == set(groups)
        case Choice(_, apart, together):
            return contains(apart, groups) or contains(together, groups)
        case Regions(parts):
            regions = [frozenset(_functions(part)) for part in parts]
            whole = all(any(region.issuperset(group) for region in regions) for group in groups)
            return whole and all(
                contains(part, tuple(group for group in groups if region.issuperset(group))) for part, region in zip(parts, regions, strict=True)
            )
        case Open(coarsest, finest, _):
            return _refines(groups, coarsest) and _refines(finest, groups)


def _functions(answer: Possible) -> Iterator[Address]:
    match answer:
        case Settled(groups) | Open(groups, _, _):
            for group in groups:
                yield from group
        case Choice(_, apart, _):
            yield from _functions(apart)
        case Regions(parts):
            for part in parts:
                yield from _functions(part)


def _refines(finer: Partition, coarser: Partition) -> bool:
    sets = [frozenset(group) for group in coarser]
    return all(any(group.issuperset(small) for group in sets) for small in finer)


def deciding(answer: Possible) -> tuple[Assumption, ...]:
    """The facts that would decide, those first that may settle most at once."""
    facts: dict[str, Assumption] = {}
    level = [answer]
    while level:
        following: list[Possible] = []
        for part in level:
            match part:
                case Choice(fact, apart, together):
                    facts.setdefault(fact.path, fact)
                    following += [apart, together]
                case Regions(parts):
                    following += parts
                case Open(_, _, others):
                    for fact in others:
                        facts.setdefault(fact.path, fact)
        level = following
    return tuple(facts.values())


@dataclass(slots=True)
class _Search:
    host: Host
    builder: type[GroupBuilder]
    given: Mapping[Address, int | None]
    left: int

    def among(self, functions: tuple[Function, ...], settled: Mapping[str, bool]) -> Possible:
        coarse, fine = (
            self.builder(self.host, Isolation(self.host, optimistic=optimistic, settled=settled), self._given(functions), functions).run()
            for optimistic in (False, True)
        )
        coarsest, finest = coarse.partition(), fine.partition()
        if coarsest == finest:
            return Settled(coarsest)
        if len(coarsest) > 1:
            return self._regions(functions, settled, coarsest, finest)
        facts = self._facts({**coarse.isolation.consulted, **fine.isolation.consulted})
        if not self.left:
            return Open(coarsest, finest, facts)
        self.left -= 1
        fact = facts[0]
        apart = self.among(functions, {**settled, fact.path: True})
        together = self.among(functions, {**settled, fact.path: False})
        return apart if apart == together else Choice(fact, apart, together)

    def _given(self, functions: tuple[Function, ...]) -> dict[Address, int | None]:
        return {function.address: self.given[function.address] for function in functions if function.address in self.given} if self.given else {}

    def _regions(self, functions: tuple[Function, ...], settled: Mapping[str, bool], coarsest: Partition, finest: Partition) -> Possible:
        region = {address: at for at, group in enumerate(coarsest) for address in group}
        inside: dict[int, list[Function]] = {}
        for function in functions:
            if function.address in region:
                inside.setdefault(region[function.address], []).append(function)
        finer = frozenset(finest)
        done = tuple(group for group in coarsest if group in finer)
        parts = [self.among(tuple(inside[at]), settled) for at, group in enumerate(coarsest) if group not in finer]
        return Regions((*((Settled(done),) if done else ()), *parts))

    def _facts(self, consulted: Mapping[str, str]) -> tuple[Assumption, ...]:
        """Nearest the root first."""
        return tuple(Assumption(consulted[path], path, self.host.where(path)) for path in sorted(consulted, key=lambda path: (self._depth(path), path)))

    def _depth(self, path: str) -> int:
        room, _, rest = path.partition("/")
        if room != "functions":
            return -1
        return sum(1 for _ in self.host.ancestors(self.host[Address.parse(rest.partition("/")[0])]))
