"""A guest as a Kata Containers configuration drop-in and a pod (kata-containers src/runtime/config, docs/how-to; read at 7c6ba40)."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.formats.cdi import name_of
from simkit.formats.emit import to_yaml
from simkit.model.function import Kind
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.workload import Topology

_CLASSES = {TeeKind.SEV_SNP: "kata-qemu-nvidia-gpu-snp", TeeKind.TDX: "kata-qemu-nvidia-gpu-tdx", TeeKind.NONE: "kata-qemu-nvidia-gpu"}
_PREFIX = "io.katacontainers.config.hypervisor"
_MOST_PORTS = 16


def render(plan: Plan, guest: GuestPlan) -> dict[str, str]:
    """File name to text: the hypervisor's drop-in, the pod, and what Kata cannot carry of the plan."""
    return {
        f"50-{guest.name}.toml": _drop_in(guest),
        f"pod-{guest.name}.yaml": _pod(plan, guest),
        f"NOTES-{guest.name}.txt": "\n".join(notes(guest)) + "\n",
    }


def _port(guest: GuestPlan) -> str:
    return "switch-port" if guest.topology is Topology.REPLICATE else "root-port"


def _ports(guest: GuestPlan) -> tuple[int, int]:
    """Root and switch ports to make: one for each device that is on a PCIe port of its own."""
    direct = sum(device.companion_of is None for device in guest.devices)
    return (0, direct) if guest.topology is Topology.REPLICATE else (direct, 0)


_SECURE = {
    TeeKind.SEV_SNP: ("confidential_guest = true", "sev_snp_guest = true", "snp_guest_policy = 196608"),
    TeeKind.TDX: ("confidential_guest = true", "tdx_guest = true"),
    TeeKind.NONE: (),
}


def _drop_in(guest: GuestPlan) -> str:
    """TOML for `config.d/`: Kata merges drop-ins in the order of their names. 196608 is 0x30000, the policy QEMU takes by default."""
    root, switch = _ports(guest)
    spread = len(guest.nodes) > 1
    mapping = ", ".join(f'"{node.host_node}"' for node in guest.nodes)
    lines = [
        f"# {guest.name}: put it into config.d beside the configuration of runtime class {_CLASSES[guest.tee]}",
        "[hypervisor.qemu]",
        f'cold_plug_vfio = "{_port(guest)}"',
        'hot_plug_vfio = "no-port"',
        f"pcie_root_port = {root}",
        f"pcie_switch_port = {switch}",
        f"default_vcpus = {guest.cpus}",
        f"default_maxvcpus = {guest.cpus}",
        f"default_memory = {guest.memory_bytes >> 20}",
        f"enable_numa = {'true' if spread else 'false'}",
        *([f"numa_mapping = [{mapping}]"] if spread else []),
        *_SECURE[guest.tee],
        "",
        "[runtime]",
        "enable_vcpus_pinning = true",
        "static_sandbox_resource_mgmt = true",
        'vfio_mode = "guest-kernel"',
    ]
    return "\n".join(lines) + "\n"


def _pod(plan: Plan, guest: GuestPlan) -> str:
    """A pod that asks for the devices by CDI name. The container's image is the user's to fill in."""
    root, switch = _ports(guest)
    kinds = {Kind.GPU: "nvidia.com/pgpu", Kind.NVSWITCH: "nvidia.com/nvswitch"}
    annotations = {
        f"{_PREFIX}.default_memory": str(guest.memory_bytes >> 20),
        f"{_PREFIX}.pcie_root_port": str(root),
        f"{_PREFIX}.pcie_switch_port": str(switch),
    }
    for index, device in enumerate(guest.devices):
        kind = kinds.get(plan.host[device.vf_of or device.address].kind, "simkit.dev/function")
        annotations[f"cdi.k8s.io/vfio{index}"] = f"{kind}={name_of(device)}"
    resources = {"cpu": str(guest.cpus), "memory": f"{guest.memory_bytes >> 20}Mi"}
    container = {"name": "workload", "image": "registry.example/your-image", "resources": {"limits": resources, "requests": resources}}
    return to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": guest.name.lower().replace("_", "-"), "annotations": annotations},
            "spec": {"runtimeClassName": _CLASSES[guest.tee], "restartPolicy": "Never", "containers": [container]},
        },
        leaves_in_line=False,
    )


def notes(guest: GuestPlan) -> Iterator[str]:
    """What Kata as it is can carry of this plan, and what is lost; give QEMU or libvirt for the whole."""
    yield f"{guest.name} in Kata Containers (Go runtime, QEMU), as read at kata-containers 7c6ba40"
    switches = [port for port in guest.ports if port.kind is GuestPortKind.UPSTREAM]
    if len(switches) > 1:
        yield (
            f"- lost: the plan mirrors {len(switches)} switches; Kata hangs all switch ports below one, so that devices of different host switches "
            "look like neighbours (PIX) to drivers in the guest"
        )
    if any(port.kind is GuestPortKind.EXPANDER for port in guest.ports):
        yield "- different: with enable_numa Kata makes one expander bus a node and root ports below it; switch ports are then not used"
    if any(device.companion_of is not None for device in guest.devices):
        yield "- companions are marked attach-pci in the CDI file, and Kata puts them on its PCIe-to-PCI bridge"
    if max(_ports(guest)) > _MOST_PORTS:
        yield f"- refused: more than {_MOST_PORTS} ports"
    if guest.nodes:
        cpus = ", ".join(str(node.cpus) for node in guest.nodes)
        yield f"- CPUs are pinned by Kata from the pod's cpuset, not to the plan's {cpus}; the cpuset of the pod must hold them"
    yield "- annotations must be allowed: enable_annotations in the runtime's configuration lists default_memory, pcie_root_port and pcie_switch_port"
    if guest.tee is not TeeKind.NONE:
        yield f"- {guest.tee}: the number of vCPUs and the kernel command line are part of the launch measurement"
    yield "- not checked here: that the installed Kata release knows every key (no Kata runtime was run)"
