"""What would help: the smallest changes of a workload that make it feasible, each found so by solving again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from simkit.model.host import Host
from simkit.model.workload import Workload
from simkit.solve.answer import Relaxation
from simkit.solve.changes import Change, Ladder, ladders, without
from simkit.solve.core import feasible, minimal_core
from simkit.solve.cpsat import Assignment
from simkit.solve.labels import Label
from simkit.solve.problem import build

_MOST_TOGETHER = 3
"""How many changes are tried together where no single one helps."""


def relaxations(workload: Workload, host: Host, core: Sequence[Label], *, seed: int = 0) -> tuple[Relaxation, ...]:
    """Changes of what the core names, least cost first, the smallest of each kind; several together only where no single one helps."""
    found = {change.text: change for change in _Search(host, seed).changes(workload, core, _MOST_TOGETHER)}
    return tuple(Relaxation(change.text, change.cost) for change in sorted(found.values(), key=lambda change: change.cost))


class _Search:
    def __init__(self, host: Host, seed: int) -> None:
        self.host, self.seed = host, seed

    def holds(self, workload: Workload) -> bool:
        """Whether all of a workload is feasible."""
        problem = build(workload, self.host)
        return isinstance(feasible(problem, problem.labels(), seed=self.seed), Assignment)

    def mends(self, workload: Workload, core: Sequence[Label]) -> bool:
        """Whether what the core asks for is feasible, all else aside."""
        problem = build(workload, self.host)
        among = set(core)
        return isinstance(feasible(problem, [label for label in problem.labels() if label in among], seed=self.seed), Assignment)

    def changes(self, workload: Workload, core: Sequence[Label], most: int) -> list[Change]:
        ways = [ladder for label in core for ladder in ladders(workload, label)]
        single = [change for ladder in ways if (change := _first(ladder, self.holds)) is not None]
        single += self._left_out(workload, core)
        return single or (list(self._together(ways, core, most - 1)) if most > 1 else [])

    def _left_out(self, workload: Workload, core: Sequence[Label]) -> list[Change]:
        """Without one guest, or as few as help."""
        names = tuple(dict.fromkeys(label.guest for label in core if label.guest))
        for count in range(1, min(len(names), _MOST_TOGETHER) + 1):
            found = [change for dropped in combinations(names, count) if (change := without(workload, dropped)) is not None and self.holds(change.workload)]
            if found:
                return found
        return []

    def _together(self, ways: list[Ladder], core: Sequence[Label], most: int) -> Iterator[Change]:
        """The smallest change of each kind that ends this contradiction, with the cheapest that ends the next."""
        for ladder in ways:
            first = _first(ladder, lambda changed: self.mends(changed, core))
            if first is None:
                continue
            problem = build(first.workload, self.host)
            following, _ = minimal_core(problem, problem.labels(), seed=self.seed)
            then = min(self.changes(first.workload, following, most), key=lambda change: change.cost, default=None)
            if then is not None:
                yield Change(f"{first.text}, and {then.text}", first.cost + then.cost, then.workload)


def _first(ladder: Ladder, good: Callable[[Workload], bool]) -> Change | None:
    """The first change that is good, by halving: what gives up more is never harder to serve."""
    if not ladder or not good(ladder[-1].workload):
        return None
    low, high = 0, len(ladder) - 1
    while low < high:
        middle = (low + high) // 2
        if good(ladder[middle].workload):
            high = middle
        else:
            low = middle + 1
    return ladder[low]
