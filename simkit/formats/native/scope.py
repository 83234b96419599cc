"""What firmware puts under IOMMUs, and root buses that drivers made, in a snapshot.

`iommu_scopes: [{kind: intel, domain: 0, devices: ['00:02.0', '00:1c.0/00.0/*']}, {kind: intel, domain: 0, rest: true}]`: functions by their
path from the root bus, `/*` for all below as well. `{kind: amd, domain: 0, ids: [0000-00ff, 0100=00a4]}`: requester ids, `=ID` the id that
their requests may carry. `made_buses: [{bus: 'pci10000:00', function: '0000:64:00.5'}]`.
"""

from __future__ import annotations

import re
from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node, Refused, listed, scalar
from simkit.model.address import Address, RootBus
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope, MadeBus, ScopePath

_STEP = r"[01]?[0-9a-fA-F]\.[0-7]"
_PATH = re.compile(rf"([0-9a-fA-F]{{1,2}}):({_STEP}(?:/{_STEP}){{0,255}})(/\*)?")
_IDS = re.compile(r"([0-9a-fA-F]{1,8})(?:-([0-9a-fA-F]{1,8}))?(?:=([0-9a-fA-F]{1,4}))?")
_NOWHERE = MadeBus(RootBus(0x10000, 0), Address(0, 0, 0, 0))


def iommu_scope(node: Node, path: str, context: Context) -> IommuScope:
    """One entry of `iommu_scopes`."""
    fields = Fields(node, path, context, "an IOMMU's scope")
    found = IommuScope(
        fields.need("kind", values.word(IommuKind), IommuKind.NONE),
        fields.need("domain", values.whole(0, 0xFFFFFFFF), 0),
        fields.take("rest", values.truth, default=False),
        fields.take("devices", listed(_path), ()),
        fields.take("ids", listed(_ids), ()),
    )
    fields.done()
    return found


def made_bus(node: Node, path: str, context: Context) -> MadeBus:
    """One entry of `made_buses`."""
    fields = Fields(node, path, context, "a root bus that a driver made")
    bus = fields.need("bus", values.parent, _NOWHERE.bus)
    function = fields.need("function", values.address, _NOWHERE.function)
    fields.done()
    if not isinstance(bus, RootBus):
        raise Refused(f"{bus} is no root bus", "write it as sysfs does, for example pci10000:00")
    return MadeBus(bus, function)


def scope_document(scope: IommuScope) -> dict[str, Any]:
    """Inverse of `iommu_scope`."""
    made: dict[str, Any] = {"kind": scope.kind.value, "domain": scope.domain}
    if scope.rest:
        made["rest"] = True
    if scope.paths:
        made["devices"] = [str(path) for path in scope.paths]
    if scope.ids:
        made["ids"] = [_ids_text(ids) for ids in scope.ids]
    return made


def made_document(made: MadeBus) -> dict[str, Any]:
    """Inverse of `made_bus`."""
    return {"bus": str(made.bus), "function": str(made.function)}


def _path(node: Node, _where: str, _context: Context) -> ScopePath:
    given = scalar(node)
    match = _PATH.fullmatch(given)
    steps = [step.partition(".") for step in match[2].split("/")] if match else []
    if match is None or any(int(device, 16) > 0x1F for device, _, _ in steps):
        raise Refused(f"{given!r} is no path to a function", "write root bus, then device and function at each bridge: 00:1c.0/00.0, with /* for all below it")
    return ScopePath(int(match[1], 16), tuple((int(device, 16), int(function)) for device, _, function in steps), match[3] is not None)


def _ids(node: Node, _where: str, _context: Context) -> IdRange:
    given = scalar(node)
    match = _IDS.fullmatch(given)
    if match is None or int(match[2] or match[1], 16) < int(match[1], 16):
        raise Refused(f"{given!r} is no range of requester ids", "write them in hexadecimal, 0100-01ff, with =00a4 where they carry another id")
    return IdRange(int(match[1], 16), int(match[2] or match[1], 16), None if match[3] is None else int(match[3], 16))


def _ids_text(ids: IdRange) -> str:
    last = f"-{ids.last:04x}" if ids.last != ids.first else ""
    return f"{ids.first:04x}{last}" + (f"={ids.alias:04x}" if ids.alias is not None else "")
