"""What a node itself shows to be in use: mounted disks and swap, interfaces that it talks over, the console, what processes hold open."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.executors.connections import interfaces
from simkit.executors.node import Node
from simkit.executors.observe import last_function
from simkit.executors.open_files import held_open
from simkit.model.address import Address
from simkit.plan import attributes

_TABLE_BYTES = 4 << 20
_DEEPEST = 8


def in_use(node: Node) -> dict[Address, str]:
    """What each function is used for, as far as the node tells (proc(5), sysfs): the first use found, the root disk before others."""
    found: dict[Address, str] = {}
    for address, use in (*_disks(node), *_networks(node), *_consoles(node), *held_open(node).items()):
        found.setdefault(address, use)
    return found


def _disks(node: Node) -> Iterator[tuple[Address, str]]:
    mounts = []
    for line in _lines(node, "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        words, origin = before.split(), after.split()
        if len(words) > 4 and len(origin) > 1:
            mounts.append((words[4] != "/", words[4], words[2], origin[0], origin[1]))
    for _, point, number, kind, source in sorted(mounts):
        use = "the disk of the root file system" if point == "/" else f"a disk that is mounted at {point}"
        if kind == "zfs":
            pool = source.partition("/")[0]
            use = f"a disk that may be in the ZFS pool {pool}, mounted at {point}: the kernel does not tell which disks are"
        for name in _members(node, number, kind, source):
            yield from ((address, use) for address in _block(node, name))
    for line in _lines(node, "proc/swaps")[1:]:
        yield from ((address, "a disk with swap in use") for address in _block(node, line.split()[0].rpartition("/")[2]))


def _members(node: Node, number: str, kind: str, source: str) -> Iterator[str]:
    """The block devices that a file system lies on: one by its number, or several by what the file system says."""
    one = node.readlink(f"sys/dev/block/{number}")
    names = [(one or source).rpartition("/")[2]] if one or kind != "bcachefs" else [part.rpartition("/")[2] for part in source.split(":")]
    if kind == "zfs":
        names = [name for name in node.listdir("sys/class/block") if not name.startswith("zd")]
    if kind == "btrfs":
        for pool in node.listdir("sys/fs/btrfs"):
            devices = node.listdir(f"sys/fs/btrfs/{pool}/devices")
            names += [name for name in devices if names[0] in devices and name != names[0]]
    yield from names


def _block(node: Node, name: str, depth: int = 0) -> Iterator[Address]:
    """The functions below a block device; through device mapper and RAID (`slaves`), and NVMe's multipath subsystems."""
    link = node.readlink(f"sys/class/block/{name}")
    if link is None or depth > _DEEPEST:
        return
    yield from last_function(link)
    parts = link.split("/")
    whole = parts[-2] if len(parts) > 1 and parts[-2] not in ("block", "") else name
    for disk in {name, whole}:
        for slave in node.listdir(f"sys/class/block/{disk}/slaves"):
            yield from _block(node, slave, depth + 1)
    for subsystem in (part for part in parts if part.startswith("nvme-subsys") and part != "nvme-subsystem"):
        for controller in node.listdir(f"sys/class/nvme-subsystem/{subsystem}"):
            yield from last_function(node.readlink(f"sys/class/nvme/{controller}") or "")


def _networks(node: Node) -> Iterator[tuple[Address, str]]:
    for name, use in interfaces(node).items():
        yield from ((address, f"the network interface {name} {use}") for address in _interface(node, name))


def _interface(node: Node, name: str, depth: int = 0) -> Iterator[Address]:
    """The functions below an interface; through bonds, bridges and VLANs (`lower_*`)."""
    link = node.readlink(f"sys/class/net/{name}")
    if link is None or depth > _DEEPEST:
        return
    yield from last_function(link)
    for entry in node.listdir(f"sys/class/net/{name}"):
        if entry.startswith("lower_"):
            yield from _interface(node, entry.removeprefix("lower_"), depth + 1)


def _consoles(node: Node) -> Iterator[tuple[Address, str]]:
    for name in node.listdir(attributes.DEVICES):
        if (node.read(f"{attributes.DEVICES}/{name}/boot_vga") or b"").strip() == b"1":
            yield from ((address, "the console (boot_vga)") for address in last_function(name))


def _lines(node: Node, path: str) -> list[str]:
    data = node.read(path, _TABLE_BYTES)
    return [] if data is None else data.decode("utf-8", "replace").splitlines()
