"""A guest for Kubernetes: RuntimeClass, pod, a claim that names the plan's own GPUs, and the labels that its node needs.

Sources: Kubernetes API 1.37 (`resource.k8s.io/v1`, dynamic resource allocation; `resource.kubernetes.io/pciBusID` and `pcieRoot` of
k8s.io/dynamic-resource-allocation/deviceattribute); NVIDIA's DRA driver (device classes `gpu.nvidia.com`, `vfio.gpu.nvidia.com`); the GPU
Operator's labels for confidential containers. No cluster was asked: the documents are held against the API's schema.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from simkit.formats.guest import kata
from simkit.formats.guest.parts import one_line
from simkit.formats.native.emit import to_yaml
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

_NVIDIA = 0x10DE
_CLASS = "vfio.gpu.nvidia.com"
_PAGES = {2 << 20: "hugepages-2Mi", 1 << 30: "hugepages-1Gi"}


def render(plan: Plan, guest: GuestPlan) -> dict[str, str]:
    """File name to text: documents for `kubectl apply`, a script that labels the node, and what Kubernetes cannot carry of the plan."""
    claims = list(_claim(plan, guest))
    files = {f"kubernetes-{guest.name}.yaml": _together([_runtime_class(guest), _pod(plan, guest, claimed=False)])}
    if claims:
        files[f"kubernetes-{guest.name}-claim.yaml"] = _together([_runtime_class(guest), *claims, _pod(plan, guest, claimed=True)])
    return files | {
        f"label-node-{guest.name}.sh": "\n".join(_labels(plan, guest)) + "\n",
        f"NOTES-kubernetes-{guest.name}.txt": "\n".join(notes(plan, guest)) + "\n",
    }


def _together(documents: list[dict[str, Any]]) -> str:
    return "---\n".join(to_yaml(document, leaves_in_line=False) for document in documents)


def object_name(guest: GuestPlan) -> str:
    """A DNS label: lower case letters, digits and `-` (RFC 1123)."""
    return guest.name.lower().replace("_", "-").strip("-") or "guest"


def _runtime_class(guest: GuestPlan) -> dict[str, Any]:
    """The GPU Operator and Kata's own deployment install it; it stands here so that nothing is taken for granted."""
    name = kata.runtime_class(guest)
    return {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name,
            "scheduling": {"nodeSelector": {"nvidia.com/gpu.workload.config": "vm-passthrough"}}}


def _gpus(plan: Plan, guest: GuestPlan) -> list[GuestDevice]:
    found = [(plan.host[device.vf_of or device.address], device) for device in guest.devices if device.companion_of is None and device.vf_of is None]
    return [device for function, device in found if function.kind is Kind.GPU and function.vendor_id == _NVIDIA]


def _claim(plan: Plan, guest: GuestPlan) -> Iterator[dict[str, Any]]:
    """Each GPU by its address: the one thing of the plan's choice that the device plugin cannot be told."""
    gpus = _gpus(plan, guest)
    if gpus:
        requests = [
            {"name": f"gpu-{number}", "exactly": {"deviceClassName": _CLASS, "allocationMode": "ExactCount", "count": 1,
             "selectors": [{"cel": {"expression": _at(device)}}]}}
            for number, device in enumerate(gpus)
        ]
        yield {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": {"name": f"{object_name(guest)}-gpus"},
               "spec": {"spec": {"devices": {"requests": requests}}}}


def _at(device: GuestDevice) -> str:
    """CEL that is false, not an error that ends the allocation, for devices of which the driver does not publish the address."""
    attributes = 'device.attributes["resource.kubernetes.io"]'
    return f'"pciBusID" in {attributes} && {attributes}.pciBusID == "{device.address}"'


def _pod(plan: Plan, guest: GuestPlan, *, claimed: bool) -> dict[str, Any]:
    """The pod of `--to kata`, with huge pages where the plan has some; if told to with a claim in place of the device plugin's GPUs."""
    pod = kata.pod(plan, guest)
    container = pod["spec"]["containers"][0]
    if claimed:
        for part in container["resources"].values():
            part.pop("nvidia.com/pgpu", None)
        container["resources"]["claims"] = [{"name": "gpus"}]
        pod["spec"]["resourceClaims"] = [{"name": "gpus", "resourceClaimTemplateName": f"{object_name(guest)}-gpus"}]
    if guest.hugepage_bytes is not None:
        for part in ("requests", "limits"):
            container["resources"].setdefault(part, {})[_PAGES[guest.hugepage_bytes]] = f"{guest.memory_bytes >> 20}Mi"
    container["resources"] = {key: value for key, value in container["resources"].items() if value}
    pod["spec"]["nodeSelector"] = {_label(guest): "here"}
    return pod


def _label(guest: GuestPlan) -> str:
    return f"simkit.dev/{object_name(guest)}"


def _labels(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    protected = any(plan.host[device.address].kind is Kind.NVSWITCH for device in guest.devices if device.vf_of is None)
    mode = "off" if guest.tee is TeeKind.NONE else "ppcie" if protected else "on"
    yield "#!/bin/bash"
    yield f"# {one_line(f'Labels of the node that {guest.name} was planned for; give its name in the cluster.')}"
    yield "set -euo pipefail"
    yield 'node=${1:?the name of the node}'
    yield "# The GPU Operator binds the node's GPUs to vfio-pci, and its CC manager sets their confidential mode (ppcie: all GPUs and NVSwitches to one guest)."
    yield 'kubectl label node "$node" --overwrite nvidia.com/gpu.workload.config=vm-passthrough'
    yield f'kubectl label node "$node" --overwrite nvidia.com/cc.mode={mode}'
    yield f'kubectl label node "$node" --overwrite {shlex.quote(_label(guest))}=here'


def notes(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """What the documents carry, and what is lost."""
    yield f"{guest.name} on Kubernetes; the documents fit the schema of API 1.37, no cluster was asked"
    if _gpus(plan, guest):
        yield "- which GPUs: the device plugin hands out any that it offers; so that it can only pick the plan's, bind no others to vfio-pci on this node"
        yield (f"- the file with -claim names the plan's GPUs by address (device class {_CLASS} of NVIDIA's DRA driver, Kubernetes 1.34 and later); "
               "Kata at 7c6ba40 looks for devices in the device plugins' part of pod-resources alone (device_cold_plug.go): it does not see claimed ones yet")
    others = [device for device in guest.devices if device.companion_of is None and device not in _gpus(plan, guest)]
    if others:
        yield (f"- {len(others)} other devices are named by CDI annotations and, for NVSwitches, counted by the device plugin: "
               "which of them, the kubelet chooses")
    yield "- which node: the pod goes to the one that carries its label; the scheduler knows nothing of the plan beyond it"
    yield ("- lost: NUMA. CPUs and memory come from where the kubelet's managers put them; the Topology Manager aligns by NUMA node at most, and Kata's guide "
           "advises cpuManagerPolicy: none")
    yield "- lost: matchAttribute on resource.kubernetes.io/pcieRoot would align by PCIe root, which is coarser than a switch (KEP-6072); addresses are exact"
    if guest.tee is not TeeKind.NONE:
        yield "- nvidia.com/cc.mode is the whole node's: guests with and without confidential GPUs do not mix on it"
    yield "- the guest itself is Kata's to make, within what NOTES of `--to kata` say"
