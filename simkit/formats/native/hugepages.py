"""Pools of huge pages in a snapshot: `hugepages: [{size: 1 GiB, total: 64, free: 60}]`."""

from __future__ import annotations

from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, listed
from simkit.model.numa import HugePages
from simkit.model.unknown import UNKNOWN, is_known

_LEAST, _MOST_PAGES = 4096, (1 << 40) - 1


def pools(node: Node, path: str, context: Context) -> tuple[HugePages, ...]:
    """A NUMA node's pools, smallest pages first, whatever their order in the file."""
    found = listed(_pool)(node, path, context)
    sizes = [pool.size_bytes for pool in found]
    for size in sorted({size for size in sizes if sizes.count(size) > 1}):
        context.fault(f"huge pages of {values.size_text(size)} are there twice", node.line, "give each size once")
    return tuple(sorted(found, key=lambda pool: pool.size_bytes))


def _pool(node: Node, path: str, context: Context) -> HugePages:
    fields = Fields(node, path, context, "a pool of huge pages")
    count = values.whole(0, _MOST_PAGES)
    found = HugePages(fields.need("size", values.size, 2 << 20), fields.take("total", count, UNKNOWN), fields.take("free", count, UNKNOWN))
    fields.done()
    if found.size_bytes < _LEAST or found.size_bytes & (found.size_bytes - 1):
        context.fault(f"{values.size_text(found.size_bytes)} is no size of huge pages", node.line, "it is a power of two, mostly 2 MiB or 1 GiB")
    if is_known(found.total) and is_known(found.free) and found.free > found.total:
        context.fault(f"{found.free} of {found.total} huge pages are free", node.line, "free ones are at most as many as there are")
    return found


def pool_document(pool: HugePages) -> dict[str, Any]:
    """Inverse of `pools`, of one."""
    counts = {"total": pool.total, "free": pool.free}
    return {"size": values.size_text(pool.size_bytes), **{name: count for name, count in counts.items() if is_known(count)}}
