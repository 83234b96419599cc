"""The guest's PCIe tree: each device on a root port of its own, or the host's switches mirrored (Kata VRA, "flatten" and "replicate")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import Topology
from simkit.semantics.routes import tree_class

FIRST_SLOT = 7
"""Slots of the root bus below are left to the guest's own devices (guest_limits.RESERVED_SLOTS: 0 to 6 and 31)."""

_NVIDIA = 0x10DE


@dataclass(frozen=True, slots=True)
class Place:
    """A host function to place: itself, or for a virtual function its physical one, `companion_of` where it only comes along."""

    device: GuestDevice
    function: Function


def arrange(host: Host, topology: Topology, places: Sequence[Place]) -> tuple[tuple[GuestPort, ...], tuple[GuestDevice, ...]]:
    """Ports and devices of a guest, ids, slots and chassis numbers in order of host address; the same input gives the same tree.

    Where devices lie on several host NUMA nodes each node gets a `pxb-pcie` expander bus, so that the guest's kernel sees the nodes.
    Companions (audio, USB of a card) go as conventional devices on one PCIe-to-PCI bridge: they cost slots there, no ports.
    """
    builder = _Builder(host, len({_node(place.function) for place in places if place.device.companion_of is None}) > 1)
    ordered = sorted(places, key=lambda place: place.device.address)
    for place in ordered:
        if place.device.companion_of is None:
            builder.place(place, mirrored=topology is Topology.REPLICATE)
    companions = [place for place in ordered if place.device.companion_of is not None]
    if companions:
        builder.bridge(companions)
    devices = builder.devices if topology is Topology.REPLICATE else _cliques(host, builder.devices)
    return tuple(builder.ports), tuple(sorted(devices, key=lambda device: device.address))


def _node(function: Function) -> int | None:
    return function.numa_node if is_known(function.numa_node) else None


@dataclass(slots=True)
class _Builder:
    host: Host
    spread: bool
    ports: list[GuestPort] = field(default_factory=list)
    devices: list[GuestDevice] = field(default_factory=list)
    _of: dict[tuple[Address, ...], str] = field(default_factory=dict)
    _expanders: dict[int, str] = field(default_factory=dict)

    def place(self, place: Place, *, mirrored: bool) -> None:
        """Put one device on a port of its own: below its mirrored switches, or on a root port."""
        above = [port for port in reversed(tuple(self.host.ancestors(place.function)))]
        switches = [port for port in above if port.port_type is PortType.UPSTREAM] if mirrored else []
        root = self._mirror(next((port for port in above if port.port_type is PortType.ROOT_PORT), None))
        node = _node(place.function)
        if not switches:
            port = self._add(GuestPortKind.ROOT, self._bus(node), node, root)
        else:
            parent = self._switch(switches, node, root)
            port = self._add(GuestPortKind.DOWNSTREAM, parent, node, self._mirror(above[-1] if above else None))
        self.devices.append(replace(place.device, port=port, slot=0))

    def _mirror(self, port: Function | None) -> Address | None:
        return port.address if port is not None else None

    def _switch(self, switches: list[Function], node: int | None, root: Address | None) -> str:
        """The guest's upstream port that stands for the last of `switches`, made with all above it where it is not there yet."""
        key = tuple(switch.address for switch in switches)
        if key not in self._of:
            if len(switches) == 1:
                above = self._add(GuestPortKind.ROOT, self._bus(node), node, root)
            else:
                between = self.host.parent(switches[-1])
                above = self._add(GuestPortKind.DOWNSTREAM, self._switch(switches[:-1], node, root), node, self._mirror(between))
            self._of[key] = self._add(GuestPortKind.UPSTREAM, above, node, switches[-1].address)
        return self._of[key]

    def _bus(self, node: int | None) -> str | None:
        """The root bus for a node's ports: the expander of that node, or the guest's own root bus."""
        if not self.spread or node is None:
            return None
        if node not in self._expanders:
            self._expanders[node] = self._add(GuestPortKind.EXPANDER, None, node, None)
        return self._expanders[node]

    def bridge(self, companions: list[Place]) -> None:
        """A PCIe-to-PCI bridge on a root port of its own, with the companions in its slots from 1 (0 is its hot-plug controller's)."""
        root = self._add(GuestPortKind.ROOT, None, None, None)
        port = self._add(GuestPortKind.BRIDGE, root, None, None)
        for index, place in enumerate(companions):
            if index and index % 31 == 0:
                root = self._add(GuestPortKind.ROOT, None, None, None)
                port = self._add(GuestPortKind.BRIDGE, root, None, None)
            self.devices.append(replace(place.device, port=port, slot=1 + index % 31))

    def _add(self, kind: GuestPortKind, parent: str | None, node: int | None, mirrors: Address | None) -> str:
        names = {GuestPortKind.EXPANDER: "pxb", GuestPortKind.ROOT: "rp", GuestPortKind.UPSTREAM: "up", GuestPortKind.DOWNSTREAM: "dn", GuestPortKind.BRIDGE: "br"}
        number = sum(port.kind is kind for port in self.ports)
        siblings = sum(port.parent == parent for port in self.ports)
        single = kind in (GuestPortKind.UPSTREAM, GuestPortKind.BRIDGE)
        slot = 0 if single else siblings + (FIRST_SLOT if parent is None else 0)
        chassis = 1 + sum(port.chassis > 0 for port in self.ports) if kind in (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM) else 0
        bus_nr = 0x20 * (number + 1) if kind is GuestPortKind.EXPANDER else None
        identity = f"{names[kind]}{node if kind is GuestPortKind.EXPANDER else number}"
        self.ports.append(GuestPort(identity, kind, parent, slot, chassis, node, bus_nr, mirrors))
        return identity


def _cliques(host: Host, devices: list[GuestDevice]) -> list[GuestDevice]:
    """NVIDIA GPUs of a flattened guest that share a host switch get one P2P approval clique, as their driver sees no switch (Kata VRA)."""
    gpus = [device for device in devices if device.companion_of is None and host[device.vf_of or device.address].kind is Kind.GPU
            and host[device.vf_of or device.address].vendor_id == _NVIDIA]
    islands: list[list[GuestDevice]] = []
    for gpu in gpus:
        island = next((island for island in islands if tree_class(host, host[island[0].address], host[gpu.address]) <= PeerClass.PXB), None)
        if island is None:
            islands.append([gpu])
        else:
            island.append(gpu)
    clique = {gpu.address: number for number, island in enumerate(island for island in islands if len(island) > 1) for gpu in island}
    return [replace(device, clique=clique.get(device.address)) for device in devices]


