"""The machines that the lab can be, one for each IOMMU: QEMU's program and words, the console, what lies on pcie.0 by itself.

platform(IommuKind.SMMU).qemu            # qemu-system-aarch64: an SMMU is only on Arm's machine
platform(IommuKind.SMMU, devicetree=True)    # described by a devicetree instead of ACPI
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from simkit.executors.lab import standins
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Architecture:
    """What kernels, programs and QEMU are built for.

    `elf` is `e_machine`, `image` the magic word of a kernel's image and where it stands
    (Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst).
    """

    name: str
    debian: str
    elf: int
    image: tuple[int, bytes]
    qemu: str
    package: str
    console: str

    def boots(self, head: bytes) -> bool:
        """Whether an image that begins with `head` is a kernel for it."""
        at, magic = self.image
        return head[at : at + len(magic)] == magic


X86 = Architecture("x86_64", "amd64", 62, (0x202, b"HdrS"), "qemu-system-x86_64", "qemu-system-x86", "ttyS0")
ARM = Architecture("aarch64", "arm64", 183, (0x38, b"ARMd"), "qemu-system-aarch64", "qemu-system-arm", "ttyAMA0")
ARCHITECTURES = (X86, ARM)


@dataclass(frozen=True, slots=True)
class Own:
    """A function that the machine has without being asked: conventional, on pcie.0."""

    device: int
    function: int
    vendor_id: int
    device_id: int | Unknown
    class_code: int
    multifunction: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """One kind of machine.

    `machine` and `cpu` are QEMU's; `devices` come before all others; `words` are the kernel's; `needs` are devices that this QEMU must
    have. `expanders`: whether further root buses are found; `numa`: whether they can have NUMA nodes; `roomy`: whether firmware leaves
    them memory for virtual functions. `acs_late`: whether kernels before 6.15 ask for ACS only when the first driver is bound, when all
    functions have been found (`of_iommu_configure`). `firmware`: whether a UEFI has to be loaded; SeaBIOS, which QEMU brings, and Linux
    itself, where a devicetree describes the machine, number buses alike.
    """

    architecture: Architecture
    machine: str
    cpu: str
    own: tuple[Own, ...]
    devices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    needs: frozenset[str] = standins.ALWAYS
    expanders: bool = True
    numa: bool = True
    roomy: bool = True
    acs_late: bool = False
    firmware: bool = False

    @property
    def taken(self) -> frozenset[int]:
        """The slots of pcie.0 that are the machine's own."""
        return frozenset(own.device for own in self.own)


CPU = {False: "max,cx16=off", True: "EPYC"}
"""QEMU 7.2 now and then breaks the flags in cmpxchg16b, which kernels from 6.12 on use on every allocation; AMD's IOMMU driver insists on it."""
_CHIPSET = tuple(Own(device, function, 0x8086, device_id, class_code, device == 0x1F) for device, function, device_id, class_code in standins.CHIPSET)
_Q35 = Platform(X86, "q35,accel=tcg,kernel-irqchip=split", CPU[False], _CHIPSET, words=("intel_iommu=off",),
                needs=standins.ALWAYS | {"intel-iommu", "amd-iommu"})
_ACPI = Platform(ARM, "virt,accel=tcg,iommu=smmuv3,gic-version=3", "cortex-a57", (Own(0, 0, 0x1B36, 0x0008, 0x060000),),
                 numa=False, roomy=False, firmware=True)
"""Arm's machine has one function of its own (`gpex_root_realize`, hw/pci-host/gpex.c); a plain CPU, for `max` costs time on what is not looked at.

Linux takes the UEFI's flash for memory that no node covers, and then has no NUMA at all (7.3; `numa_memblks_init`)."""
_DEVICETREE = replace(_ACPI, expanders=False, acs_late=True, firmware=False)
"""Expanders' buses stand in ACPI's tables alone (`acpi_dsdt_add_pci`, hw/arm/virt-acpi-build.c)."""
_BY_IOMMU = {
    IommuKind.INTEL: replace(_Q35, devices=("intel-iommu,intremap=on,device-iotlb=on",), words=("intel_iommu=on",)),
    IommuKind.AMD: replace(_Q35, cpu=CPU[True], devices=("amd-iommu",), words=("no_timer_check",),
                           own=(*_CHIPSET, Own(standins.AMD_IOMMU_SLOT, 0, *standins.AMD_IOMMU))),
    IommuKind.NONE: _Q35,
    IommuKind.SMMU: _ACPI,
}


def platform(iommu: IommuKind, *, devicetree: bool = False) -> Platform:
    """The machine that has this IOMMU; `devicetree` has an Arm machine described by one, instead of by ACPI's tables."""
    return _DEVICETREE if devicetree and iommu is IommuKind.SMMU else _BY_IOMMU[iommu]
