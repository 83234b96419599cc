"""The PCIe tree that a guest will see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.numa import CpuSet
from simkit.model.platform import TeeKind
from simkit.model.workload import Topology


class GuestPortKind(StrEnum):
    """Ports of QEMU's that simkit builds trees from."""

    EXPANDER = "expander"
    ROOT = "root"
    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class GuestPort:
    """A port of the guest's tree: a `pxb-pcie` expander, root, switch or PCIe-to-PCI bridge port.

    `parent` is another port's id, None for the root complex. `slot` is the device number on the parent's bus, `mirrors` the
    host's port that it stands for. `chassis` is unique over all ports of a guest. `numa_node` is one of the guest's own nodes, and only
    an expander's reaches the guest: firmware names a root bus' node, no port's.
    """

    id: str
    kind: GuestPortKind
    parent: str | None
    slot: int
    chassis: int = 0
    numa_node: int | None = None
    bus_nr: int | None = None
    mirrors: Address | None = None


@dataclass(frozen=True, slots=True)
class GuestDevice:
    """A host function handed to the guest, on a guest port, with the IOMMU group it comes in.

    `address` is the host's; for a virtual function that does not exist yet it is the address it will get, with `vf_of` and
    `vf_index` saying whose and which. `companion_of` is set on functions that come along because they share the group.
    `clique` is NVIDIA's P2P approval clique (QEMU x-nv-gpudirect-clique). `profile` is what a virtual function of a GPU stands for (a MIG
    instance or a vGPU); `mig_start` the first memory slice of a MIG instance.
    """

    address: Address
    port: str
    slot: int = 0
    group: int | None = None
    vf_of: Address | None = None
    vf_index: int | None = None
    companion_of: Address | None = None
    clique: int | None = None
    profile: str | None = None
    mig_start: int | None = None


@dataclass(frozen=True, slots=True)
class GuestNode:
    """One NUMA node of the guest, backed by one of the host."""

    id: int
    host_node: int
    cpus: CpuSet
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """Everything decided for one guest.

    `nodes[*].cpus` are host CPUs, in the order of the guest's vCPUs. `held` are functions that are bound to vfio-pci for the guest, since
    they share an IOMMU group with one of its devices, and not attached to it: they have no port. `hugepage_bytes`: see `GuestRequest`. `mmio64_mib` is the
    64-bit window that firmware must be asked for (OVMF's `X-PciMmio64Mb`), 0 where what it makes by itself will do; None: not known.
    """

    name: str
    tee: TeeKind
    topology: Topology
    cpus: int
    memory_bytes: int
    ports: tuple[GuestPort, ...]
    devices: tuple[GuestDevice, ...]
    nodes: tuple[GuestNode, ...]
    because: tuple[str, ...] = ()
    held: tuple[GuestDevice, ...] = ()
    hugepage_bytes: int | None = None
    mmio64_mib: int | None = None

    @property
    def bound(self) -> tuple[GuestDevice, ...]:
        """Every function that nobody else may drive while the guest runs."""
        return (*self.devices, *self.held)

    @property
    def whole(self) -> tuple[Address, ...]:
        """Functions that it has as a whole and for their own sake."""
        return tuple(device.address for device in self.devices if device.vf_of is None and device.companion_of is None)
