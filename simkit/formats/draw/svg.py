"""The PCIe tree as an SVG: root left, devices right, one row a device; groups and guests as coloured regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from simkit.formats.draw import regions as draw_regions
from simkit.formats.draw.layout import GAP, LEFT, ROW, Layout, Placed, layout, text_width
from simkit.formats.draw.outline import Entry, acs_text, link_text, outline, short
from simkit.formats.draw.owner import Owner
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, Link, PortType
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.unknown import is_known

_TINT = {Kind.GPU: "#eaf6e3", Kind.NIC: "#e6f0fb", Kind.NVSWITCH: "#f3e9fb", Kind.NVME: "#fbf3e0", Kind.STORAGE: "#fbf3e0"}
_HEIGHT = {"leaf": 24, "port": 33}
_MOST = {"leaf": 46, "port": 40}

STYLE = """
.simkit text{font:12px system-ui,-apple-system,Segoe UI,sans-serif;fill:#1d2733}
.simkit text.sub,.simkit tspan.sub{fill:#5b6876;font-size:10.5px;font-weight:400}
.simkit tspan.weak{fill:#b45309}
.simkit .box{stroke:#9aa7b4;stroke-width:1}
.simkit .wire{fill:none;stroke:#9aa7b4}
.simkit text.head{font-weight:600;font-size:13px}
.simkit text.group{font-size:10px;text-anchor:middle}
.simkit .hot .box{stroke:#c0392b;stroke-width:2.5}
.simkit .wire.hot{stroke:#c0392b}
"""


def svg(
    host: Host, grouping: Grouping | None = None, owners: Mapping[Address, Owner] | None = None, *, path: tuple[Address, ...] = (), whole: bool = False
) -> str:
    """The tree as a self-contained SVG document.

    A wire is as thick as its link is fast. A pill is an IOMMU group, in colour where functions share it. Behind the devices of a guest
    lies its region, with a dashed edge where the guest is in a TEE. `path` (a counterexample's way, say) is drawn in red. Titles carry
    the details for a mouse.
    """
    owners = owners or {}
    drawn = layout(outline(host, grouping, owners, whole=whole), _width)
    hot, pills = frozenset(path), draw_regions.pills(grouping)
    regions, reach = draw_regions.guests(drawn, owners)
    wires = sorted((wire for placed in drawn.walk() for wire in _wires(drawn, placed, hot)), key=lambda wire: "wire hot" in wire)
    width = max(drawn.leaf[0] + drawn.leaf[1] + reach, *(_note_width(drawn, placed) for placed in drawn.walk()), 320.0) + LEFT
    height = drawn.rows * ROW + LEFT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="simkit" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}" role="group" aria-label="PCIe tree of {escape(host.name)}">',
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *regions,
            *wires,
            *(_drawn(drawn, placed, hot, pills) for placed in drawn.walk()),
            "</svg>",
        ]
    )


def _width(placed: Placed) -> float:
    entry = placed.entry
    pill = draw_regions.PILL + 6 if entry.group is not None else 0
    notes = " · ".join(text for text, _ in _notes(entry, leaf=placed.kind == "leaf"))
    title, below = text_width(_title(placed), 12), text_width(notes, 10.5)
    return 11 + (title + 10 + below + pill if placed.kind == "leaf" else max(title, below + pill)) + 10


def _note_width(drawn: Layout, placed: Placed) -> float:
    entry = placed.entry
    return drawn.box(placed)[0] + text_width("  ".join((entry.title, *entry.facts)), 13) if placed.kind == "note" else 0.0


def _wires(drawn: Layout, parent: Placed, hot: frozenset[Address]) -> Iterator[str]:
    if parent.kind != "port":
        return
    x, wide = drawn.box(parent)
    for child in parent.children:
        bend, end = x + wide + GAP / 2, drawn.box(child)[0]
        burning = " hot" if _addresses(parent.entry) & hot and _addresses(child.entry) & hot else ""
        yield (
            f'<path class="wire{burning}" stroke-width="{_thickness(child.entry):.1f}"'
            f' d="M{x + wide:.0f} {_middle(parent):.1f}H{bend:.0f}V{_middle(child):.1f}H{end:.0f}"/>'
        )


def _middle(placed: Placed) -> float:
    return placed.row * ROW + LEFT + ROW / 2


def _thickness(entry: Entry) -> float:
    """By Gb/s, up to that of 32 GT/s x16."""
    link = entry.function.link if entry.function else None
    if not isinstance(link, Link):
        return 1
    if is_known(link.speed_gtps) and is_known(link.width):
        return 1 + 3.5 * min(1.0, link.speed_gtps * link.width / 512)
    return 1 + 3.5 * min(1.0, link.stated_gbps / 504) if is_known(link.stated_gbps) else 1


def _addresses(entry: Entry) -> frozenset[Address]:
    return frozenset(function.address for function in (entry.function, entry.through) if function is not None)


def _drawn(drawn: Layout, placed: Placed, hot: frozenset[Address], pills: Mapping[Address, draw_regions.Pill]) -> str:
    entry, (x, wide), middle = placed.entry, drawn.box(placed), _middle(placed)
    function = entry.function
    if function is None:
        facts = f'<tspan class="sub" dx="10">{escape("  ".join(entry.facts))}</tspan>' if entry.facts else ""
        return f'<text class="{"head" if entry.children or entry.facts else "sub"}" x="{x:.0f}" y="{middle + 4:.1f}">{escape(entry.title)}{facts}</text>'
    leaf, height = placed.kind == "leaf", _HEIGHT[placed.kind]
    top, pill = middle - height / 2, pills.get(function.address)
    words = [str(function.address), entry.title, *entry.facts, *([f"IOMMU group {entry.group}"] if entry.group is not None else [])]
    words += [f"below {entry.through.address}"] if entry.through else []
    words += [f"of {entry.owner}"] if entry.owner else []
    notes = " · ".join(f'<tspan class="weak">{escape(text)}</tspan>' if weak else escape(text) for text, weak in _notes(entry, leaf=leaf))
    hover = escape("\n".join(words))
    place = 'dx="9"' if leaf else f'x="{x + 11:.0f}" dy="14"'
    return (
        f'<g class="node{" hot" if _addresses(entry) & hot else ""}" data-address="{function.address}" tabindex="0"><title>{hover}</title>'
        f'<rect class="box" x="{x:.0f}" y="{top:.1f}" width="{wide:.0f}" height="{height}" rx="4" fill="{_TINT.get(function.kind, "#f6f8fa")}"/>'
        f'<text x="{x + 11:.0f}" y="{middle + (4 if leaf else -2):.1f}">{escape(_title(placed))}<tspan class="sub" {place}>{notes}</tspan></text>'
        + (pill.at(x + wide - draw_regions.PILL - 5, middle if leaf else middle + 7) if pill else "")
        + "</g>"
    )


def _title(placed: Placed) -> str:
    entry, most = placed.entry, _MOST[placed.kind]
    assert entry.function is not None
    title = f"{short(entry.function.address)} {entry.title}"
    return title if len(title) <= most else title[: most - 1] + "…"


def _notes(entry: Entry, *, leaf: bool) -> Iterator[tuple[str, bool]]:
    """What stands beside the title, and whether it is a port that lets peers through."""
    function = entry.function
    assert function is not None
    if leaf:
        link = link_text(function.link) if isinstance(function.link, Link) else ""
        beside = [fact for fact in entry.facts if fact.endswith(("NVLink", "xGMI", "C2C"))]
        yield from ((text, False) for text in (link, *beside, f"in use: {function.usage}" if function.usage else "") if text)
        if entry.owner and entry.owner.virtual:
            yield "virtual functions only", False
    port = entry.through or function
    if port.is_bridge:
        yield (f"below {short(port.address)}, " if port is entry.through else "") + acs_text(port), _lets_peers_through(port)


def _lets_peers_through(port: Function) -> bool:
    """A port that could redirect peer-to-peer requests to the IOMMU and does not."""
    if not is_known(port.port_type) or port.port_type not in (PortType.ROOT_PORT, PortType.DOWNSTREAM):
        return False
    if port.acs is None:
        return True
    return isinstance(port.acs, Acs) and is_known(port.acs.control) and AcsBits.RR not in port.acs.control
