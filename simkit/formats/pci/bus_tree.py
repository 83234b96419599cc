"""The tree of functions whose source tells bus numbers but no paths: bridges, virtual functions, slots."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import PortType, Sriov
from simkit.model.function import Function
from simkit.model.unknown import UNKNOWN, Unknown, is_known

NO_ID = 0xFFFF
_HOST_BRIDGE = 0x0600
_PORTS_BELOW = (PortType.UPSTREAM, PortType.DOWNSTREAM)
_DEVICES_BELOW = (PortType.ENDPOINT, PortType.LEGACY_ENDPOINT, PortType.PCIE_TO_PCI_BRIDGE)
_NO_PHYSICAL = Unknown("it reads 0xFFFF as a virtual function does, and no physical function of the source has it")
_PERHAPS_VIRTUAL = Unknown("it may be a virtual function: SR-IOV of the functions before it is unknown")
_NO_HEADER = Unknown("the source does not show the header type")


@dataclass(frozen=True, slots=True)
class Tree:
    """The functions with parents, physical functions and `multifunction`; `missing` are buses whose bridge the source leaves out."""

    functions: tuple[Function, ...]
    missing: tuple[RootBus, ...]


def grow(functions: Sequence[Function], *, roots: frozenset[RootBus] = frozenset()) -> Tree:
    """Hang functions below each other; the parents they come with are not looked at.

    A bridge forwards from its secondary to its subordinate bus (PCIe 6.0 §7.5.1.3): what lies on its secondary bus lies directly below it,
    and so does a bus inside that no other bridge claims. A bus without a bridge above is a root bus; where `roots` does not name it, and
    functions on it can only lie below a port, or bridges do not tell their bus numbers, a bridge may be missing. A virtual function has
    the routing id that its physical function's SR-IOV capability gives it (PCIe 6.0 §9.3.3.9, .10; `pci_iov_virtfn_bus`), its ids and its
    place in the tree. `multifunction` comes in as the header's bit and goes out as the kernel means it (`pci_scan_slot`).
    """
    above = _Bridges(functions)
    physical = dict(_virtual(functions))
    index = {function.address: function for function in functions}
    placed = [_placed(function, above.of((index[physical[function.address]] if function.address in physical else function).address)) for function in functions]
    index = {function.address: function for function in placed}
    placed = [_virtual_function(function, index[physical[function.address]]) if function.address in physical else _real(function) for function in placed]
    perhaps = _perhaps_virtual(placed)
    slots: dict[tuple[int, int, int], list[Function]] = {}
    for function in placed:
        if function.physfn is None and function.address not in perhaps:
            slots.setdefault(function.address.slot, []).append(function)
    finished = tuple(replace(function, multifunction=_multifunction(function, perhaps, slots.get(function.address.slot, []))) for function in placed)
    silent, kinds = _silent_bridges(finished), _PORTS_BELOW if _has_host_bridge(finished) else (*_PORTS_BELOW, *_DEVICES_BELOW)
    missing = {function.parent for function in finished if isinstance(function.parent, RootBus) and function.parent.bus
               and (function.port_type in kinds or function.parent.bus > silent.get(function.parent.domain, 0xFF))}
    return Tree(finished, tuple(sorted({*missing, *above.guessed} - roots)))


def _has_host_bridge(functions: Sequence[Function]) -> bool:
    """A list of chosen functions (`lspci -d 10de:`, `-s 3b:`) has no host bridge; in a whole one a root bus may hold endpoints."""
    return any(is_known(function.class_code) and function.class_code >> 8 == _HOST_BRIDGE for function in functions)


def _silent_bridges(functions: Sequence[Function]) -> dict[int, int]:
    """By domain the lowest bus with a bridge, or what may be one, without bus numbers: any bus after it may lie below that bridge."""
    lowest: dict[int, int] = {}
    for function in functions:
        if function.bus_range is None and (function.is_bridge or isinstance(function.class_code, Unknown)):
            lowest[function.address.domain] = min(function.address.bus, lowest.get(function.address.domain, 0xFF))
    return lowest


def _placed(function: Function, parent: Parent) -> Function:
    return replace(function, parent=parent) if parent != function.parent else function


class _Bridges:
    """The bridge above a bus, remembered by bus."""

    def __init__(self, functions: Sequence[Function]) -> None:
        self._direct: dict[tuple[int, int], Address] = {}
        self._ranges: dict[int, list[tuple[int, int, Address]]] = {}
        self._found: dict[tuple[int, int], Parent] = {}
        self._virtual = {(address.domain, address.bus) for address, _ in _virtual(functions)}
        self.guessed: set[RootBus] = set()
        for function in functions:
            here, buses = function.address, function.bus_range
            if buses is not None and here.bus < buses.secondary <= buses.subordinate:
                self._direct.setdefault((here.domain, buses.secondary), here)
                self._ranges.setdefault(here.domain, []).append((buses.secondary, buses.subordinate, here))

    def of(self, address: Address) -> Parent:
        key = (address.domain, address.bus)
        if key not in self._found:
            self._found[key] = self._direct.get(key) or self._around(*key)
        return self._found[key]

    def _around(self, domain: int, bus: int) -> Parent:
        """The nearest bridge whose range holds the bus although its secondary bus is another: a bridge between is missing."""
        around = [(first, bridge) for first, last, bridge in self._ranges.get(domain, []) if first < bus <= last and bridge.bus < bus]
        if not around:
            return RootBus(domain, bus)
        if (domain, bus) not in self._virtual:
            self.guessed.add(RootBus(domain, bus))
        return max(around)[1]


def _virtual(functions: Sequence[Function]) -> Iterator[tuple[Address, Address]]:
    """(virtual function, physical function), for every enabled one that is there."""
    by_domain: dict[int, list[int]] = {}
    bridges = {function.address for function in functions if function.is_bridge}
    for function in functions:
        by_domain.setdefault(function.address.domain, []).append(function.address.routing_id)
    for ids in by_domain.values():
        ids.sort()
    for function in functions:
        sriov = function.sriov
        if not isinstance(sriov, Sriov) or sriov.enabled is not True or not (is_known(sriov.num_vfs) and is_known(sriov.offset) and is_known(sriov.stride)):
            continue
        if not sriov.num_vfs or not sriov.offset:
            continue
        domain, ids = function.address.domain, by_domain[function.address.domain]
        first = function.address.routing_id + sriov.offset
        last = first + (sriov.num_vfs - 1) * sriov.stride
        for routing_id in ids[bisect_left(ids, first) : bisect_right(ids, last)]:
            address = Address.from_routing_id(domain, routing_id)
            if address not in bridges and (sriov.stride == 0 or (routing_id - first) % sriov.stride == 0):
                yield address, function.address


def _virtual_function(function: Function, physical: Function) -> Function:
    """With the ids that the kernel gives it (`pci_iov_add_virtfn`): the physical function's vendor, the capability's device."""
    vendor, device = function.vendor_id, function.device_id
    return replace(
        function, physfn=physical.address,
        vendor_id=vendor if is_known(vendor) and vendor != NO_ID else physical.vendor_id,
        device_id=device if is_known(device) and device != NO_ID else physical.sriov.vf_device_id if isinstance(physical.sriov, Sriov) else UNKNOWN)


def _real(function: Function) -> Function:
    """0xFFFF is nobody's vendor id (PCIe 6.0 §7.5.1.1.1)."""
    if function.vendor_id != NO_ID:
        return function
    return replace(function, vendor_id=_NO_PHYSICAL, device_id=_NO_PHYSICAL if function.device_id == NO_ID else function.device_id)


def _perhaps_virtual(functions: Sequence[Function]) -> frozenset[Address]:
    """Functions after one of the same place in the tree whose SR-IOV is unknown; bridges are never virtual."""
    first: dict[Parent, int] = {}
    for function in functions:
        if isinstance(function.sriov, Unknown) and not function.is_bridge and function.physfn is None:
            here = function.address.routing_id
            first[function.parent] = min(here, first.get(function.parent, here))
    return frozenset(function.address for function in functions
                     if not function.is_bridge and function.physfn is None and function.address.routing_id > first.get(function.parent, 1 << 16))


def _multifunction(function: Function, perhaps: frozenset[Address], slot: list[Function]) -> bool | Unknown:
    if function.physfn is not None:
        return False
    if function.address.function:
        return _PERHAPS_VIRTUAL if function.address in perhaps else True
    if is_known(function.multifunction):
        return function.multifunction
    return True if any(other.address.function for other in slot) else function.multifunction if function.multifunction.why != UNKNOWN.why else _NO_HEADER
