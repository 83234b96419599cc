"""A run carried out once more, step by step, by the table's words alone: facts are a set of texts, and nothing is shared with the search."""

from __future__ import annotations

import re
from itertools import product

from simkit.attest.flow.rule import Table
from simkit.errors import InputError
from simkit.model.sequence import Sequence


class DoesNotReplay(InputError):
    """A step of a run that the table does not allow where the run has it."""


def replay(table: Table, on: frozenset[str], can: frozenset[str], run: Sequence) -> frozenset[str]:
    """The facts in the end.

    Raises:
        DoesNotReplay: a step's rule is not there, is not this adversary's to use, lacks a fact or is excluded by one.
    """
    rules = {rule.name: rule for rule in table.rules}
    facts = set(table.begin)
    for number, step in enumerate(run.steps, 1):
        where = f"{run.title}, step {number} ({step.rule})"
        rule = rules.get(step.rule)
        if rule is None:
            raise DoesNotReplay("there is no such rule", where=where, remedy="draw the run anew")
        if set(rule.on) - on or set(rule.off) & on:
            raise DoesNotReplay("the rule does not exist with these checks and features", where=where, remedy="replay it under the setting it was found in")
        if rule.can and not set(rule.can) & can:
            raise DoesNotReplay(f"the adversary cannot do this ({', '.join(rule.can)})", where=where, remedy="name the adversaries it was found with")
        words = dict(step.bound)
        allowed = [dict(zip(names.split(), value.split(), strict=True)) for names, values in rule.over for value in values]
        if set(words) != {name for names, _ in rule.over for name in names.split()} or not _ranges(words, rule.over, allowed):
            raise DoesNotReplay("a variable has a value that the table does not give it", where=where, remedy="draw the run anew")
        missing = {_put(fact, words) for fact in rule.needs} - facts
        excluded = {_put(fact, words) for fact in (*rule.unless, *(fact for check, fact in rule.guards if check in on))} & facts
        if missing or excluded:
            what = f"needs {', '.join(sorted(missing))}" if missing else f"is excluded by {', '.join(sorted(excluded))}"
            raise DoesNotReplay(f"the rule {what}", where=where, remedy="the steps before it do not lead here")
        facts = facts - {_put(fact, words) for fact in rule.drops} | {_put(fact, words) for fact in rule.adds}
    return frozenset(facts)


def violated(table: Table, facts: frozenset[str]) -> tuple[str, ...]:
    """The properties that a state violates, in their order."""
    found = set()
    for violation in table.violations:
        names = [names.split() for names, _ in violation.over]
        for values in product(*(values for _, values in violation.over)):
            words = {name: word for each, value in zip(names, values, strict=True) for name, word in zip(each, value.split(), strict=True)}
            if all(_put(fact, words) in facts for fact in violation.facts) and not any(_put(fact, words) in facts for fact in violation.unless):
                found.add(violation.property.value)
    return tuple(sorted(found))


def _put(fact: str, words: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: words[name[1]], fact)


def _ranges(words: dict[str, str], over: tuple[tuple[str, tuple[str, ...]], ...], allowed: list[dict[str, str]]) -> bool:
    return all(any({name: words[name] for name in names.split()} == value for value in allowed) for names, _ in over)
