"""Which PCI functions the names on a path of sysfs speak of, and where a path leads when its links are followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from simkit.errors import InputError
from simkit.model.address import Address, RootBus

MOST_LINKS = 40


def function_named(text: str) -> Address | None:
    """The function that a folder or link is named after, None where it is named after something else."""
    if text.count(":") != 2 or "." not in text:
        return None
    try:
        return Address.parse(text)
    except InputError:
        return None


def is_root_bus(text: str) -> bool:
    """Whether a folder is named after a root bus: `pci0000:00`."""
    return text.startswith("pci") and text.count(":") == 1


def owners(path: str | None) -> Iterator[Address]:
    """The functions that a device cannot do without, by its path below /sys/devices.

    The last one on it is its own; above that come those whose driver made the PCI domain that it lies in (Intel VMD:
    `0000:64:00.5/pci10000:00/10000:01:00.0`, drivers/pci/controller/vmd.c), the inner one first. Ordinary bridges are left out.
    """
    parts = (path or "").split("/")
    named = [function_named(part) for part in parts]
    yield from [address for address in named if address is not None][-1:]
    for above, below in zip(reversed(named[:-1]), reversed(parts[1:]), strict=True):
        if above is not None and is_root_bus(below):
            yield above


def makers(path: str) -> Iterator[tuple[RootBus, Address]]:
    """The root buses on a path that lie below a function, whose driver made them, each with that function."""
    parts = path.split("/")
    for above, below in pairwise(parts):
        address = function_named(above)
        if address is None or not is_root_bus(below):
            continue
        try:
            bus = RootBus.parse(below)
        except InputError:
            continue
        if bus.domain != address.domain:
            yield bus, address


def follow(path: str, link: Callable[[str], str | None], *, top: str = "") -> str | None:
    """The path with all links on it followed; None where it climbs out of the tree, or runs in a circle.

    `link` is asked for the target of each path on the way, None where there is no link. Absolute targets start at `top`.
    Whether there is anything at the end is not asked.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None
            done.pop()
            continue
        done.append(part)
        target = link("/".join(done))
        if target is not None:
            followed += 1
            if followed > MOST_LINKS:
                return None
            done = top.split("/") if target.startswith("/") and top else [] if target.startswith("/") else done[:-1]
            todo.extend(target.split("/")[::-1])
    return "/".join(done)
