"""Memory that is in huge pages which guests cannot have is no room for guests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.formats.draw.text import guest_summary
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.numa import HugePages
from simkit.plan.plan import with_steps
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

GIB, MIB = 1 << 30, 1 << 20
HOST = open_host("hgx-h100")
NODES = {node.id: node.memory_bytes >> 30 for node in HOST.numa_nodes}


def host(**pools):
    """The shipped machine with pools by node: `n0=(HugePages(...),)`."""
    return replace(HOST, numa_nodes=tuple(replace(node, hugepages=pools.get(f"n{node.id}", ())) for node in HOST.numa_nodes))


def wish(memory, pages=""):
    return load_workload(f"simkit: workload/1\nname: w\nguests:\n  big: {{cpus: 8, memory: {memory} GiB{pages}, numa: prefer, devices: [{{kind: gpu}}]}}\n", source="w.yaml")


@pytest.mark.parametrize(("pool", "pages", "planned"), [
    (HugePages(GIB, 100, 100), "", False), (HugePages(GIB, 100, 100), ", hugepages: 1 GiB", True), (HugePages(GIB, 100, 99), ", hugepages: 1 GiB", False),
    (HugePages(GIB, 100, 100), ", hugepages: 2 MiB", False), (HugePages(GIB, 100), "", True), (HugePages(2 * MIB, 0, 0), "", True)])
def test_all_memory_of_the_host(pool, pages, planned):
    """All that there is is asked for: pages that are free serve guests that ask for their size, and nobody else."""
    both = host(**{f"n{number}": (pool, HugePages(pool.size_bytes * 512, 0, 0)) if pool.size_bytes < GIB else (HugePages(2 * MIB, 0, 0), pool) for number in NODES})
    answer = solve(wish(sum(NODES.values()), pages), both)
    assert isinstance(answer, Planned if planned else Infeasible)
    if not planned:
        held = 2 if pool.free == 99 else 200
        assert any(f"hgx-h100 has {sum(NODES.values()) - held} GiB beside {held} GiB of huge pages" in reason.text for reason in answer.because)


def test_a_node_whose_memory_is_taken_gives_way_to_another():
    first = HugePages(GIB, NODES[0] - 16, 0)
    answer = solve(wish(64, ", hugepages: 1 GiB"), host(n0=(first,), n1=(HugePages(GIB, 0, 0),)))
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    assert {node.host_node: node.memory_bytes for node in guest.nodes}.get(0, 0) <= 16 * GIB
    assert [str(step.subject) for step in with_steps(answer.plan).steps if step.kind == "hugepages"]
    assert check(answer.plan) == ()


def test_the_checker_finds_what_a_solver_would_overlook():
    answer = solve(wish(64, ", hugepages: 1 GiB"), host(n0=(HugePages(GIB, 0, 0),), n1=(HugePages(GIB, 0, 0),)))
    assert isinstance(answer, Planned)
    (node,) = {node.host_node for node in answer.plan.guests[0].nodes}
    taken = host(**{f"n{node}": (HugePages(GIB, NODES[node] - 60, 0),)})
    assert any("in huge pages that are not for guests" in fault for fault in check(replace(answer.plan, host=taken)))


@pytest.mark.parametrize(("memory", "told"), [("1500 MiB", "a: flatten, 1 CPU, 1.46 GiB"), ("512 MiB", "a: flatten, 1 CPU, 512 MiB"), ("2 TiB", "a: flatten, 1 CPU, 2048 GiB")])
def test_memory_is_told_as_it_is(memory, told):
    answer = solve(load_workload(f"simkit: workload/1\nname: w\nguests:\n  a: {{memory: {memory}}}\n", source="w.yaml"), HOST)
    assert isinstance(answer, Planned)
    assert guest_summary(HOST, answer.plan.guests[0]).splitlines()[0] == told
