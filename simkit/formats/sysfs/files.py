"""A read-only tree of files, in a folder or in a tar, asked by paths relative to its root: `sys/bus/pci/devices`."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Protocol

from simkit.errors import UnreadableSource
from simkit.formats.sysfs.path import follow
from simkit.formats.sysfs.tar import Member, MemberKind, members, unpacked

MOST_FILE = 1 << 20
_CONTROLS = {number: "\ufffd" for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in "\t\n"}


class Files(Protocol):
    """What readers of sysfs need of a tree. Links are followed as far as they stay inside."""

    name: str

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """The first `most` bytes, None where there is no such file or it cannot be read."""
        ...

    def listdir(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; empty where there is none."""
        ...

    def readlink(self, path: str) -> str | None:
        """A link's target as it is written, None where there is no link."""
        ...

    def realpath(self, path: str) -> str | None:
        """The path with all links followed, None where it leads nowhere or outside."""
        ...

    def denied(self, path: str) -> bool:
        """Whether the file is there but we may not read it."""
        ...


def text_of(files: Files, path: str, most: int = MOST_FILE) -> str | None:
    """An attribute as text, without the ends of line and the zeros that tar pads with; bytes that are no text, and controls of a terminal, are U+FFFD."""
    data = files.read(path, most=most)
    return data.decode("utf-8", "replace").strip("\n\0 ").translate(_CONTROLS) if data is not None else None


def name_of(target: str | None) -> str | None:
    """The name that a link's target ends in; bytes and controls that are no text are written as escapes."""
    if target is None:
        return None
    name = target.rstrip("/").rpartition("/")[2].encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name)


