"""Links between accelerators that are not PCIe, in a snapshot: `{source: '0000:17:00.0', target: none, kind: nvlink, count: 18}`.

And what the fabric manager makes of them: `partitions: [{id: 1, gpus: ['0000:17:00.0', '0000:2a:00.0']}]`.
"""

from __future__ import annotations

from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, Refused, listed, or_none
from simkit.model.address import Address
from simkit.model.platform import Partition, PeerKind, PeerLink

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


def partition(node: Node, path: str, context: Context) -> Partition:
    """One entry of `partitions`."""
    fields = Fields(node, path, context, "a fabric partition")
    found = Partition(fields.need("id", values.whole(0, 0xFFFF), 0), fields.need("gpus", listed(values.address), ()))
    fields.done()
    if len(set(found.gpus)) < len(found.gpus) or not found.gpus:
        raise Refused(f"partition {found.id} names {'a GPU twice' if found.gpus else 'no GPU'}", "list each of its GPUs once, as `fmpm -l` does")
    return found


def partition_document(found: Partition) -> dict[str, Any]:
    """Inverse of `partition`."""
    return {"id": found.id, "gpus": [str(gpu) for gpu in found.gpus]}
