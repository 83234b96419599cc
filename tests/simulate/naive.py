"""A search that knows no bits, no order and no reduction: sets of texts, rules as they stand in the table. The oracle of `simkit.simulate.attestation`."""

from itertools import product


def filled(over):
    for values in product(*(values for _, values in over)):
        yield {name: word for (names, _), value in zip(over, values, strict=True) for name, word in zip(names.split(), value.split(), strict=True)}


def put(facts, bound):
    found = []
    for fact in facts:
        for name, word in bound.items():
            fact = fact.replace("{" + name + "}", word)
        found.append(fact)
    return frozenset(found)


def naive(table, on, can):
    """The number of states, and the properties violated in any of them."""
    rows = []
    for rule in table.rules:
        if any(name not in on for name in rule.on) or any(name in on for name in rule.off) or (rule.can and not any(name in can for name in rule.can)):
            continue
        unless = [*rule.unless, *(fact for check, fact in rule.guards if check in on)]
        rows += [(put(rule.needs, bound), put(unless, bound), put(rule.adds, bound), put(rule.drops, bound)) for bound in filled(rule.over)]
    patterns = [(violation.property.value, put(violation.facts, bound), put(violation.unless, bound)) for violation in table.violations for bound in filled(violation.over)]
    begin = frozenset(table.begin)
    seen, todo, violated = {begin}, [begin], set()
    while todo:
        state = todo.pop()
        violated |= {name for name, facts, unless in patterns if facts <= state and not unless & state}
        for needs, unless, adds, drops in rows:
            if needs <= state and not unless & state:
                after = state - drops | adds
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
    return len(seen), sorted(violated)
