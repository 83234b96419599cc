"""Does an IOMMU translate for this function, as firmware's tables have it? A function that none does has no group.

Read in 6.1 and 7.3: `device_to_iommu` (7.3: `device_lookup_iommu`, drivers/iommu/intel/iommu.c) with `dmar_match_pci_path` (dmar.c) for DMAR,
`check_device` (drivers/iommu/amd/iommu.c) with `init_iommu_from_acpi` (init.c) for IVRS, `iort_iommu_configure_id` with `iort_node_map_id`
(drivers/acpi/arm64/iort.c) for IORT. Not modelled: `igfx_off`, scopes whose type contradicts the device's header (the driver then gives up
altogether), `ivrs_acpihid=`, and requester ids that AMD's driver takes under its wing because a function in scope uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.scope import IommuScope, ScopePath
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.semantics.aliases import dma_function

_IOMMU, _HOST_BRIDGE, _AMD, _HYGON = 0x0806, 0x0600, 0x1022, 0x1D94


def scopes(host: Host) -> tuple[IommuScope, ...] | Unknown:
    """The tables' scopes that count on this host; unknown where its IOMMU is of a kind that they do not speak of (a what-if)."""
    if not is_known(host.iommu_scopes):
        return host.iommu_scopes
    counting = tuple(scope for scope in host.iommu_scopes if not is_known(host.iommu) or scope.kind is host.iommu)
    return counting or Unknown("firmware's tables describe no IOMMU of this kind")


def translated(host: Host, function: Function) -> bool | Unknown:
    """Whether `function` is in the scope of an IOMMU; unknown where the tables are."""
    counting = scopes(host)
    if not is_known(counting):
        return counting
    here = dma_function(host, function)
    return any(_covers(host, scope, here) for scope in counting if scope.domain == here.address.domain)


def to_group_anew(host: Host) -> Host:
    """The host with no group made yet. Where the tables are unknown, the functions that the kernel left without one while others have one stay so.

    Not on Arm, where a function may have none yet because no driver was tried on it (smmu.py).
    """
    grouped = any(isinstance(function.iommu_group, int) for function in host.functions)
    keep = grouped and host.iommu is not IommuKind.SMMU and not is_known(host.iommu_scopes)
    return replace(host, functions=tuple(
        function if keep and function.iommu_group is None else replace(function, iommu_group=UNKNOWN) for function in host.functions))


def is_amd_iommu(host: Host, function: Function) -> bool:
    """Whether `function` is AMD's IOMMU: its driver takes itself out of its own scope (`iommu_init_pci`, drivers/iommu/amd/init.c; seen on booted kernels)."""
    if not is_known(function.class_code) or function.class_code >> 8 != _IOMMU:
        return False
    return host.iommu is IommuKind.AMD if is_known(host.iommu) else function.vendor_id in (_AMD, _HYGON)


def left_out_beside(host: Host, function: Function) -> bool:
    """Whether IVRS, which nobody has read, is taken to leave `function` out: the host bridge in the slot of AMD's IOMMU.

    So do 159 of the 163 IVRS tables in linuxhw/ACPI@d6d30c6. Firmware of 2012 and before does not, nor does some since 2024. Where the
    kernel told of a function without group (the IOMMU itself is one), it told of all of them.
    """
    if function.address.function or not is_known(function.class_code) or function.class_code >> 8 != _HOST_BRIDGE or is_known(scopes(host)):
        return False
    beside = any(other.address.slot == function.address.slot and is_amd_iommu(host, other) for other in host.children(function.parent))
    return beside and all(other.iommu_group is not None for other in host.functions)


def firmware_alias(host: Host, function: Function) -> int | None:
    """The devfn that IVRS says `function` uses besides its own, where it is on its bus: `setup_aliases` (drivers/iommu/amd/iommu.c). The last entry counts."""
    counting = scopes(host)
    if not is_known(counting):
        return None
    found = None
    for scope in counting:
        for ids in scope.ids:
            if scope.domain == function.address.domain and ids.alias is not None and ids.first <= function.address.routing_id <= ids.last:
                found = ids.alias
    return found & 0xFF if found is not None and found >> 8 == function.address.bus and found != function.address.routing_id else None


def _covers(host: Host, scope: IommuScope, function: Function) -> bool:
    match scope.kind:
        case IommuKind.INTEL:
            return scope.rest or _named(host, scope.paths, function if function.physfn is None else host[function.physfn])
        case IommuKind.AMD:
            number = function.address.routing_id
            return any(ids.first <= number <= ids.last or ids.alias == number for ids in scope.ids)
    return all(any(ids.first <= number <= ids.last for ids in scope.ids) for number in _requester_ids(host, function))


def _named(host: Host, paths: tuple[ScopePath, ...], function: Function) -> bool:
    """Whether a path leads to the function, or to a bridge above it (`dmar_match_pci_path`, `is_downstream_to_pci_bridge`).

    A path of one step may also name any bus, as some firmware does.
    """
    way = [here.address for here in (function, *host.ancestors(function))][::-1]
    steps = tuple((here.device, here.function) for here in way)
    names = {((here.device, here.function), here.bus) for here in way}
    root = host.root_bus(function).bus
    return any(
        (path.bus == root and steps[: len(path.steps)] == path.steps) or (len(path.steps) == 1 and (path.steps[0], path.bus) in names) for path in paths
    )


def _requester_ids(host: Host, function: Function) -> Iterator[int]:
    """Its own, and those of bridges to conventional PCI above (`pci_for_each_dma_alias`)."""
    yield function.address.routing_id
    for bridge in host.ancestors(function):
        if bridge.port_type is PortType.PCIE_TO_PCI_BRIDGE and bridge.bus_range is not None:
            yield bridge.bus_range.secondary << 8
        elif bridge.port_type in (None, PortType.PCI_TO_PCIE_BRIDGE):
            yield bridge.address.routing_id
