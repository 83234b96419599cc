"""Can VFIO open a group? `vfio_dev_viable` (drivers/vfio/group.c) and, with iommufd, `iommu_device_claim_dma_owner`."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.group import Group, Grouping
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, Unknown, is_known

VFIO_DRIVERS = frozenset(
    {"vfio-pci", "mlx5_vfio_pci", "nvgrace_gpu_vfio_pci", "hisi_acc_vfio_pci", "pds_vfio_pci", "qat_vfio_pci", "virtio_vfio_pci", "xe_vfio_pci"}
)
"""VFIO PCI drivers of Linux 7.3 (drivers/vfio/pci)."""

HARMLESS_DRIVERS = frozenset({"pci-stub", "pcieport"})
"""Drivers that do no DMA of their own and may stay in a viable group (`vfio_driver_allowed`; pcieport by `driver_managed_dma`)."""


@dataclass(frozen=True, slots=True)
class Viability:
    """Whether the group can be opened now: `blockers` are bound to drivers that forbid it, `companions` must be handed over along."""

    group: Group | None
    viable: bool | Unknown
    companions: tuple[Address, ...]
    blockers: tuple[Address, ...]
    why: str


def companions(host: Host, grouping: Grouping, address: Address) -> tuple[Address, ...]:
    """The functions that must go along because they share the group; bridges stay with their port driver."""
    group = grouping.of(address)
    return tuple(other for other in group.functions if other != address and not host[other].is_bridge) if group else ()


def viability(host: Host, grouping: Grouping, address: Address) -> Viability:
    """Whether the group of `address` is viable as its functions are bound now."""
    group = grouping.of(address)
    if group is None:
        return Viability(None, viable=False, companions=(), blockers=(address,), why=f"{address} has no IOMMU group: no IOMMU translates for it")
    members = [host[other] for other in group.functions]
    blockers = [member for member in members if is_known(member.driver) and not _allowed(member)]
    along = companions(host, grouping, address)
    if blockers:
        why = ", ".join(f"{member.address} is bound to {member.driver}" for member in blockers)
        return Viability(group, viable=False, companions=along, blockers=tuple(member.address for member in blockers), why=why)
    unknown = [member for member in members if not is_known(member.driver)]
    if unknown:
        why = f"the driver of {unknown[0].address} is unknown"
        return Viability(group, UNKNOWN, along, (), why)
    return Viability(group, viable=True, companions=along, blockers=(), why="every function is bound to VFIO, to nothing, or is a port")


def _allowed(function: Function) -> bool:
    return function.driver is None or function.driver in VFIO_DRIVERS | HARMLESS_DRIVERS
