"""A booted machine as a node that plans can be applied to: each read and write is one line to its shell."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import shlex

from simkit.executors.lab.console import Console
from simkit.executors.lab.errors import LabFailed
from simkit.executors.node import ATTRIBUTE_BYTES, refusal

_ERRNO = {os.strerror(number): number for number in errno.errorcode}
_MISSING, _FOLDER = 90, 91
_OURS = {_MISSING: errno.ENOENT, _FOLDER: errno.EISDIR}
_MOST_WRITE = 4096


class LabNode:
    """`Node` over a machine's serial port. One `write` is one system call of the machine's kernel, whose errno comes back."""

    def __init__(self, console: Console, scratch: str = "/tmp/node") -> None:
        """The console stays its owner's to close. Files whose names begin with `scratch` hold what is on its way."""
        self._console = console
        self._scratch = scratch

    @property
    def name(self) -> str:
        """The machine's."""
        return self._console.name

    def read(self, path: str, limit_bytes: int = ATTRIBUTE_BYTES) -> bytes | None:
        """As `Node.read`."""
        place = _quoted(path)
        kept = f"{self._scratch}.r"
        status, printed = self._run(f"[ -e {place} ] || exit {_MISSING}; head -c {limit_bytes} {place} >{kept} || exit; base64 -w 0 {kept}")
        if status == _MISSING:
            return None
        if status:
            raise _refused(path, printed)
        try:
            return base64.b64decode(printed, validate=True)
        except binascii.Error as error:
            raise LabFailed(f"what was read arrived damaged: {printed[:80]!r}", where=path, remedy="try again") from error

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """As `Node.write`; at most 4,096 bytes, as sysfs takes them."""
        place = _quoted(path)
        if len(data) > _MOST_WRITE:
            raise refusal(errno.EINVAL, path, f"{len(data)} bytes in one write", remedy=f"sysfs takes {_MOST_WRITE}")
        octets = "".join(f"\\{byte:03o}" for byte in data)
        text, complaint = f"{self._scratch}.w", f"{self._scratch}.e"
        status, printed = self._run(
            f"[ -e {place} ] || exit {_MISSING}; [ -d {place} ] && exit {_FOLDER}; printf '{octets}' >{text}; "
            f"dd if={text} of={place} bs={max(1, len(data))} seek={offset} oflag=seek_bytes conv=notrunc 2>{complaint} || {{ cat {complaint}; exit 1; }}")
        if status in _OURS:
            raise refusal(_OURS[status], path)
        if status:
            raise _refused(path, printed)

    def readlink(self, path: str) -> str | None:
        """As `Node.readlink`."""
        status, printed = self._run(f"readlink {_quoted(path)}")
        return printed.decode("utf-8", "replace").rstrip("\n") if status == 0 and printed.strip() else None

    def listdir(self, path: str) -> tuple[str, ...]:
        """As `Node.listdir`."""
        place = _quoted(path)
        status, printed = self._run(f"[ -d {place} ] || exit {_MISSING}; ls -1 -A {place}")
        return tuple(sorted(printed.decode("utf-8", "replace").split("\n")[:-1])) if status == 0 else ()

    def _run(self, line: str) -> tuple[int, bytes]:
        return self._console.run(line)


def _quoted(path: str) -> str:
    """A path below the root for the shell.

    Raises:
        ExecutorError: EINVAL: it is absolute or climbs.
    """
    if not path or path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise refusal(errno.EINVAL, path, "not a path below the node's root", remedy="paths are relative and never climb")
    return shlex.quote(f"/{path}")


def _refused(path: str, printed: bytes) -> Exception:
    """The kernel's errno, from busybox' message: ``dd: error writing '…': Device or resource busy``."""
    text = printed.decode("utf-8", "replace")
    for line in text.splitlines():
        match = re.search(r": ([^:]+)$", line.strip())
        if match is not None and match[1] in _ERRNO:
            return refusal(_ERRNO[match[1]], path)
    return refusal(errno.EIO, path, text.strip()[-200:])
