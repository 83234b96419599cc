"""The form that all tables of the flow have: rules over sets of facts (multiset rewriting: Cervesato, Durgin, Lincoln, Mitchell, Scedrov 1999).

A fact is a short text (`token s1 pod n1 gpu pod`). A rule may be carried out where all facts that it needs are there and none that it excludes;
it drops facts and adds facts. Words in braces are variables, each with the values it ranges over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Over = tuple[tuple[str, tuple[str, ...]], ...]
"""Variables and their values: `(("s n", ("s1 n1", "s2 n2")),)` binds two together."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row.

    `can`: capabilities of which the adversary must have one; empty where anybody does this, or the network, which the adversary always holds.
    `on`, `off`: switches (checks, features, placements) that must be on or off for the row to exist.
    `guards`: a check and the fact that it looks for: while the check is on, the row is not carried out where the fact is there.
    """

    name: str
    sender: str
    receiver: str
    says: str
    over: Over = ()
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    can: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()


class Property(StrEnum):
    """What must hold in every state that can be reached."""

    SECRECY = "P1"
    AGREEMENT = "P2"
    INJECTIVE = "P3"
    BINDING = "P4"
    NO_ROLLBACK = "P5"
    CONTINUITY = "P6"


@dataclass(frozen=True, slots=True)
class Violation:
    """A pattern that no state may hold: all these facts at once, without those of `unless`."""

    property: Property
    facts: tuple[str, ...]
    says: str
    over: Over = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A protocol: where it begins, its rules, what must never be, the fact that an undisturbed run ends with, and who stands where in a chart."""

    name: str
    begin: tuple[str, ...]
    rules: tuple[Rule, ...]
    violations: tuple[Violation, ...]
    goal: str
    order: tuple[str, ...] = ()
