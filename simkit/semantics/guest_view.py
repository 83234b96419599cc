"""The tree a guest will see, as a Host: so that the same questions can be asked of it as of the real one."""

from __future__ import annotations

from dataclasses import replace

from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import BusRange, PortType
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.place import Place, Places
from simkit.model.platform import IommuKind, PeerLink
from simkit.semantics.partitions import as_joined

_PORT_TYPE = {GuestPortKind.ROOT: PortType.ROOT_PORT, GuestPortKind.UPSTREAM: PortType.UPSTREAM,
              GuestPortKind.DOWNSTREAM: PortType.DOWNSTREAM, GuestPortKind.BRIDGE: PortType.PCIE_TO_PCI_BRIDGE}
_BRIDGE_CLASS = 0x060400


def guest_view(host: Host, guest: GuestPlan) -> Host:
    """What the guest's own kernel will enumerate: ports and devices with guest addresses, NUMA nodes, peer links that stay.

    Buses are numbered depth first as firmware does, each port's secondary bus after its own (SeaBIOS `pci_bios_init_bus_rec`);
    an expander's begin at its own. Under other firmware a guest's numbers may differ, the tree does not. The NUMA node of a
    function is its root bus' (`_PXM` of an expander; pcie.0 has none). vCPUs that no node counts are the last one's. Only functions
    that the plan places appear: the guest's virtio and chipset functions do not.
    """
    return _View(host, guest).build()


def guest_addresses(host: Host, guest: GuestPlan) -> dict[Address, Address]:
    """Host address to guest address, for every device of the guest, as `guest_view` numbers them."""
    view = _View(host, guest)
    view.build()
    return view.addresses


class _View:
    def __init__(self, host: Host, guest: GuestPlan) -> None:
        self.host, self.guest = host, guest
        self.functions: list[Function] = []
        self.addresses: dict[Address, Address] = {}
        self.next_bus = 1

    def build(self) -> Host:
        self._fill(RootBus(0, 0), 0, None, None)
        there = {node.id for node in self.guest.nodes}
        for expander in (port for port in self._ports(None) if port.kind is GuestPortKind.EXPANDER):
            bus = expander.bus_nr if expander.bus_nr is not None else self.next_bus
            self.next_bus = bus + 1
            self._fill(RootBus(0, bus), bus, expander.id, expander.numa_node if expander.numa_node in there else None)
        nodes, first = [], 0
        for index, node in enumerate(self.guest.nodes):
            last = self.guest.cpus if index == len(self.guest.nodes) - 1 else min(first + len(node.cpus), self.guest.cpus)
            nodes.append(NumaNode(node.id, CpuSet.of(range(first, last)), node.memory_bytes))
            first = last
        return Host(f"{self.guest.name} (guest)", tuple(self.functions), tuple(nodes), self.host.cpu, IommuKind.NONE,
                    peer_links=tuple(self._links()), kernel=self.host.kernel, places=Places(root=Place(f"guest {self.guest.name}")))

    def _ports(self, parent: str | None) -> list[GuestPort]:
        return sorted((port for port in self.guest.ports if port.parent == parent), key=lambda port: (port.slot, port.id))

    def _fill(self, parent: Parent, bus: int, port_id: str | None, node: int | None) -> None:
        for port in self._ports(port_id):
            if port.kind is GuestPortKind.EXPANDER:
                continue
            address = Address(0, bus, port.slot, 0)
            secondary = self.next_bus
            self.next_bus += 1
            at = len(self.functions)
            self._fill(address, secondary, port.id, node)
            self._devices(address, secondary, port.id, node)
            self.functions.insert(at, Function(address, parent, class_code=_BRIDGE_CLASS, name=port.id, port_type=_PORT_TYPE[port.kind],
                                               multifunction=False, bus_range=BusRange(secondary, self.next_bus - 1), acs=None, ats=None,
                                               sriov=None, numa_node=node, iommu_group=None))

    def _devices(self, parent: Address, bus: int, port_id: str, node: int | None) -> None:
        for device in self.guest.devices:
            if device.port == port_id:
                address = Address(0, bus, device.slot, 0)
                self.addresses[device.address] = address
                source = self.host[device.vf_of or device.address]
                self.functions.append(replace(source, address=address, parent=parent, physfn=None, numa_node=node, iommu_group=None,
                                              multifunction=False, sriov=None, usage=None, driver=None, name=_name(source, device)))

    def _links(self) -> list[PeerLink]:
        links = []
        for link in as_joined(self.host, self.guest.whole).peer_links:
            source = self.addresses.get(link.source)
            target = self.addresses.get(link.target) if link.target is not None else None
            if source is not None and (target is not None or link.target is None or self.host[link.target].kind.value == "nvswitch"):
                links.append(replace(link, source=source, target=target))
        return links


def _name(source: Function, device: GuestDevice) -> str:
    return f"{source.label} VF {device.vf_index}" if device.vf_of is not None else source.label
