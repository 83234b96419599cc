"""A run of a protocol as data: who tells whom what, in order, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a table carried out: `rule` is the row's name, `bound` its variables with their values, `says` the sentence with these put in."""

    rule: str
    bound: tuple[tuple[str, str], ...]
    sender: str
    receiver: str
    says: str
    by_adversary: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps in order. `outcome` is a sentence: the property that is violated in the end, or that the run is complete.

    `order`: parties from left to right; who is not among them follows in order of appearance.
    """

    title: str
    steps: tuple[Step, ...]
    outcome: str
    order: tuple[str, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody who sends or receives."""
        there = dict.fromkeys(party for step in self.steps for party in (step.sender, step.receiver))
        return (*(party for party in self.order if party in there), *(party for party in there if party not in self.order))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run with what it was found under: adversaries, checks that were off, features that were on, and where the pod ran."""

    run: Sequence
    adversaries: tuple[str, ...]
    without: tuple[str, ...] = ()
    having: tuple[str, ...] = ()
    placement: str = "direct"
