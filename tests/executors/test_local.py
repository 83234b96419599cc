"""LocalNode on a folder shaped like sysfs: plain file I/O, and never out of its root."""

from __future__ import annotations

import errno
import os

import pytest

from simkit.errors import ExecutorError
from simkit.executors.local import LocalNode
from simkit.executors.node import Node
from simkit.testing.small_node import GPU, write_small_node

DEVICE = f"sys/bus/pci/devices/{GPU}"


@pytest.fixture
def node(tmp_path) -> Node:
    return LocalNode(write_small_node(tmp_path / "node"))


def test_reads(node):
    assert node.read(f"{DEVICE}/vendor") == b"0x10de\n"
    assert node.read(f"{DEVICE}/vendor", 4) == b"0x10"
    assert node.read(f"{DEVICE}/nothing") is None
    assert node.read(f"{DEVICE}/vendor/below") is None
    assert node.readlink(f"{DEVICE}/driver").endswith("drivers/nvidia")
    assert node.readlink(f"{DEVICE}/vendor") is None
    assert str(GPU) in node.listdir("sys/bus/pci/devices")
    assert node.listdir("sys/none") == ()


def test_writes_replace_or_patch(node):
    node.write(f"{DEVICE}/driver_override", b"x")
    assert node.read(f"{DEVICE}/driver_override") == b"x"
    node.write(f"{DEVICE}/config", b"\xab\xcd", 0x106)
    data = node.read(f"{DEVICE}/config", 1 << 20)
    assert len(data) == 4096
    assert data[0x105:0x109] == b"\0\xab\xcd\0"


@pytest.mark.parametrize(("path", "number"), [(f"{DEVICE}/none", errno.ENOENT), (DEVICE, errno.EISDIR), ("../x", errno.EINVAL), ("/etc/x", errno.EINVAL),
                                               ("sys/../../x", errno.EINVAL), ("a\0b", errno.EINVAL)])
def test_refusals(node, path, number):
    with pytest.raises(ExecutorError) as caught:
        node.write(path, b"1")
    assert caught.value.errno == number
    assert isinstance(caught.value, OSError)


def test_no_file_is_created_and_no_link_leads_out(node, tmp_path):
    (tmp_path / "outside").write_text("secret")
    way = tmp_path / "node/sys/out"
    way.symlink_to(tmp_path)
    for act in (lambda: node.read("sys/out/outside"), lambda: node.write("sys/out/outside", b"1"), lambda: node.listdir("sys/out")):
        with pytest.raises(ExecutorError, match="leads out"):
            act()
    assert (tmp_path / "outside").read_text() == "secret"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_permission_says_what_to_do(node, tmp_path):
    path = tmp_path / "node" / DEVICE / "driver_override"
    path.chmod(0o444)
    with pytest.raises(ExecutorError, match="run as root"):
        node.write(f"{DEVICE}/driver_override", b"1")
