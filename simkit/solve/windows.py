"""Address space of guests, for an engine that counts ports: what turns out to be too much is learned as a constraint, and asked again.

Windows nest and are aligned, which is no sum; `simkit.semantics.guest_space` knows whether a given choice is too much, and more of the same is as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest
from simkit.semantics.guest_space import guest_space
from simkit.solve.assignment import Assignment
from simkit.solve.cpsat import LIMIT, Impossible, OutOfTime, decide
from simkit.solve.labels import Label, What
from simkit.solve.naming import guests
from simkit.solve.problem import Problem, TooMuch

_MOST_LEARNED = 64
"""Choices that one question may find to be too much; then it is undecided."""


def decide_within(problem: Problem, active: Collection[Label], *, seed: int = 0, optimise: bool = True, limit: float = LIMIT,
                  begin: Assignment | None = None) -> Assignment | Impossible | OutOfTime:
    """As `decide`; what it chooses has room in the address space of every guest whose limits are active."""
    for _ in range(_MOST_LEARNED):
        answer = decide(problem, active, seed=seed, optimise=optimise, limit=limit, begin=begin)
        if not isinstance(answer, Assignment):
            return answer
        learned = _too_much(problem, active, answer)
        if not learned:
            return answer
        problem.too_much.extend(learned)
        begin = None
    return OutOfTime(limit)


def _too_much(problem: Problem, active: Collection[Label], answer: Assignment) -> list[TooMuch]:
    limited = [guest for guest in problem.guests if guest.devices and Label(guest.name, What.LIMITS) in active]
    if not any(_sized(problem, address) for address in problem.candidates) or not limited:
        return []
    chosen = {(wish.guest, wish.index): answer.chosen.get((wish.guest, wish.index), ()) for wish in problem.wishes}
    plans = {plan.name: plan for plan in guests(problem, replace(answer, chosen=chosen))}
    return [_learned(problem, guest, chosen) for guest in limited if guest_space(problem.host, plans[guest.name]).over]


def _sized(problem: Problem, address: Address) -> bool:
    function = problem.host[address]
    bars = is_known(function.bars) and bool(function.bars)
    return bars or (isinstance(function.sriov, Sriov) and is_known(function.sriov.vf_bars) and bool(function.sriov.vf_bars))


def _learned(problem: Problem, guest: GuestRequest, chosen: dict[tuple[str, int], tuple[Address, ...]]) -> TooMuch:
    """As many devices of the same kinds of place and BARs, whichever they are."""
    kinds: dict[object, list[tuple[int, Address]]] = {}
    counts: Counter[object] = Counter()
    for wish in (wish for wish in problem.wishes if wish.guest == guest.name):
        for address in wish.lots:
            kinds.setdefault(_kind(problem, guest, wish.index, address), []).append((wish.index, address))
        counts.update(_kind(problem, guest, wish.index, address) for address in chosen[guest.name, wish.index])
    return TooMuch(guest.name, tuple((tuple(kinds[kind]), count) for kind, count in counts.items()))


def _kind(problem: Problem, guest: GuestRequest, index: int, address: Address) -> object:
    """What of a device decides where its windows lie and how large they are. One with companions, or below a mirrored switch, is a kind of its own."""
    function, facts = problem.host[address], problem.facts
    virtual = guest.devices[index].share.virtual
    if guest.mirrors(index) or (not virtual and len(facts.members[address]) > 1):
        return index, address
    own = function.sriov.vf_bars if virtual and isinstance(function.sriov, Sriov) else function.bars
    sizes = tuple((bar.kind, bar.size_bytes, bar.prefetchable) for bar in own) if is_known(own) else None
    return virtual, str(function.numa_node), repr(sizes), repr(function.msix_vectors)
