"""Taking fields from bytes, one after the other: whatever is cut off, or longer than it says, is refused with its offset."""

from __future__ import annotations

from simkit.errors import MalformedEvidence


class Cursor:
    """A position in `data`; offsets in errors are counted from `base`, the place of `data` in its file."""

    __slots__ = ("at", "base", "data", "source")

    def __init__(self, data: bytes, *, source: str, base: int = 0) -> None:
        """At the start of `data`."""
        self.data, self.source, self.base, self.at = data, source, base, 0

    def take(self, size: int, name: str) -> bytes:
        """The next `size` bytes, which are the field `name`.

        Raises:
            MalformedEvidence: fewer are left.
        """
        found = self.data[self.at : self.at + size]
        if len(found) < size:
            raise self.fault(f"{name} has {size} bytes and only {len(found)} are left", remedy="give the file whole")
        self.at += size
        return found

    def number(self, size: int, name: str) -> int:
        """The next `size` bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(size, name), "little")

    def zero(self, size: int, name: str) -> None:
        """The next `size` bytes, which must be zero."""
        if any(self.take(size, name)):
            self.at -= size
            raise self.fault(f"{name} is not zero, as it must be")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self.data) - self.at, "the rest")

    def end(self, name: str) -> None:
        """Nothing may be left of `name`.

        Raises:
            MalformedEvidence: something is.
        """
        if self.at != len(self.data):
            raise self.fault(f"{len(self.data) - self.at} bytes too many in {name}")

    def fault(self, what: str, *, remedy: str = "") -> MalformedEvidence:
        """An error at the present position."""
        return MalformedEvidence(what, where=f"{self.source}, byte {self.base + self.at}", remedy=remedy)
