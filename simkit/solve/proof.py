"""z3 proves again what counting and CP-SAT have said. With `terms` the only module that knows z3.

It is told the same constraints and shares no search with them; a seed and a limit on its own count of work, not on the clock, make
its answer the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simkit.solve.assignment import Assignment
from simkit.solve.constraints import encode
from simkit.solve.labels import Label
from simkit.solve.levels import levels
from simkit.solve.problem import Problem

RLIMIT = 50_000_000
"""z3's units of work for each question; about ten seconds of one core."""


class _Model:
    """CP-SAT's methods over z3's integers."""

    def __init__(self, seed: int, limit: int) -> None:
        import z3

        self._z3 = z3
        self.solver = z3.SolverFor("QF_LIA")
        self.solver.set("random_seed", seed)
        self.solver.set("rlimit", limit)

    def new_int_var(self, low: int, high: int, name: str) -> Any:
        variable = self._z3.FreshInt(name or "v")
        self.solver.add(low <= variable, variable <= high)
        return variable

    def new_bool_var(self, name: str) -> Any:
        return self.new_int_var(0, 1, name)

    def add(self, constraint: Any) -> None:
        self.solver.add(constraint)

    def add_bool_or(self, literals: Sequence[Any]) -> None:
        self.solver.add(self._z3.Or([literal == 1 for literal in literals]))

    def impossible(self, *more: Any) -> bool | None:
        """Whether nothing satisfies all and `more`; None where the limit was hit."""
        self.solver.push()
        self.solver.add(*more)
        answer = self.solver.check()
        self.solver.pop()
        return None if answer == self._z3.unknown else bool(answer == self._z3.unsat)


def version() -> str:
    """z3's."""
    import z3

    return f"z3 {z3.get_version_string()}"


def no_plan(problem: Problem, active: Sequence[Label], *, seed: int = 0, limit: int = RLIMIT) -> bool | None:
    """Whether the constraints cannot hold together; None where z3's limit was hit."""
    model = _Model(seed, limit)
    encode(problem, active, model)
    return model.impossible()


def none_better(problem: Problem, chosen: Assignment, *, seed: int = 0, limit: int = RLIMIT) -> bool | None:
    """Whether no plan has a smaller count, the more important ones being equal; None where z3's limit was hit."""
    model = _Model(seed, limit)
    encoding = encode(problem, problem.labels(), model)
    found = dict(chosen.levels)
    for level in levels(encoding):
        if level.name not in found:
            continue
        answer = model.impossible(level.expression() < found[level.name])
        if answer is not True:
            return answer
        model.add(level.expression() <= found[level.name])
    return True
