"""A link between accelerators that is not PCIe, in a snapshot: `{source: '0000:17:00.0', target: none, kind: nvlink, count: 18}`."""

from __future__ import annotations

from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, or_none
from simkit.model.address import Address
from simkit.model.platform import PeerKind, PeerLink

_NOWHERE = Address(0, 0, 0, 0)


def peer_link(node: Node, path: str, context: Context) -> PeerLink:
    """One entry of `peer_links`."""
    fields = Fields(node, path, context, "a peer link")
    found = PeerLink(
        fields.need("source", values.address, _NOWHERE),
        fields.need("target", or_none(values.address), None),
        fields.need("kind", values.word(PeerKind), PeerKind.NVLINK),
        fields.take("count", values.whole(1, 1024), 1),
    )
    fields.done()
    return found


def link_document(link: PeerLink) -> dict[str, Any]:
    """Inverse of `peer_link`."""
    return {"source": str(link.source), "target": "none" if link.target is None else str(link.target), "kind": link.kind.value, "count": link.count}
