"""Changes of a recorded tree that happen whole or not at all, as a write to sysfs does whoever is killed meanwhile."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path

FOLDER = ".recorded-node"


class Changes:
    """What one write changes, noted down before it is done: until `commit` the notes can take all of it back.

    Notes are lines of JSON in a file that is there only meanwhile: an operation and paths relative to the tree's root. What is removed is moved
    aside first. A last line that was torn is of something that was not begun.
    """

    def __init__(self, root: Path) -> None:
        """Nothing is begun yet."""
        self.root = root
        self._notes = root / FOLDER / "changes"
        self._aside = root / FOLDER / "aside"
        self._count = 0

    def make_folder(self, path: Path) -> None:
        """A new folder; what is put into it need not be noted."""
        self._note("make", path)
        path.mkdir()

    def make_link(self, path: Path, text: str) -> None:
        """A new symbolic link."""
        self._note("make", path)
        path.symlink_to(text)

    def remove(self, path: Path) -> None:
        """A link, file or folder with all that is in it."""
        aside = self._aside / str(self._count)
        self._count += 1
        self._aside.mkdir(parents=True, exist_ok=True)
        self.move(path, aside)

    def move(self, path: Path, to: Path) -> None:
        """To a place in the same tree, whose folder is there."""
        self._note("move", path, str(to.relative_to(self.root)))
        path.rename(to)

    def write(self, path: Path, data: bytes) -> None:
        """A file's bytes, old or new."""
        if path.exists():
            self._note("write", path, base64.b64encode(path.read_bytes()).decode())
        else:
            self._note("make", path)
        path.write_bytes(data)

    def commit(self) -> None:
        """All of it has happened now."""
        self._notes.unlink(missing_ok=True)
        self._tidy()

    def take_back(self) -> None:
        """What is noted, last first, whether by this process or by one that died; nothing where there are no notes."""
        if not self._notes.is_file():
            self._tidy()
            return
        whole, _, _torn = self._notes.read_bytes().rpartition(b"\n")
        lines = whole.splitlines(keepends=True)
        for number, line in reversed(list(enumerate(lines))):
            self._undo(*json.loads(line))
            os.truncate(self._notes, sum(map(len, lines[:number])))
        self.commit()

    def _undo(self, kind: str, name: str, more: str) -> None:
        """Done twice it is done once: whoever takes back may die too."""
        path = self.root / name
        if kind == "make":
            _delete(path)
        elif kind == "write":
            path.write_bytes(base64.b64decode(more))
        elif (self.root / more).exists() or (self.root / more).is_symlink():
            (self.root / more).rename(path)

    def _note(self, kind: str, path: Path, more: str = "") -> None:
        self._notes.parent.mkdir(exist_ok=True)
        with self._notes.open("ab") as file:
            file.write(json.dumps([kind, str(path.relative_to(self.root)), more]).encode() + b"\n")

    def _tidy(self) -> None:
        """Remove what was put aside, and folders of ours that hold nothing."""
        _delete(self._aside)
        home = self.root / FOLDER
        for folder in (home / "removed", home / "groups", home):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


