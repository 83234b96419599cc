"""Reading a node that is a folder here: what live and recorded nodes share."""

from __future__ import annotations

from pathlib import Path

from simkit.executors.node import ATTRIBUTE_BYTES, inside, link_text, refused


class FolderNode:
    """The reading half of a node whose root is a folder of this machine. Links are followed as long as they stay below it."""

    def __init__(self, root: Path) -> None:
        """`root` must be a folder."""
        self.root = root

    @property
    def name(self) -> str:
        """The root's path."""
        return str(self.root)

    def read(self, path: str, limit_bytes: int = ATTRIBUTE_BYTES) -> bytes | None:
        """As `Node.read`."""
        try:
            with inside(self.root, path).open("rb") as file:
                return file.read(limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused(path, error) from error

    def readlink(self, path: str) -> str | None:
        """As `Node.readlink`: of the last component only."""
        head, _, last = path.rpartition("/")
        folder = inside(self.root, head) if head else self.root
        try:
            return link_text(folder / last) if last not in ("", "..") else None
        except OSError:
            return None

    def listdir(self, path: str) -> tuple[str, ...]:
        """As `Node.listdir`."""
        try:
            return tuple(sorted(entry.name for entry in inside(self.root, path).iterdir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise refused(path, error) from error
