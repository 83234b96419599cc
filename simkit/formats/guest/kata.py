"""A guest as a Kata Containers configuration drop-in and a pod (kata-containers src/runtime/config, docs/how-to; read at 7c6ba40)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from simkit.formats.guest import cdi
from simkit.formats.native.emit import to_yaml
from simkit.model.guest import GuestDevice, GuestPlan, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known

_CLASSES = {TeeKind.SEV_SNP: "kata-qemu-nvidia-gpu-snp", TeeKind.TDX: "kata-qemu-nvidia-gpu-tdx", TeeKind.NONE: "kata-qemu-nvidia-gpu"}
INIT_DATA = "io.katacontainers.config.hypervisor.cc_init_data"
_MOST_PORTS = 16
_BUS_SPACING, _BUS_NUMBERS = 0x20, 0x100


def render(plan: Plan, guest: GuestPlan) -> dict[str, str]:
    """File name to text: the hypervisor's drop-in, the pod, and what Kata cannot carry of the plan."""
    return {
        f"50-{guest.name}.toml": _drop_in(guest),
        f"pod-{guest.name}.yaml": to_yaml(pod(plan, guest), leaves_in_line=False),
        f"NOTES-{guest.name}.txt": "\n".join(notes(plan, guest)) + "\n",
    }


def _port(guest: GuestPlan) -> str:
    return "switch-port" if _mirrored(guest) else "root-port"


def _mirrored(guest: GuestPlan) -> bool:
    return any(port.kind is GuestPortKind.DOWNSTREAM for port in guest.ports)


def _ports(guest: GuestPlan) -> tuple[int, int]:
    """Root and switch ports to make: one for each device that is on a PCIe port of its own."""
    direct = sum(device.companion_of is None for device in guest.devices)
    return (0, direct) if _mirrored(guest) else (direct, 0)


_SECURE = {
    TeeKind.SEV_SNP: ("confidential_guest = true", "sev_snp_guest = true", "snp_guest_policy = 196608"),
    TeeKind.TDX: ("confidential_guest = true",),
    TeeKind.NONE: (),
}
"""There is no key for TDX: Kata takes what the host offers, SEV only where SNP is not asked for (src/runtime/pkg/katautils/config.go)."""


def _drop_in(guest: GuestPlan) -> str:
    """TOML for `config.d/`: Kata merges drop-ins in the order of their names. 196608 is 0x30000, the policy QEMU takes by default.

    `numa_mapping` names one node too: only then are memory and vCPUs bound to it (`numaPlacementActive`, src/runtime/virtcontainers/qemu.go).
    """
    root, switch = _ports(guest)
    mapping = ", ".join(f'"{node.host_node}"' for node in guest.nodes)
    lines = [
        f"# {guest.name}: put it into config.d beside the configuration of runtime class {_CLASSES[guest.tee]}; it holds for every pod of that class.",
        "# With static_sandbox_resource_mgmt Kata adds the pod's CPU and memory limits to these sizes: the pod has none.",
        "[hypervisor.qemu]",
        f'cold_plug_vfio = "{_port(guest)}"',
        'hot_plug_vfio = "no-port"',
        f"pcie_root_port = {root}",
        f"pcie_switch_port = {switch}",
        f"default_vcpus = {guest.cpus}",
        f"default_maxvcpus = {guest.cpus}",
        f"default_memory = {guest.memory_bytes >> 20}",
        f"enable_numa = {'true' if guest.nodes else 'false'}",
        *([f"numa_mapping = [{mapping}]"] if guest.nodes else []),
        *(["enable_hugepages = true"] if guest.hugepage_bytes is not None else []),
        *_SECURE[guest.tee],
        "",
        "[runtime]",
        "enable_vcpus_pinning = true",
        "static_sandbox_resource_mgmt = true",
        'vfio_mode = "guest-kernel"',
    ]
    return "\n".join(lines) + "\n"


def runtime_class(guest: GuestPlan) -> str:
    """The runtime class that Kata's deployment has for such guests."""
    return _CLASSES[guest.tee]


def pod(plan: Plan, guest: GuestPlan, *, init_data: str = "") -> dict[str, Any]:
    """A pod that asks the device plugin for as many devices, and names the plan's own by CDI. The container's image is the user's to fill in.

    `init_data` is the annotation's value, as `simkit.formats.trustee.init_data` makes it.

    CPU and memory are requested, not limited: Kata makes the guest of the drop-in's size larger by what a pod's limits say
    (`SandboxConfig` of src/runtime/pkg/oci/utils.go), and the number of vCPUs is part of a launch measurement.
    """
    annotations = {f"cdi.k8s.io/simkit-{index}": f"{cdi.kind_of(plan, device)}={cdi.name_of(device)}" for index, device in enumerate(guest.devices)}
    annotations |= {INIT_DATA: init_data} if init_data else {}
    extended = {kind: str(count) for kind, count in sorted(_from_plugins(plan, guest).items())}
    resources = {"requests": {"cpu": str(guest.cpus), "memory": f"{guest.memory_bytes >> 20}Mi"} | extended, "limits": dict(extended)}
    container = {"name": "workload", "image": "registry.example/your-image", "resources": {key: value for key, value in resources.items() if value}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": guest.name.lower().replace("_", "-"), "annotations": annotations},
        "spec": {"runtimeClassName": runtime_class(guest), "restartPolicy": "Never", "containers": [container]},
    }


def _from_plugins(plan: Plan, guest: GuestPlan) -> Counter[str]:
    """How many devices of each kind that a device plugin hands out (nvidia.com/pgpu, nvidia.com/nvswitch)."""
    return Counter(kind for device in guest.devices if device.companion_of is None and (kind := cdi.kind_of(plan, device)) != cdi.OTHER_KIND)


