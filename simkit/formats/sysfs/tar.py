"""What a tar holds, read in memory and within limits: plain, gzip, bzip2 or xz; ustar, GNU and pax members (POSIX.1-2017 pax, ustar interchange format)."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from simkit.errors import UnreadableSource, UnsafeArchive

MOST_MEMBERS = 500_000
MOST_BYTES = 256 << 20
MOST_PATH = 4096
MOST_STREAMS = 1 << 14
_CHUNK = 1 << 16
_XZ_MEMORY = 256 << 20
_BLOCK = 512
_END = bytes(_BLOCK)


class MemberKind(StrEnum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    SAME = "hard link"


@dataclass(frozen=True, slots=True)
class Member:
    """One member: where its bytes lie in the unpacked archive, or what a link points to (as written; of a hard link the member's path)."""

    path: str
    kind: MemberKind
    start: int
    size: int
    target: str


_KINDS = {b"0": MemberKind.FILE, b"\0": MemberKind.FILE, b"7": MemberKind.FILE, b"1": MemberKind.SAME, b"2": MemberKind.LINK, b"5": MemberKind.FOLDER}
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")
_ABOUT = (b"L", b"K", b"x", b"g", b"V")
_DEVICES = {b"3": "a character device", b"4": "a block device", b"6": "a FIFO"}


class _Decompressor(Protocol):
    """What bz2's, lzma's and zlib's decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def unpacked(path: Path) -> bytes:
    """The file's bytes, decompressed where they are compressed (several streams in one file too, as pbzip2 and bgzip write them).

    Raises:
        UnreadableSource: it cannot be opened, or ends in the middle.
        UnsafeArchive: it unpacks to more than `MOST_BYTES`, or has more than `MOST_STREAMS`.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _too_large(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"cannot be read: {error.strerror}", where=str(path), remedy="check the path and your permissions") from None
    for magic, new in _FORMATS:
        if data.startswith(magic):
            try:
                return _decompressed(data, magic, new, path)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError) as error:
                if isinstance(error, UnreadableSource | UnsafeArchive):
                    raise
                raise UnreadableSource(f"cannot be decompressed: {error}", where=str(path), remedy="is the file complete? make it anew") from None
    return data


_FORMATS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"BZh", bz2.BZ2Decompressor),
    (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
    (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)),
)


def _decompressed(data: bytes, magic: bytes, new: Callable[[], _Decompressor], path: Path) -> bytes:
    parts, left, here, streams = [], MOST_BYTES + 1, 0, 0
    while data.startswith(magic, here):
        stream, streams = new(), streams + 1
        if streams > MOST_STREAMS:
            raise UnsafeArchive(f"holds more than {MOST_STREAMS:,} compressed streams", where=str(path), remedy="pack it again, in one stream")
        while not stream.eof:
            chunk = data[here : here + _CHUNK]
            if not chunk:
                raise UnreadableSource("is cut off: the compressed data end in the middle", where=str(path), remedy="copy the file again, or make it anew")
            parts.append(stream.decompress(chunk, left))
            here += len(chunk) - len(stream.unused_data)
            left -= len(parts[-1])
            if left <= 0:
                raise _too_large(path)
    return b"".join(parts)


def _too_large(path: Path | str) -> UnsafeArchive:
    return UnsafeArchive(f"holds more than {MOST_BYTES >> 20} MiB or {MOST_MEMBERS} members", where=str(path),
                         remedy="give the sys and proc of one machine only")


