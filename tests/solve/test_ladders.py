"""Ways to ask for a little less: found at once whatever number is asked for, and each of them helps."""

import pytest

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.solve import relax
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.core import minimal_core
from simkit.solve.problem import build
from simkit.solve.solve import solve


def refused(host: str, guests: str, more: str = "") -> list[str]:
    """What is offered; each was solved again here."""
    workload = load_workload(f"simkit: workload/1\nname: w\nguests: {guests}\n{more}\n", source="w.yaml")
    opened = open_host(host)
    answer = solve(workload, opened)
    assert isinstance(answer, Infeasible)
    problem = build(workload, opened)
    core, _ = minimal_core(problem, problem.labels())
    for change in relax._Search(problem.facts, 0).changes(workload, core, 3):
        assert isinstance(solve(change.workload, opened), Planned), change.text
    return [change.text for change in answer.relaxations]


def test_memory_that_no_machine_has() -> None:
    assert refused("hgx-h100", "{a: {memory: 9999999 TiB}}") == ["a with 2304 GiB of memory in place of 10239998976 GiB"]


def test_every_number_at_its_highest() -> None:
    offered = refused("hgx-h100", "{a: {memory: 9999999 TiB, cpus: 65535, devices: [{kind: gpu, count: 4096}]}}")
    assert offered == ["a with 8 GPUs in place of 4096, and a with 384 CPUs in place of 65535, and a with 2304 GiB of memory in place of 10239998976 GiB"]


@pytest.mark.parametrize("topology", ["flatten", "replicate"])
def test_companions_may_go_on_a_bridge_or_stay_out(topology: str) -> None:
    offered = refused("rtx-pro-8", f"{{a: {{topology: {topology}, companions: port, devices: [{{kind: gpu, count: 5}}]}}}}")
    assert "a with companions on a bridge in place of a port each" in offered
    assert "a with companions left out of it: bound to vfio-pci and not attached" in offered


def test_a_place_is_called_what_it_is() -> None:
    offered = refused("hgx-h100", "{a: {cpus: 250}, b: {cpus: 4}}", "spread: [{guests: [a, b], by: numa}]")
    assert "up to 2 of a and b on one NUMA node" in offered
