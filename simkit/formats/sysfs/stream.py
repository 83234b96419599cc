"""What the capture script (`stream.sh`) prints of a machine, as a tree of files."""

from __future__ import annotations

import io
from importlib.resources import files as resources

from simkit.errors import UnreadableSource, UnsafeArchive
from simkit.formats.sysfs.files import MOST_FILE
from simkit.formats.sysfs.path import follow
from simkit.formats.sysfs.tar import MOST_PATH

HEADER = b"simkit-capture/1"
MOST_BYTES = 128 << 20
_MOST_RECORDS = 2_000_000
_LOOK = 1 << 16
_AGAIN = "run the script again, to its end"
_STOPPED = {
    "sysfs": ("there is no sysfs on that machine", "it must be Linux, with /sys mounted"),
    "dump": ("that machine has none of od, hexdump and xxd, which read config space", "install coreutils or busybox there"),
    "tools": ("that machine lacks readlink or sed", "install coreutils and sed, or busybox, there"),
}


def script() -> bytes:
    """The script, for a POSIX shell on the machine whose facts are wanted."""
    return resources("simkit.formats.sysfs").joinpath("stream.sh").read_bytes()


def is_stream(data: bytes) -> bool:
    """Whether a file is what the script printed; a login's greeting may stand before it."""
    return _start(data) is not None


def _start(data: bytes) -> int | None:
    at = f"\n{HEADER.decode()}\n".encode()
    found = 0 if data.startswith(at[1:]) else data.find(at, 0, _LOOK) + 1
    return found + len(HEADER) + 1 if found or data.startswith(at[1:]) else None


class StreamFiles:
    """A capture in memory; see `simkit.formats.sysfs.files.Files`."""

    def __init__(self, data: bytes, *, name: str) -> None:
        """Read all records.

        Raises:
            UnreadableSource: no capture, cut off or damaged, or the script could not go on.
            UnsafeArchive: too large.
        """
        self.name = name
        self._files: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._there: set[str] = {""}
        self._denied: set[str] = set()
        start = _start(data)
        if start is None:
            raise UnreadableSource("holds no capture", where=name, remedy=f"its first line must be {HEADER.decode()}, as the script prints it")
        if len(data) > MOST_BYTES:
            raise UnsafeArchive(f"holds more than {MOST_BYTES >> 20} MiB", where=name, remedy="is this the capture of one machine?")
        self._read(io.BytesIO(data[start:]), first=1 + data.count(b"\n", 0, start))

    def _read(self, lines: io.BytesIO, *, first: int) -> None:
        kind, path, content = "", "", list[bytes]()
        number, records = first, 0
        for number, line in enumerate(lines, first):
            if line.startswith(b" "):
                content.append(line[1:])
                continue
            if line == b"\n":
                continue
            self._keep(kind, path, content, number)
            if line == b"end\n":
                return
            kind, blank, path = line.rstrip(b"\n").decode("utf-8", "surrogateescape").partition(" ")
            content, records = [], records + 1
            if kind == "X" and path in _STOPPED:
                what, remedy = _STOPPED[path]
                raise UnreadableSource(what, where=self.name, remedy=remedy)
            if not line.endswith(b"\n"):
                break
            if not blank or kind not in tuple("DLENTC"):
                raise UnreadableSource("is no record of a capture", where=f"{self.name}, line {number}", remedy=_AGAIN)
            if records > _MOST_RECORDS or len(path.partition("//")[0]) > MOST_PATH or (kind == "L" and len(path) > 2 * MOST_PATH):
                raise UnsafeArchive(f"more than {_MOST_RECORDS:,} records, or a path of over {MOST_PATH}", where=f"{self.name}, line {number}", remedy=_AGAIN)
        raise UnreadableSource("is cut off: the last line is not `end`", where=self.name, remedy=_AGAIN)

    def _keep(self, kind: str, path: str, content: list[bytes], number: int) -> None:
        """One record, by the path that it has when all links before it are followed; nothing of what lies outside."""
        path, _, told = path.partition("//") if kind in ("D", "L") else (path, "", "")
        path = path.rstrip("/")
        if kind == "L":
            real = self._parent(path)
            if real:
                self._links[real] = told
            return
        real = self._resolve(path) if kind else None
        if real is None:
            return
        self._exists(real)
        match kind:
            case "D":
                self._names[real] = tuple(sorted(filter(None, told.split("/"))))
            case "N":
                self._denied.add(real)
            case "T":
                self._files[real] = b"".join(content)
            case "C":
                try:
                    self._files[real] = bytes.fromhex(b"".join(content).decode("ascii", "replace"))
                except ValueError:
                    raise UnreadableSource("bytes that are not hexadecimal", where=f"{self.name}, line {number}", remedy=_AGAIN) from None

    def _exists(self, path: str) -> None:
        while path not in self._there:
            self._there.add(path)
            path = path.rpartition("/")[0]

    def _resolve(self, path: str) -> str | None:
        return follow(path, self._links.get)

    def _parent(self, path: str) -> str | None:
        """The path with links followed, but not its own."""
        folder, _, name = path.rstrip("/").rpartition("/")
        real = self._resolve(folder)
        return f"{real}/{name}".strip("/") if real is not None and name not in ("", ".", "..") else None

    def read(self, path: str, *, most: int = MOST_FILE) -> bytes | None:
        """See `Files`."""
        found = self._files.get(self._resolve(path) or "")
        return found[:most] if found is not None else None

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Files`."""
        real = self._resolve(path)
        return self._names.get(real, ()) if real is not None else ()

    def readlink(self, path: str) -> str | None:
        """See `Files`."""
        return self._links.get(self._parent(path) or "")

    def realpath(self, path: str) -> str | None:
        """See `Files`."""
        real = self._resolve(path)
        return real if real in self._there else None

    def denied(self, path: str) -> bool:
        """See `Files`."""
        return self._resolve(path) in self._denied
