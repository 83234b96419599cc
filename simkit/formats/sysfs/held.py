"""What the host itself needs of its functions: the words for it, and the tables of procfs that tell it."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.formats.sysfs.files import Files, text_of
from simkit.model.address import Address

ROOT_DISK, SWAP, MOUNTED = "root disk", "swap", "disk mounted at "
SESSION_NIC, DEFAULT_ROUTE, TALKING_NIC = "session NIC", "default route", "NIC with open connections"
CONSOLE = "console"
DEEPEST = 8
_MOST_TABLE = 4 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """A function that the host needs.

    `use` is what a snapshot says: short, and it reads well after "the host's". `why` is what a refusal says after "it is".
    """

    address: Address
    use: str
    why: str


def table(files: Files, path: str) -> list[str]:
    """The lines of a table of procfs, none where there is no such file or it cannot be read; controls of a terminal are U+FFFD."""
    found = text_of(files, path, _MOST_TABLE)
    return found.split("\n") if found else []
