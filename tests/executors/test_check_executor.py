"""The public check passes our nodes and finds broken ones."""

from __future__ import annotations

import pytest

from simkit.executors.local import LocalNode
from simkit.executors.recorded import RecordedNode
from simkit.testing.check_executor import check_executor


def test_our_nodes():
    check_executor(LocalNode)
    check_executor(RecordedNode, answers_writes=True)


class Reads(LocalNode):
    def read(self, path, limit_bytes=4096):
        return super().read(path, 1 << 20)


class Lists(LocalNode):
    def listdir(self, path):
        return tuple(reversed(super().listdir(path)))


class Creates(LocalNode):
    def write(self, path, data, offset=0):
        if not (self.root / path).exists():
            (self.root / path).write_bytes(data)
        else:
            super().write(path, data, offset)


class Truncates(LocalNode):
    def write(self, path, data, offset=0):
        super().write(path, data, offset)
        if offset:
            (self.root / path).write_bytes(data)


class Leaks(RecordedNode):
    def write(self, path, data, offset=0):
        super().write(path, data, offset)
        if path.endswith("/sriov_numvfs") and data == b"0":
            (self.root / "sys/left-behind").touch()


@pytest.mark.parametrize(("broken", "says"), [
    (Reads, "no more than its limit"), (Lists, "in order"), (Creates, "must be refused"), (Truncates, "those bytes alone"), (Leaks, "the node is as it was"),
])
def test_broken_nodes_are_found(broken, says):
    with pytest.raises(AssertionError, match=says):
        check_executor(broken, answers_writes=issubclass(broken, RecordedNode))
