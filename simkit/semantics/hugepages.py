"""Huge pages that guests' memory is made of: how many are needed of which size and node, and how many of them are not there."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.numa import HugePages, NumaNode
from simkit.model.unknown import UNKNOWN, Unknown

_UNITS = ((30, "G"), (20, "M"), (10, "K"))


@dataclass(frozen=True, slots=True)
class PagesNeeded:
    """Pages of one size that guests take from one node of the host; `node` None: no plan says from which."""

    node: int | None
    size_bytes: int
    count: int
    guests: tuple[str, ...]

    @property
    def size(self) -> str:
        """The size in the words of people: ``1 GiB``."""
        return f"{short_size(self.size_bytes)[:-1]} {short_size(self.size_bytes)[-1]}iB"

    def __str__(self) -> str:
        """For people."""
        where = f"node {self.node}" if self.node is not None else "the nodes that its memory comes from"
        return f"{self.count} huge page{'s' * (self.count > 1)} of {self.size} on {where} for {', '.join(self.guests)}"


def short_size(size_bytes: int) -> str:
    """As the kernel's command line takes it: ``1G``, ``2M``."""
    shift, unit = next((unit for unit in _UNITS if size_bytes % (1 << unit[0]) == 0), (0, ""))
    return f"{size_bytes >> shift}{unit}"


def needed(guests: tuple[GuestPlan, ...]) -> tuple[PagesNeeded, ...]:
    """By node and size; a guest whose nodes are not known stands by itself."""
    counts: dict[tuple[int, int], dict[str, int]] = {}
    nowhere = []
    for guest in guests:
        if guest.hugepage_bytes is None:
            continue
        for node in guest.nodes:
            if node.memory_bytes:
                counts.setdefault((node.host_node, guest.hugepage_bytes), {})[guest.name] = -(-node.memory_bytes // guest.hugepage_bytes)
        if not guest.nodes:
            nowhere.append(PagesNeeded(None, guest.hugepage_bytes, -(-guest.memory_bytes // guest.hugepage_bytes), (guest.name,)))
    found = [PagesNeeded(node, size, sum(shares.values()), tuple(shares)) for (node, size), shares in sorted(counts.items())]
    return (*found, *nowhere)


def node_of(host: Host, need: PagesNeeded) -> NumaNode | None:
    """The host's node that it is about."""
    return next((node for node in host.numa_nodes if node.id == need.node), None)


def pool_of(host: Host, need: PagesNeeded) -> HugePages | None | Unknown:
    """The pool that it comes from; None: the kernel has no pages of that size; unknown: nobody has said, or the node is not known."""
    node = node_of(host, need)
    return UNKNOWN if node is None else node.pool(need.size_bytes)


def lacking(host: Host, need: PagesNeeded) -> int | Unknown:
    """How many more pages are needed than are free: those that somebody has taken already are not for new guests."""
    pool = pool_of(host, need)
    if isinstance(pool, Unknown):
        return pool
    if pool is None:
        return need.count
    return pool.free if isinstance(pool.free, Unknown) else max(0, need.count - pool.free)
