"""What every node must do, as one call in a test: `check_executor(LocalNode)`."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path

from simkit.errors import ExecutorError, StepFailed
from simkit.executors.apply import Outcome, apply, rollback
from simkit.executors.compare import difference, snapshot
from simkit.executors.node import Node
from simkit.model.step import StepKind
from simkit.plan.plan import with_steps
from simkit.testing.small_node import GPU, NIC, small_plan, write_small_node

_DEVICE = f"sys/bus/pci/devices/{GPU}"


def check_executor(make_node: Callable[[Path], Node], *, answers_writes: bool = False) -> None:
    """Check a node made of a folder by `make_node` against the promises of `simkit.executors.node.Node`.

    With `answers_writes` the node is one that behaves as a kernel does: a plan is also applied to it, made to fail at every
    step, and rolled back, each compared byte for byte with the start.

    Raises:
        AssertionError: with a sentence on the promise that is not kept.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = write_small_node(Path(place) / "node")
        _reads(make_node(folder))
        _refuses(make_node(folder), folder)
        _writes(make_node(folder), folder)
    if answers_writes:
        with tempfile.TemporaryDirectory() as place:
            _transactions(make_node, Path(place))


def _require(kept: object, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)


def _reads(node: Node) -> None:
    _require(bool(node.name), "a node has a name")
    _require(node.read(f"{_DEVICE}/vendor") == b"0x10de\n", "read gives a file's bytes, through sysfs' links")
    _require(node.read(f"{_DEVICE}/vendor", 4) == b"0x10", "read gives no more than its limit")
    _require(node.read(f"{_DEVICE}/config", 1 << 16) == node.read(f"{_DEVICE}/config", 4096), "read gives all there is below its limit")
    _require(node.read(f"{_DEVICE}/absent") is None, "read gives None where there is no file")
    _require((node.readlink(f"{_DEVICE}/driver") or "").endswith("/nvidia"), "readlink gives a link's text, of the last component only")
    _require(node.readlink(f"{_DEVICE}/vendor") is None, "readlink gives None for what is no link")
    names = node.listdir("sys/bus/pci/devices")
    _require(str(GPU) in names and tuple(sorted(names)) == names, "listdir gives the names in order")
    _require(node.listdir("sys/absent") == (), "listdir gives nothing where there is no folder")


def _refuses(node: Node, folder: Path) -> None:
    start = snapshot(folder)
    for path, number in ((f"{_DEVICE}/absent", errno.ENOENT), (_DEVICE, errno.EISDIR), ("../outside", errno.EINVAL), ("/etc/hostname", errno.EINVAL)):
        try:
            node.write(path, b"1")
        except ExecutorError as error:
            _require(error.errno == number, f"writing {path} fails with {errno.errorcode[number]}, not {errno.errorcode.get(error.errno or 0, error.errno)}")
        else:
            raise AssertionError(f"writing {path} must be refused")
    _require(not difference(start, snapshot(folder)), "a refused write changes nothing")


def _writes(node: Node, folder: Path) -> None:
    node.write(f"{_DEVICE}/driver_override", b"vfio-pci")
    _require((node.read(f"{_DEVICE}/driver_override") or b"").strip() == b"vfio-pci", "write at offset 0 replaces the value")
    port = "sys/bus/pci/devices/0000:02:01.0/config"
    before = (folder / port).read_bytes()
    node.write(port, b"\x1d\x00", 0x106)
    after = (folder / port).read_bytes()
    _require(after == before[:0x106] + b"\x1d\x00" + before[0x108:], "write at an offset changes those bytes alone")


def _transactions(make_node: Callable[[Path], Node], place: Path) -> None:
    plan = with_steps(small_plan())
    folder = write_small_node(place / "node")
    start = snapshot(folder)
    journal = place / "journal"
    for step in plan.steps:
        try:
            apply(plan, make_node(folder), journal, fail_at=step.id)
        except StepFailed:
            pass
        else:
            raise AssertionError(f"{step.id} was made to fail, and apply did not say so")
        _require(not difference(start, snapshot(folder)), f"after a failure at {step.id} the node is as it was")
    _require(apply(plan, make_node(folder), journal).outcome is Outcome.APPLIED, "a plan for this node can be applied")
    bound = [step for step in plan.steps if step.kind is StepKind.BIND]
    _require(all((folder / f"sys/bus/pci/devices/{step.subject}/driver").resolve().name == "vfio-pci" for step in bound), "devices are bound to vfio-pci")
    _require((folder / f"sys/bus/pci/devices/{NIC}/sriov_numvfs").read_text(encoding="utf-8").strip() == "2", "virtual functions are there")
    rollback(journal, make_node(folder))
    _require(not difference(start, snapshot(folder)), "rolled back, the node is as it was")
