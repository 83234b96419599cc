"""CP-SAT decides and optimises. The only module that knows OR-tools.

One worker, a fixed seed and a limit on deterministic time, not on the clock: the same input gives the same answer everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simkit.model.address import Address
from simkit.solve.assignment import Assignment
from simkit.solve.constraints import encode
from simkit.solve.encoding import Encoding
from simkit.solve.greedy import guess
from simkit.solve.labels import Label
from simkit.solve.levels import ADDRESSES, Level, levels
from simkit.solve.objective import figures, least
from simkit.solve.problem import Problem

LIMIT = 30.0
"""Deterministic time (CP-SAT's own count of work, about seconds of one core) after which the answer is undecided."""

POLISH = 1.0
"""Deterministic time for each run that makes a plan better; where it does not suffice, the best found stands and says so."""

ORDER = 0.05
"""Deterministic time for putting equally good plans in order."""

_WIDEST = 1 << 24
"""How large one weighted sum of levels may grow (its relaxation is solved in floating point); what is beyond is minimised in a further run."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """The engine proved that there is none."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The engine's limit was hit before it found anything."""

    limit: float


def decide(problem: Problem, active: Collection[Label], *, seed: int = 0, optimise: bool = True, limit: float = LIMIT,
           begin: Assignment | None = None) -> Assignment | Impossible | OutOfTime:
    """Serve the active constraints and, if told to, optimise by `levels`, one after the other, from where `begin` stands."""
    from ortools.sat.python import cp_model

    encoding = encode(problem, active, cp_model.CpModel())
    wanted = levels(encoding) if optimise else []
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = limit
    _hint_first(encoding, begin or guess(problem, encoding.wanted()))
    solver.parameters.fix_variables_to_their_hinted_value = True
    status = solver.solve(encoding.model)
    solver.parameters.fix_variables_to_their_hinted_value = False
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        status = solver.solve(encoding.model)
    if status == cp_model.INFEASIBLE:
        return Impossible()
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return OutOfTime(limit)
    best = _read(encoding, solver)
    bounds = dict(least(problem)) if optimise else {}
    solution, proven = list(solver.response_proto.solution), True
    for stage in _stages(wanted):
        claimed = stage[0].name in bounds
        if not (claimed and all(dict(best.levels)[level.name] == bounds[level.name] for level in stage)):
            _hint(encoding, solution)
            solver.parameters.max_deterministic_time = min(limit, POLISH if claimed else ORDER)
            encoding.model.minimize(_weighted(stage))
            status = solver.solve(encoding.model)
            proven = proven and (status == cp_model.OPTIMAL or not claimed)
            if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                best, solution = _read(encoding, solver), list(solver.response_proto.solution)
        for level in stage if claimed else ():
            encoding.model.add(level.expression() <= dict(best.levels)[level.name])
    return replace(best, proven=proven)


def smallest_cover(rows: Sequence[Sequence[int]], demand: Sequence[int], groups: Sequence[tuple[Sequence[int], int]],
                   limits: Sequence[tuple[Sequence[int], int]] = (), *, seed: int = 0) -> list[int] | Impossible | OutOfTime:
    """How often to use each row so that the rows add up to `demand` or more, with few uses; in each group of rows at most so many.

    `limits` are weights by row, and the most that they may sum up to.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    most = max((number for _, number in groups), default=0)
    times = [model.new_int_var(0, most, "") for _ in rows]
    for at, wanted in enumerate(demand):
        model.add(sum(row[at] * count for row, count in zip(rows, times, strict=True)) >= wanted)
    for members, number in groups:
        model.add(sum(times[at] for at in members) <= number)
    for weights, number in limits:
        model.add(sum(weight * count for weight, count in zip(weights, times, strict=True)) <= number)
    model.minimize(sum(times))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed, solver.parameters.max_deterministic_time = 1, seed, POLISH
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return [solver.value(count) for count in times]
    return Impossible() if status == cp_model.INFEASIBLE else OutOfTime(POLISH)


def _stages(wanted: list[Level]) -> list[list[Level]]:
    """Runs of levels that fit one weighted sum."""
    stages: list[list[Level]] = []
    width = _WIDEST
    for level in wanted:
        if width * (level.most + 1) > _WIDEST or level.name == ADDRESSES:
            stages.append([])
            width = 1
        stages[-1].append(level)
        width *= level.most + 1
    return stages


def _weighted(stage: list[Level]) -> Any:
    total, weight = [], 1
    for level in reversed(stage):
        total.append(weight * level.expression())
        weight *= level.most + 1
    return sum(total)


def _read(encoding: Encoding, solver: Any) -> Assignment:
    """The engine's answer in the model's words, counted anew."""
    chosen: dict[tuple[str, int], tuple[Address, ...]] = {}
    for wish in encoding.wanted():
        found = [address for address in wish.lots for _ in range(solver.value(encoding.take[wish.guest, wish.index, address]))]
        chosen[wish.guest, wish.index] = tuple(found)
    made = Assignment(chosen, _values(solver, encoding.cores), _values(solver, encoding.memory))
    return replace(made, levels=figures(encoding.problem, made))


def _hint_first(encoding: Encoding, begin: Assignment) -> None:
    """Begin the first run at a guess."""
    chosen = {key: Counter(lots) for key, lots in begin.chosen.items()}
    for (guest, index, address), variable in encoding.take.items():
        encoding.model.add_hint(variable, chosen[guest, index][address])
    for key, variable in encoding.cores.items():
        encoding.model.add_hint(variable, begin.cores.get(key, 0))


def _hint(encoding: Encoding, solution: Sequence[int]) -> None:
    """Begin the next run at what the last one found, by number of variable."""
    encoding.model.clear_hints()
    for number, value in enumerate(solution):
        encoding.model.add_hint(encoding.model.get_int_var_from_proto_index(number), value)


def _values(solver: Any, variables: dict[tuple[str, int], Any]) -> dict[tuple[str, int], int]:
    return {key: solver.value(variable) for key, variable in variables.items()}
