"""More guests that want a switch to themselves than there are switches: told by counting, where trying every way would not end."""

from itertools import chain

import pytest

from bench.fabrics import switched
from simkit.formats.native.workload import load_workload
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.core import feasible, minimal_core
from simkit.solve.cpsat import Impossible
from simkit.solve.problem import build
from simkit.solve.solve import solve


def asked(alone: int, others: int):
    guests = chain((f"  a{at}: {{isolation: [switch], devices: [{{kind: gpu, count: 3}}]}}\n" for at in range(alone)),
                   (f"  b{at}: {{devices: [{{kind: gpu, count: 3}}]}}\n" for at in range(others)))
    return load_workload("simkit: workload/1\nname: w\nguests:\n" + "".join(guests), source="w.yaml")


@pytest.mark.parametrize(("alone", "others"), [(12, 0), (9, 4), (5, 9), (13, 0), (10, 3), (9, 5)])
def test_switches_that_are_whole_are_counted(alone: int, others: int) -> None:
    """Twelve switches of four GPUs: a guest alone takes a whole switch, three of the others take nine of twelve GPUs."""
    there = 3 * others <= 4 * (12 - alone) and alone <= 12
    problem = build(asked(alone, others), switched(12))
    answer = feasible(problem, problem.labels(), limit=0.5)
    assert isinstance(answer, Impossible) is not there, answer


def test_the_core_is_as_before() -> None:
    """Left out in parts, constraints that can go do go: what is left cannot do without any."""
    problem = build(asked(5, 0), switched(4))
    core, proven = minimal_core(problem, problem.labels())
    assert proven
    assert isinstance(feasible(problem, core), Impossible)
    assert not any(isinstance(feasible(problem, [other for other in core if other != label]), Impossible) for label in core)
    assert isinstance(solve(asked(5, 0), switched(4)), Infeasible)
    assert isinstance(solve(asked(4, 0), switched(4)), Planned)
