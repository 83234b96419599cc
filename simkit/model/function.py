"""One PCI function, with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address, Parent
from simkit.model.address_space import BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, Ats, Bar, BusRange, DeviceControl, Link, PortType, Sriov
from simkit.model.unknown import UNKNOWN, Unknown, is_known


class Kind(StrEnum):
    """What an engineer would call a function."""

    GPU = "gpu"
    NIC = "nic"
    NVSWITCH = "nvswitch"
    NVME = "nvme"
    STORAGE = "storage"
    AUDIO = "audio"
    USB = "usb"
    DISPLAY = "display"
    BRIDGE = "bridge"
    SYSTEM = "system"
    OTHER = "other"


_NVIDIA, _AMD, _INTEL = 0x10DE, 0x1002, 0x8086
_MANAGEMENT_VGA = frozenset({(_AMD, 0x515E), (_AMD, 0x4752)})
_BY_CLASS = {0x0108: Kind.NVME, 0x0403: Kind.AUDIO, 0x0C03: Kind.USB, 0x0604: Kind.BRIDGE, 0x0609: Kind.BRIDGE, 0x0302: Kind.GPU}
_BY_BASE = {0x01: Kind.STORAGE, 0x02: Kind.NIC, 0x03: Kind.DISPLAY, 0x05: Kind.SYSTEM, 0x08: Kind.SYSTEM, 0x12: Kind.GPU, 0x06: Kind.SYSTEM}


@dataclass(frozen=True, slots=True)
class Function:
    """One PCI function.

    `None` says that the thing is not there (no ACS capability, no driver, no group), `UNKNOWN` that the source cannot tell.
    `class_code` has 24 bits: base class, sub-class, programming interface (PCI Code and ID Assignment §1).
    `port_type` None is a conventional PCI function. `parent` is the bridge above, or the root bus; for a virtual function
    that lies on a bus of its own it is the bridge above its physical function.
    `multifunction` is the kernel's meaning: header bit 7 of function 0, or being found above function 0 (`pci_scan_slot`).
    """

    address: Address
    parent: Parent
    vendor_id: int | Unknown = UNKNOWN
    device_id: int | Unknown = UNKNOWN
    class_code: int | Unknown = UNKNOWN
    revision: int | Unknown = UNKNOWN
    subsystem: tuple[int, int] | None | Unknown = UNKNOWN
    name: str | None = None
    port_type: PortType | None | Unknown = UNKNOWN
    multifunction: bool | Unknown = UNKNOWN
    bus_range: BusRange | None = None
    link: Link | None | Unknown = UNKNOWN
    acs: Acs | None | Unknown = UNKNOWN
    ats: Ats | None | Unknown = UNKNOWN
    ari: bool | Unknown = UNKNOWN
    sriov: Sriov | None | Unknown = UNKNOWN
    physfn: Address | None = None
    bars: tuple[Bar, ...] | Unknown = UNKNOWN
    numa_node: int | None | Unknown = UNKNOWN
    iommu_group: int | None | Unknown = UNKNOWN
    driver: str | None | Unknown = UNKNOWN
    reset_methods: tuple[str, ...] | Unknown = UNKNOWN
    usage: str | None = None
    device_control: DeviceControl | None | Unknown = UNKNOWN
    resizable_bars: tuple[ResizableBar, ...] | Unknown = UNKNOWN
    windows: BridgeWindows | None | Unknown = UNKNOWN
    msix_vectors: int | None | Unknown = UNKNOWN

    @property
    def kind(self) -> Kind:
        """What an engineer would call it, from class and vendor.

        A display controller is a GPU if it is NVIDIA's, AMD's or Intel's, and no management controller's (ATI ES1000, Rage XL); AMD's
        accelerators may call themselves 0x0380 (other display), NVIDIA's NVSwitches 0x0680 (other bridge).
        """
        if not is_known(self.class_code):
            return Kind.OTHER
        sub_class = self.class_code >> 8
        if sub_class == 0x0680 and self.vendor_id == _NVIDIA:
            return Kind.NVSWITCH
        if sub_class >> 8 == 0x03 and self.vendor_id in (_NVIDIA, _AMD, _INTEL) and (self.vendor_id, self.device_id) not in _MANAGEMENT_VGA:
            return Kind.GPU
        return _BY_CLASS.get(sub_class) or _BY_BASE.get(sub_class >> 8, Kind.OTHER)

    @property
    def is_bridge(self) -> bool:
        """Whether other functions may lie below it: it has bus numbers, or its class is PCI-to-PCI bridge."""
        return self.bus_range is not None or (is_known(self.class_code) and self.class_code >> 8 == 0x0604)

    @property
    def is_vf(self) -> bool:
        """Whether it is an SR-IOV virtual function."""
        return self.physfn is not None

    @property
    def path(self) -> str:
        """Where its facts are found in `Host.places`."""
        return f"functions/{self.address}"

    @property
    def label(self) -> str:
        """Its name, or vendor and device id, for people."""
        if self.name:
            return self.name
        if is_known(self.vendor_id) and is_known(self.device_id):
            return f"{self.vendor_id:04x}:{self.device_id:04x}"
        return self.kind.value
