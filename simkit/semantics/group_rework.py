"""Groups as the rework of `pci_device_group` would build them that was posted to linux-iommu in September 2025 (v3, patches 1 to 9; not in Linux 7.3).

It works on buses, not on devices: the first bus on the way up that does not isolate is one group with all below it, so that a switch with
one port without ACS is one group. A function of several without ACS capability counts as one that does not reach its siblings (PCIe 6.0
§6.12.1.2), the reverse of today. Not modelled: ACS Enhanced bits (patches 10 and 11). From the posted text only: no kernel has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from simkit.model.address import Address
from simkit.model.capabilities import BarKind, PortType
from simkit.model.function import Function
from simkit.model.group import Because, Rule
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.aliases import ends_translation
from simkit.semantics.dma_alias_quirks import explicit_aliases
from simkit.semantics.group_builder import GroupBuilder, Joined

_POSING_AS_CONVENTIONAL = {(0x1B21, 0x1080), (0x10E3, 0x8113), (0x1283, 0x8892), (0x1283, 0x8893), (0x8086, 0x244E)}
"""PCIe-to-PCI bridges that hide their PCIe capability (`quirk_use_pcie_bridge_dma_alias`)."""


def builder(host: Host) -> type[GroupBuilder]:
    """The rules of the host's kernel."""
    return ReworkedBuilder if kernels.is_variant(host.kernel, kernels.REACHABLE_SET) else GroupBuilder


class Bus(Enum):
    """How far a bus keeps what is on it apart (`enum pci_bus_isolation`)."""

    ISOLATED = auto()
    SHARED = auto()
    SHARED_WITH_BRIDGE = auto()


@dataclass(slots=True)
class ReworkedBuilder(GroupBuilder):
    """`non_isolated` are the numbers of groups that everything below them joins (`BUS_DATA_PCI_NON_ISOLATED`)."""

    non_isolated: set[int] = field(default_factory=set)
    _buses: dict[Address, Bus] = field(default_factory=dict)

    def _join(self, function: Function) -> Joined | None:
        """`pci_device_group`, reworked. Virtual functions look at the bus of their physical one."""
        if self.host.elided:
            return GroupBuilder._join(self, function)
        bridge = self.host.parent(function if function.physfn is None else self.host[function.physfn])
        if bridge is None or bridge.address not in self.group_of or ends_translation(function):
            return None if ends_translation(function) else self._reachable(function)
        number = self.group_of[bridge.address]
        below = Because(Rule.BUS, (bridge.address,)), bridge.address
        if number in self.non_isolated:
            return below
        match self._bus(bridge):
            case Bus.ISOLATED:
                return self._reachable(function)
            case Bus.SHARED_WITH_BRIDGE:
                self.non_isolated.add(number)
                return below
        other = next((other.address for other in self._on_bus(function) if other.address in self.group_of), None)
        self.non_isolated.add(self._following if other is None else self.group_of[other])
        return None if other is None else (Because(Rule.BUS, (bridge.address,)), other)

    def _bus(self, bridge: Function) -> Bus:
        """`pci_bus_isolated` for the bus below a bridge."""
        if bridge.address not in self._buses:
            self._buses[bridge.address] = self._isolation_below(bridge)
        return self._buses[bridge.address]

    def _isolation_below(self, bridge: Function) -> Bus:
        kind = bridge.port_type
        if isinstance(kind, Unknown):
            told = self.isolation.guess(f"{bridge.path}/port_type", f"whether {bridge.address} is a PCIe port or a PCI bridge", kind)
            return Bus.ISOLATED if told else Bus.SHARED_WITH_BRIDGE
        if kind is None and self._poses(bridge):
            kind = PortType.PCIE_TO_PCI_BRIDGE
        match kind:
            case PortType.ROOT_PORT:
                return Bus.SHARED_WITH_BRIDGE if self._lets_through(bridge) else Bus.ISOLATED
            case PortType.DOWNSTREAM:
                return Bus.ISOLATED
            case PortType.UPSTREAM:
                return self._switch(bridge)
            case PortType.PCIE_TO_PCI_BRIDGE:
                return Bus.SHARED_WITH_BRIDGE if self._has_memory(bridge) else Bus.SHARED
        return Bus.SHARED_WITH_BRIDGE

    def _switch(self, upstream: Function) -> Bus:
        """`pcie_switch_isolated`: any port without ACS spoils the whole inner bus."""
        for port in self.host.children(upstream.address):
            if port.port_type is not PortType.DOWNSTREAM or explicit_aliases(port):
                return Bus.SHARED_WITH_BRIDGE
            if not self.isolation.enabled(port):
                return Bus.SHARED
        return Bus.ISOLATED

    def _poses(self, bridge: Function) -> bool:
        above = self.host.parent(bridge)
        ids = (bridge.vendor_id, bridge.device_id)
        return ids in _POSING_AS_CONVENTIONAL and above is not None and above.port_type not in (None, PortType.PCIE_TO_PCI_BRIDGE)

    def _has_memory(self, bridge: Function) -> bool:
        """`pci_has_mmio`: registers in memory that the conventional side could reach."""
        if not is_known(bridge.bars):
            return not self.isolation.guess(f"{bridge.path}/bars", f"whether bridge {bridge.address} has registers in memory", bridge.bars)
        return any(bar.kind is not BarKind.IO and bar.size_bytes != 0 for bar in bridge.bars)

    def _lets_through(self, function: Function) -> bool:
        """Whether it has ACS, and that does not isolate; without the capability it is taken for one that does not pass anything on."""
        return function.acs is not None and not self.isolation.enabled(function)

    def _reachable(self, function: Function) -> Joined | None:
        """`pci_get_function_group`: the functions of the bus that reach each other inside a device, or share ids, in turn (`pci_reachable_set`)."""
        found: dict[Address, Function] = {function.address: function}
        left = [function]
        while left:
            here = left.pop()
            for other in self._on_bus(here):
                if other.address not in found and (self._loops(here, other) or other in self._sharing(here)):
                    found[other.address] = other
                    left.append(other)
        if len(found) == 1:
            return None
        grouped = next((address for address in sorted(found) if address in self.group_of), None)
        self.non_isolated.add(self._following if grouped is None else self.group_of[grouped])
        return None if grouped is None else (Because(Rule.REACHABLE, (function.address, grouped)), grouped)

    def _loops(self, a: Function, b: Function) -> bool:
        """`pci_mfds_are_same_group`: one of two functions of a device may send to the other."""
        if a.is_vf or b.is_vf or a.address.slot != b.address.slot:
            return False
        one, other = self.isolation.multifunction(a), self.isolation.multifunction(b)
        if one is not other:
            return True
        return one and (self._lets_through(a) or self._lets_through(b))
