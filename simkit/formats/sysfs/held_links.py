"""Network interfaces that the host uses at the moment, down to the PCI functions (proc(5), sysfs)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.formats.sysfs.connections import connections, default_routes
from simkit.formats.sysfs.files import Files
from simkit.formats.sysfs.held import DEEPEST, DEFAULT_ROUTE, SESSION_NIC, TALKING_NIC, Held
from simkit.formats.sysfs.path import owners
from simkit.model.address import Address

_SSH = 22
_NAME = re.compile(r"[\w.:@!-]{1,64}", re.ASCII)


def held_links(files: Files) -> Iterator[Held]:
    """Functions with interfaces that carry an SSH session, then those with a default route, then those of neither over which other connections go."""
    talking = tuple(connections(files))
    uses = ((SESSION_NIC, "that carries an SSH session", [name for name, port in talking if port == _SSH]),
            (DEFAULT_ROUTE, "with the default route", default_routes(files)),
            (TALKING_NIC, "with open TCP connections", [name for name, _ in talking]))
    told: set[Address] = set()
    for use, how, names in uses:
        for name in dict.fromkeys(names):
            for address in _functions(files, name):
                if use is not TALKING_NIC or address not in told:
                    told.add(address)
                    yield Held(address, use, f"the network interface {name} {how}")


def _functions(files: Files, name: str, depth: int = 0) -> Iterator[Address]:
    """Through bonds, bridges and VLANs by their `lower_*` links."""
    if not _NAME.fullmatch(name) or depth > DEEPEST:
        return
    folder = f"sys/class/net/{name}"
    found = tuple(owners(files.realpath(folder))) or tuple(owners(files.realpath(f"{folder}/device")))
    yield from found
    if not found:
        for entry in files.listdir(folder):
            if entry.startswith("lower_"):
                yield from _functions(files, entry.removeprefix("lower_"), depth + 1)
