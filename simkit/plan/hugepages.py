"""Steps that reserve huge pages on the nodes that guests' memory comes from."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.errors import Fault, InputError
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.numa import HugePages, NodeName, NumaNode
from simkit.model.step import ExpectText, Step, StepKind, Write
from simkit.model.unknown import is_known
from simkit.plan import attributes
from simkit.semantics.hugepages import PagesNeeded, lacking, needed, node_of, pool_of, short_size


def hugepage_steps(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Step]:
    """A step for each node and size of which too few pages are free; none where that is unknown (`unknown_pools` says so).

    Linux takes a number that it cannot reach and reserves what it can (`set_max_huge_pages`, mm/hugetlb.c), so that only reading again
    tells. What is free is read before, and not after: guests that run have taken it.

    Raises:
        InputError: the kernel has no pages of that size, or the node not so much memory.
    """
    wanted = [(need, pool_of(host, need), lacking(host, need)) for need in needed(guests)]
    growing: dict[int, int] = {}
    faults = []
    for need, pool, lack in wanted:
        node = node_of(host, need)
        if pool is None and node is not None:
            faults.append(Fault(f"{need}: this kernel has no pages of that size", str(host.where(f"numa_nodes/{need.node}")),
                                "ask for pages of another size (`hugepages` of the guest), or leave it out"))
        elif isinstance(pool, HugePages) and is_known(lack) and node is not None:
            growing[node.id] = growing.get(node.id, 0) + lack * need.size_bytes
    faults += [fault for node in host.numa_nodes if growing.get(node.id) and (fault := _too_much(host, node, growing[node.id]))]
    if faults:
        raise InputError("huge pages that cannot be reserved", faults=tuple(faults))
    for need, pool, lack in wanted:
        if isinstance(pool, HugePages) and is_known(pool.total) and is_known(lack) and lack:
            yield _step(need, pool, pool.total, lack)


def _too_much(host: Host, node: NumaNode, more_bytes: int) -> Fault | None:
    held = sum(pool.total * pool.size_bytes for pool in node.hugepages if is_known(pool.total)) if is_known(node.hugepages) else 0
    if not is_known(node.memory_bytes) or held + more_bytes <= node.memory_bytes:
        return None
    return Fault(f"node {node.id} has {_mib(node.memory_bytes)} of memory, {_mib(held)} of it in huge pages already, and {_mib(more_bytes)} more are needed",
                 str(host.where(f"numa_nodes/{node.id}")), "free the pages that are reserved for nobody, or give guests less memory")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB"


def _step(need: PagesNeeded, pool: HugePages, now: int, more: int) -> Step:
    assert need.node is not None
    name = NodeName(need.node)
    count, free = attributes.hugepages(name, need.size_bytes), attributes.free_hugepages(name, need.size_bytes)
    then = now + more
    lasts = f"hugepagesz={short_size(need.size_bytes)} hugepages={need.node}:{then}"
    return Step("", StepKind.HUGEPAGES, name, f"reserve {more} huge page{'s' * (more > 1)} of {need.size} on node {need.node} for {', '.join(need.guests)}",
                (ExpectText(count, str(now)), ExpectText(free, str(pool.free))), (Write(count, str(then)),), (ExpectText(count, str(then)),),
                (Write(count, str(now)),), f"a run-time write, gone after a reboot; {lasts} on the kernel command line reserves them at every boot "
                "(Linux 5.16 and later), while memory is still in one piece")


def unknown_pools(host: Host, guests: tuple[GuestPlan, ...]) -> tuple[PagesNeeded, ...]:
    """What guests need of pools of which it is not known how many pages are there and free: nobody reserves these."""
    found = []
    for need in needed(guests):
        pool = pool_of(host, need)
        if not is_known(pool) or (isinstance(pool, HugePages) and not (is_known(pool.total) and is_known(pool.free))):
            found.append(need)
    return tuple(found)
