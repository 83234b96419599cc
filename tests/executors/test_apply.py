"""Apply is a transaction: applied or as it was, whatever fails and whenever it is killed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import ExecutorError, InputError, MalformedDocument, StalePlan, StepFailed, UnknownName
from simkit.executors import journal as journal_module
from simkit.executors.apply import Outcome, apply, resume, rollback, status
from simkit.executors.compare import difference, snapshot
from simkit.executors.exclusive import exclusive
from simkit.executors.journal import Mark, Phase
from simkit.executors.local import LocalNode
from simkit.executors.node import refusal
from simkit.executors.observe import holds, mismatches
from simkit.executors.recorded import RecordedNode
from simkit.model.capabilities import Sriov
from simkit.model.step import ExpectLink, SetAcs, Write
from simkit.plan.interlocks import InterlockError
from simkit.plan.plan import with_steps
from simkit.testing.small_node import AUDIO, DISK, DISK_PORT, DOWNSTREAM, GPU, NIC, PEER, small_host, small_plan, small_vf, write_small_node

PLAN = with_steps(small_plan())
STEPS = len(PLAN.steps)
WRITES = sum(len(step.do) for step in PLAN.steps)
RECORDS = 2 * STEPS + 1
DEVICES = "sys/bus/pci/devices"


def points(last):
    """Every moment from 1 to `last`: the first, the last and each third every day, all in the slow stage."""
    return [at if at % 3 == 0 or at in (1, last) else pytest.param(at, marks=pytest.mark.slow) for at in range(1, last + 1)]


class Killed(BaseException):
    """What `kill -9` would have been."""


class Faulty:
    """A node whose write number `at` goes wrong: `refuse`, `ignore`, `lie` (done, but reported as failed), `die` before or after (`dead`)."""

    def __init__(self, node, at, how):
        self.node, self.at, self.how, self.writes = node, at, how, 0

    def __getattr__(self, name):
        return getattr(self.node, name)

    def write(self, path, data, offset=0):
        self.writes += 1
        if self.writes != self.at:
            return self.node.write(path, data, offset)
        if self.how == "die":
            raise Killed
        if self.how in ("lie", "dead"):
            self.node.write(path, data, offset)
        if self.how == "dead":
            raise Killed
        if self.how in ("refuse", "lie"):
            raise refusal(errno.EIO, path)
        return None


class World:
    """A fresh node with its first state and a journal."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = write_small_node(folder / "node")
        self.node = RecordedNode(self.folder)
        self.journal = folder / "journal.jsonl"
        self.start = snapshot(self.folder)

    def is_as_it_was(self):
        assert str(difference(self.start, snapshot(self.folder))) == "no difference"
        return True

    def is_as_planned(self):
        """Read by hand, not through the steps."""
        for address in (GPU, PEER, AUDIO, small_vf(0), small_vf(1)):
            device = self.folder / DEVICES / str(address)
            assert (device / "driver").resolve().name == "vfio-pci"
            assert (device / "driver_override").read_text() == "vfio-pci\n"
        nic = self.folder / DEVICES / str(NIC)
        assert (nic / "sriov_numvfs").read_text() == "2\n"
        assert (nic / "sriov_drivers_autoprobe").read_text() == "0\n"
        assert (nic / "driver").resolve().name == "mlx5_core"
        controls = [(self.folder / DEVICES / str(port) / "config").read_bytes()[0x106] for port in DOWNSTREAM]
        assert controls == [0x5D, 0x5D, 0x1D]
        return True


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class Clumsy:
    """A listener that breaks whenever it is told something."""

    def __init__(self, error):
        self.error, self.told = error, []

    def __call__(self, progress):
        self.told.append(progress.what)
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("odd"), ExecutorError("not the node's"), StepFailed("no step")])
def test_a_listener_that_fails_disturbs_nothing(world, error, caplog):
    clumsy = Clumsy(error)
    assert apply(PLAN, world.node, world.journal, progress=clumsy).outcome is Outcome.APPLIED
    assert world.is_as_planned()
    assert rollback(world.journal, world.node, progress=clumsy).outcome is Outcome.RESTORED
    assert world.is_as_it_was()
    with pytest.raises(StepFailed, match="undone, the node is as it was"):
        apply(PLAN, world.node, world.journal, progress=clumsy, fail_at=PLAN.steps[-1].id)
    assert world.is_as_it_was()
    assert clumsy.told == ["done"] * STEPS + ["undone"] * STEPS + ["done"] * (STEPS - 1) + ["undone"] * STEPS
    assert len(caplog.records) == len(clumsy.told)


