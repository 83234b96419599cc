"""What a node's own sysfs and procfs show that the host needs: disks, network interfaces, the boot console."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.formats.sysfs.files import Files
from simkit.formats.sysfs.held import CONSOLE, Held
from simkit.formats.sysfs.held_disks import held_disks
from simkit.formats.sysfs.held_links import held_links
from simkit.formats.sysfs.path import function_named
from simkit.model.address import Address

_DEVICES = "sys/bus/pci/devices"


def held(files: Files) -> Iterator[Held]:
    """Every use of a function that the tree tells of: disks, links, consoles. What is captured and what is refused at apply are both this.

    Raises:
        ExecutorError: only of a live node's tree, which says so where it may not be read.
    """
    yield from held_disks(files)
    yield from held_links(files)
    yield from _consoles(files)


def usage(files: Files) -> dict[Address, str]:
    """What each function is needed for, in few words, as `Function.usage` holds it."""
    found: dict[Address, dict[str, None]] = {}
    for each in held(files):
        found.setdefault(each.address, {})[each.use] = None
    return {address: ", ".join(uses) for address, uses in found.items()}


def _consoles(files: Files) -> Iterator[Held]:
    """The display that firmware booted with (`boot_vga_show`)."""
    for entry in files.listdir(_DEVICES):
        address = function_named(entry)
        if address is not None and (files.read(f"{_DEVICES}/{entry}/boot_vga") or b"").strip() == b"1":
            yield Held(address, CONSOLE, "the console (boot_vga)")
