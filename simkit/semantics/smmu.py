"""Which functions get no group from Arm's SMMUv3 driver: those whose stream id another has, and in older kernels those without a driver.

A stream id belongs to one function only (`arm_smmu_insert_master`, drivers/iommu/arm/arm-smmu-v3; 6.1, 6.12 and 7.3 alike): below a
conventional bridge, whose id its functions share, the first to be probed has a group, the others none ("already in tree", later
"Aliasing StreamID"). Seen on booted 6.1, 6.12 and 7.3. Not modelled: SMMUv2, whose driver lets ids be shared.

Before 6.15 firmware's description of a function's IOMMU is read when a driver is bound (`really_probe`, `pci_dma_configure`), since then when the
function is found (`iommu_init_device`). So groups are made in the order in which drivers are bound, and a disk may be grouped before the port
above it: without ACS there, the two then stay apart, as they would not the other way round. Seen on booted 6.1 and 6.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs import Isolation
from simkit.semantics.aliases import alias_bridges

PROBED_WHEN_FOUND_SINCE = (6, 15)
_NO_ALIAS_SINCE = (7, 0)
_AST1150 = (0x1A03, 0x1150)
"""ASPEED's bridge leaves requester ids as they are (`quirk_aspeed_pci_bridge_no_alias`)."""
_PORT_DRIVER = frozenset({0x060400, 0x060401, 0x080700})
"""Classes that pcieport asks for (`port_pci_ids`, drivers/pci/pcie/portdrv.c): tried, which is enough, even where it declines."""
_NATIVE = frozenset({"vfio-pci", "pci-stub"})
"""Drivers that ask for no device by its id."""


def waits_for_driver(host: Host, function: Function) -> bool | Unknown:
    """Whether the SMMU's driver has not been told of `function`, because no driver has been tried on it; unknown where drivers or the release are.

    A virtual function is tried with the driver of its physical one, unless that takes any device.
    """
    if host.iommu is not IommuKind.SMMU:
        return False
    found = kernels.release(host.kernel)
    if found is not None and found >= PROBED_WHEN_FOUND_SINCE:
        return False
    if function.is_bridge or (is_known(function.class_code) and function.class_code in _PORT_DRIVER):
        return False
    driver = function.driver
    if driver is None and function.physfn is not None:
        above = host[function.physfn].driver
        driver = None if isinstance(above, str) and above in _NATIVE else above
    if isinstance(driver, str):
        return False
    if isinstance(driver, Unknown):
        return driver
    return True if found is not None else Unknown("the kernel's release is unknown")


def grouped_when_bound(host: Host, function: Function) -> bool:
    """Whether `function` has no IOMMU group because no driver has been tried on it, and gets one with the first, vfio-pci for one."""
    return not isinstance(function.iommu_group, int) and waits_for_driver(host, function) is True


def handed_over(host: Host, addresses: Iterable[Address]) -> Host:
    """The host with vfio-pci bound to these functions. Those that waited for a driver have a group then, of which the source does not tell."""
    changed = []
    for function in (host[address] for address in addresses):
        group = UNKNOWN if grouped_when_bound(host, function) else function.iommu_group
        changed.append(replace(function, driver="vfio-pci", iommu_group=group))
    return host.with_functions(*changed)


def grouped_late(host: Host) -> bool:
    """Whether groups are made in the order in which drivers are bound."""
    found = kernels.release(host.kernel)
    return host.iommu is IommuKind.SMMU and found is not None and found < PROBED_WHEN_FOUND_SINCE


def leaves_first(host: Host) -> tuple[Function, ...]:
    """The order that keeps most apart: what is at the end of the tree before the bridges above it."""
    return tuple(sorted(host.in_scan_order(), key=lambda function: function.is_bridge))


@dataclass(slots=True)
class Streams:
    """The stream ids that are taken, and by whom."""

    isolation: Isolation
    owners: dict[tuple[int, int], Address] = field(default_factory=dict)

    def claim(self, function: Function, besides: frozenset[int]) -> bool:
        """Take all the ids that `function` uses, its own, those of its bus in `besides`, and its bridges'; False, and none taken, where one is another's."""
        ids = {(function.address.domain, number) for number in self._requester_ids(function, besides)}
        if any(self.owners.get(number, function.address) != function.address for number in ids):
            return False
        self.owners |= dict.fromkeys(ids, function.address)
        return True

    def _requester_ids(self, function: Function, besides: frozenset[int]) -> Iterator[int]:
        """`pci_for_each_dma_alias`: the ids, where aliases.py has the bridges."""
        yield function.address.routing_id
        for devfn in besides:
            yield function.address.bus << 8 | devfn
        found = kernels.release(self.isolation.host.kernel)
        for bridge in alias_bridges(self.isolation, function):
            if (bridge.vendor_id, bridge.device_id) == _AST1150 and (found is None or found >= _NO_ALIAS_SINCE):
                continue
            if bridge.port_type is PortType.PCIE_TO_PCI_BRIDGE and bridge.bus_range is not None:
                yield bridge.bus_range.secondary << 8
            else:
                yield bridge.address.routing_id
