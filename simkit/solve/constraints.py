"""Everything that an engine is told of a problem. Knows no engine itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from simkit.solve.apart import keep_apart
from simkit.solve.encoding import Encoding
from simkit.solve.instances import cut_up
from simkit.solve.labels import Label, What
from simkit.solve.problem import Problem
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
    return encoding
