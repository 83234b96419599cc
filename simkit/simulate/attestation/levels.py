"""Three levels and what their evidence adds: the same search with the evidence of some levels missing, and with the pod nested or beside."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from simkit.attest.flow.adversaries import ADVERSARIES, Adversary
from simkit.attest.flow.parties import TIERS, Level
from simkit.simulate.attestation.flow import Flow, Placement, Setting


@dataclass(frozen=True, slots=True)
class Composition:
    """Levels that give evidence, and what follows: rows that get through although evidence of all levels would stop them, and secrets that fall to them."""

    attested: tuple[Level, ...]
    through: tuple[Adversary, ...]
    fallen: tuple[str, ...]
    states: int
    transitions: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A way to run the pod: whether its evidence lets the flow complete, and which rows get through that would not where the host starts the pod."""

    placement: Placement
    without: tuple[str, ...]
    complete: bool
    through: tuple[Adversary, ...]
    says: str
    states: int
    transitions: int


def missing(attested: frozenset[Level]) -> frozenset[str]:
    """The checks that cannot be made without the evidence of the other levels."""
    return frozenset(check for tier in TIERS if tier.level not in attested for check in tier.checks)


def compositions() -> tuple[Composition, ...]:
    """Every set of levels, the whole one first."""
    levels = tuple(Level)
    return tuple(_composition(chosen) for size in range(len(levels), -1, -1) for chosen in combinations(levels, size))


def _composition(attested: tuple[Level, ...]) -> Composition:
    whole, flow = Flow(), Flow(Setting(without=missing(frozenset(attested))))
    through, fallen, states, transitions = [], set(), 0, 0
    for adversary in ADVERSARIES:
        if whole.search(adversary).violated:
            continue
        found = flow.search(adversary)
        states, transitions = states + found.states, transitions + found.transitions
        if found.violated:
            through.append(adversary)
            fallen |= {fact.removeprefix("known ") for fact in found.reached if fact.startswith("known ")}
    secrets = tuple(tier.opens for tier in TIERS if tier.opens in fallen)
    return Composition(attested, tuple(through), secrets, states, transitions)


_CHAINS = (
    (Placement.DIRECT, (), "the chip signs for the pod VM: evidence, key and release belong together"),
    (Placement.NESTED, (), "the chip signs for L1 only, and nothing that L1 says of its L2 reaches the root: no release at all"),
    (Placement.NESTED, ("root",), "L1's word is taken for evidence: whoever has L1 names any key he likes"),
    (Placement.BESIDE, (), "L1 asks L0 for a VM beside it: the chip signs for the pod VM again, L1 is only a messenger"),
)


def chains() -> tuple[Chain, ...]:
    """The ways to run the pod, each searched with every row."""
    direct = Flow()
    stopped = [adversary for adversary in ADVERSARIES if not direct.search(adversary).violated]
    found = []
    for placement, without, says in _CHAINS:
        flow = Flow(Setting(without=frozenset(without), placement=placement))
        searched = [(adversary, flow.search(adversary)) for adversary in stopped]
        through = tuple(adversary for adversary, each in searched if each.violated)
        states, transitions = sum(each.states for _, each in searched), sum(each.transitions for _, each in searched)
        found.append(Chain(placement, without, flow.search().complete, through, says, states, transitions))
    return tuple(found)