class FolderFiles:
    """A folder, `/` for the machine itself."""

    def __init__(self, root: Path) -> None:
        """A folder that holds `sys` is the root; so is one that holds a single folder that does, or `sys` itself.

        Raises:
            UnreadableSource: none of these, or it cannot be read.
        """
        self.name = str(root)
        try:
            self._root = os.path.realpath(_with_sys(root))
        except OSError as error:
            raise UnreadableSource(f"cannot be read: {error.strerror}", where=str(root), remedy="check the path and your permissions") from None
        self._outside: dict[str, bool] = {}

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))  # noqa: PTH118 (called for every fact; pathlib costs more than the reading)

    def _leaves(self, path: str) -> bool:
        """Whether the folder that `path` lies in is outside of the root, by a link on the way."""
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in self._outside:
            self._outside[folder] = self._inside(os.path.realpath(self._at(folder))) is None
        return self._outside[folder]

    def _inside(self, real: str) -> str | None:
        """The rest of a real path below the root, None if it is not below."""
        if real == self._root:
            return "."
        base = self._root.rstrip("/") + "/"
        return real[len(base) :] if real.startswith(base) else None

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`."""
        if self._leaves(path):
            return None
        try:
            descriptor = self._open(path)
        except (OSError, ValueError):
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            parts, left = [], most
            while left > 0 and (part := os.read(descriptor, left)):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _open(self, path: str) -> int:
        """Open without waiting and without leaving the root; a link as last part is followed only inside."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self._at(path), flags)
        except OSError as error:
            inside = self.realpath(path) if error.errno == errno.ELOOP else None
            if inside is None:
                raise
            return os.open(self._at(inside), flags)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        if self._leaves(f"{path.rstrip('/')}/x"):
            return ()
        try:
            return tuple(sorted(os.listdir(self._at(path))))  # noqa: PTH208
        except (OSError, ValueError):
            return ()

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        if self._leaves(path):
            return None
        try:
            return os.readlink(self._at(path))  # noqa: PTH115
        except (OSError, ValueError):
            return None

    def realpath(self, path: str) -> str | None:
        """See `Files`."""
        try:
            return self._inside(os.path.realpath(self._at(path), strict=True))
        except (OSError, ValueError):
            return None

    def denied(self, path: str) -> bool:
        """See `Files`."""
        return not self._leaves(path) and os.path.exists(self._at(path)) and not os.access(self._at(path), os.R_OK)  # noqa: PTH110


def _with_sys(root: Path) -> str:
    if (root / "sys").is_dir():
        return str(root)
    if (root / "bus" / "pci").is_dir() and root.resolve().name == "sys":
        return str(root.resolve().parent)
    inner = [path for path in root.iterdir() if (path / "sys").is_dir()] if root.is_dir() else []
    if len(inner) == 1:
        return str(inner[0])
    raise UnreadableSource("the folder holds no sysfs tree", where=str(root), remedy="give a folder that has `sys` in it (with bus/pci/devices)")


class TarFiles:
    """A tar, compressed or not, read into memory; nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        """Read the list of members.

        Raises:
            UnsafeArchive: a member that leaves the folder, a device node, too many members or bytes.
            UnreadableSource: no tar, or truncated.
        """
        self.name = str(path)
        self._data = unpacked(path)
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[str, set[str]] = {"": set()}
        self._real: dict[str, str | None] = {}
        for member in members(self._data, where=self.name):
            self._add(member)
        for name in self._links.keys() & self._folders.keys():
            if self._folders[name]:  # packed as a link, and again with what lies below it
                del self._links[name]
        self._prefix = self._top()

    def _add(self, member: Member) -> None:
        """A later member takes the place of an earlier one, as when unpacking."""
        target = member.target
        if member.kind is MemberKind.SAME and target not in self._files and target not in self._links:
            raise UnreadableSource(f"member {member.path!r} is the same as {target!r}, which is not there", where=self.name, remedy="make the archive anew")
        if member.kind is MemberKind.SAME and target == member.path:
            return
        self._links.pop(member.path, None)
        self._files.pop(member.path, None)
        match member.kind:
            case MemberKind.LINK:
                self._links[member.path] = target
            case MemberKind.FOLDER:
                self._folders.setdefault(member.path, set())
            case MemberKind.FILE:
                self._files[member.path] = (member.start, member.size)
            case MemberKind.SAME if target in self._links:
                self._links[member.path] = self._links[target]
            case MemberKind.SAME:
                self._files[member.path] = self._files[target]
        self._register(member.path)

    def _register(self, path: str) -> None:
        while path:
            parent, _, name = path.rpartition("/")
            names = self._folders.setdefault(parent, set())
            if name in names:
                return
            names.add(name)
            path = parent

    def _top(self) -> str:
        """The folder that holds `sys`: the archive's own, or one folder below, how deep soever."""
        here = [""]
        while here:
            found = [folder for folder in here if _join(folder, "sys") in self._folders]
            if len(found) == 1:
                return found[0]
            if found:
                raise UnreadableSource(f"holds {len(found)} sysfs trees, in {', '.join(found[:3])}", where=self.name, remedy="give a tar of one machine")
            here = [below for folder in here for name in sorted(self._folders[folder]) if (below := _join(folder, name)) in self._folders]
        raise UnreadableSource("holds no sysfs tree", where=self.name, remedy="give a tar of one machine with `sys` in it, at the top or in a folder")

    def _resolve(self, path: str) -> str | None:
        """Follow every link on the way; None where it leads outside or in a circle."""
        full = _join(self._prefix, path)
        if full not in self._real:
            self._real[full] = follow(full, self._links.get, top=self._prefix)
        return self._real[full]

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`."""
        real = self._resolve(path)
        found = self._files.get(real) if real is not None else None
        return self._data[found[0] : found[0] + min(found[1], most)] if found is not None else None

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        real = self._resolve(path)
        return tuple(sorted(self._folders.get(real, ()))) if real is not None else ()

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        parent, _, name = path.rpartition("/")
        real = self._resolve(parent)
        return self._links.get(_join(real, name)) if real is not None else None

    def realpath(self, path: str) -> str | None:
        """See `Files`."""
        real = self._resolve(path)
        if real is None or not (real in self._files or real in self._folders):
            return None
        if not self._prefix:
            return real
        return real[len(self._prefix) + 1 :] if f"{real}/".startswith(f"{self._prefix}/") else None

    def denied(self, path: str) -> bool:  # noqa: ARG002
        """See `Files`; a tar holds only what could be read."""
        return False


def _join(folder: str, path: str) -> str:
    """Both, without a slash at the ends."""
    return f"{folder}/{path.strip('/')}".strip("/")
