"""Rows of an answer, as a table in a notebook and as a data frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from simkit.errors import SimkitError
from simkit.formats.draw.html import PEER_COLOURS

if TYPE_CHECKING:
    import pandas as pd


class MissingPandas(SimkitError, ImportError):
    """`to_pandas` was called where pandas is not installed; everything else works without it."""


@dataclass(frozen=True, repr=False)
class Frame:
    """Rows of an answer; `to_pandas()` makes them a data frame, `rows` are there without pandas."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame (pandas is imported only here).

        Raises:
            MissingPandas: it is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingPandas("a data frame needs pandas, which is not installed", remedy="pip install pandas, or take `.columns` and `.rows`") from None
        return pd.DataFrame(list(self.rows), columns=list(self.columns))

    def __repr__(self) -> str:
        """The table in text."""
        table = [self.columns, *(tuple(map(str, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        body = "".join("<tr>" + "".join(self._cell(cell) for cell in row) + "</tr>" for row in self.rows)
        return f"<table><tr>{head}</tr>{body}</table>"

    def _cell(self, cell: Any) -> str:
        return f"<td>{escape(str(cell))}</td>"


class Coloured(Frame):
    """A frame in which some words have a colour."""

    colours: ClassVar[Mapping[str, str]] = {}

    def _cell(self, cell: Any) -> str:
        colour = self.colours.get(str(cell), "")
        return f'<td style="background:{colour};color:#1d2733">{escape(str(cell))}</td>' if colour else super()._cell(cell)


class Matrix(Coloured):
    """A frame of peer classes, each in its colour."""

    colours = PEER_COLOURS


class Outcomes(Coloured):
    """A frame of checks: what holds, what fails, what was not checked."""

    colours: ClassVar[Mapping[str, str]] = {"ok": "#bfe5b3", "skipped": "#fbe9b7", "fail": "#f8cfc0"}