def test_apply_then_rollback_is_the_start_byte_for_byte(world):
    seen = []
    result = apply(PLAN, world.node, world.journal, progress=seen.append)
    assert result.outcome is Outcome.APPLIED
    assert result.done == tuple(step.id for step in PLAN.steps)
    assert [(event.what, event.number) for event in seen] == [("done", number) for number in range(1, STEPS + 1)]
    assert world.is_as_planned()
    assert status(world.journal).phase is Phase.APPLIED
    undone = rollback(world.journal, world.node)
    assert undone.outcome is Outcome.RESTORED
    assert undone.undone == tuple(step.id for step in reversed(PLAN.steps))
    assert world.is_as_it_was()
    assert status(world.journal).touched == ()
    assert rollback(world.journal, world.node).undone == ()


def test_applying_twice_is_applying_once(world):
    apply(PLAN, world.node, world.journal)
    after = snapshot(world.folder)
    records = world.journal.read_text()
    again = apply(PLAN, world.node, world.journal)
    assert (again.outcome, again.done, len(again.skipped)) == (Outcome.ALREADY, (), STEPS)
    other = apply(PLAN, world.node, world.journal.with_name("other.jsonl"))
    assert other.outcome is Outcome.ALREADY
    assert not difference(after, snapshot(world.folder))
    assert world.journal.read_text() == records
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_what_was_already_so_is_neither_done_nor_undone(world):
    world.node.write(f"{DEVICES}/{GPU}/driver_override", b"vfio-pci")
    world.node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    world.start = snapshot(world.folder)
    result = apply(PLAN, world.node, world.journal)
    assert list(result.skipped) == [f"005-override-{GPU}", f"006-unbind-{GPU}"]
    assert world.is_as_planned()
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_apply_again_after_rollback(world):
    apply(PLAN, world.node, world.journal)
    rollback(world.journal, world.node)
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.APPLIED
    assert world.is_as_planned()
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_dry_run_writes_nothing(world):
    result = apply(PLAN, world.node, world.journal, dry_run=True)
    assert result.outcome is Outcome.REHEARSED
    assert result.pending == tuple(step.id for step in PLAN.steps)
    assert world.is_as_it_was()
    assert not world.journal.exists()


@pytest.mark.parametrize("step", [step.id for step in PLAN.steps])
def test_a_step_made_to_fail_restores_the_start(world, step):
    with pytest.raises(StepFailed, match=r"made to fail, as asked.*the node is as it was") as caught:
        apply(PLAN, world.node, world.journal, fail_at=step)
    assert caught.value.step == step
    assert world.is_as_it_was()
    found = status(world.journal)
    assert (found.phase, found.touched) == (Phase.RESTORED, ())
    assert "made to fail" in found.last_failure


@pytest.mark.parametrize("how", ["refuse", "ignore", "lie"])
@pytest.mark.parametrize("at", points(WRITES))
def test_a_write_that_goes_wrong_restores_the_start(world, at, how):
    with pytest.raises(StepFailed) as caught:
        apply(PLAN, Faulty(world.node, at, how), world.journal)
    assert caught.value.step == PLAN.steps[at - 1].id
    assert caught.value.path
    assert caught.value.written
    assert bool(caught.value.read) == (how == "ignore")
    assert world.is_as_it_was()


def test_fail_at_must_be_a_step(world):
    with pytest.raises(UnknownName, match="no step '099'"):
        apply(PLAN, world.node, world.journal, fail_at="099")


