"""Which functions processes hold open: the device nodes of GPUs, VFIO groups, RDMA devices and disks among the files of /proc."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.errors import ExecutorError
from simkit.executors.node import Node
from simkit.formats.sysfs.path import function_named, owners
from simkit.model.address import Address

_CLASSES = ("drm", "infiniband_verbs", "infiniband_mad", "nvme", "vfio-dev", "sound", "accel")
_GPUS = "proc/driver/nvidia/gpus"


def held_open(node: Node) -> dict[Address, str]:
    """What holds each function open, for people, as far as this process may look (proc(5), PID/fd; all of it as root).

    A driver that is asked to let go of such a function waits until it is closed (vfio_unregister_group_dev; NVIDIA's does the same),
    and the write to `unbind` with it. Not seen: AMD's /dev/kfd, which is one for all GPUs.
    """
    found: dict[Address, str] = {}
    for name, process in _opened(node).items():
        for address in _functions(node, name):
            found.setdefault(address, f"open ({name}) in process {process}")
    return found


def _opened(node: Node) -> dict[str, str]:
    """Device nodes that are open, by the first process that has them."""
    found: dict[str, str] = {}
    for process in (name for name in node.listdir("proc") if name.isdigit()):
        try:
            files = node.listdir(f"proc/{process}/fd")
        except ExecutorError:
            continue
        for file in files:
            target = node.readlink(f"proc/{process}/fd/{file}") or ""
            if target.startswith("/dev/") and target not in found:
                found[target] = f"{process} {_command(node, process)}".rstrip()
    return found


def _command(node: Node, process: str) -> str:
    return (node.read(f"proc/{process}/comm") or b"").decode("utf-8", "replace").strip()


def _functions(node: Node, name: str) -> Iterator[Address]:
    last = name.rpartition("/")[2]
    if re.fullmatch(r"/dev/vfio/\d+", name):
        for member in node.listdir(f"sys/kernel/iommu_groups/{last}/devices"):
            yield from owners(member)
    elif re.fullmatch(r"/dev/nvidia\d+", name):
        yield from (address for address, minor in _minors(node) if f"nvidia{minor}" == last)
    else:
        for kind in _CLASSES:
            yield from owners(node.readlink(f"sys/class/{kind}/{last}") or "")


def _minors(node: Node) -> Iterator[tuple[Address, str]]:
    """NVIDIA's own numbers of its GPUs: `information` of each says ``Device Minor``."""
    for name in node.listdir(_GPUS):
        found = re.search(rb"^Device Minor:\s*(\d+)", node.read(f"{_GPUS}/{name}/information") or b"", re.MULTILINE)
        address = function_named(name)
        if found and address is not None:
            yield address, found[1].decode()
