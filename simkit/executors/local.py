"""This machine."""

from __future__ import annotations

import os
from pathlib import Path

from simkit.executors.files import FolderNode
from simkit.executors.node import inside, refusal, refused


class LocalNode(FolderNode):
    """The running kernel's sysfs, or any folder shaped like it. One `write` is one system call, as sysfs wants it."""

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is ``/`` on a live node."""
        super().__init__(root)

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """As `Node.write`; no file is ever created."""
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_TRUNC if offset == 0 else 0)
        try:
            handle = os.open(inside(self.root, path), flags)
            try:
                written = os.pwrite(handle, data, offset) if offset else os.write(handle, data)
            finally:
                os.close(handle)
        except PermissionError as error:
            raise refused(path, error, remedy="run as root, with /sys writable; under kernel lockdown even root may not write `config`") from error
        except OSError as error:
            raise refused(path, error) from error
        if written != len(data):
            raise refusal(5, path, f"{written} of {len(data)} bytes were taken")
