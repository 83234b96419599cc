"""What a node itself shows to be in use: mounted disks and swap, interfaces with a default route, the console."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.executors.node import Node
from simkit.model.address import Address
from simkit.plan import attributes

_ADDRESS = re.compile(r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$")
_TABLE_BYTES = 4 << 20
_NO_ROUTE = "0" * 32
_DEEPEST = 8


def in_use(node: Node) -> dict[Address, str]:
    """What each function is used for, as far as the node tells (proc(5), sysfs): the first use found, the root disk before others.

    Not seen: a disk that a guest uses, a GPU with a process on it, an SSH session on an interface without a default route.
    """
    found: dict[Address, str] = {}
    for address, use in (*_disks(node), *_routes(node), *_consoles(node)):
        found.setdefault(address, use)
    return found


def _disks(node: Node) -> Iterator[tuple[Address, str]]:
    mounts = []
    for line in _lines(node, "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        words, origin = before.split(), after.split()
        if len(words) > 4 and len(origin) > 1:
            mounts.append((words[4] != "/", words[4], words[2], origin[1]))
    for _, point, number, source in sorted(mounts):
        use = "the disk of the root file system" if point == "/" else f"a disk that is mounted at {point}"
        name = (node.readlink(f"sys/dev/block/{number}") or source).rpartition("/")[2]
        yield from ((address, use) for address in _block(node, name))
    for line in _lines(node, "proc/swaps")[1:]:
        yield from ((address, "a disk with swap in use") for address in _block(node, line.split()[0].rpartition("/")[2]))


def _block(node: Node, name: str, depth: int = 0) -> Iterator[Address]:
    """The functions below a block device; through device mapper and RAID (`slaves`), and NVMe's multipath subsystems."""
    link = node.readlink(f"sys/class/block/{name}")
    if link is None or depth > _DEEPEST:
        return
    yield from _last(link)
    parts = link.split("/")
    whole = parts[-2] if len(parts) > 1 and parts[-2] not in ("block", "") else name
    for disk in {name, whole}:
        for slave in node.listdir(f"sys/class/block/{disk}/slaves"):
            yield from _block(node, slave, depth + 1)
    for subsystem in (part for part in parts if part.startswith("nvme-subsys") and part != "nvme-subsystem"):
        for controller in node.listdir(f"sys/class/nvme-subsystem/{subsystem}"):
            yield from _last(node.readlink(f"sys/class/nvme/{controller}") or "")


def _routes(node: Node) -> Iterator[tuple[Address, str]]:
    names = [words[0] for line in _lines(node, "proc/net/route")[1:] if len(words := line.split()) > 7 and words[1] == words[7] == "00000000"]
    names += [words[9] for line in _lines(node, "proc/net/ipv6_route")
              if len(words := line.split()) > 9 and words[0] == _NO_ROUTE and words[1] == "00" and words[9] != "lo"]
    for name in dict.fromkeys(names):
        yield from ((address, f"the network interface {name} with the default route") for address in _interface(node, name))


def _interface(node: Node, name: str, depth: int = 0) -> Iterator[Address]:
    """The functions below an interface; through bonds, bridges and VLANs (`lower_*`)."""
    link = node.readlink(f"sys/class/net/{name}")
    if link is None or depth > _DEEPEST:
        return
    yield from _last(link)
    for entry in node.listdir(f"sys/class/net/{name}"):
        if entry.startswith("lower_"):
            yield from _interface(node, entry.removeprefix("lower_"), depth + 1)


def _consoles(node: Node) -> Iterator[tuple[Address, str]]:
    for name in node.listdir(attributes.DEVICES):
        if _ADDRESS.match(name) and (node.read(f"{attributes.DEVICES}/{name}/boot_vga") or b"").strip() == b"1":
            yield Address.parse(name), "the console (boot_vga)"


def _last(link: str) -> Iterator[Address]:
    addresses = [part for part in link.split("/") if _ADDRESS.match(part)]
    if addresses:
        yield Address.parse(addresses[-1])


def _lines(node: Node, path: str) -> list[str]:
    data = node.read(path, _TABLE_BYTES)
    return [] if data is None else data.decode("utf-8", "replace").splitlines()