def notes(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """What Kata as it is can carry of this plan, and what is lost; give QEMU or libvirt for the whole."""
    yield f"{guest.name} in Kata Containers (Go runtime, QEMU), as read at kata-containers 7c6ba40; no Kata runtime was run"
    carried = [*_devices_notes(plan, guest), *_tree_notes(guest), *_node_notes(plan, guest)]
    yield from carried
    if guest.nodes:
        cpus = ", ".join(str(node.cpus) for node in guest.nodes)
        yield (f"- different: Kata pins vCPUs in turn to all CPUs of their node that the pod's cpuset has, not one each to the plan's {cpus}; "
               "guests of one node share them")
    if guest.tee is not TeeKind.NONE:
        yield f"- {guest.tee}: the number of vCPUs and the kernel command line are part of the launch measurement"
        yield "- no init-data: `simkit attest artefacts` writes the pod with it, and what a KBS must ask for"
    if any(line.startswith(("- lost:", "- refused:")) for line in carried):
        yield "- for the whole of the plan: `simkit render --to qemu` or `--to libvirt`"


def _devices_notes(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    if _from_plugins(plan, guest):
        yield ("- which devices: on Kubernetes the kubelet picks any that NVIDIA's sandbox device plugin offers, and Kata asks it over the pod-resources "
               "socket; so that it can only pick the plan's, bind no others of the kind to vfio-pci on this node")
    yield ("- the cdi.k8s.io annotations name the plan's own devices; Kata reads them where pod_resource_api_sock is empty or absent (containerd without "
           "Kubernetes), and containerd must pass them on (pod_annotations)")
    if any(cdi.kind_of(plan, device) == cdi.OTHER_KIND and device.companion_of is None for device in guest.devices):
        yield "- lost on Kubernetes: devices that are no NVIDIA GPU or NVSwitch are not in the pod's limits: name your own device plugin's resource for them"
    yield (f"- the CDI files go to /var/run/cdi; {guest.name}'s script beside them fills in the device nodes that only the live node can name"
           if any(cdi.UNRESOLVED in cdi.node_path(guest, device) for device in guest.devices) else "- the CDI files go to /var/run/cdi")
    if any(device.clique is not None for device in guest.devices):
        yield "- lost: P2P approval cliques; the clique-id annotation is a proposal (docs/design/kata-vra.md) that no code of Kata's reads"


def _tree_notes(guest: GuestPlan) -> Iterator[str]:
    switches = [port for port in guest.ports if port.kind is GuestPortKind.UPSTREAM]
    if len(switches) > 1:
        yield (
            f"- lost: the plan mirrors {len(switches)} switches; Kata hangs all switch ports below one, so that devices of different host switches "
            "look like neighbours (PIX) to drivers in the guest"
        )
    expanders = any(port.kind is GuestPortKind.EXPANDER for port in guest.ports)
    alone = {port.id for port in guest.ports if port.kind is GuestPortKind.ROOT}
    if _mirrored(guest) and (mixed := sum(device.port in alone for device in guest.devices)):
        yield f"- lost: {mixed} devices are planned on root ports, the others below switches; Kata puts all of a pod on one kind of port"
    if _mirrored(guest) and expanders:
        yield "- lost: Kata makes expander buses, one a node, for root ports only; below switch ports devices have no NUMA node in the guest"
    elif not _mirrored(guest) and (expanders or guest.nodes):
        yield "- different: Kata makes an expander bus for each node with devices, root ports on it, in an order that may differ between runs"
    bridged = sum(device.companion_of is not None for device in guest.devices)
    if bridged:
        yield (f"- lost: {bridged} companions on a conventional bridge; the attach-pci annotation is a proposal (docs/design/kata-vra.md) that no code of "
               "Kata's reads: each function with 4 KiB of configuration space takes a port")
    if len(guest.devices) > _MOST_PORTS:
        yield f"- refused: Kata cold-plugs {len(guest.devices)} functions on {len(guest.devices)} ports and makes at most {_MOST_PORTS}"


def _node_notes(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """Where Kata's expander buses do not work out (`createNUMAPCIeTopology`, src/runtime/virtcontainers/qemu.go; `Attach`, pkg/device/drivers/vfio.go).

    With a mapping of nodes root ports are made on expanders alone, one expander for each host node that is mapped and has devices; any other
    device is then sent to a port `rp<N>` that is not there. An expander's number is an 8-bit product of its place in the mapping.
    """
    if _mirrored(guest) or not guest.nodes:
        return
    place = {node.host_node: index for index, node in enumerate(guest.nodes)}
    at = {device.address: _host_node(plan, device) for device in guest.devices}
    if all(node is None for node in at.values()):
        return
    if lost := [str(address) for address, node in at.items() if node not in place]:
        yield (f"- refused: {', '.join(lost)} are on no NUMA node that the guest has, and Kata makes root ports on its nodes' expander buses alone; "
               "QEMU finds no port for them")
    numbers = Counter(_BUS_SPACING * (place[node] + 1) % _BUS_NUMBERS for node in set(at.values()) if node in place)
    if 0 in numbers or any(count > 1 for count in numbers.values()):
        yield (f"- refused: Kata numbers expander buses 0x{_BUS_SPACING:x} apart in 8 bits: of {len(guest.nodes)} nodes the eighth gets 0, which pcie.0 has, "
               "and those after it the first ones' again")


def _host_node(plan: Plan, device: GuestDevice) -> int | None:
    """None where the host has none, or it is not known."""
    node = plan.host[device.vf_of or device.address].numa_node
    return node if is_known(node) and node is not None and node >= 0 else None
