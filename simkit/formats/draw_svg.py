"""The PCIe tree as an SVG: root left, devices right, one row a device, coloured by who owns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from simkit.formats.outline import Entry, outline
from simkit.model.address import Address
from simkit.model.capabilities import Link
from simkit.model.function import Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.unknown import is_known

_ROW, _COLUMN, _BOX_HEIGHT, _LEAF_WIDTH, _BOX_WIDTH = 30, 196, 22, 470, 174
_PALETTE = ("#2f7ed8", "#d9822b", "#3d9970", "#8e44ad", "#c0392b", "#16a085", "#7f8c8d", "#b7950b")
_TINT = {Kind.GPU: "#eaf6e3", Kind.NIC: "#e6f0fb", Kind.NVSWITCH: "#f3e9fb", Kind.NVME: "#fbf3e0", Kind.STORAGE: "#fbf3e0"}

STYLE = """
.simkit text{font:12px system-ui,-apple-system,Segoe UI,sans-serif;fill:#1d2733}
.simkit .sub{fill:#5b6876;font-size:10.5px}
.simkit .box{stroke:#9aa7b4;stroke-width:1;rx:4}
.simkit .wire{fill:none;stroke:#9aa7b4}
.simkit .head{font-weight:600;font-size:13px}
.simkit .hot .box{stroke:#c0392b;stroke-width:2.5}
.simkit .wire.hot{stroke:#c0392b}
"""


@dataclass(frozen=True, slots=True)
class _Placed:
    entry: Entry
    x: float
    y: float
    parent: _Placed | None
    leaf: bool


def owners_of(plan: Plan) -> dict[Address, str]:
    """Whose each host function is; where a guest has virtual functions of it only, that is said: ``infer (VF)``."""
    return {device.vf_of or device.address: guest.name if device.vf_of is None else f"{guest.name} (VF)" for guest in plan.guests for device in guest.devices}


def colours(owners: Mapping[Address, str]) -> dict[str, str]:
    """A colour for each owner, by order of name; what is said in brackets after the name has no colour of its own."""
    names = sorted({owner.partition(" (")[0] for owner in owners.values()})
    return {owner: _PALETTE[names.index(owner.partition(" (")[0]) % len(_PALETTE)] for owner in owners.values()}


def svg(
    host: Host, grouping: Grouping | None = None, owners: Mapping[Address, str] | None = None, *, path: tuple[Address, ...] = (), whole: bool = False
) -> str:
    """The tree as a self-contained SVG document.

    Line width grows with link width and speed; a coloured bar and name mark whose a device is; `g12` is its IOMMU group;
    `path` (a counterexample's way, say) is drawn in red. Titles carry the details for a mouse.
    """
    owners = owners or {}
    placed: list[_Placed] = []
    row = 1.0
    for root in outline(host, grouping, owners, whole=whole):
        row = _place(root, None, 0, row, placed) + 0.6
    deepest = max((item.x for item in placed), default=0)
    width, height = deepest * _COLUMN + _LEAF_WIDTH + 60, row * _ROW + 20
    palette, hot = colours(owners), frozenset(path)
    body = [*(_wire(item, hot, deepest) for item in placed if item.parent is not None), *(_box(item, palette, hot, deepest) for item in placed)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="simkit" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}" role="img"'
            f' aria-label="PCIe tree of {escape(host.name)}">',
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *body,
            "</svg>",
        ]
    )


def _place(entry: Entry, parent: _Placed | None, depth: int, row: float, placed: list[_Placed]) -> float:
    """Put an entry in the middle of its children; returns the next free row."""
    at = len(placed)
    placed.append(_Placed(entry, depth, row, parent, leaf=not entry.children))
    if not entry.children:
        return row + 1
    mine = _Placed(entry, depth, row, parent, leaf=False)
    if entry.function is None:
        placed[at] = mine
        row += 1
        for child in entry.children:
            row = _place(child, None, depth, row, placed)
        return row
    first = row
    for child in entry.children:
        row = _place(child, mine, depth + 1, row, placed)
    middle = _Placed(entry, depth, (first + row - 1) / 2, parent, leaf=False)
    for index in range(at, len(placed)):
        if placed[index].parent is mine:
            placed[index] = _Placed(placed[index].entry, placed[index].x, placed[index].y, middle, placed[index].leaf)
    placed[at] = middle
    return row


def _left(item: _Placed, deepest: float) -> float:
    return 16 + (deepest if item.leaf and item.entry.function is not None else item.x) * _COLUMN


def _wire(item: _Placed, hot: frozenset[Address], deepest: float) -> str:
    parent = item.parent
    assert parent is not None
    x1, y1 = _left(parent, deepest) + _BOX_WIDTH, parent.y * _ROW + _BOX_HEIGHT / 2
    x2, y2 = _left(item, deepest), item.y * _ROW + _BOX_HEIGHT / 2
    bend = 16 + parent.x * _COLUMN + _BOX_WIDTH + 11
    burning = " hot" if _addresses(item.entry) & hot and parent.entry.function is not None and parent.entry.function.address in hot else ""
    return f'<path class="wire{burning}" stroke-width="{_thickness(item.entry):.1f}" d="M{x1:.0f} {y1:.1f}H{bend:.0f}V{y2:.1f}H{x2:.0f}"/>'


def _thickness(entry: Entry) -> float:
    link = entry.function.link if entry.function else None
    if not isinstance(link, Link) or not is_known(link.speed_gtps) or not is_known(link.width):
        return 1
    return 1 + 3.5 * min(1.0, link.speed_gtps * link.width / 512)


def _addresses(entry: Entry) -> frozenset[Address]:
    return frozenset(function.address for function in (entry.function, entry.through) if function is not None)


def _box(item: _Placed, palette: Mapping[str, str], hot: frozenset[Address], deepest: float) -> str:
    entry, x, y = item.entry, _left(item, deepest), item.y * _ROW
    if entry.function is None:
        style = "head" if entry.children else "sub"
        facts = f'<tspan class="sub" dx="10">{escape("  ".join(entry.facts))}</tspan>' if entry.facts else ""
        return f'<text class="{style}" x="{x:.0f}" y="{y + 15:.0f}">{escape(entry.title)}{facts}</text>'
    function = entry.function
    width = _LEAF_WIDTH if item.leaf else _BOX_WIDTH
    burning = " hot" if _addresses(entry) & hot else ""
    bar = f'<rect x="{x:.0f}" y="{y:.0f}" width="6" height="{_BOX_HEIGHT}" fill="{palette[entry.owner]}"/>' if entry.owner else ""
    title = escape("\n".join((str(function.address), entry.title, *entry.facts, *([f"below {entry.through.address}"] if entry.through else []))))
    return (
        f'<g class="node{burning}" data-address="{function.address}"><title>{title}</title>'
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width}" height="{_BOX_HEIGHT}" rx="4" fill="{_TINT.get(function.kind, "#f6f8fa")}"/>{bar}'
        f'<text x="{x + 11:.0f}" y="{y + 15:.0f}">{escape(_label(entry, leaf=item.leaf))}{"".join(_notes(entry, palette, leaf=item.leaf))}</text></g>'
    )


def _label(entry: Entry, *, leaf: bool) -> str:
    assert entry.function is not None
    address = entry.function.address
    short = f"{address.bus:02x}:{address.device:02x}.{address.function}"
    limit = 34 if leaf else 15
    title = entry.title if len(entry.title) <= limit else entry.title[: limit - 1] + "…"
    return f"{short} {title}"


def _notes(entry: Entry, palette: Mapping[str, str], *, leaf: bool) -> Iterator[str]:
    if not leaf:
        return
    assert entry.function is not None
    notes = [f"g{entry.group}"] if entry.group is not None else []
    link = entry.function.link
    if isinstance(link, Link) and is_known(link.speed_gtps):
        notes.append(f"{link.speed_gtps:g} GT/s" + (f" x{link.width}" if is_known(link.width) else ""))
    notes += [fact for fact in entry.facts if fact.endswith(("NVLink", "xGMI", "C2C"))]
    notes += [f"in use: {entry.function.usage}"] if entry.function.usage else []
    yield f'<tspan class="sub" dx="8">{escape(" · ".join(notes))}</tspan>'
    if entry.owner:
        yield f'<tspan dx="8" font-weight="600" fill="{palette[entry.owner]}">{escape(entry.owner)}</tspan>'
