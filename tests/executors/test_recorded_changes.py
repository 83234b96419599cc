"""A write to a recorded node happens whole or not at all, as one to sysfs does, whoever is killed meanwhile."""

from __future__ import annotations

import pytest

from simkit.executors.compare import difference, snapshot
from simkit.executors.exclusive import exclusive
from simkit.executors.recorded import RecordedNode
from simkit.executors.recorded_changes import Changes
from simkit.testing.small_node import DOWNSTREAM, GPU, NIC, write_small_node

DEVICES = "sys/bus/pci/devices"
WRITES = [
    (f"{DEVICES}/{NIC}/sriov_numvfs", b"2", 0), (f"{DEVICES}/{NIC}/sriov_drivers_autoprobe", b"0", 0), (f"{DEVICES}/{GPU}/driver_override", b"vfio-pci", 0),
    ("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode(), 0), ("sys/bus/pci/drivers_probe", str(GPU).encode(), 0),
    (f"{DEVICES}/{DOWNSTREAM[1]}/config", b"\x1d\x00", 0x106), (f"{DEVICES}/{NIC}/sriov_numvfs", b"0", 0),
    ("sys/bus/pci/drivers/vfio-pci/unbind", str(GPU).encode(), 0), (f"{DEVICES}/{GPU}/driver_override", b"\n", 0),
    ("sys/bus/pci/drivers/nvidia/bind", str(GPU).encode(), 0),
]


class Killed(BaseException):
    """What `kill -9` would have been."""


def dies(node, write, at, *, undoing=None):
    """Whether the process died, at note number `at` of a write, leaving all as it was then; `undoing`: whoever takes it back dies too, at that operation."""
    count = 0
    real_note, real_undo = Changes._note, Changes._undo

    def note(self, *rest):
        nonlocal count
        count += 1
        if count > at:
            raise Killed
        real_note(self, *rest)

    def undo(self, *rest):
        nonlocal count
        count += 1
        real_undo(self, *rest)
        if count > undoing:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Changes, "_note", note)
        patch.setattr(Changes, "take_back", lambda self: None)
        try:
            node.write(*write)
        except Killed:
            pass
        else:
            return False
    if undoing is not None:
        count = 0
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Changes, "_undo", undo)
            RecordedNode(node.root)
    return True


@pytest.mark.parametrize("undoing", [None, 0, 1])
def test_killed_in_the_middle_of_a_write_it_never_happened(tmp_path, undoing):
    node, deaths = RecordedNode(write_small_node(tmp_path / "node")), 0
    for write in WRITES:
        before, at = snapshot(node.root), 0 if undoing is None else undoing + 1
        while dies(node, write, at, undoing=undoing):
            node = RecordedNode(node.root)
            assert str(difference(before, snapshot(node.root))) == "no difference"
            at, deaths = at + 1, deaths + 1
    assert deaths > 20


def test_what_another_process_is_changing_is_left_to_it(tmp_path):
    node = RecordedNode(write_small_node(tmp_path / "node"))
    changes = Changes(node.root)
    with exclusive(node):
        changes.write(node.root / DEVICES / str(GPU) / "vendor", b"new")
        RecordedNode(node.root)
        assert node.read(f"{DEVICES}/{GPU}/vendor") == b"new"
    RecordedNode(node.root)
    assert node.read(f"{DEVICES}/{GPU}/vendor") == b"0x10de\n"


def test_a_torn_note_is_of_something_that_was_not_begun(tmp_path):
    node = RecordedNode(write_small_node(tmp_path / "node"))
    before = snapshot(node.root)
    (node.root / ".recorded-node").mkdir()
    (node.root / ".recorded-node/changes").write_bytes(b'["write", "proc/ver')
    RecordedNode(node.root)
    assert not difference(before, snapshot(node.root))
