"""What belongs together, in colour: the IOMMU groups as pills, the guests as regions behind their devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby

from simkit.formats.draw.layout import LEFT, ROW, Layout, Placed, text_width
from simkit.formats.draw.owner import Owner
from simkit.model.address import Address
from simkit.model.group import Grouping

PILL = 34
_PALETTE = ("#2f7ed8", "#d9822b", "#3d9970", "#8e44ad", "#c0392b", "#16a085", "#7f8c8d", "#b7950b")
_SOFT = ("#ffd9a8", "#b9e3c6", "#c9d6ff", "#f3c4d7", "#d8d1a0", "#bfe6ea", "#e0c9f2", "#f2b8a8")


@dataclass(frozen=True, slots=True)
class Pill:
    """The mark of an IOMMU group: its number, in a colour of its own where several functions share it."""

    number: str
    colour: str

    def at(self, x: float, middle: float) -> str:
        """Drawn with its left edge at `x`."""
        return (
            f'<rect x="{x:.0f}" y="{middle - 7:.1f}" width="{PILL}" height="14" rx="7" fill="{self.colour}"/>'
            f'<text class="group" x="{x + PILL / 2:.0f}" y="{middle + 3.5:.1f}">{escape(self.number)}</text>'
        )


def pills(grouping: Grouping | None) -> dict[Address, Pill]:
    """Each function's. Neighbouring groups differ in colour."""
    found: dict[Address, Pill] = {}
    shared = 0
    for index, group in enumerate(grouping.groups if grouping else ()):
        number = f"g#{index}" if group.id is None else f"g{group.id}"
        colour = "#eef1f4"
        if len(group.functions) > 1:
            colour, shared = _SOFT[shared % len(_SOFT)], shared + 1
        found.update(dict.fromkeys(group.functions, Pill(number, colour)))
    return found


def colours(owners: Mapping[Address, Owner]) -> dict[str, str]:
    """A colour for each guest, by order of name."""
    return {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(sorted({owner.name for owner in owners.values()}))}


def guests(drawn: Layout, owners: Mapping[Address, Owner]) -> tuple[list[str], float]:
    """A region behind each run of a guest's devices, and how far the regions reach beyond the devices."""
    palette = colours(owners)
    leaves = [placed for placed in drawn.walk() if placed.kind == "leaf"]
    whose = groupby(leaves, lambda placed: placed.entry.owner and (placed.entry.owner.name, placed.entry.owner.tee))
    runs = [(Owner(*owner), list(run)) for owner, run in whose if owner is not None]
    reach = max((text_width(f"{owner.name} {owner.tee}", 12) + 20 for owner, _ in runs), default=0.0)
    return [_region(drawn, owner, run, palette[owner.name], reach) for owner, run in runs], reach


def _region(drawn: Layout, owner: Owner, run: list[Placed], colour: str, reach: float) -> str:
    x, wide = drawn.leaf
    top, height = run[0].row * ROW + LEFT + 1, (run[-1].row - run[0].row + 1) * ROW - 2
    edge = ' stroke-dasharray="5 3"' if owner.tee else ""
    tee = f'<tspan class="sub" dx="5">{escape(owner.tee)}</tspan>' if owner.tee else ""
    return (
        f'<g class="region"><rect x="{x - 5:.0f}" y="{top:.1f}" width="{wide + reach + 5:.0f}" height="{height:.1f}" rx="7" fill="{colour}" fill-opacity="0.13"'
        f' stroke="{colour}" stroke-width="1.5"{edge}/>'
        f'<text x="{x + wide + 10:.0f}" y="{top + height / 2 + 4:.1f}" style="fill:{colour};font-weight:600">{escape(owner.name)}{tee}</text></g>'
    )
