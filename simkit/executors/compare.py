"""A folder tree, byte for byte: what is in it, and in what two states of it differ."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from simkit.errors import UnreadableSource
from simkit.executors.node import link_text


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every entry below a folder by relative path: a file's bytes, a link's text, None for a folder."""

    entries: dict[str, bytes | str | None]

    def __len__(self) -> int:
        """How many entries."""
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class TreeDifference:
    """What was added, removed and changed, as sorted paths; falsy where nothing was."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is a difference."""
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        """One line an entry, as `diff` marks them."""
        marked = [("+", path) for path in self.added] + [("-", path) for path in self.removed] + [("~", path) for path in self.changed]
        return "\n".join(f"{mark} {path}" for mark, path in sorted(marked, key=lambda entry: entry[1])) or "no difference"


def snapshot(folder: Path) -> Snapshot:
    """All that lies below `folder`; links are kept as links.

    Raises:
        UnreadableSource: it is no folder, or something in it cannot be read.
    """
    if not folder.is_dir():
        raise UnreadableSource("not a folder", where=str(folder))
    entries: dict[str, bytes | str | None] = {}
    try:
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(place, name)
                entries[str(path.relative_to(folder))] = link_text(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise UnreadableSource(error.strerror or str(error), where=str(error.filename)) from error
    return Snapshot(entries)


def difference(before: Snapshot, after: Snapshot) -> TreeDifference:
    """From `before` to `after`."""
    old, new = before.entries, after.entries
    return TreeDifference(tuple(sorted(new.keys() - old.keys())), tuple(sorted(old.keys() - new.keys())),
                          tuple(sorted(path for path in old.keys() & new.keys() if old[path] != new[path] or type(old[path]) is not type(new[path]))))
