"""A table with its variables filled in, every fact a bit: what the search runs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


def compiled(table: Table, setting: frozenset[str]) -> Compiled:
    """The table's rows that exist under a setting, each as often as its variables have values."""
    bits = _Bits()
    begin = bits.mask(table.begin, {})
    rules = []
    for rule in table.rules:
        if not (setting.issuperset(rule.on) and setting.isdisjoint(rule.off)):
            continue
        unless = (*rule.unless, *(fact for check, fact in rule.guards if check in setting))
        rules += [
            Ground(rule, tuple(bound.items()), *(bits.mask(facts, bound) for facts in (rule.needs, unless, rule.adds, rule.drops)))
            for bound in _bindings(rule.over)
        ]
    bad = tuple(
        Bad(violation, violation.says.format(**bound), bits.mask(violation.facts, bound), bits.mask(violation.unless, bound))
        for violation in table.violations
        for bound in _bindings(violation.over)
    )
    goal = bits.mask((table.goal,), {})
    return Compiled(table, tuple(bits.numbers), begin, tuple(rules), bad, goal)


def _bindings(over: Over) -> Iterator[dict[str, str]]:
    names = [name for names, _ in over for name in names.split()]
    for values in product(*(values for _, values in over)):
        yield dict(zip(names, (word for value in values for word in value.split()), strict=True))
