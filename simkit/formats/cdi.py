"""A guest's devices as a Container Device Interface specification (cncf-tags/container-device-interface, SPEC.md 0.7)."""

from __future__ import annotations

import json
from typing import Any

from simkit.formats.guest_parts import describe
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

_KINDS = {Kind.GPU: "nvidia.com/pgpu", Kind.NVSWITCH: "nvidia.com/nvswitch"}
UNRESOLVED = "/dev/vfio/devices/unresolved"


def specifications(plan: Plan, guest: GuestPlan) -> dict[str, str]:
    """File name to specification, one for each kind (vendor/class), names being bus addresses.

    A device node is the group's, `/dev/vfio/GROUP`, where the kernel's number is known. Confidential guests take IOMMUFD nodes,
    `/dev/vfio/devices/vfioN`, whose N exists only once the function is bound to vfio-pci: such a node is written as a placeholder
    with the bus address in the annotation `bdf`, and `simkit render --to script` has the lines that fill it in on the node.
    """
    kinds: dict[str, list[GuestDevice]] = {}
    for device in guest.devices:
        kind = _KINDS.get(plan.host[device.vf_of or device.address].kind, "simkit.dev/function")
        kinds.setdefault(kind, []).append(device)
    return {
        f"cdi-{kind.replace('/', '-')}-{guest.name}.json": json.dumps(_specification(kind, plan, guest, devices), indent=2) + "\n"
        for kind, devices in sorted(kinds.items())
    }


def _specification(kind: str, plan: Plan, guest: GuestPlan, devices: list[GuestDevice]) -> dict[str, Any]:
    return {"cdiVersion": "0.7.0", "kind": kind, "devices": [_device(plan, guest, device) for device in devices]}


def node_path(guest: GuestPlan, device: GuestDevice) -> str:
    """The device node the guest's monitor opens."""
    if guest.tee is not TeeKind.NONE or device.group is None:
        return UNRESOLVED
    return f"/dev/vfio/{device.group}"


def name_of(device: GuestDevice) -> str:
    """A CDI device name: letters, digits, `_`, `-`, `.`, `:`."""
    return str(device.address)


def _device(plan: Plan, guest: GuestPlan, device: GuestDevice) -> dict[str, Any]:
    annotations = {"bdf": str(device.address), "simkit.dev/function": describe(plan, device)}
    if device.clique is not None:
        annotations["clique-id"] = str(device.clique)
    if device.companion_of is not None:
        annotations["attach-pci"] = "true"
    return {"name": name_of(device), "annotations": annotations, "containerEdits": {"deviceNodes": [{"path": node_path(guest, device)}]}}
