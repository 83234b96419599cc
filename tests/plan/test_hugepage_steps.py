"""Which huge pages are reserved where, what is only assumed, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.errors import InputError
from simkit.formats.guest import script
from simkit.formats.native.plan import dump_plan, load_plan
from simkit.model.guest import GuestNode
from simkit.model.numa import CpuSet, HugePages, NodeName, NumaNode
from simkit.model.step import StepKind, Write
from simkit.model.unknown import UNKNOWN
from simkit.plan.plan import with_steps
from simkit.plan.replay import replay
from simkit.semantics.hugepages import needed, short_size
from simkit.semantics.outcome import outcome
from simkit.testing.small_node import small_host, small_plan

GIB, MIB = 1 << 30, 1 << 20


def plan(pools, *, memory=64 * GIB, page=GIB, shares=((0, 12 * GIB),), node=0):
    host = replace(small_host(), numa_nodes=(NumaNode(node, CpuSet.of(range(8)), memory, 0, (10,), pools),))
    found = small_plan(host)
    train, infer = found.guests
    nodes = tuple(GuestNode(number, where, CpuSet.of([number]), size) for number, (where, size) in enumerate(shares))
    return replace(found, guests=(replace(train, hugepage_bytes=page, nodes=nodes), infer))


def reserved(found):
    return [(str(step.subject), step.do, step.undo) for step in with_steps(found).steps if step.kind is StepKind.HUGEPAGES]


@pytest.mark.parametrize(("total", "free", "writes"), [(0, 0, "12"), (20, 3, "29"), (12, 11, "13"), (12, 12, None), (40, 20, None)])
def test_only_what_lacks_is_reserved(total, free, writes):
    path = "sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages"
    expected = [] if writes is None else [("node0", (Write(path, writes),), (Write(path, str(total)),))]
    assert reserved(plan((HugePages(2 * MIB, 0, 0), HugePages(GIB, total, free)))) == expected


def test_guests_of_one_node_and_size_are_counted_together():
    one = plan((HugePages(GIB, 1, 1),), shares=((0, 3 * GIB), (0, 2 * GIB)))
    train, infer = one.guests
    both = replace(one, guests=(replace(train, nodes=train.nodes[:1]), replace(infer, hugepage_bytes=GIB, nodes=train.nodes[1:])))
    assert [(need.count, need.guests) for need in needed(both.guests)] == [(5, ("train", "infer"))]
    assert [do[0].text for _, do, _ in reserved(both)] == ["5"]


def test_without_huge_pages_asked_for_there_is_nothing():
    assert needed(small_plan().guests) == ()
    assert "huge page" not in " ".join(with_steps(small_plan()).assumptions)


@pytest.mark.parametrize("pools", [UNKNOWN, (HugePages(GIB),), (HugePages(GIB, 5),), (HugePages(GIB, UNKNOWN, 3),)])
def test_an_unknown_pool_is_an_assumption_that_says_how_many(pools):
    made = with_steps(plan(pools))
    assert not [step for step in made.steps if step.kind is StepKind.HUGEPAGES]
    assert [text for text in made.assumptions if "huge page" in text] == [
        "that many are free: 12 huge pages of 1 GiB on node 0 for train; how many there are is unknown, so there is no step for it"]


def test_a_guest_without_nodes_is_an_assumption_too():
    made = with_steps(plan((HugePages(GIB, 0, 0),), shares=()))
    assert any("16 huge pages of 1 GiB on the nodes that its memory comes from for train" in text for text in made.assumptions)


def test_a_size_that_the_kernel_does_not_have_is_refused():
    with pytest.raises(InputError, match="12 huge pages of 1 GiB on node 0 for train: this kernel has no pages of that size"):
        with_steps(plan((HugePages(2 * MIB, 0, 0),)))


@pytest.mark.parametrize(("memory", "fits"), [(14 * GIB, True), (14 * GIB - 1, False)])
def test_more_than_the_node_has_is_refused(memory, fits):
    made = plan((HugePages(2 * MIB, 512, 512), HugePages(GIB, 1, 0)), memory=memory)
    if fits:
        assert len(reserved(made)) == 1
    else:
        with pytest.raises(InputError, match="node 0 has 14335 MiB of memory, 2048 MiB of it in huge pages already, and 12288 MiB more are needed"):
            with_steps(made)


def test_the_plan_comes_back_from_its_file_and_only_pools_may_be_written():
    made = with_steps(plan((HugePages(GIB, 0, 0),), node=3, shares=((3, 12 * GIB),)))
    text = dump_plan(made)
    assert load_plan(text, source="plan.json") == made
    assert made.steps[0].subject == NodeName(3)
    for wrong in ("node03", "node-1", "node", "node3x", "node999999"):
        with pytest.raises(InputError, match="names no NUMA node"):
            load_plan(text.replace('"subject": "node3"', f'"subject": "{wrong}"'), source="plan.json")
    for wrong in ("sys/devices/system/node/node3/hugepages/hugepages-1048576kB/demote", "sys/devices/system/node/node3/compact", "proc/sys/vm/nr_hugepages"):
        with pytest.raises(InputError, match="nor a pool of huge pages"):
            load_plan(text.replace("sys/devices/system/node/node3/hugepages/hugepages-1048576kB/nr_hugepages", wrong), source="plan.json")


@pytest.mark.parametrize("path", ["sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages",
                                  "sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages", "sys/bus/pci/devices/node0/nr_hugepages"])
def test_a_step_that_writes_to_another_pool_is_found_out(path):
    made = with_steps(plan((HugePages(GIB, 0, 0),)))
    step = replace(made.steps[0], do=(Write(path, "12"),))
    assert any("which is none of a step hugepages of node0" in fault for fault in replay(replace(made, steps=(step, *made.steps[1:]))))


def test_steps_that_do_not_fit_the_pool_are_found_out():
    """Undone to fewer than are in use, and done from a number that is not there."""
    made = with_steps(plan((HugePages(GIB, 4, 1),)))
    step = made.steps[0]
    for wrong in (replace(step, undo=(Write(step.undo[0].path, "1"),)), replace(step, do=(Write(step.do[0].path, "9"),))):
        assert replay(replace(made, steps=(wrong, *made.steps[1:])))


def test_a_driver_is_no_pool():
    """A step of pages may not bind anything."""
    made = with_steps(plan((HugePages(GIB, 0, 0),)))
    step = replace(made.steps[0], do=(*made.steps[0].do, Write("sys/bus/pci/drivers_probe", "node0")))
    assert replay(replace(made, steps=(step, *made.steps[1:])))


def test_the_host_afterwards_has_the_pages():
    made = with_steps(plan((HugePages(2 * MIB, 7, 7), HugePages(GIB, 4, 1))))
    assert outcome(made).numa_nodes[0].hugepages == (HugePages(2 * MIB, 7, 7), HugePages(GIB, 15, 12))


def test_the_script_carries_them():
    made = with_steps(plan((HugePages(GIB, 4, 1),)))
    path = "/sys/devices/system/node/node0/hugepages/hugepages-1048576kB"
    lines = script.render(made).splitlines()
    at = lines.index(f"printf 15 > {path}/nr_hugepages")
    assert lines[at - 2 : at] == [f'is {path}/nr_hugepages "$(text {path}/nr_hugepages)" 4', f'is {path}/free_hugepages "$(text {path}/free_hugepages)" 1']
    assert lines[at + 1] == f'is {path}/nr_hugepages "$(text {path}/nr_hugepages)" 15'
    assert "hugepagesz=1G hugepages=0:15" in lines[at - 3]
    undone = script.undo(made).splitlines()
    assert "if [ ! -e /sys/devices/system/node/node0 ]; then :" in undone
    at = undone.index(f"  printf 4 > {path}/nr_hugepages")
    assert undone[at - 1] == f'  [ "$(text {path}/nr_hugepages)" -le 15 ] || is {path}/nr_hugepages "$(text {path}/nr_hugepages)" 15'


@pytest.mark.parametrize(("size", "text"), [(GIB, "1G"), (2 * MIB, "2M"), (16 * GIB, "16G"), (64 << 10, "64K"), (512 * MIB, "512M")])
def test_sizes_as_the_command_line_takes_them(size, text):
    assert short_size(size) == text
