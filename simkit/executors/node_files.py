"""A node as the tree of files that the readers of sysfs ask, so that what they know of a capture they know of a live node too."""

from __future__ import annotations

from simkit.executors.node import Node
from simkit.formats.sysfs.files import MOST_FILE
from simkit.formats.sysfs.path import follow


class NodeFiles:
    """`simkit.formats.sysfs.files.Files` over a node, for one look at it: links are asked for once.

    What the node refuses to tell is raised as its ExecutorError, never taken for absent.
    """

    def __init__(self, node: Node) -> None:
        """Nothing is read yet."""
        self.name = node.name
        self._node = node
        self._links: dict[str, str | None] = {}

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`, and `Node.read` for what is raised."""
        return self._node.read(path, most)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        return self._node.listdir(path)

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        if path not in self._links:
            self._links[path] = self._node.readlink(path)
        return self._links[path]

    def realpath(self, path: str) -> str | None:
        """See `Files`; what a link of that name points to is taken to be there."""
        folder, _, name = path.rpartition("/")
        if self.readlink(path) is None and name not in self.listdir(folder):
            return None
        return follow(path, self.readlink)

    def denied(self, path: str) -> bool:  # noqa: ARG002
        """See `Files`; here what may not be read is raised."""
        return False
