"""Everything that an engine is told of a problem. Knows no engine itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from simkit.solve.apart import keep_apart
from simkit.solve.encoding import Encoding
from simkit.solve.instances import cut_up
from simkit.solve.labels import Label, What
from simkit.solve.problem import Problem, TooMuch
from simkit.solve.room import at_most, ports


def encode(problem: Problem, active: Collection[Label], model: Any) -> Encoding:
    """The active constraints in a model that has the methods of CP-SAT's."""
    encoding = Encoding(problem, frozenset(active), model)
    encoding.build()
    cut_up(encoding)
    keep_apart(encoding)
    for guest in problem.workload.guests:
        if Label(guest.name, What.LIMITS) in encoding.active:
            for sum_of_ports, most in at_most(ports(encoding, guest)):
                model.add(sum_of_ports <= most)
    for learned in problem.too_much:
        if Label(learned.guest, What.LIMITS) in encoding.active:
            _not_all(encoding, learned)
    return encoding


def _not_all(encoding: Encoding, learned: TooMuch) -> None:
    """Of some set fewer."""
    fewer = []
    wanted = {(wish.guest, wish.index): wish for wish in encoding.wanted()}
    for members, count in learned.sets:
        terms = [encoding.take[learned.guest, index, address] for index, address in members if (learned.guest, index) in wanted]
        most = sum(encoding.most(wanted[learned.guest, index]) for index in {index for index, _ in members} if (learned.guest, index) in wanted)
        less = encoding.model.new_bool_var("")
        if terms:
            encoding.model.add(sum(terms) + max(most - count + 1, 0) * less <= max(most, count - 1))
        fewer.append(less)
    encoding.model.add(sum(fewer) >= 1)
