"""Every state that can be reached, breadth first: what is violated in any of them, and the run that shows it.

A rule that drops nothing, and adds nothing that a rule or a property excludes, takes no possibility away: a state with more facts can do
all that one with fewer can. Such rules are carried out at once (`reduce`); the others are tried in every order. Tests compare both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simkit.attest.flow.rule import Property
from simkit.model.sequence import Sequence, Step
from simkit.simulate.attestation.compile import Bad, Compiled, Ground

LIMIT = 1_000_000
"""States after which a search gives up and says so."""


@dataclass(frozen=True, slots=True)
class Run:
    """The rules carried out until a state holds `needs` without `unless`: a property's pattern, or the end of an undisturbed run."""

    says: str
    needs: int
    unless: int
    rules: tuple[Ground, ...]


@dataclass(frozen=True, slots=True)
class Explored:
    """What a search found: `whole` says that every reachable state was seen, `done` is a run to the flow's end, `reached` the facts that any state holds."""

    states: int
    transitions: int
    whole: bool
    reached: frozenset[str]
    done: Run | None
    runs: Mapping[Property, Run]

    @property
    def complete(self) -> bool:
        """Whether the flow can come to its end."""
        return self.done is not None

    @property
    def violated(self) -> tuple[Property, ...]:
        """The properties that some reachable state violates, in their order."""
        return tuple(each for each in Property if each in self.runs)


def explore(compiled: Compiled, can: frozenset[str] = frozenset(), *, reduce: bool = True, limit: int = LIMIT) -> Explored:
    """Search all that an adversary with these capabilities can bring about."""
    live, reachable = _live(compiled, can)
    bad = [each for each in compiled.bad if not each.needs & ~reachable]
    at_once, branching = _split(live, bad, reduce=reduce)
    begin, first = _closed(compiled.begin, at_once)
    dropped = 0
    for rule in branching:
        dropped |= rule.drops
    at_once = [rule for rule in at_once if rule.adds & (dropped | ~begin)]
    came_from: dict[int, tuple[int, tuple[Ground, ...]]] = {begin: (begin, first)}
    runs: dict[Property, Run] = {}
    done: Run | None = None
    transitions, whole, reached = len(first), True, 0
    queue, met = [begin], {begin}
    for state in queue:
        reached |= state
        if done is None and state & compiled.goal == compiled.goal:
            done = Run("the flow is complete", compiled.goal, 0, _way(state, came_from))
        found = [each for each in bad if state & each.needs == each.needs and not state & each.unless]
        for each in found:
            if each.violation.property not in runs:
                runs[each.violation.property] = Run(f"{each.violation.property} violated: {each.says}", each.needs, each.unless, _way(state, came_from))
        if found:
            bad = [each for each in bad if each.violation.property not in runs]
        for rule in branching:
            if state & rule.needs == rule.needs and not state & rule.unless:
                transitions += 1
                raw = state & ~rule.drops | rule.adds
                if raw in met:
                    continue
                met.add(raw)
                following, more = _closed(raw, at_once)
                if following not in came_from:
                    transitions += len(more)
                    came_from[following] = (state, (rule, *more))
                    queue.append(following)
        if len(queue) > limit:
            whole = False
            break
    return Explored(len(came_from), transitions, whole, compiled.names(reached), done, runs)


def _live(compiled: Compiled, can: frozenset[str]) -> tuple[list[Ground], int]:
    """The rules that anybody here can carry out, without those whose facts nobody ever adds; and all facts that these add."""
    waiting = [rule for rule in compiled.rules if not rule.rule.can or not can.isdisjoint(rule.rule.can)]
    reached, live = compiled.begin, []
    while more := [rule for rule in waiting if reached & rule.needs == rule.needs]:
        live += more
        waiting = [rule for rule in waiting if reached & rule.needs != rule.needs]
        for rule in more:
            reached |= rule.adds
    return live, reached


def _split(rules: list[Ground], bad: list[Bad], *, reduce: bool) -> tuple[list[Ground], list[Ground]]:
    """Rules to carry out at once, and rules to try in every order."""
    if not reduce:
        return [], rules
    dropped = excluded = 0
    for rule in rules:
        dropped |= rule.drops
    for each in bad:
        excluded |= each.unless
    at_once: list[Ground] = []
    branching: list[Ground] = []
    for rule in rules:
        others = excluded
        for other in rules:
            if other is not rule:
                others |= other.unless
        own = rule.unless & rule.adds & dropped
        (branching if rule.drops or rule.adds & others or own else at_once).append(rule)
    return at_once, branching


def _closed(state: int, at_once: list[Ground]) -> tuple[int, tuple[Ground, ...]]:
    """The state after all that is carried out at once, and what that was."""
    done: list[Ground] = []
    again = True
    while again:
        again = False
        for rule in at_once:
            if rule.adds & ~state and state & rule.needs == rule.needs and not state & rule.unless:
                state |= rule.adds
                done.append(rule)
                again = True
    return state, tuple(done)


def _way(state: int, came_from: Mapping[int, tuple[int, tuple[Ground, ...]]]) -> tuple[Ground, ...]:
    way: list[tuple[Ground, ...]] = []
    while True:
        before, rules = came_from[state]
        way.append(rules)
        if before == state:
            return tuple(rule for rules in reversed(way) for rule in rules)
        state = before


def shortened(compiled: Compiled, run: Run) -> Run:
    """The run without what it does not need: no single step can be left out of it."""
    rules, index = list(run.rules), len(run.rules)
    while index:
        index -= 1
        rest = rules[:index] + rules[index + 1 :]
        if _leads(compiled, rest, run):
            rules, index = rest, len(rest)
    return replace(run, rules=tuple(rules))


def _leads(compiled: Compiled, rules: list[Ground], run: Run) -> bool:
    state = compiled.begin
    for rule in rules:
        if state & rule.needs != rule.needs or state & rule.unless:
            return False
        state = state & ~rule.drops | rule.adds
    return state & run.needs == run.needs and not state & run.unless


def sequence(compiled: Compiled, run: Run, title: str) -> Sequence:
    """A run as data, for drawing and replaying: no step too many."""
    steps = tuple(_step(rule) for rule in shortened(compiled, run).rules)
    return Sequence(title, steps, run.says, compiled.table.order)


def _step(ground: Ground) -> Step:
    rule, bound = ground.rule, dict(ground.bound)
    return Step(rule.name, ground.bound, rule.sender.format(**bound), rule.receiver.format(**bound), rule.says.format(**bound), by_adversary=bool(rule.can))