def finish_or_undo(world, way):
    """What the next run does after a kill; a fresh node object, as a new process has."""
    node = RecordedNode(world.folder)
    if not world.journal.exists() or b"\n" not in world.journal.read_bytes():
        return world.is_as_it_was()
    if way == "apply":
        apply(PLAN, node, world.journal)
        assert world.is_as_planned()
    elif way == "resume":
        assert resume(world.journal, node).outcome in (Outcome.APPLIED, Outcome.ALREADY)
        assert world.is_as_planned()
    assert rollback(world.journal, node).outcome is Outcome.RESTORED
    assert status(world.journal).phase is Phase.RESTORED
    return world.is_as_it_was()


@pytest.mark.parametrize("way", ["resume", "rollback", "apply"])
@pytest.mark.parametrize("how", ["die", "dead"])
@pytest.mark.parametrize("at", points(WRITES))
def test_killed_at_any_write(world, at, how, way):
    with pytest.raises(Killed):
        apply(PLAN, Faulty(world.node, at, how), world.journal)
    assert finish_or_undo(world, way)


def kill_at_record(monkeypatch, at, how):
    """Die before, in the middle of (`torn`) or after journal record number `at`; the header is record 1."""
    count = 0
    real = journal_module._write

    def write(handle, path, line):
        nonlocal count
        count += 1
        if count == at and how == "torn":
            os.write(handle, json.dumps(line).encode()[: len(json.dumps(line)) // 2])
        if count != at or how == "after":
            real(handle, path, line)
        if count == at:
            raise Killed

    monkeypatch.setattr(journal_module, "_write", write)


@pytest.mark.parametrize("way", ["resume", "rollback"])
@pytest.mark.parametrize("how", ["torn", "after"])
@pytest.mark.parametrize("at", points(RECORDS + 1))
def test_killed_at_any_record(world, monkeypatch, at, how, way):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_record(patch, at, how)
        apply(PLAN, world.node, world.journal)
    assert finish_or_undo(world, way)


@pytest.mark.parametrize("at", [2, 3, 10, RECORDS + 1])
def test_applied_again_after_a_torn_record(world, monkeypatch, at):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_record(patch, at, "torn")
        apply(PLAN, world.node, world.journal)
    assert finish_or_undo(world, "apply")


@settings(max_examples=20, deadline=None)
@given(step=st.integers(0, STEPS - 1), data=st.data())
def test_killed_while_undoing(tmp_path_factory, step, data):
    killed_while_undoing(tmp_path_factory, step, data)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(step=st.integers(0, STEPS - 1), data=st.data())
def test_killed_while_undoing_many_times(tmp_path_factory, step, data):
    killed_while_undoing(tmp_path_factory, step, data)


def killed_while_undoing(tmp_path_factory, step, data):
    """A step fails, and the process dies at any record or write of the undoing: resume undoes the rest."""
    world = World(tmp_path_factory.mktemp("undoing"))
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            how = data.draw(st.sampled_from(["before", "torn", "after"]))
            kill_at_record(patch, data.draw(st.integers(1 + 2 * step + 2, 1 + 2 * step + 3 + step + 2)), how)
            node = world.node
        else:
            writes = sum(len(each.undo) for each in PLAN.steps[:step])
            node = Faulty(world.node, data.draw(st.integers(step + 1, step + 1 + max(writes, 1))), data.draw(st.sampled_from(["die", "dead"])))
        with suppress(Killed, StepFailed):
            apply(PLAN, node, world.journal, fail_at=PLAN.steps[step].id)
    found = status(world.journal).phase
    result = resume(world.journal, RecordedNode(world.folder))
    if found is Phase.APPLYING:
        assert result.outcome is Outcome.APPLIED
        assert world.is_as_planned()
    else:
        assert result.outcome is Outcome.RESTORED
        assert world.is_as_it_was()


@pytest.mark.parametrize("at", [1, 2, 3, 20, RECORDS + 1])
def test_a_full_disk_in_the_middle_of_a_record(world, monkeypatch, at):
    """The torn record is taken back, so that those after it can be read; before the first one nothing has happened at all."""
    count = 0
    real = os.write

    def write(handle, data):
        nonlocal count
        count += 1
        if count == at:
            real(handle, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    with monkeypatch.context() as patch, pytest.raises(StepFailed, match="No space left on device"):
        patch.setattr(os, "write", write)
        apply(PLAN, world.node, world.journal)
    assert world.is_as_it_was()
    assert status(world.journal).phase is Phase.RESTORED
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.APPLIED


def test_killed_in_earnest(world):
    """SIGKILL of a real process in the middle of an apply, then resume in this one."""
    code = f"""
import os, signal, sys
from pathlib import Path
from simkit.executors.apply import apply
from simkit.executors.observe import holds, mismatches
from simkit.executors.recorded import RecordedNode
from simkit.plan.plan import with_steps
from simkit.testing.small_node import small_plan
def die(event):
    if event.number == 9:
        os.kill(os.getpid(), signal.SIGKILL)
apply(with_steps(small_plan()), RecordedNode(Path({str(world.folder)!r})), Path({str(world.journal)!r}), progress=die)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len(status(world.journal).touched) == 9
    assert resume(world.journal, world.node).outcome is Outcome.APPLIED
    assert world.is_as_planned()


def reboot(world):
    """sysfs is as at boot again, while the journal says that all was done."""
    shutil.rmtree(world.folder)
    world.node = RecordedNode(write_small_node(world.folder))


@pytest.mark.parametrize("way", ["rollback", "apply"])
def test_power_cut_resets_the_node_and_both_ways_work(world, way):
    apply(PLAN, world.node, world.journal)
    reboot(world)
    if way == "apply":
        assert apply(PLAN, world.node, world.journal).outcome is Outcome.APPLIED
        assert world.is_as_planned()
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def swap_device(world, address):
    """After a reboot buses are numbered otherwise: another function is at an address."""
    (world.folder / DEVICES / str(address) / "device").write_text("0x1999\n")
    world.start = snapshot(world.folder)


@pytest.mark.parametrize("again", [lambda world: apply(PLAN, world.node, world.journal), lambda world: resume(world.journal, world.node)])
def test_another_device_after_a_reboot_is_not_taken(world, again):
    with suppress(Killed):
        apply(PLAN, Faulty(world.node, 8, "dead"), world.journal)
    reboot(world)
    swap_device(world, PEER)
    with pytest.raises(StalePlan, match=r"8 of its steps stand: `simkit rollback`"):
        again(world)
    assert world.is_as_it_was()


def test_what_came_into_use_after_a_crash_is_not_taken(world):
    with suppress(Killed):
        apply(PLAN, Faulty(world.node, 5, "dead"), world.journal)
    (world.folder / DEVICES / str(PEER) / "boot_vga").write_text("1\n")
    with pytest.raises(InterlockError, match=f"{PEER} away"):
        resume(world.journal, RecordedNode(world.folder))


def test_undoing_leaves_another_device_alone(world):
    """The NIC's numbers are another NIC's by now, which has virtual functions of its own."""
    apply(PLAN, world.node, world.journal)
    reboot(world)
    swap_device(world, NIC)
    world.node.write(f"{DEVICES}/{NIC}/sriov_numvfs", b"4")
    world.start = snapshot(world.folder)
    assert rollback(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


def test_undoing_stops_at_what_somebody_else_made_of_it(world):
    apply(with_steps(small_plan(vfs=0)), world.node, world.journal)
    rollback(world.journal, world.node)
    only_vfs = replace(PLAN, steps=PLAN.steps[:2])
    apply(only_vfs, world.node, world.journal)
    world.node.write(f"{DEVICES}/{NIC}/sriov_numvfs", b"0")
    world.node.write(f"{DEVICES}/{NIC}/sriov_numvfs", b"4")
    with pytest.raises(StepFailed, match=r"reads '4', not '2', neither as the plan left it nor as it was"):
        rollback(world.journal, world.node)
    assert (world.folder / DEVICES / str(NIC) / "sriov_numvfs").read_text() == "4\n"
    world.node.write(f"{DEVICES}/{NIC}/sriov_numvfs", b"0")
    assert resume(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


def test_a_guest_that_runs_keeps_its_devices(world):
    """Unbinding vfio-pci would wait for the guest to end."""
    apply(PLAN, world.node, world.journal)
    held = world.folder / "proc/77/fd"
    held.mkdir(parents=True)
    (held / "9").symlink_to("/dev/vfio/6")
    records = world.journal.read_bytes()
    with pytest.raises(InterlockError, match=rf"{GPU} is open \(/dev/vfio/6\) in process 77; stop it first"):
        rollback(world.journal, world.node)
    assert world.journal.read_bytes() == records
    assert apply(PLAN, world.node, world.journal).outcome is Outcome.ALREADY, "what stands takes nothing away"
    shutil.rmtree(held.parent)
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


@pytest.mark.parametrize("way", [lambda world, node: apply(PLAN, node, world.journal), lambda world, node: resume(world.journal, node),
                                 lambda world, node: rollback(world.journal, node)])
def test_a_journal_is_of_one_node(world, tmp_path, way):
    apply(PLAN, world.node, world.journal)
    records = world.journal.read_bytes()
    other = World(tmp_path / "other")
    with pytest.raises(ExecutorError, match=r"tells of node .*, not of .*other/node"):
        way(world, other.node)
    assert other.is_as_it_was()
    assert world.journal.read_bytes() == records


def test_the_same_path_on_another_machine_is_another_node(world):
    identity = world.folder / "etc/machine-id"
    identity.parent.mkdir()
    identity.write_text("aaaa\n")
    apply(PLAN, world.node, world.journal)
    identity.write_text("bbbb\n")
    with pytest.raises(ExecutorError, match=r"of machine aaaa, not of .* of machine bbbb"):
        rollback(world.journal, world.node)


def test_what_was_allowed_once_is_not_allowed_for_good(world):
    (world.folder / DEVICES / str(PEER) / "boot_vga").write_text("1\n")
    world.start = snapshot(world.folder)
    apply(PLAN, world.node, world.journal, allow=(PEER,))
    rollback(world.journal, world.node)
    with pytest.raises(InterlockError, match=f"{PEER} away"):
        apply(PLAN, world.node, world.journal)
    assert world.is_as_it_was()


def test_an_interrupted_apply_goes_on_with_what_it_was_allowed(world):
    (world.folder / DEVICES / str(PEER) / "boot_vga").write_text("1\n")
    world.start = snapshot(world.folder)
    with suppress(StepFailed):
        apply(PLAN, world.node, world.journal, allow=(GPU, PEER), fail_at=PLAN.steps[2].id)
    with suppress(Killed):
        apply(PLAN, Faulty(world.node, 5, "dead"), world.journal, allow=(PEER,))
    assert resume(world.journal, RecordedNode(world.folder)).outcome is Outcome.APPLIED
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_a_restored_journal_can_be_begun_on_another_node(world, tmp_path):
    apply(PLAN, world.node, world.journal)
    rollback(world.journal, world.node)
    other = World(tmp_path / "other")
    assert apply(PLAN, other.node, world.journal).outcome is Outcome.APPLIED
    assert status(world.journal).node == str(other.folder)


def test_a_node_is_changed_by_one_at_a_time(world):
    """Another journal is no other node."""
    with exclusive(world.node):
        for way in (lambda: apply(PLAN, world.node, world.journal.with_name("other")), lambda: rollback(world.journal, world.node)):
            with pytest.raises(ExecutorError, match="another process is changing this node"):
                way()
        assert apply(PLAN, world.node, world.journal, dry_run=True).outcome is Outcome.REHEARSED
    assert world.is_as_it_was()


def test_a_disk_that_stays_full_leaves_a_journal_to_go_on_with(world, monkeypatch):
    count = 0
    real = os.write

    def write(handle, data):
        nonlocal count
        count += 1
        if count >= 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    with monkeypatch.context() as patch, pytest.raises(StepFailed, match=r"journal cannot be written .*: 5 steps stand.*simkit rollback"):
        patch.setattr(os, "write", write)
        apply(PLAN, world.node, world.journal)
    assert rollback(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


EVIL = [("unbind", Write("sys/bus/pci/drivers/nvme/unbind", str(DISK))), ("override", Write(f"{DEVICES}/{DISK}/driver_override", "vfio-pci")),
        ("numvfs", Write(f"{DEVICES}/{NIC}/remove", "1")), ("bind", Write("sys/bus/pci/drivers/vfio-pci/new_id", "144d a80a")),
        ("acs", SetAcs(DISK_PORT, 0x1D, 0)), ("bind", Write("sys/bus/pci/rescan", "1"))]


@pytest.mark.parametrize("where", ["do", "undo"])
@pytest.mark.parametrize(("word", "evil"), EVIL)
def test_a_step_that_writes_to_another_function_is_refused(world, word, evil, where):
    """Interlocks go by a step's subject; so nothing else may be written, in a plan that somebody edited."""
    steps = list(PLAN.steps)
    index = next(index for index, step in enumerate(steps) if f"-{word}-" in step.id)
    steps[index] = replace(steps[index], **{where: (evil, *getattr(steps[index], where))})
    with pytest.raises(InputError, match=rf"{steps[index].id}: (writes|sets ACS).*which is none of a step"):
        apply(replace(PLAN, steps=tuple(steps)), world.node, world.journal)
    assert world.is_as_it_was()


@pytest.mark.parametrize(("ignored", "says"), [(False, "was refused"), (True, "undone, but .* reads no link, not a link to nvidia")])
def test_failed_undo_says_so_and_resume_carries_on(world, ignored, says):
    class NoWayBack(Faulty):
        def write(self, path, data, offset=0):
            if path != "sys/bus/pci/drivers/nvidia/bind":
                self.node.write(path, data, offset)
            elif not ignored:
                raise refusal(errno.EBUSY, path)

    last = PLAN.steps[-1].id
    with pytest.raises(StepFailed, match=rf"made to fail.*then undoing failed.*{says}.*simkit resume"):
        apply(PLAN, NoWayBack(world.node, 0, ""), world.journal, fail_at=last)
    assert status(world.journal).phase is Phase.UNDOING
    assert resume(world.journal, world.node).outcome is Outcome.RESTORED
    assert world.is_as_it_was()


def stale(world, plan=PLAN):
    before = snapshot(world.folder)
    with pytest.raises(StalePlan) as caught:
        apply(plan, world.node, world.journal)
    assert not difference(before, snapshot(world.folder))
    assert not world.journal.exists()
    with pytest.raises(StalePlan):
        apply(plan, world.node, world.journal, dry_run=True)
    return str(caught.value)


def test_stale_other_device(world):
    (world.folder / DEVICES / str(GPU) / "device").write_text("0x2331\n")
    assert f"{DEVICES}/{GPU}/device reads '0x2331', not '0x2330'" in stale(world)


def test_stale_other_driver_and_override(world):
    world.node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    world.node.write(f"{DEVICES}/{GPU}/driver_override", b"pci-stub")
    text = stale(world)
    assert "driver_override reads 'pci-stub', not '(null)'" in text


def test_stale_group_with_a_newcomer(world):
    (world.folder / "sys/kernel/iommu_groups/6/devices" / str(DISK)).symlink_to("../nowhere")
    assert f"IOMMU group 6 holds {GPU}, {DISK}, not {GPU}" in stale(world)


def test_stale_acs_of_a_port_above(world):
    world.node.write(f"{DEVICES}/{DOWNSTREAM[2]}/config", b"\0\0", 0x106)
    assert "isolation is not what the plan counted on" in stale(world)


def test_stale_device_gone_and_plan_edited(world):
    (world.folder / DEVICES / str(AUDIO)).unlink()
    assert f"{AUDIO} (10de:22ba) is not there any more" in stale(world)
    assert "the fingerprint in the plan is not that of the host" in stale(world, replace(PLAN, fingerprint="sha256:0"))


def test_stale_without_the_module(world):
    world.node = RecordedNode(world.folder, modules=())
    assert "modprobe vfio-pci" in stale(world)


def test_interlock_of_usage_and_of_the_node(world):
    host = small_host()
    plan = with_steps(small_plan(host.with_functions(replace(host[GPU], usage="console"))))
    with pytest.raises(InterlockError, match="the host's console"):
        apply(plan, world.node, world.journal)
    (world.folder / DEVICES / str(PEER) / "boot_vga").write_text("1\n")
    with pytest.raises(InterlockError, match=f"{PEER} away: it is the console"):
        apply(plan, world.node, world.journal, allow=(GPU,))
    assert not world.journal.exists()
    assert apply(plan, world.node, world.journal, allow=(GPU, PEER)).outcome is Outcome.APPLIED


def test_existing_vfs_are_remade_and_come_back(world, tmp_path):
    host = small_host()
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    world.node.write(f"{DEVICES}/{NIC}/sriov_numvfs", b"1")
    world.start = snapshot(world.folder)
    old = replace(nic, address=small_vf(0), device_id=0x101E, physfn=NIC, sriov=None, driver="mlx5_core", iommu_group=10)
    plan = with_steps(small_plan(replace(host, functions=(*host.with_functions(replace(nic, sriov=replace(nic.sriov, num_vfs=1))).functions, old))))
    with pytest.raises(InterlockError):
        apply(plan, world.node, world.journal)
    with pytest.raises(StepFailed):
        apply(plan, world.node, world.journal, allow=(small_vf(0),), fail_at=plan.steps[-1].id)
    assert world.is_as_it_was()
    apply(plan, world.node, world.journal, allow=(small_vf(0),))
    assert world.is_as_planned()
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_a_journal_of_another_plan_is_refused_until_rolled_back(world):
    apply(PLAN, world.node, world.journal)
    other = with_steps(small_plan(vfs=1))
    with pytest.raises(ExecutorError, match="another plan, which is applied"):
        apply(other, world.node, world.journal)
    rollback(world.journal, world.node)
    assert apply(other, world.node, world.journal).outcome is Outcome.APPLIED


def test_a_journal_is_one_processs_at_a_time(world):
    with journal_module.start_journal(world.journal, PLAN, "n", ()) as log:
        log.append(Mark.UNDOING)
        with pytest.raises(ExecutorError, match="another process"):
            rollback(world.journal, world.node)
        assert status(world.journal).phase is Phase.UNDOING


def test_status_reads_and_never_writes(world):
    apply(PLAN, world.node, world.journal)
    world.journal.write_bytes(world.journal.read_bytes() + b'{"mark":"undo')
    torn = world.journal.read_bytes()
    world.journal.chmod(0o400)
    assert status(world.journal).phase is Phase.APPLIED
    assert world.journal.read_bytes() == torn


@pytest.mark.parametrize("damage", [b'{"simkit":"plan/1"}\n', b"[]\n{}\n", b"\xff\xfe\n{}\n", b"", b'{"simkit":"journal/1"}\n', b"1\n",
                                    b'{"simkit":"journal/1","plan":7,"plan_sha256":"","allow":[],"node":""}\n'])
def test_no_journal_at_all(world, damage):
    world.journal.write_bytes(damage)
    with pytest.raises(MalformedDocument, match="journal"):
        resume(world.journal, world.node)
    assert world.is_as_it_was()


def test_damage_in_the_middle_is_not_a_torn_end(world):
    apply(PLAN, world.node, world.journal)
    lines = world.journal.read_bytes().splitlines(keepends=True)
    world.journal.write_bytes(b"".join((*lines[:3], b"{torn\n", *lines[4:])))
    with pytest.raises(MalformedDocument, match=r"journal.jsonl:4: a damaged journal"):
        rollback(world.journal, world.node)


def test_a_node_that_takes_no_notice_is_found_out(world):
    """A plain folder is no kernel: no virtual function appears, which re-reading shows, and what was written is written back."""
    plain = LocalNode(world.folder)
    (world.folder / "sys/bus/pci/drivers/vfio-pci").mkdir()
    with pytest.raises(StepFailed, match=r"numvfs.*but .*virtfn0 reads no link"):
        apply(PLAN, plain, world.journal)
    assert [plain.read(f"{DEVICES}/{NIC}/{name}") for name in ("sriov_numvfs", "sriov_drivers_autoprobe")] == [b"0", b"1"]
    assert [name.rpartition("/")[2] for name in difference(world.start, snapshot(world.folder)).changed] == ["sriov_drivers_autoprobe", "sriov_numvfs"]


def test_journal_records_are_on_disk_before_the_write(world, monkeypatch):
    """The order of fsync and write: an intent is synced before its write happens."""
    events = []
    monkeypatch.setattr(os, "fsync", lambda handle: events.append("sync"))
    real = RecordedNode.write
    monkeypatch.setattr(RecordedNode, "write", lambda self, *rest: (events.append("write"), real(self, *rest))[1])
    apply(PLAN, world.node, world.journal)
    assert events[:4] == ["sync", "sync", "sync", "write"], "header, folder, intent"
    assert events.count("sync") == RECORDS + 2
    assert all(first == "sync" for first, second in pairwise(events) if second == "write")


def test_journal_is_read_as_plain_json(world):
    apply(PLAN, world.node, world.journal)
    header, *records = [json.loads(line) for line in world.journal.read_text().splitlines()]
    assert header["simkit"] == "journal/1"
    assert header["fingerprint"] == PLAN.fingerprint
    assert [record["mark"] for record in records] == ["intent", "done"] * STEPS + ["applied"]


def test_a_journal_keeps_its_history(world):
    with suppress(StepFailed):
        apply(PLAN, world.node, world.journal, fail_at=PLAN.steps[3].id)
    assert "made to fail" in status(world.journal).last_failure
    length = len(world.journal.read_bytes())
    apply(PLAN, world.node, world.journal)
    assert len(world.journal.read_bytes()) > length
    found = status(world.journal)
    assert (found.last_failure, len(found.touched)) == ("", STEPS)


def test_apply_finishes_an_undo_before_it_begins_again(world):
    with suppress(Killed):
        apply(PLAN, Faulty(world.node, STEPS + 3, "dead"), world.journal, fail_at=PLAN.steps[-1].id)
    assert status(world.journal).phase is Phase.UNDOING
    result = apply(PLAN, world.node, world.journal)
    assert result.done == tuple(step.id for step in PLAN.steps)
    assert world.is_as_planned()
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_what_somebody_else_changes_in_between_is_seen_at_the_end(world):
    class Meddler(Faulty):
        def write(self, path, data, offset=0):
            super().write(path, data, offset)
            if self.writes == WRITES:
                self.node.write(f"{DEVICES}/{GPU}/driver_override", b"\n")

    with pytest.raises(StepFailed, match=r"all steps were made, but .*driver_override reads '\(null\)', not 'vfio-pci'"):
        apply(PLAN, Meddler(world.node, 0, ""), world.journal)
    assert world.is_as_it_was()


def test_what_somebody_else_changes_before_a_step_is_seen_there(world):
    class Meddler(Faulty):
        def write(self, path, data, offset=0):
            super().write(path, data, offset)
            if self.writes == 2:
                self.node.write(f"{DEVICES}/{DOWNSTREAM[1]}/config", b"\x04", 0x106)

    with pytest.raises(StepFailed, match=r"004-acs.*reads 0x04, not ACS control 0x00 under 0x5d before it"):
        apply(PLAN, Meddler(world.node, 0, ""), world.journal)
    (world.folder / DEVICES / str(DOWNSTREAM[1]) / "config").write_bytes(
        world.start.entries[os.path.relpath((world.folder / DEVICES / str(DOWNSTREAM[1]) / "config").resolve(), world.folder)])
    assert world.is_as_it_was()


def test_a_step_that_expects_nothing_of_what_it_changes_is_still_undone(world):
    plan = replace(PLAN, steps=tuple(replace(step, before=()) for step in PLAN.steps))
    apply(plan, world.node, world.journal)
    rollback(world.journal, world.node)
    assert world.is_as_it_was()


def test_stale_device_in_another_slot(world):
    link = world.folder / DEVICES / str(GPU)
    old, new = link.resolve(), link.resolve().parents[1] / str(DOWNSTREAM[2]) / str(GPU)
    for entry in [link, *old.iterdir()]:
        if entry.is_symlink():
            target = entry.resolve()
            entry.unlink()
            entry.symlink_to(new if entry == link else target)
    old.rename(new)
    assert f"{GPU} is below {DOWNSTREAM[2]}, not below {DOWNSTREAM[0]}" in stale(world)


def test_a_device_that_is_gone_is_not_an_unbound_one(world):
    gone = ExpectLink(f"{DEVICES}/{small_vf(0)}/driver", None)
    assert [str(found) for found in mismatches(world.node, [gone])] == [f"{DEVICES}/{small_vf(0)}/driver reads nothing (no such folder), not no link"]
    assert holds(world.node, [ExpectLink(f"{DEVICES}/{NIC}/virtfn0", None)])
