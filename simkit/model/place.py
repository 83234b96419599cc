"""Where a fact came from, so that every explanation ends at something a person can edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file and line, or a sysfs path: `source` as the user named it, `line` from 1, 0 where lines mean nothing."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        """As compilers print it: `file:line`."""
        return f"{self.source}:{self.line}" if self.line else self.source


NOWHERE = Place("(made in memory)")


class Places(Mapping[str, Place]):
    """Places of facts by path, a path being keys joined by `/`: ``functions/0000:3b:00.0/acs/control``.

    `of` climbs to the nearest ancestor that has a place, so a reader records only what it knows.
    """

    __slots__ = ("_places", "root")

    def __init__(self, places: Mapping[str, Place] | None = None, *, root: Place = NOWHERE) -> None:
        """`root` is the whole input's place."""
        self._places = dict(places or {})
        self.root = root

    def __getitem__(self, path: str) -> Place:
        """The place recorded for exactly this path."""
        return self._places[path]

    def __iter__(self) -> Iterator[str]:
        """All recorded paths."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many paths are recorded."""
        return len(self._places)

    def of(self, path: str) -> Place:
        """The place of the fact at `path`, or of what encloses it."""
        while path:
            place = self._places.get(path)
            if place is not None:
                return place
            path = path.rpartition("/")[0]
        return self.root
