"""A read-only tree of files, in a folder or in a tar, asked by paths relative to its root: `sys/bus/pci/devices`."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Protocol

from simkit.errors import SimkitError, UnreadableSource, UnsafeArchive

MOST_MEMBERS = 1_000_000
MOST_UNPACKED = 512 << 20
MOST_FILE = 1 << 20
MOST_LINKS = 40


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


class FolderFiles:
    """A folder, `/` for the machine itself."""

    def __init__(self, root: Path) -> None:
        """A folder that holds `sys` is the root; so is one that holds a single folder that does, or `sys` itself."""
        self.name = str(root)
        self._root = _with_sys(root)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path)  # noqa: PTH118 (called for every fact; pathlib costs more than the reading)

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`."""
        try:
            descriptor = os.open(self._at(path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            parts, left = [], most
            while left > 0 and (part := os.read(descriptor, left)):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        try:
            return tuple(sorted(os.listdir(self._at(path))))  # noqa: PTH208
        except OSError:
            return ()

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        try:
            return os.readlink(self._at(path))  # noqa: PTH115
        except OSError:
            return None

    def realpath(self, path: str) -> str | None:
        """See `Files`."""
        real = os.path.realpath(self._at(path))
        root = os.path.realpath(self._root)
        inside = os.path.relpath(real, root)
        return inside if not inside.startswith("..") and os.path.exists(real) else None  # noqa: PTH110

    def denied(self, path: str) -> bool:
        """See `Files`."""
        return os.path.exists(self._at(path)) and not os.access(self._at(path), os.R_OK)  # noqa: PTH110


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
        """Read all members.

        Raises:
            UnsafeArchive: a member that leaves the folder, too many members or bytes.
            UnreadableSource: no tar, or truncated.
        """
        self.name = str(path)
        self._files: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[str, set[str]] = {"": set()}
        self._real: dict[str, str | None] = {}
        try:
            with tarfile.open(path) as archive:
                self._load(archive)
        except SimkitError:
            raise
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise UnreadableSource(f"cannot be read as a tar: {error}", where=self.name, remedy="is the file complete? make it anew") from None
        self._strip()

    def _load(self, archive: tarfile.TarFile) -> None:
        size = 0
        for number, member in enumerate(archive):
            path = _inside(member.name, self.name)
            size += member.size
            if number >= MOST_MEMBERS or size > MOST_UNPACKED:
                raise UnsafeArchive(f"unpacks to over {MOST_UNPACKED >> 20} MiB or {MOST_MEMBERS} members", where=self.name, remedy="give the sysfs capture of one machine only")
            if member.issym():
                self._links[path] = member.linkname
            elif member.islnk():
                target = _inside(member.linkname, self.name)
                self._files[path] = self._files.get(target, b"")
            elif member.isreg():
                data = archive.extractfile(member)
                self._files[path] = data.read() if data is not None and member.size <= MOST_FILE else b""
            elif member.isdir():
                self._folders.setdefault(path, set())
            else:
                continue
            self._register(path)

    def _register(self, path: str) -> None:
        while path:
            parent, _, name = path.rpartition("/")
            names = self._folders.setdefault(parent, set())
            if name in names:
                return
            names.add(name)
            path = parent

    def _strip(self) -> None:
        """Enter the folder that holds `sys`."""
        prefix = ""
        while "sys" not in self._folders.get(prefix, ()):
            below = [f"{prefix}/{name}".strip("/") for name in self._folders.get(prefix, ())]
            if len(below) != 1:
                raise UnreadableSource("holds no sysfs tree", where=self.name, remedy="give a tar with `sys` in it, at the top or in one folder")
            prefix = below[0]
        self._prefix = prefix

    def _resolve(self, path: str) -> str | None:
        """Follow every link on the way; None where it leads outside or in a circle."""
        full = f"{self._prefix}/{path}".strip("/")
        if full not in self._real:
            self._real[full] = self._walk(full)
        return self._real[full]

    def _walk(self, full: str) -> str | None:
        done: list[str] = []
        todo = full.split("/")[::-1]
        followed = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            done.append(part)
            target = self._links.get("/".join(done))
            if target is not None:
                followed += 1
                if followed > MOST_LINKS:
                    return None
                done = self._prefix.split("/") if target.startswith("/") else done[:-1]
                todo.extend(target.split("/")[::-1])
        return "/".join(done)

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`."""
        real = self._resolve(path)
        data = self._files.get(real) if real is not None else None
        return data[:most] if data is not None else None

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        real = self._resolve(path)
        return tuple(sorted(self._folders.get(real, ()))) if real is not None else ()

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        parent, _, name = path.rpartition("/")
        real = self._resolve(parent)
        return self._links.get(f"{real}/{name}".strip("/")) if real is not None else None

    def realpath(self, path: str) -> str | None:
        """See `Files`."""
        real = self._resolve(path)
        if real is None or not (real in self._files or real in self._folders):
            return None
        return real.removeprefix(self._prefix).strip("/")

    def denied(self, path: str) -> bool:  # noqa: ARG002
        """See `Files`; a tar holds only what could be read."""
        return False


def _inside(name: str, archive: str) -> str:
    """A member's path without `./`.

    Raises:
        UnsafeArchive: it is absolute or climbs out.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise UnsafeArchive(f"member {name!r} leaves the archive's folder", where=archive, remedy="make the archive with relative paths; this one may be an attack")
    return "/".join(parts)
