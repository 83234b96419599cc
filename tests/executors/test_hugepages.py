"""Huge pages on a recorded node: answered as mm/hugetlb.c answers, applied whole or taken back, whatever memory there is and whoever is killed."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import ExecutorError, StalePlan, StepFailed
from simkit.executors.apply import Outcome, apply, resume, rollback, status
from simkit.executors.compare import difference, snapshot
from simkit.executors.journal import Phase
from simkit.executors.recorded import RecordedNode
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.model.guest import GuestNode
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint
from simkit.testing.small_node import small_host, small_plan

GIB, MIB = 1 << 30, 1 << 20
POOL = "sys/devices/system/node/node{}/hugepages/hugepages-{}kB/{}_hugepages"
BIG = {number: POOL.format(number, 1048576, "nr") for number in (0, 1)}


def plan_with_pages(*, total=2, free=1):
    """`train` has 12 GiB of node 0 and 4 of node 1 in pages of 1 GiB, `infer` 8 GiB of node 1 in pages of 2 MiB."""
    pools = (HugePages(2 * MIB, 0, 0), HugePages(GIB, total, free))
    nodes = tuple(NumaNode(number, CpuSet.of(range(4 * number, 4 * number + 4)), 64 * GIB, number, (10, 20)[::1 - 2 * number], pools) for number in (0, 1))
    host = replace(small_host(), numa_nodes=nodes)
    plan = small_plan(host)
    train, infer = plan.guests
    train = replace(train, hugepage_bytes=GIB, nodes=(GuestNode(0, 0, CpuSet.of([0, 1]), 12 * GIB), GuestNode(1, 1, CpuSet.of([4]), 4 * GIB)))
    infer = replace(infer, hugepage_bytes=2 * MIB, nodes=(GuestNode(0, 1, CpuSet.of([5, 6]), 8 * GIB),))
    return with_steps(replace(plan, guests=(train, infer), fingerprint=fingerprint(host)))


PLAN = plan_with_pages()
PAGES = [step for step in PLAN.steps if step.kind == "hugepages"]


class Killed(BaseException):
    """What `kill -9` would have been."""


class Dying:
    """Killed before (`die`) or after (`dead`) write number `at`."""

    def __init__(self, node, at, how):
        self.node, self.at, self.how, self.writes = node, at, how, 0

    def __getattr__(self, name):
        return getattr(self.node, name)

    def write(self, path, data, offset=0):
        self.writes += 1
        if self.writes == self.at and self.how == "die":
            raise Killed
        self.node.write(path, data, offset)
        if self.writes == self.at:
            raise Killed


class World:
    def __init__(self, folder, *, meminfo=None):
        self.folder, self.journal = folder / "node", folder / "journal"
        sysfs_tree.write(PLAN.host, self.folder)
        for number, text in (meminfo or {}).items():
            (self.folder / f"sys/devices/system/node/node{number}/meminfo").write_text(text, encoding="ascii")
        self.start = snapshot(self.folder)

    @property
    def node(self):
        return RecordedNode(self.folder)

    def counts(self, name="nr"):
        return [int((self.folder / POOL.format(node, size, name)).read_text()) for node, size in ((0, 1048576), (1, 1048576), (1, 2048), (0, 2048))]

    def is_as_it_was(self):
        assert str(difference(self.start, snapshot(self.folder))) == "no difference"
        return True


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_steps_come_first_and_reserve_what_is_not_free():
    assert [step.id for step in PLAN.steps[:3]] == ["001-hugepages-node0", "002-hugepages-node1", "003-hugepages-node1"]
    assert len(PAGES) == 3
    assert [(step.do[0].path, step.do[0].text, step.undo[0].text) for step in PAGES] == [
        (BIG[0], "13", "2"), (POOL.format(1, 2048, "nr"), "4096", "0"), (BIG[1], "5", "2")]


def test_applied_and_taken_back_byte_for_byte(world):
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.APPLIED
    assert (world.counts(), world.counts("free")) == ([13, 5, 4096, 0], [12, 4, 4096, 0])
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.ALREADY
    assert rollback(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


def test_guests_that_run_do_not_make_it_another_node(world):
    """They have taken what was free."""
    apply(PLAN, world.node, world.journal)
    (world.folder / POOL.format(0, 1048576, "free")).write_text("0\n")
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.ALREADY
    with pytest.raises(StepFailed, match=r"001-hugepages-node0: undone, but .*nr_hugepages reads '13', not '2': huge pages in use stay"):
        rollback(world.journal, world.node)
    assert status(world.journal).phase is Phase.UNDOING
    (world.folder / POOL.format(0, 1048576, "free")).write_text("12\n")
    assert resume(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


@pytest.mark.parametrize(("number", "step"), [(0, "001-hugepages-node0"), (1, "003-hugepages-node1")])
def test_memory_that_is_short_is_found_out_and_all_is_taken_back(tmp_path, number, step):
    """The write itself succeeds (`set_max_huge_pages`): 11 and 3 more are asked for, and there is memory for two beside the 8 GiB of small ones."""
    short = f"Node {number} MemTotal:       67108864 kB\nNode {number} MemFree:   {10 * 1048576 + 77 if number else 2 * 1048576 + 77:11} kB\nNode {number} MemUsed: 1 kB\n"
    world = World(tmp_path, meminfo={number: short})
    got, asked = (4, 13) if number == 0 else (4, 5)
    with pytest.raises(StepFailed, match=rf"{step}: wrote '{asked}' to {BIG[number]}, but {BIG[number]} reads '{got}', not '{asked}'") as caught:
        apply(PLAN, world.node, world.journal)
    assert (caught.value.step, caught.value.read) == (step, f"'{got}'")
    assert "kernel command line" in caught.value.faults[0].remedy
    assert world.is_as_it_was()
    assert status(world.journal).phase is Phase.RESTORED


@pytest.mark.parametrize("way", ["resume", "rollback", "apply"])
@pytest.mark.parametrize("how", ["die", "dead"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_killed_at_a_write(world, at, how, way):
    with pytest.raises(Killed):
        apply(PLAN, Dying(world.node, at, how), world.journal)
    if way == "apply":
        apply(PLAN, world.node, world.journal)
    elif way == "resume":
        resume(world.journal, world.node)
    if way != "rollback":
        assert world.counts() == [13, 5, 4096, 0]
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


@pytest.mark.parametrize("step", [step.id for step in PLAN.steps[:4]])
def test_a_step_made_to_fail_restores_the_start(world, step):
    with pytest.raises(StepFailed, match="made to fail, as asked"):
        apply(PLAN, world.node, world.journal, fail_at=step)
    assert world.is_as_it_was()


def test_a_power_cut_takes_the_pages_and_rollback_has_nothing_to_undo(world):
    apply(PLAN, world.node, world.journal)
    for node, size in ((0, 1048576), (1, 1048576), (1, 2048)):
        for name in ("nr", "free"):
            path = POOL.format(node, size, name)
            (world.folder / path).write_bytes(world.start.entries[path])
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


@pytest.mark.parametrize(("name", "count"), [("nr", 3), ("free", 0)])
def test_a_pool_that_has_changed_makes_the_plan_stale(world, name, count):
    (world.folder / POOL.format(0, 1048576, name)).write_text(f"{count}\n")
    with pytest.raises(StalePlan, match=f"step 001-hugepages-node0: {POOL.format(0, 1048576, name)} reads '{count}'"):
        apply(PLAN, world.node, world.journal)


def test_a_node_without_such_pages_makes_the_plan_stale(world):
    pool = world.folder / POOL.format(0, 1048576, "nr")
    for file in pool.parent.iterdir():
        file.unlink()
    pool.parent.rmdir()
    with pytest.raises(StalePlan, match=r"hugepages-1048576kB/nr_hugepages reads nothing \(no such file\)"):
        apply(PLAN, world.node, world.journal)


@pytest.mark.parametrize(("text", "number"), [("x", errno.EINVAL), ("-1", errno.EINVAL), ("", errno.EINVAL), ("0x10", errno.EINVAL), ("3 ", errno.EINVAL), (str(1 << 64), errno.ERANGE), ("9" * 5000 + "x", errno.ERANGE)])
def test_what_is_no_number_is_refused(world, text, number):
    with pytest.raises(ExecutorError) as caught:
        world.node.write(BIG[0], text.encode())
    assert caught.value.errno == number
    assert world.is_as_it_was()


@pytest.mark.parametrize("path", [POOL.format(7, 1048576, "nr"), POOL.format(0, 64, "nr")])
def test_a_pool_that_is_not_there(world, path):
    with pytest.raises(ExecutorError) as caught:
        world.node.write(path, b"1")
    assert caught.value.errno == errno.ENOENT


def test_free_pages_cannot_be_written(world):
    with pytest.raises(ExecutorError) as caught:
        world.node.write(POOL.format(0, 1048576, "free"), b"1")
    assert caught.value.errno == errno.EACCES


def test_numbers_are_decimal(world):
    world.node.write(BIG[0], b"+010\n")
    assert world.counts()[0] == 10


@settings(max_examples=25, deadline=None)
@given(wishes=st.lists(st.integers(0, 80), min_size=1, max_size=6), room=st.none() | st.integers(0, 70))
def test_a_pool_against_a_count_of_pages(tmp_path_factory, wishes, room):
    """An oracle that has pages one by one: 1 is in use, of the rest those that are over go, and new ones come while there is memory."""
    folder = tmp_path_factory.mktemp("pool")
    told = None if room is None else {0: f"Node 0 MemTotal:       67108864 kB\nNode 0 MemFree:  {room * 1048576 + 5:13} kB\n"}
    world = World(folder, meminfo=told)
    used, free, memory = 1, 1, 62 if room is None else room
    for wish in wishes:
        world.node.write(BIG[0], str(wish).encode())
        while used + free < wish and memory:
            free, memory = free + 1, memory - 1
        while used + free > wish and free:
            free, memory = free - 1, memory + 1
        assert (world.counts()[0], world.counts("free")[0]) == (used + free, free)
    world.node.write(BIG[0], b"2")
    if used + free >= 2 or memory:
        assert world.is_as_it_was()
