"""Disks that the host uses at the moment: what is mounted and what is swapped to, down to the PCI functions (proc(5), sysfs)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from simkit.formats.sysfs.files import Files
from simkit.formats.sysfs.held import DEEPEST, MOUNTED, ROOT_DISK, SWAP, Held, table
from simkit.formats.sysfs.path import owners
from simkit.model.address import Address

_BLOCK = "sys/class/block"
_SOURCE = re.compile(r"/dev/[\w.:@!+/-]{1,200}", re.ASCII)
_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class _Mount:
    """A line of mountinfo; in the order in which they are told: what is certain, the root, then by place."""

    is_zfs: bool
    is_below_root: bool
    point: str
    number: str
    kind: str
    source: str


def held_disks(files: Files) -> Iterator[Held]:
    """Functions with disks in use, each once: for the root file system, else for the first place it is mounted at, else for swap.

    A disk that ZFS may have in a pool comes last, as the kernel does not tell which are. Not seen: volume groups and arrays that are
    assembled but not mounted, and what other mount namespaces have mounted.
    """
    told: set[Address] = set()
    for folder, use, why in (*_mounted(files), *_swapped(files)):
        for address in _functions(files, folder):
            if address not in told:
                told.add(address)
                yield Held(address, use, why)


def _mounted(files: Files) -> Iterator[tuple[str, str, str]]:
    """The folder of each block device with a file system, and the words for it. Several mounts of one device are told once."""
    done: set[tuple[str, str]] = set()
    for mount in sorted(_mounts(files)):
        pool, point = mount.source.partition("/")[0], _shown(mount.point)
        key = ("zfs", pool) if mount.is_zfs else (mount.number, mount.source)
        if key in done:
            continue
        done.add(key)
        use, why = (f"{MOUNTED}{point}", f"a disk that is mounted at {point}") if mount.is_below_root else (ROOT_DISK, "the disk of the root file system")
        if mount.is_zfs:
            use = f"possible disk of ZFS pool {_shown(pool)}"
            why = f"a disk that may be in the ZFS pool {_shown(pool)}, mounted at {point}: the kernel does not tell which disks are"
        yield from ((folder, use, why) for folder in _members(files, mount))


def _mounts(files: Files) -> Iterator[_Mount]:
    """Fields 3 and 5 of each line, and type and source after the dash (proc_pid_mountinfo(5))."""
    for line in table(files, "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        words, origin = before.split(" "), after.split(" ")
        if len(words) > 4 and len(origin) > 1:
            yield _Mount(origin[0] == "zfs", words[4] != "/", words[4], words[2], origin[0], origin[1])


def _shown(text: str) -> str:
    """A name on the disk, as far as a person wants to read it."""
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in short)


def _members(files: Files, mount: _Mount) -> Iterator[str]:
    """The block devices that a file system lies on: one by its number, or several by what the file system says of itself."""
    if mount.is_zfs:
        names = (name for name in files.listdir(_BLOCK) if not name.startswith("zd"))
        yield from (found for name in names if (found := files.realpath(f"{_BLOCK}/{name}")) is not None)
        return
    one = files.realpath(f"sys/dev/block/{mount.number}") if re.fullmatch(r"\d{1,6}:\d{1,8}", mount.number, re.ASCII) else None
    sources = mount.source.split(":") if mount.kind == "bcachefs" else [mount.source]
    folders = [one] if one is not None else [found for source in sources if (found := _by_name(files, source)) is not None]
    yield from folders
    if mount.kind == "btrfs":
        ours = {folder.rpartition("/")[2] for folder in folders}
        for pool in files.listdir("sys/fs/btrfs"):
            devices = files.listdir(f"sys/fs/btrfs/{pool}/devices")
            if ours.intersection(devices):
                yield from (found for name in devices if (found := files.realpath(f"{_BLOCK}/{name}")) is not None)


def _by_name(files: Files, source: str) -> str | None:
    """The folder of `/dev/sda1`, or of a link to it as in /dev/disk/by-uuid; /dev/mapper's names by device mapper, should they be no links."""
    if _SOURCE.fullmatch(source) is None or ".." in source:
        return None
    name = (files.realpath(source[1:]) or source).rpartition("/")[2]
    found = files.realpath(f"{_BLOCK}/{name}") if name else None
    if found is None and source.startswith("/dev/mapper/"):
        mapped = (f"{_BLOCK}/{entry}" for entry in files.listdir(_BLOCK) if entry.startswith("dm-"))
        found = next((files.realpath(entry) for entry in mapped if (files.read(f"{entry}/dm/name") or b"").strip() == name.encode()), None)
    return found


def _swapped(files: Files) -> Iterator[tuple[str, str, str]]:
    """Swap partitions; a swap file lies on a disk that is mounted."""
    for line in table(files, "proc/swaps")[1:]:
        folder = _by_name(files, (line.split() or [""])[0])
        if folder is not None:
            yield folder, SWAP, "a disk with swap in use"


def _functions(files: Files, folder: str, depth: int = 0) -> Iterator[Address]:
    """Through what is no device of its own: device mapper, RAID and bcache by `slaves`, NVMe multipath by the subsystem's controllers."""
    found = tuple(owners(folder))
    yield from found
    if found or depth > DEEPEST:
        return
    below = next((place for place in (folder, folder.rpartition("/")[0]) if files.listdir(f"{place}/slaves")), folder)
    for slave in files.listdir(f"{below}/slaves"):
        real = files.realpath(f"{below}/slaves/{slave}")
        if real is not None:
            yield from _functions(files, real, depth + 1)
    subsystem = re.match(r"(.*/nvme-subsys\d+)(/|$)", folder, re.ASCII)
    if subsystem is not None:
        for entry in files.listdir(subsystem[1]):
            if re.fullmatch(r"nvme\d+", entry, re.ASCII):
                yield from owners(files.realpath(f"{subsystem[1]}/{entry}"))
