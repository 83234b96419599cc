"""One change of a node at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from simkit.errors import ExecutorError
from simkit.executors.files import FolderNode
from simkit.executors.node import Node, inside, refused
from simkit.plan import attributes


@contextmanager
def exclusive(node: Node) -> Iterator[None]:
    """Keep others from changing the same node meanwhile, whichever journals they write: a lock (flock(2)) on its folder of devices.

    Nothing is written, and the lock goes with the process. Only nodes that are folders of this machine have one.

    Raises:
        ExecutorError: another process is changing it.
    """
    if not isinstance(node, FolderNode):
        yield
        return
    try:
        handle = os.open(inside(node.root, attributes.DEVICES), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise refused(attributes.DEVICES, error, remedy="is this a Linux machine with PCI?") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExecutorError("another process is changing this node", where=node.name, remedy="wait for it") from error
        yield
    finally:
        os.close(handle)
