"""What an executor asks of a node: read, write, list, follow a link. It never decides anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from simkit.errors import ExecutorError

ATTRIBUTE_BYTES = 4096


class Node(Protocol):
    """A machine, live or recorded; all paths are relative to its root: ``sys/bus/pci/devices/0000:3b:00.0/driver_override``."""

    @property
    def name(self) -> str:
        """What people call it, for messages and the journal."""
        ...

    def read(self, path: str, limit_bytes: int = ATTRIBUTE_BYTES) -> bytes | None:
        """The first bytes of a file; None where there is no such file.

        Raises:
            ExecutorError: it cannot be read.
        """
        ...

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """One write: the whole value of an attribute at offset 0, or a part of a binary file further on.

        Raises:
            ExecutorError: there is no such file, or the kernel refuses; `errno` says how.
        """
        ...

    def readlink(self, path: str) -> str | None:
        """Where a symbolic link points to, as it is written; None where there is no link."""
        ...

    def listdir(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; empty where there is no such folder."""
        ...


def machine(node: Node) -> str:
    """The machine's own identity, the same after a reboot and on no other machine (machine-id(5)); empty where it has none, as a recorded tree."""
    data = node.read("etc/machine-id")
    return "" if data is None else data.decode("utf-8", "replace").strip()


def refused(path: str, error: OSError, *, remedy: str = "") -> ExecutorError:
    """An OSError as ours, with its errno kept."""
    result = ExecutorError(error.strerror or str(error), where=path, remedy=remedy)
    result.errno = error.errno
    result.filename = path
    return result


def refusal(number: int, path: str, what: str = "", *, remedy: str = "") -> ExecutorError:
    """What the kernel would answer: an errno and, for people, why."""
    text = os.strerror(number)
    return refused(path, OSError(number, f"{text}: {what}" if what else text), remedy=remedy)


def inside(root: Path, path: str) -> Path:
    """`path` below `root`, links followed, as an absolute path.

    Raises:
        ExecutorError: the path is absolute, climbs with ``..``, or leads out of the root.
    """
    parts = path.split("/")
    if not path or "\0" in path or path.startswith("/") or ".." in parts:
        raise refusal(22, path, "not a path below the node's root", remedy="paths are relative and never climb")
    home = os.path.realpath(root)
    real = os.path.realpath(f"{home}/{path}")
    if real != home and not real.startswith(home.rstrip("/") + "/"):
        raise refusal(1, path, f"a link leads out of {root}", remedy="remove the link from the tree")
    return Path(real)


def link_text(path: Path) -> str:
    """A link's text to the byte, which `Path.readlink` would tidy up (``./x`` to ``x``)."""
    return os.readlink(path)  # noqa: PTH115
