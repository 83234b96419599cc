"""DMAR, IVRS and IORT that say what scopes say: the inverse of this room's readers, for recorded nodes."""

from __future__ import annotations

import struct

from simkit.formats.acpi import dmar, iort, ivrs
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope, ScopePath

_SHORT = 0xFFFF
_IVHD = 0x10
_SMMU_BYTES = 68


def tables(scopes: tuple[IommuScope, ...]) -> dict[str, bytes]:
    """The tables by name, those of kinds that have scopes. Domains of more bits than a table has are left out, and aliases where there are none."""
    of = {kind: [scope for scope in scopes if scope.kind is kind] for kind in IommuKind}
    made = {}
    if found := of[IommuKind.INTEL]:
        made["DMAR"] = table(b"DMAR", bytes(12), b"".join(_drhd(scope) for scope in found if scope.domain <= _SHORT))
    if found := of[IommuKind.AMD]:
        made["IVRS"] = table(b"IVRS", bytes(12), b"".join(_block(number, scope) for number, scope in enumerate(found) if scope.domain <= _SHORT))
    if found := of[IommuKind.SMMU]:
        made["IORT"] = _iort(found)
    return made


def table(signature: bytes, *parts: bytes) -> bytes:
    """Header and checksum put before a table's parts."""
    body = b"".join(parts)
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), 1, 0, b"SIMKIT", b"RECORDED", 1, b"SIMK", 1)
    return head[:9] + bytes([-sum(head + body) & 0xFF]) + head[10:] + body


def _drhd(scope: IommuScope) -> bytes:
    devices = b"".join(_device(path) for path in scope.paths)
    return struct.pack("<HHBBHQ", dmar.DRHD, dmar.DRHD_BYTES + len(devices), scope.rest * dmar.INCLUDE_PCI_ALL, 0, scope.domain, 0xFED90000) + devices


def _device(path: ScopePath) -> bytes:
    steps = b"".join(bytes(step) for step in path.steps)
    return struct.pack("<BBHBB", dmar.BRIDGE if path.below else dmar.ENDPOINT, dmar.SCOPE_BYTES + len(steps), 0, 0, path.bus) + steps


def _block(number: int, scope: IommuScope) -> bytes:
    entries = b"".join(_entries(ids) for ids in scope.ids)
    return struct.pack("<BBHHHQHHI", _IVHD, 0, ivrs.HEADERS[_IVHD] + len(entries), number, 0x40, 0xFD000000, scope.domain, 0, 0) + entries


def _entries(ids: IdRange) -> bytes:
    if ids == IdRange(0, ivrs.LAST_ID):
        return struct.pack("<BHB", ivrs.ALL, 0, 0)
    if ids.alias is None:
        if ids.first == ids.last:
            return struct.pack("<BHB", ivrs.SELECT, ids.first, 0)
        return struct.pack("<BHBBHB", ivrs.START, ids.first, 0, ivrs.END, ids.last, 0)
    kind = ivrs.ALIAS if ids.first == ids.last else ivrs.ALIAS_START
    end = struct.pack("<BHB", ivrs.END, ids.last, 0) if kind == ivrs.ALIAS_START else b""
    return struct.pack("<BHBBHB", kind, ids.first, 0, 0, ids.alias, 0) + end


def _iort(scopes: list[IommuScope]) -> bytes:
    """One SMMU for all root complexes."""
    smmu = struct.pack("<BHBIII", iort.SMMU_V3, _SMMU_BYTES, 4, 0, 0, 0) + bytes(_SMMU_BYTES - iort.NODE_BYTES)
    nodes = [smmu]
    for scope in scopes:
        maps = b"".join(struct.pack("<IIIII", ids.first, ids.last - ids.first, ids.first, 48, 0) for ids in scope.ids)
        length = iort.NODE_BYTES + 20
        nodes.append(struct.pack("<BHBIII", iort.ROOT_COMPLEX, length + len(maps), 3, 0, len(scope.ids), length if maps else 0)
                     + struct.pack("<QIIB3x", 1, 0, scope.domain, 64) + maps)
    return table(b"IORT", struct.pack("<III", len(nodes), 48, 0), b"".join(nodes))
