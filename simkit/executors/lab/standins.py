"""QEMU's devices that stand in for real ones: how each is called, and what its registers say (QEMU 7.2 to 11, read back from booted machines)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from simkit.model.capabilities import AcsBits, Ats, PortType
from simkit.model.function import Function, Kind
from simkit.model.unknown import UNKNOWN

PORT_ACS = AcsBits(0x5F)
"""What QEMU's root ports can (`pcie_acs_init`): SV TB RR CR UF DT."""
MOST_VFS = 127
ALWAYS = frozenset({"pcie-root-port", "ioh3420", "x3130-upstream", "xio3130-downstream", "pcie-pci-bridge", "pci-bridge", "pxb-pcie", "nvme", "edu",
                    "e1000e", "qemu-xhci", "virtio-net-pci", "virtio-gpu-pci"})
"""Devices that QEMU 7.2 and later have, for every machine."""


@dataclass(frozen=True, slots=True)
class Standin:
    """One of QEMU's devices: `device` and `options` as `-device` takes them, and what config space will show.

    `port_type` is what it is behind a port; on a root bus an endpoint becomes an integrated one (`pcie_endpoint_cap_init`), on a
    conventional bus it has no PCIe capability. `has_ports` are bridges with a hot-plug slot, which want chassis and slot
    numbers. `vf_device_id` is its virtual functions' where it is not its own.
    """

    device: str
    vendor_id: int
    device_id: int
    class_code: int
    port_type: PortType | None = None
    options: tuple[str, ...] = ()
    acs: AcsBits | None = None
    ats: bool = False
    vfs: int = 0
    vf_offset: int = 1
    vf_stride: int = 1
    vf_device_id: int | None = None
    is_bridge: bool = False
    has_slot: bool = False

    def type_on(self, *, root: bool, express: bool) -> PortType | None:
        """Its device/port type on a root bus, an express or a conventional one."""
        if self.port_type is None or not express:
            return None
        return PortType.RC_ENDPOINT if root and self.port_type is PortType.ENDPOINT else self.port_type


ROOT_PORT = Standin("pcie-root-port", 0x1B36, 0x000C, 0x060400, PortType.ROOT_PORT, acs=PORT_ACS, is_bridge=True, has_slot=True)
BARE_ROOT_PORT = replace(ROOT_PORT, options=("disable-acs=on",), acs=None)
UPSTREAM = Standin("x3130-upstream", 0x104C, 0x8232, 0x060400, PortType.UPSTREAM, is_bridge=True)
DOWNSTREAM = Standin("xio3130-downstream", 0x104C, 0x8233, 0x060400, PortType.DOWNSTREAM, is_bridge=True, has_slot=True)
PCIE_BRIDGE = Standin("pcie-pci-bridge", 0x1B36, 0x000E, 0x060400, PortType.PCIE_TO_PCI_BRIDGE, is_bridge=True)
PCI_BRIDGE = Standin("pci-bridge", 0x1B36, 0x0001, 0x060400, options=("shpc=off",), is_bridge=True)
CONVENTIONAL = Standin("edu", 0x1234, 0x11E8, 0x00FF00)
NVME = Standin("nvme", 0x1B36, 0x0010, 0x010802, PortType.ENDPOINT)
INTEL_NIC = Standin("e1000e", 0x8086, 0x10D3, 0x020000, PortType.ENDPOINT, ("romfile=",))
ISOLATED_NIC = Standin("igb", 0x8086, 0x10C9, 0x020000, PortType.ENDPOINT, ("romfile=",))
SRIOV_NIC = replace(ISOLATED_NIC, vfs=8, vf_offset=0x80, vf_stride=2, vf_device_id=0x10CA)
"""The same with its virtual functions, which are past device 0 of their bus, by ARI (`igb_pci_realize`, hw/net/igb.c: QEMU 8.0 and later)."""
NIC = Standin("virtio-net-pci", 0x1AF4, 0x1041, 0x020000, PortType.ENDPOINT, ("disable-legacy=on", "romfile="))
GPU = Standin("virtio-gpu-pci", 0x1AF4, 0x1050, 0x038000, PortType.ENDPOINT)
OTHER = Standin("qemu-xhci", 0x1B36, 0x000D, 0x0C0330, PortType.ENDPOINT)
EXPANDER = Standin("pxb-pcie", 0x1B36, 0x000B, 0x060000)
CHIPSET = ((0x00, 0, 0x29C0, 0x060000), (0x1F, 0, 0x2918, 0x060100), (0x1F, 2, 0x2922, 0x010601), (0x1F, 3, 0x2930, 0x0C0500))
"""The q35 chipset's own functions on pcie.0: device, function, Intel's device id, class. Conventional; those of 1f are one multifunction device."""
AMD_IOMMU = (0x1022, UNKNOWN, 0x080600)
"""Vendor, device and class; its device id differs between versions of QEMU."""
AMD_IOMMU_SLOT = 1


def sriov_nvme(total: int) -> Standin:
    """An NVMe controller with `total` virtual functions (up to `MOST_VFS`); the subsystem is named when it is placed.

    Queues and vectors that VFs may take are multiples of their number; the controller keeps two and one (`nvme_check_params`, hw/nvme/ctrl.c).
    """
    queues, vectors = 2 * total + 2, total + 1
    sizes = (f"sriov_max_vfs={total}", f"sriov_vq_flexible={queues}", f"sriov_vi_flexible={vectors}", f"max_ioqpairs={queues + 4}", f"msix_qsize={queues + 9}")
    return replace(NVME, options=("subsys=*", *sizes), vfs=total)


def endpoint(function: Function, *, isolates: bool, express: bool, root: bool, has: Collection[str]) -> Standin:
    """The stand-in for a function that is no bridge.

    The kind decides, except where grouping depends on more: integrated endpoints of Intel isolate by a quirk, others of a shared
    slot do not (`pci_quirk_rciep_acs`); so does Intel's 82576 (`pci_quirk_mf_endpoint_acs`) as a part of a multifunction endpoint.
    """
    if function.port_type is None or not express:
        return CONVENTIONAL
    shared = function.multifunction is True
    if root and shared:
        return INTEL_NIC if isolates else NVME if function.kind is Kind.NVME else OTHER
    if shared and isolates and ISOLATED_NIC.device in has:
        return ISOLATED_NIC
    found = {Kind.NVME: NVME, Kind.NIC: NIC, Kind.GPU: GPU, Kind.DISPLAY: GPU}.get(function.kind, OTHER)
    if root and found in (NIC, GPU):
        return INTEL_NIC if found is NIC and isolates else OTHER
    if found in (NIC, GPU) and isinstance(function.ats, Ats):
        return replace(found, options=(*found.options, "iommu_platform=on", "ats=on"), ats=True)
    return found