def members(data: bytes, *, where: str) -> Iterator[Member]:
    """Every member of an unpacked tar, in order.

    Raises:
        UnreadableSource: no tar, damaged, cut off, or with sparse or multi-volume members.
        UnsafeArchive: a member that leaves the folder, a device node, a path longer than Linux allows (PATH_MAX), too many members.
    """
    if not _sound(data[:_BLOCK]):
        raise UnreadableSource("cannot be read as a tar: this is none", where=where,
                               remedy="give a tar of sys and proc, plain or packed with gzip, bzip2 or xz")
    offset, count = 0, 0
    renamed: dict[str, str] = {}
    while data[offset : offset + _BLOCK] != _END:
        header = data[offset : offset + _BLOCK]
        if len(header) < _BLOCK:
            raise _damaged("ends without the end mark of a tar", offset, where)
        if not _sound(header):
            raise _damaged("has no tar header", offset, where)
        size, kind = _octal(header[124:136], offset, where), header[156:157]
        if kind not in _ABOUT and "size" in renamed:
            size = _decimal(renamed["size"], offset, where)
        if kind in _EMPTY:
            size = 0
        count += 1
        if count > MOST_MEMBERS:
            raise _too_large(where)
        body = offset + _BLOCK
        following = body + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if following > len(data):
            raise _damaged("ends in the middle of a member", offset, where)
        if kind in (b"L", b"K"):
            renamed["path" if kind == b"L" else "linkpath"] = _text(data[body : body + min(size, MOST_PATH + 2)])
        elif kind == b"x":
            renamed.update(_records(data[body : body + size], offset, where))
        elif kind not in _ABOUT:
            yield _member(header, kind, body, size, renamed, where)
            renamed = {}
        offset = following


def _sound(header: bytes) -> bool:
    """Whether a block is a header, by its checksum, or the end mark."""
    digits = header[148:156].split(b"\0", 1)[0].strip(b" ")
    written = int(digits, 8) if digits and not digits.strip(b"01234567") else -1
    return len(header) == _BLOCK and (header == _END or written == sum(header) - sum(header[148:156]) + 8 * 0x20)


def _member(header: bytes, kind: bytes, start: int, size: int, renamed: dict[str, str], where: str) -> Member:
    path = renamed.get("path") or _name(header)
    if kind in _DEVICES:
        raise UnsafeArchive(f"member {path!r} is {_DEVICES[kind]}", where=where, remedy="pack sys and proc only, without dev")
    if kind not in _KINDS or any(key.startswith("GNU.sparse") for key in renamed):
        raise UnreadableSource(f"member {path[:200]!r} is sparse or of a kind that is not read ({kind.decode('ascii', 'backslashreplace')})", where=where,
                               remedy="make it with plain `tar`, without --sparse or --multi-volume")
    found = MemberKind.FOLDER if kind == b"\0" and path.endswith("/") else _KINDS[kind]
    target = renamed.get("linkpath") or _text(header[157:257])
    if len(path) > MOST_PATH or len(target) > MOST_PATH:
        raise UnsafeArchive(f"a path of {max(len(path), len(target))} characters", where=where, remedy="this is no capture of a machine: Linux allows 4096")
    return Member(inside(path, where), found, start, size, inside(target, where) if found is MemberKind.SAME else target)


def inside(path: str, where: str) -> str:
    """A member's path without `./` and `//`.

    Raises:
        UnsafeArchive: it is absolute or climbs out.
    """
    if not path.startswith("/") and "." not in path:
        return path.strip("/") if "//" not in path else "/".join(filter(None, path.split("/")))
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise UnsafeArchive(f"member {path[:200]!r} leaves the archive's folder", where=where,
                            remedy="make the archive with relative paths; this one may be an attack")
    return "/".join(parts)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        return f"{_text(header[345:500])}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _octal(field: bytes, offset: int, where: str) -> int:
    """A number field: octal digits, or base 256 where its first bit is set (GNU)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    try:
        return int(digits, 8) if digits.isdigit() else _nothing(digits)
    except ValueError:
        raise _damaged("has a damaged tar header", offset, where) from None


def _nothing(digits: bytes) -> int:
    if digits:
        raise ValueError
    return 0


def _decimal(text: str, offset: int, where: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise _damaged("has a damaged pax header", offset, where)
    return int(text)


def _records(data: bytes, offset: int, where: str) -> dict[str, str]:
    """The records of a pax header: `LENGTH KEY=VALUE` and a line feed, the length counting all of it."""
    found, here = {}, 0
    while here < len(data):
        head, blank, _ = data[here : here + 20].partition(b" ")
        length = _decimal(head.decode("ascii", "replace"), offset, where)
        key, equals, value = data[here + len(head) + 1 : here + length - 1].partition(b"=")
        if not blank or not equals or length < 5 or here + length > len(data):
            raise _damaged("has a damaged pax header", offset, where)
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "backslashreplace")
        here += length
    return found


def _damaged(what: str, offset: int, where: str) -> UnreadableSource:
    return UnreadableSource(f"cannot be read as a tar: {what} at byte {offset}", where=where, remedy="is the file complete? make it anew")
