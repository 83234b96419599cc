"""A table with its variables filled in, every fact a bit: what the search runs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from simkit.attest.flow.rule import Over, Rule, Table, Violation


@dataclass(frozen=True, slots=True)
class Ground:
    """A row with values for its variables; the four sets of facts as masks."""

    rule: Rule
    bound: tuple[tuple[str, str], ...]
    needs: int
    unless: int
    adds: int
    drops: int


@dataclass(frozen=True, slots=True)
class Bad:
    """A pattern with values for its variables."""

    violation: Violation
    says: str
    needs: int
    unless: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A table under a setting (what is switched on). `facts` in the order of their bits."""

    table: Table
    facts: tuple[str, ...]
    begin: int
    rules: tuple[Ground, ...]
    bad: tuple[Bad, ...]
    goal: int

    def names(self, mask: int) -> frozenset[str]:
        """The facts of a mask."""
        return frozenset(fact for number, fact in enumerate(self.facts) if mask >> number & 1)


class _Bits:
    """Numbers for facts, as they come up."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mask(self, facts: Iterable[str], bound: dict[str, str]) -> int:
        found = 0
        for fact in facts:
            found |= 1 << self.numbers.setdefault(fact.format(**bound), len(self.numbers))
        return found


@dataclass(frozen=True, slots=True)
class Grounded:
    """A table with its variables filled in, whatever is switched on: each row with the masks of its guards."""

    table: Table
    facts: tuple[str, ...]
    begin: int
    rows: tuple[tuple[Ground, tuple[tuple[str, int], ...]], ...]
    bad: tuple[Bad, ...]
    goal: int

    def under(self, setting: frozenset[str]) -> Compiled:
        """The rows that exist under a setting."""
        rules = tuple(
            replace(row, unless=row.unless | _union(mask for check, mask in guards if check in setting)) if guards else row
            for row, guards in self.rows
            if setting.issuperset(row.rule.on) and setting.isdisjoint(row.rule.off)
        )
        return Compiled(self.table, self.facts, self.begin, rules, self.bad, self.goal)


def grounded(table: Table) -> Grounded:
    """The table's rows, each as often as its variables have values."""
    bits = _Bits()
    begin = bits.mask(table.begin, {})
    rows = tuple(
        (Ground(rule, tuple(bound.items()), *(bits.mask(facts, bound) for facts in (rule.needs, rule.unless, rule.adds, rule.drops))),
         tuple((check, bits.mask([fact], bound)) for check, fact in rule.guards))
        for rule in table.rules
        for bound in _bindings(rule.over)
    )
    bad = tuple(
        Bad(violation, violation.says.format(**bound), bits.mask(violation.facts, bound), bits.mask(violation.unless, bound))
        for violation in table.violations
        for bound in _bindings(violation.over)
    )
    goal = bits.mask((table.goal,), {})
    return Grounded(table, tuple(bits.numbers), begin, rows, bad, goal)


def compiled(table: Table, setting: frozenset[str]) -> Compiled:
    """The table under one setting."""
    return grounded(table).under(setting)


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _bindings(over: Over) -> Iterator[dict[str, str]]:
    names = [name for names, _ in over for name in names.split()]
    for values in product(*(values for _, values in over)):
        yield dict(zip(names, (word for value in values for word in value.split()), strict=True))
