"""Where each entry of the outline stands in the picture: a row for each leaf, a column for each level, devices in a column of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simkit.formats.draw.outline import Entry

LEFT, GAP, ROW = 16, 22, 36
_LETTER = 0.575
"""Width of an average character in parts of its size; of the wider fonts that a browser may take, so that nothing is cut off."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry, its level and row, and what hangs below it."""

    entry: Entry
    level: int
    row: float
    children: tuple[Placed, ...]

    @property
    def kind(self) -> str:
        """`note` (a heading, or what was folded away), `port` (something below it is drawn) or `leaf`."""
        if self.entry.function is None:
            return "note"
        return "port" if self.children else "leaf"

    def walk(self) -> Iterator[Placed]:
        """Itself and all below, top to bottom."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Layout:
    """All entries, and the places of the columns."""

    roots: tuple[Placed, ...]
    rows: float
    columns: tuple[tuple[float, float], ...]
    leaf: tuple[float, float]

    def walk(self) -> Iterator[Placed]:
        """All entries, top to bottom."""
        for root in self.roots:
            yield from root.walk()

    def box(self, placed: Placed) -> tuple[float, float]:
        """Left edge and width."""
        return self.leaf if placed.kind == "leaf" else self.columns[placed.level]


def layout(roots: tuple[Entry, ...], width: Callable[[Placed], float]) -> Layout:
    """Place the entries; `width` says how wide a port's or leaf's text is. A port stands in the middle of what is below it."""
    placed, row = [], 0.0
    for root in roots:
        one, row = _place(root, 0, row)
        placed.append(one)
        row += 0.4
    everything = [each for root in placed for each in root.walk()]
    levels = max((each.level for each in everything if each.kind == "port"), default=-1) + 1
    columns: list[tuple[float, float]] = []
    x = float(LEFT)
    for level in range(levels):
        wide = max((width(each) for each in everything if each.kind == "port" and each.level == level), default=0.0)
        columns.append((x, wide))
        x += wide + GAP
    columns.append((x, 0.0))
    return Layout(tuple(placed), row, tuple(columns), (x, max((width(each) for each in everything if each.kind == "leaf"), default=0.0)))


def text_width(text: str, size: float) -> float:
    """How wide a text is at most, about, at a font size in pixels."""
    return len(text) * size * _LETTER


def _place(entry: Entry, level: int, row: float) -> tuple[Placed, float]:
    """An entry and all below it from `row` on, and the next free row."""
    if not entry.children:
        return Placed(entry, level, row, ()), row + 1
    heading = entry.function is None
    first = after = row + 1 if heading else row
    children = []
    for child in entry.children:
        one, after = _place(child, level if heading else level + 1, after)
        children.append(one)
    return Placed(entry, level, row if heading else (first + after - 1) / 2, tuple(children)), after
