"""What would help: the smallest changes of a workload that make it feasible, each found so by solving again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import combinations

from simkit.model.workload import Workload
from simkit.semantics.partitions import partitions_of
from simkit.solve.answer import Relaxation
from simkit.solve.assignment import Assignment
from simkit.solve.bounds import contradiction
from simkit.solve.changes import Change, Ladder, ladders, without
from simkit.solve.core import feasible, minimal_core
from simkit.solve.cpsat import OutOfTime
from simkit.solve.facts import Facts
from simkit.solve.labels import KEPT, Label, listed
from simkit.solve.problem import Problem, build

_MOST_TOGETHER = 3
"""How many changes are tried together where no single one helps."""

_LONGEST = 8
"""How many changes are made one after the other where no few of them help: it is as many contradictions that a workload may have."""

_BUDGET = 20_000
"""Work that looking for changes may cost: each question counts its candidates, and its guests on NUMA nodes. A count, so that it is the same everywhere."""

_QUESTION = 2.0
"""Deterministic time for one question; one that needs more is taken not to help."""


def relaxations(workload: Workload, facts: Facts, core: Sequence[Label], *, seed: int = 0) -> tuple[Relaxation, ...]:
    """Changes of what the core names, least cost first, the smallest of each kind; several together only where no single one helps.

    Where none of these helps, or looking for them would take too long: change after change until there is no contradiction, and the guests to leave out.
    """
    search = _Search(facts, seed)
    for change in search.changes(workload, core, _MOST_TOGETHER):
        search.found.setdefault(change.text, change)
    if not search.found:
        search.found = {last.text: last for last in (search.chained(workload, core), search.stripped(workload)) if last is not None}
    return tuple(Relaxation(change.text, change.cost) for change in sorted(search.found.values(), key=lambda change: change.cost))


class _Spent(Exception):
    """Looking for changes has cost what it may."""


class _Search:
    def __init__(self, facts: Facts, seed: int) -> None:
        self.facts, self.seed, self.left = facts, seed, _BUDGET
        self.found: dict[str, Change] = {}

    def changes(self, workload: Workload, core: Sequence[Label], most: int) -> list[Change]:
        """What helps, as far as the budget goes."""
        found: list[Change] = []
        with suppress(_Spent):
            found.extend(self._changes(workload, core, most))
        return found

    def holds(self, workload: Workload) -> bool:
        """Whether all of a workload is feasible."""
        problem = build(workload, self.facts.host, known=self.facts)
        return self._feasible(problem, problem.labels())

    def mends(self, change: Change, core: Sequence[Label]) -> bool:
        """Whether what is left of the core is feasible, all else aside."""
        problem = build(change.workload, self.facts.host, known=self.facts)
        among = {change.still(label) for label in core}
        return self._feasible(problem, [label for label in problem.labels() if label in among])

    def _feasible(self, problem: Problem, active: Sequence[Label]) -> bool:
        self.left -= sum(len(wish.candidates) for wish in problem.wishes) + len(problem.workload.guests) * (1 + len(problem.nodes))
        if self.left < 0:
            raise _Spent
        return isinstance(feasible(problem, active, seed=self.seed, limit=_QUESTION), Assignment)

    def _changes(self, workload: Workload, core: Sequence[Label], most: int) -> Iterator[Change]:
        helped = False
        for ladder in (ladder for label in core for ladder in ladders(workload, label)):
            change = self._first(ladder, lambda changed: self.holds(changed.workload))
            if change is not None:
                helped = True
                yield change
        for change in self._left_out(workload, core):
            helped = True
            yield change
        if not helped and most > 1:
            yield from self._together([ladder for label in core for ladder in ladders(workload, label)], core, most - 1)

    def _left_out(self, workload: Workload, core: Sequence[Label]) -> Iterator[Change]:
        """Without one guest, or as few as help."""
        names = tuple(dict.fromkeys(label.guest for label in core if label.guest and not label.guest.startswith(KEPT)))
        for count in range(1, min(len(names), _MOST_TOGETHER) + 1):
            helped = False
            for dropped in combinations(names, count):
                change = without(workload, dropped)
                if change is not None and self.holds(change.workload):
                    helped = True
                    yield change
            if helped:
                return

    def _together(self, ways: list[Ladder], core: Sequence[Label], most: int) -> Iterator[Change]:
        """The smallest change of each kind that ends this contradiction, with the cheapest that ends the next."""
        for ladder in ways:
            first = self._first(ladder, lambda changed: self.mends(changed, core))
            if first is None:
                continue
            problem = build(first.workload, self.facts.host, known=self.facts)
            following, _ = minimal_core(problem, problem.labels(), seed=self.seed)
            then = min(self._changes(first.workload, following, most), key=lambda change: change.cost, default=None)
            if then is not None:
                yield Change(f"{first.text}, and {then.text}", first.cost + then.cost, then.workload)

    def chained(self, workload: Workload, core: Sequence[Label]) -> Change | None:
        """The cheapest change that ends a contradiction, then the one that ends the next.

        None where some contradiction has none, where there are too many, or where it is but leaving guests out (see `stripped`).
        """
        self.left = _BUDGET
        asked = {*workload.guests, *workload.keep_free}
        made: list[Change] = []
        with suppress(_Spent):
            while len(made) < _LONGEST and (best := self._mending(workload, core)) is not None:
                made.append(best)
                workload = best.workload
                if self.holds(workload):
                    told = Change(listed([change.text for change in made]), sum(change.cost for change in made), workload)
                    return None if asked.issuperset((*workload.guests, *workload.keep_free)) else told
                problem = build(workload, self.facts.host, known=self.facts)
                core, _ = minimal_core(problem, problem.labels(), seed=self.seed)
        return None

    def _mending(self, workload: Workload, core: Sequence[Label]) -> Change | None:
        ways = [self._first(ladder, lambda changed: self.mends(changed, core)) for label in core for ladder in ladders(workload, label)]
        left_out = (without(workload, (label.guest,)) for label in core if label.guest and not label.guest.startswith(KEPT))
        helps = [change for change in ways if change is not None] or [change for change in left_out if change is not None]
        return min(helps, key=lambda change: change.cost, default=None)

    def stripped(self, workload: Workload) -> Change | None:
        """Without the last guest of a contradiction, then of the next, until there is none; then with those of them that fit after all.

        So none of those left out could stay. None where nobody would remain, or that could not be decided.
        """
        self.left = _BUDGET
        dropped: list[str] = []
        left: Workload | None = workload
        while left is not None:
            problem = build(left, self.facts.host, known=self.facts)
            answer = feasible(problem, problem.labels(), seed=self.seed, limit=_QUESTION)
            if isinstance(answer, OutOfTime):
                return None
            if isinstance(answer, Assignment):
                break
            core = contradiction(problem, problem.labels()) or minimal_core(problem, problem.labels(), seed=self.seed)[0]
            named = {label.guest for label in core if label.guest and not label.guest.startswith(KEPT)}
            if not named:
                return None
            dropped.append([guest.name for guest in left.guests if guest.name in named][-1])
            change = without(workload, tuple(dropped))
            left = change.workload if change else None
        return self._back(workload, dropped) if left is not None and dropped else None

    def _back(self, workload: Workload, dropped: list[str]) -> Change | None:
        self.left = _BUDGET
        order = [guest.name for guest in workload.guests if guest.name in dropped]
        with suppress(_Spent):
            for name in reversed(dropped[:-1]):
                fewer = without(workload, tuple(other for other in order if other != name))
                if fewer is not None and self.holds(fewer.workload):
                    order.remove(name)
        return without(workload, tuple(order))


    def _first(self, ladder: Ladder, good: Callable[[Change], bool]) -> Change | None:
        """The first change that is good. What gives up more is not harder to serve, save where partitions have four GPUs and not three."""
        if isinstance(ladder, tuple) and partitions_of(self.facts.host):
            return next((change for change in ladder if good(change)), None)
        return _by_halving(ladder, good)


def _by_halving(ladder: Ladder, good: Callable[[Change], bool]) -> Change | None:
    if not ladder or not good(ladder[-1]):
        return None
    low, high = 0, len(ladder) - 1
    while low < high:
        middle = (low + high) // 2
        if good(ladder[middle]):
            high = middle
        else:
            low = middle + 1
    return ladder[low]
