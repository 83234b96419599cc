"""A run carried out once more, step by step, by the table's words alone: facts are a set of texts, and nothing is shared with the search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

from simkit.attest.flow.rule import Over, Rule, Table
from simkit.model.sequence import Sequence, Step


@dataclass(frozen=True, slots=True)
class Replayed:
    """The facts in the end, the properties that these violate, and what refused a step: empty where the whole run was carried out."""

    facts: frozenset[str]
    violated: tuple[str, ...]
    refused: str = ""


def replay(table: Table, on: frozenset[str], can: frozenset[str], run: Sequence) -> Replayed:
    """Carry a run out under what is switched on, with an adversary's capabilities, as far as the table allows it."""
    rules = {rule.name: rule for rule in table.rules}
    facts = frozenset(table.begin)
    for number, step in enumerate(run.steps, 1):
        rule = rules.get(step.rule)
        why = "no rule has this name" if rule is None else _refusal(rule, step, facts, on, can)
        if rule is None or why:
            return Replayed(facts, _violated(table, facts), f"step {number} ({step.rule}): {why}")
        words = dict(step.bound)
        facts = facts - {_put(fact, words) for fact in rule.drops} | {_put(fact, words) for fact in rule.adds}
    return Replayed(facts, _violated(table, facts))


def _refusal(rule: Rule, step: Step, facts: frozenset[str], on: frozenset[str], can: frozenset[str]) -> str:
    """Why a step is not allowed; empty where it is."""
    if missing := set(rule.on) - on:
        return f"takes {', '.join(sorted(missing))}, which is off"
    if stops := set(rule.off) & on:
        return f"stopped by {', '.join(sorted(stops))}"
    if rule.can and not set(rule.can) & can:
        return f"the adversary cannot do this ({' or '.join(rule.can)})"
    words = dict(step.bound)
    if set(words) != {name for names, _ in rule.over for name in names.split()} or not _allowed(words, rule.over):
        return "a variable has a value that the table does not give it"
    if lacking := {_put(fact, words) for fact in rule.needs} - facts:
        return f"lacks {', '.join(sorted(lacking))}"
    objecting = sorted(check for check, fact in rule.guards if check in on and _put(fact, words) in facts)
    if objecting:
        return f"stopped by {', '.join(objecting)}"
    excluded = {_put(fact, words) for fact in rule.unless} & facts
    return f"is excluded by {', '.join(sorted(excluded))}" if excluded else ""


def _violated(table: Table, facts: frozenset[str]) -> tuple[str, ...]:
    """The properties that a state violates, in their order."""
    found = set()
    for violation in table.violations:
        names = [name for names, _ in violation.over for name in names.split()]
        for values in product(*(values for _, values in violation.over)):
            words = dict(zip(names, " ".join(values).split(), strict=True))
            if all(_put(fact, words) in facts for fact in violation.facts) and not any(_put(fact, words) in facts for fact in violation.unless):
                found.add(violation.property.value)
    return tuple(sorted(found))


def _put(fact: str, words: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: words[name[1]], fact)


def _allowed(words: dict[str, str], over: Over) -> bool:
    return all(" ".join(words[name] for name in names.split()) in values for names, values in over)
