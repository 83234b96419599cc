"""z3, told the same constraints, agrees: on what is impossible, on what is least, and that nothing in a core can be left out."""

from dataclasses import replace

from hypothesis import given, settings

from simkit.formats.source import open_host, open_workload
from simkit.model.host import Host
from simkit.model.workload import Workload
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.problem import build
from simkit.solve.proof import none_better
from simkit.solve.solve import solve
from tests.solve.test_apart import open_ports, workloads
from tests.solve.test_brute_force import small_hosts, small_workloads

BEST = "no plan is better in any part of the objective, the ones before it being equal"
MINIMAL = "these cannot hold together, and hold together without any one of them"


@settings(max_examples=60)
@given(small_hosts(), small_workloads())
def test_both_engines_say_the_same(host: Host, workload: Workload) -> None:
    agrees(host, workload)


@settings(max_examples=40)
@given(open_ports(), workloads())
def test_the_same_with_guests_kept_apart(host: Host, workload: Workload) -> None:
    agrees(host, workload)


def agrees(host: Host, workload: Workload) -> None:
    answer = solve(workload, host, prove=True)
    if isinstance(answer, Planned):
        assert [certificate.says for certificate in answer.plan.certificates if certificate.by.startswith("z3")] == [BEST]
    else:
        assert isinstance(answer, Infeasible)
        assert [certificate.says for certificate in answer.certificates] == [MINIMAL]


def test_a_worse_choice_is_not_called_best() -> None:
    problem = build(open_workload("two-guests"), open_host("hgx-h100"))
    found = arrange(problem)
    assert isinstance(found, Arranged)
    assert none_better(problem, found.chosen) is True
    worse = replace(found.chosen, levels=tuple((name, count + 1) for name, count in found.chosen.levels))
    assert none_better(problem, worse) is False
    assert none_better(problem, found.chosen, limit=1) is None


def test_the_same_bytes_with_the_proof() -> None:
    one, two = (solve(open_workload("three-guests"), open_host("hgx-h100"), prove=True) for _ in range(2))
    assert one == two
