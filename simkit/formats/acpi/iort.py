"""Arm's IORT: which requester ids of a root complex an SMMU translates (Arm DEN 0049E.e)."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.formats.acpi.table import Table
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope

ROOT_COMPLEX, SMMU, SMMU_V3 = 2, 3, 4
NODE_BYTES, MAPPING_BYTES, SINGLE = 16, 20, 1
SEGMENT_AT = NODE_BYTES + 12
LAST_ID = 0xFFFF
_MOST_MAPPINGS = 256


def read(data: bytes, *, where: str) -> tuple[IommuScope, ...]:
    """One scope a root complex, empty where it maps no id to an SMMU. Of several for one segment Linux takes the first (`iort_scan_node`).

    Raises:
        MalformedTable: another table, cut off, or nodes that contradict their lengths.
    """
    table = Table(data, b"IORT", where=where)
    count, at = table.numbers("II", 36)
    nodes: dict[int, int] = {}
    for _ in range(count):
        if at >= len(table):
            raise table.fault(at, f"{count} nodes are announced, {len(nodes)} are here")
        kind, length = table.numbers("BH", at)
        if length < NODE_BYTES or at + length > len(table):
            raise table.fault(at, f"a node of {length} bytes")
        nodes[at] = kind
        at += length
    found: dict[int, IommuScope] = {}
    for at, kind in nodes.items():
        if kind == ROOT_COMPLEX:
            (segment,) = table.numbers("I", at + SEGMENT_AT)
            if segment not in found:
                found[segment] = IommuScope(IommuKind.SMMU, segment, ids=_translated(table, at, nodes))
    return tuple(found.values())


def _translated(table: Table, node: int, nodes: dict[int, int]) -> tuple[IdRange, ...]:
    """The ids that `iort_node_map_id` leads to an SMMU: the first mapping that has an id decides.

    The last id of a mapping may be one too many, as some firmware counts: a later mapping that begins with it has it (`iort_id_map`).
    """
    claimed: list[tuple[int, int, bool]] = []
    for first, last, target in _mappings(table, node):
        if target not in nodes:
            raise table.fault(node, f"a mapping to {target:#x}, where no node is")
        claimed = [(start, end - (start < end == first), smmu) for start, end, smmu in claimed]
        parts = [(first, last)]
        for start, end, _ in claimed:
            parts = [part for low, high in parts for part in ((low, min(high, start - 1)), (max(low, end + 1), high)) if part[0] <= part[1]]
        claimed += [(low, high, nodes[target] in (SMMU, SMMU_V3)) for low, high in parts]
    return tuple(IdRange(low, min(high, LAST_ID)) for low, high, smmu in sorted(claimed) if smmu and low <= LAST_ID)


def _mappings(table: Table, node: int) -> Iterator[tuple[int, int, int]]:
    """First and last input id, and the node it leads to. A single mapping takes any id."""
    count, offset = table.numbers("II", node + 8)
    if not count or not offset:
        return
    (length,) = table.numbers("H", node + 1)
    if count > _MOST_MAPPINGS:
        raise table.fault(node, f"{count} mappings, where no machine has over {_MOST_MAPPINGS}")
    if offset + count * MAPPING_BYTES > length:
        raise table.fault(node, f"{count} mappings at {offset:#x} in a node of {length} bytes")
    for at in range(node + offset, node + offset + count * MAPPING_BYTES, MAPPING_BYTES):
        base, more, _, target, flags = table.numbers("IIIII", at)
        yield (0, LAST_ID, target) if flags & SINGLE else (base, base + more, target)
