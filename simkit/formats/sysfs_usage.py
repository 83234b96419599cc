"""What a node's own sysfs and procfs show that the host needs: disks of the root file system, NICs of the default route, the boot console."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.errors import InputError
from simkit.formats.files import Files
from simkit.model.address import Address

ROOT_DISK, DEFAULT_ROUTE, CONSOLE = "root disk", "default route", "console"
_NAME = re.compile(r"[\w.:@!-]{1,64}", re.ASCII)
_DEEPEST = 8
_NOWHERE = "0" * 32


def usage(files: Files) -> dict[Address, str]:
    """What each function is needed for, in the order root disk, default route, console; drawn only where the source has it."""
    found: dict[Address, dict[str, None]] = {}
    for use, addresses in ((ROOT_DISK, _root_disk(files)), (DEFAULT_ROUTE, _default_route(files)), (CONSOLE, _console(files))):
        for address in addresses:
            found.setdefault(address, {})[use] = None
    return {address: ", ".join(uses) for address, uses in found.items()}


def _lines(files: Files, path: str) -> list[str]:
    return (files.read(path) or b"").decode("utf-8", "replace").splitlines()


def _above(path: str | None) -> Iterator[Address]:
    """The last PCI function on a path below /sys/devices."""
    for part in reversed((path or "").split("/")):
        if part.count(":") == 2 and "." in part:
            try:
                yield Address.parse(part)
            except InputError:
                continue
            return


def _root_disk(files: Files) -> Iterator[Address]:
    """The mount at `/` (proc(5) mountinfo: fields 3 and 5, and the source after the dash), down to the controllers."""
    for line in _lines(files, "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        words, origin = before.split(), after.split()
        if len(words) < 5 or words[4] != "/":
            continue
        path = files.realpath(f"sys/dev/block/{words[2]}") if re.fullmatch(r"\d{1,6}:\d{1,8}", words[2], re.ASCII) else None
        if path is None and len(origin) > 1 and origin[1].startswith("/dev/"):
            path = _block_device(files, origin[1].removeprefix("/dev/").removeprefix("mapper/"))
        if path is not None:
            yield from _controllers(files, path)


def _block_device(files: Files, name: str) -> str | None:
    """Its folder, by kernel name or by device mapper's name."""
    if not _NAME.fullmatch(name):
        return None
    found = files.realpath(f"sys/class/block/{name}")
    if found is None:
        mapped = (entry for entry in files.listdir("sys/class/block") if entry.startswith("dm-"))
        found = next((files.realpath(f"sys/class/block/{entry}") for entry in mapped
                      if (files.read(f"sys/class/block/{entry}/dm/name") or b"").strip() == name.encode()), None)
    return found


def _controllers(files: Files, path: str, depth: int = 0) -> Iterator[Address]:
    """Below what is no device of its own: device mapper and RAID by `slaves`, NVMe multipath by the subsystem's controllers."""
    found = tuple(_above(path))
    yield from found
    if found or depth > _DEEPEST:
        return
    folder = path if files.listdir(f"{path}/slaves") or not files.listdir(f"{path}/../slaves") else f"{path}/.."
    for slave in files.listdir(f"{folder}/slaves"):
        below = files.realpath(f"{folder}/slaves/{slave}")
        if below is not None:
            yield from _controllers(files, below, depth + 1)
    subsystem = re.match(r"(.*/nvme-subsys\d+)(/|$)", path, re.ASCII)
    if subsystem is not None:
        for entry in files.listdir(subsystem[1]):
            if re.fullmatch(r"nvme\d+", entry, re.ASCII):
                yield from _above(files.realpath(f"{subsystem[1]}/{entry}"))


def _default_route(files: Files) -> Iterator[Address]:
    """Interfaces of routes to 0.0.0.0/0 (/proc/net/route) and ::/0 (/proc/net/ipv6_route), loopback aside."""
    four = [line.split() for line in _lines(files, "proc/net/route")[1:]]
    six = [line.split() for line in _lines(files, "proc/net/ipv6_route")]
    names = [words[0] for words in four if len(words) > 7 and words[1] == words[7] == "00000000"]
    names += [words[9] for words in six if len(words) > 9 and words[0] == _NOWHERE and words[1] == "00" and words[9] != "lo"]
    for name in dict.fromkeys(names):
        yield from _interface(files, name)


def _interface(files: Files, name: str, depth: int = 0) -> Iterator[Address]:
    """Through bonds, bridges and VLANs by their `lower_*` links."""
    if not _NAME.fullmatch(name) or depth > _DEEPEST:
        return
    found = tuple(_above(files.realpath(f"sys/class/net/{name}/device") or files.realpath(f"sys/class/net/{name}")))
    yield from found
    if not found:
        for entry in files.listdir(f"sys/class/net/{name}"):
            if entry.startswith("lower_"):
                yield from _interface(files, entry.removeprefix("lower_"), depth + 1)


def _console(files: Files) -> Iterator[Address]:
    """The display that firmware booted with (`boot_vga_show`)."""
    for entry in files.listdir("sys/bus/pci/devices"):
        if (files.read(f"sys/bus/pci/devices/{entry}/boot_vga") or b"").strip() == b"1":
            yield from _above(entry)
