"""A guest's devices as Container Device Interface specifications (cncf-tags/container-device-interface, SPEC.md).

The annotations `bdf`, `clique-id` and `attach-pci` are those of kata-containers docs/design/kata-vra.md; no code of Kata's reads them
(looked for at 7c6ba40), so they are for people and for runtimes to come.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from simkit.formats.guest.parts import describe, on_bridge, one_line
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

VERSION = "0.6.0"
"""The first with annotations, and the last that Kata's Go runtime takes (it is built with container-device-interface v0.6.0)."""

UNRESOLVED = "unresolved-"
"""Begins the last component of a device node that only the live node can name; the bus address follows."""

OTHER_KIND = "simkit.dev/function"
_KINDS = {Kind.GPU: "nvidia.com/pgpu", Kind.NVSWITCH: "nvidia.com/nvswitch"}
_NVIDIA = 0x10DE


def specifications(plan: Plan, guest: GuestPlan) -> dict[str, str]:
    """File name to specification, one for each kind (vendor/class), names being bus addresses.

    A device node is the group's, `/dev/vfio/GROUP`, where the kernel's number is known. Confidential guests take IOMMUFD nodes,
    `/dev/vfio/devices/vfioN`, whose N exists only once the function is bound to vfio-pci (below its `vfio-dev` in sysfs): such a
    node is written as a placeholder, which the script of `resolver` fills in on the node.
    """
    kinds: dict[str, list[GuestDevice]] = {}
    for device in guest.devices:
        kinds.setdefault(kind_of(plan, device), []).append(device)
    return {_file_name(kind, guest): json.dumps(_specification(kind, plan, guest, devices), indent=2) + "\n" for kind, devices in sorted(kinds.items())}


def _file_name(kind: str, guest: GuestPlan) -> str:
    return f"cdi-{kind.replace('/', '-')}-{guest.name}.json"


def kind_of(plan: Plan, device: GuestDevice) -> str:
    """NVIDIA's sandbox device plugin's kinds for its GPUs and NVSwitches; one of ours for all else, whose plugins have no common name."""
    function = plan.host[device.vf_of or device.address]
    return _KINDS.get(function.kind, OTHER_KIND) if function.vendor_id == _NVIDIA else OTHER_KIND


def _specification(kind: str, plan: Plan, guest: GuestPlan, devices: list[GuestDevice]) -> dict[str, Any]:
    return {"cdiVersion": VERSION, "kind": kind, "devices": [_device(plan, guest, device) for device in devices]}


def node_path(guest: GuestPlan, device: GuestDevice) -> str:
    """The device node the guest's monitor opens."""
    if guest.tee is not TeeKind.NONE:
        return f"/dev/vfio/devices/{UNRESOLVED}{device.address}"
    return f"/dev/vfio/{device.group}" if device.group is not None else f"/dev/vfio/{UNRESOLVED}{device.address}"


def name_of(device: GuestDevice) -> str:
    """A CDI device name: letters, digits, `_`, `-`, `.`, `:`."""
    return str(device.address)


def _device(plan: Plan, guest: GuestPlan, device: GuestDevice) -> dict[str, Any]:
    annotations = {"bdf": str(device.address), "simkit.dev/function": describe(plan, device)}
    if device.clique is not None:
        annotations["clique-id"] = str(device.clique)
    if on_bridge(guest, device):
        annotations["attach-pci"] = "true"
    return {"name": name_of(device), "annotations": annotations, "containerEdits": {"deviceNodes": [{"path": node_path(guest, device)}]}}


def resolver(plan: Plan, guest: GuestPlan) -> str:
    """A script for the live node: it fills in the placeholders and writes the specifications where runtimes look for them.

    It takes the folder to write to as its argument, /var/run/cdi if there is none, and reads the files that lie beside it.
    """
    return "\n".join(_resolver(plan, guest)) + "\n"


def _resolver(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    yield "#!/bin/bash"
    yield f"# {one_line(f'Device nodes of guest {guest.name} of {plan.workload.name}: run it on the node after its devices are bound to vfio-pci.')}"
    yield "set -euo pipefail"
    yield 'from=$(cd "$(dirname "$0")" && pwd)'
    yield 'to=${1:-/var/run/cdi}'
    yield ': "${SYSFS:=/sys}"'
    yield 'missing() { echo "$1 has no $2: is it bound to vfio-pci?" >&2; exit 1; }'
    yield "# /dev/vfio/devices/vfioN, IOMMUFD's node of one function; /dev/vfio/GROUP, the node of its group."
    yield 'node() { local all=("$SYSFS/bus/pci/devices/$1/vfio-dev/"vfio*); [ -e "${all[0]}" ] || missing "$1" vfio-dev; basename "${all[0]}"; }'
    yield 'group() { local link="$SYSFS/bus/pci/devices/$1/iommu_group"; [ -e "$link" ] || missing "$1" iommu_group; basename "$(readlink "$link")"; }'
    yield "edits=()"
    for device in guest.devices:
        path = node_path(guest, device)
        if UNRESOLVED in path:
            find = "node" if guest.tee is not TeeKind.NONE else "group"
            yield f"found=$({find} {device.address})"
            yield f'edits+=(-e "s|{UNRESOLVED}{device.address}\\"|$found\\"|")'
    yield 'mkdir -p "$to"'
    for kind in dict.fromkeys(kind_of(plan, device) for device in guest.devices):
        name = shlex.quote(_file_name(kind, guest))
        yield f'sed "${{edits[@]}}" "$from"/{name} > "$to"/{name}' if _open(plan, guest, kind) else f'cp "$from"/{name} "$to"/{name}'


def _open(plan: Plan, guest: GuestPlan, kind: str) -> bool:
    """Whether a kind's file has a placeholder."""
    return any(UNRESOLVED in node_path(guest, device) for device in guest.devices if kind_of(plan, device) == kind)
