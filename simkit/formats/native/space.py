"""Address space in snapshots: BARs, what they may be resized to, what a bridge forwards, the egress vector.

resizable_bars: [{index: 1, sizes: [64MiB, 128GiB], current: 128GiB}]
windows: {io: none, memory: 0xc0000000-0xc0ffffff, prefetchable: 0x2000000000-0x3fffffffff, wide: true}
egress: {size: 32, blocked: 0x6}
"""

from __future__ import annotations

import re
from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, Refused, listed, or_none, scalar
from simkit.formats.native.emit import Hex
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Bar, BarKind, Egress
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_RANGE = re.compile(r"0x([0-9a-fA-F]{1,16})-0x([0-9a-fA-F]{1,16})")


def bar(node: Node, path: str, context: Context) -> Bar:
    """One BAR."""
    fields = Fields(node, path, context, "a BAR")
    found = Bar(
        fields.need("index", values.whole(0, 6), 0),
        fields.need("kind", values.word(BarKind), BarKind.MEM64),
        fields.take("size", values.size, UNKNOWN),
        fields.take("prefetchable", values.truth, default=False),
        fields.take("base", values.whole(), UNKNOWN),
    )
    fields.done()
    return found


def bar_document(found: Bar) -> dict[str, Any]:
    """The inverse of `bar`."""
    return _kept(index=found.index, kind=found.kind.value, size=_size(found.size_bytes), prefetchable=found.prefetchable,
                 base=Hex(found.base, 1) if is_known(found.base) else UNKNOWN)


def resizable_bar(node: Node, path: str, context: Context) -> ResizableBar:
    """One BAR that can be resized."""
    fields = Fields(node, path, context, "a resizable BAR")
    found = ResizableBar(fields.need("index", values.whole(0, 5), 0), fields.need("sizes", listed(_power), ()), fields.take("current", _power, UNKNOWN))
    fields.done()
    return found


def resizable_document(found: ResizableBar) -> dict[str, Any]:
    """The inverse of `resizable_bar`."""
    return _kept(index=found.index, sizes=[values.size_text(size) for size in found.sizes_bytes], current=_size(found.current_bytes))


def windows(node: Node, path: str, context: Context) -> BridgeWindows:
    """What a bridge forwards."""
    fields = Fields(node, path, context, "windows")
    found = BridgeWindows(
        fields.take("io", or_none(_range), UNKNOWN),
        fields.take("memory", or_none(_range), UNKNOWN),
        fields.take("prefetchable", or_none(_range), UNKNOWN),
        fields.take("wide", values.truth, UNKNOWN),
    )
    fields.done()
    return found


def windows_document(found: BridgeWindows) -> dict[str, Any]:
    """The inverse of `windows`."""
    return _kept(io=_range_text(found.io), memory=_range_text(found.memory), prefetchable=_range_text(found.prefetchable), wide=found.wide)


def egress(node: Node, path: str, context: Context) -> Egress:
    """The egress control vector."""
    fields = Fields(node, path, context, "an egress vector")
    size = fields.need("size", values.whole(1, 256), 256)
    found = Egress(size, fields.need("blocked", values.whole(0, (1 << size) - 1), 0))
    fields.done()
    return found


def egress_document(found: Egress) -> dict[str, Any]:
    """The inverse of `egress`."""
    return {"size": found.size, "blocked": Hex(found.blocked, 1)}


def _power(node: Node, path: str, context: Context) -> int:
    found = values.size(node, path, context)
    if found < 1 << 20 or found & (found - 1):
        raise Refused(f"{scalar(node)} is no size of a resizable BAR", "they are powers of two from 1MiB on")
    return found


def _range(node: Node, _path: str, _context: Context) -> AddressRange:
    given = scalar(node)
    found = _RANGE.fullmatch(given)
    if found is None or int(found[1], 16) > int(found[2], 16):
        raise Refused(f"{given!r} is no range of addresses", "write first and last address: 0xc0000000-0xc00fffff, or none")
    return AddressRange(int(found[1], 16), int(found[2], 16))


def _range_text(found: AddressRange | None | Unknown) -> Any:
    return found if isinstance(found, Unknown) else "none" if found is None else f"0x{found.base:x}-0x{found.limit:x}"


def _size(size: int | Unknown) -> Any:
    return values.size_text(size) if is_known(size) else UNKNOWN


def _kept(**facts: Any) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if is_known(value)}
