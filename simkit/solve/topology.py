"""The PCIe tree of a guest: every device on a root port of its own, or the host's switches anew.

Ids follow Kata where Kata has such a port (`rp0`, `swrp0`, `swup0`, `swdp0`, `pxb-numa0`; kata-containers virtcontainers/qemu.go).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestNode, GuestPort, GuestPortKind
from simkit.model.route import PeerClass
from simkit.model.workload import Companions
from simkit.semantics.routes import tree_class
from simkit.solve.facts import Facts
from simkit.solve.room import BRIDGE_SLOTS, conventional

FIRST_SLOT = 7
"""First slot of the root bus for ports: 0 to 6 and 31 are the virtual machine's own (DRAM controller, five virtio, a bridge; LPC block)."""

_FIRST_EXPANDER_BUS, _BUS_STEP = 0x20, 8
_NVIDIA = 0x10DE
_MOST_CLIQUES = 16


def tree(facts: Facts, mirrored: Collection[Address], devices: Sequence[GuestDevice], nodes: Sequence[GuestNode], *,
         companions: Companions = Companions.BRIDGE) -> tuple[tuple[GuestPort, ...], tuple[GuestDevice, ...]]:
    """Ports for `devices`, and the devices on them; the same input gives the same ids, slots and chassis numbers.

    `mirrored` go below the host's switches anew, with their companions, the others on root ports of their own. P2P cliques are given where
    nothing is mirrored.
    """
    builder = _Builder(facts, {node.host_node: node.id for node in nodes})
    ordered = sorted(devices, key=lambda device: device.address)
    bridged = [device for device in ordered if device.companion_of is not None and conventional(facts.host[device.address].kind, companions)]
    own = [device for device in ordered if device not in bridged]
    spread = sorted({number for device in own if isinstance(number := facts.host[_source(device)].numa_node, int)})
    builder.expand(spread if len(spread) > 1 else [])
    below = [device for device in own if (device.companion_of or device.address) in mirrored]
    builder.replicate(below)
    for device in own:
        if device not in below:
            builder.alone(device)
    builder.bridge(bridged)
    placed = builder.devices
    return builder.finished(), tuple(placed if below else _with_cliques(facts, placed))


def _source(device: GuestDevice) -> Address:
    return device.vf_of or device.address


@dataclass(slots=True)
class _Builder:
    facts: Facts
    guest_node: dict[int, int]
    ports: list[GuestPort] = field(default_factory=list)
    devices: list[GuestDevice] = field(default_factory=list)
    expanders: dict[int, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _slots: dict[str | None, int] = field(default_factory=dict)

    def expand(self, numbers: Sequence[int]) -> None:
        """An expander for each NUMA node that the devices are on, so that the guest sees which are local to which."""
        for number in numbers:
            self.expanders[number] = self.port(f"pxb-numa{number}", GuestPortKind.EXPANDER, None, numa_node=self.guest_node.get(number))

    def port(self, name: str, kind: GuestPortKind, parent: str | None, *, mirrors: Address | None = None, numa_node: int | None = None) -> str:
        slot = self._slots.get(parent, FIRST_SLOT if parent is None else 0)
        self._slots[parent] = slot + 1
        self.ports.append(GuestPort(name, kind, parent, slot, chassis=len(self.ports) + 1, numa_node=numa_node, mirrors=mirrors))
        return name

    def numbered(self, stem: str) -> str:
        number = self._numbers.get(stem, 0)
        self._numbers[stem] = number + 1
        return f"{stem}{number}"

    def above(self, device: GuestDevice) -> str | None:
        number = self.facts.host[_source(device)].numa_node
        return self.expanders.get(number) if isinstance(number, int) else None

    def place(self, device: GuestDevice, port: str, slot: int = 0) -> None:
        self.devices.append(replace(device, port=port, slot=slot))

    def alone(self, device: GuestDevice, *, mirrors: Address | None = None) -> None:
        self.place(device, self.port(self.numbered("rp"), GuestPortKind.ROOT, self.above(device), mirrors=mirrors))

    def replicate(self, devices: list[GuestDevice]) -> None:
        """A root port for each of the host's that has some of the devices below, and its switches below that."""
        roots: dict[Address, list[GuestDevice]] = {}
        for device in devices:
            roots.setdefault(self.facts.root[_source(device)], []).append(device)
        for root in sorted(roots):
            below = roots[root]
            mirrors = root if self.facts.host[root].is_bridge else None
            tops = sorted({chain[0] for device in below if (chain := self.facts.chain[_source(device)])})
            if not tops and len(below) == 1:
                self.alone(below[0], mirrors=mirrors)
                continue
            top = self.port(self.numbered("swrp"), GuestPortKind.ROOT, self.above(below[0]), mirrors=mirrors)
            if len(tops) == 1:
                self.switch(tops[0], top, below, 1)
            else:
                self.joint(tops, top, below)

    def joint(self, tops: list[Address], parent: str, below: list[GuestDevice]) -> None:
        """A switch of the guest's own where the host has several functions, or switches, on the bus of one root port."""
        upstream = self.port(self.numbered("swup"), GuestPortKind.UPSTREAM, parent)
        for device in below:
            if not self.facts.chain[_source(device)]:
                self.place(device, self.port(self.numbered("swdp"), GuestPortKind.DOWNSTREAM, upstream))
        for top in tops:
            inside = [device for device in below if self.facts.chain[_source(device)][:1] == (top,)]
            self.switch(top, self.port(self.numbered("swdp"), GuestPortKind.DOWNSTREAM, upstream), inside, 1)

    def switch(self, address: Address, parent: str, below: list[GuestDevice], depth: int) -> None:
        """One of the host's switches with the devices below it; those with fewer than `depth` switches above are its own."""
        upstream = self.port(self.numbered("swup"), GuestPortKind.UPSTREAM, parent, mirrors=address)
        nested: dict[Address, list[GuestDevice]] = {}
        for device in below:
            chain = self.facts.chain[_source(device)]
            if len(chain) > depth:
                nested.setdefault(chain[depth], []).append(device)
            else:
                self.place(device, self.port(self.numbered("swdp"), GuestPortKind.DOWNSTREAM, upstream, mirrors=self._port_above(_source(device), address)))
        for inner in sorted(nested):
            port = self.port(self.numbered("swdp"), GuestPortKind.DOWNSTREAM, upstream, mirrors=self._port_above(inner, address))
            self.switch(inner, port, nested[inner], depth + 1)

    def _port_above(self, address: Address, switch: Address) -> Address | None:
        """The host's downstream port of `switch` that `address` is below."""
        last = None
        for port in self.facts.host.ancestors(self.facts.host[address]):
            if port.address == switch:
                break
            last = port.address
        return last

    def bridge(self, devices: list[GuestDevice]) -> None:
        """Companions on PCIe-to-PCI bridges, as conventional devices."""
        for number, device in enumerate(devices):
            if number % BRIDGE_SLOTS == 0:
                port = self.port(self.numbered("pcibr"), GuestPortKind.BRIDGE, None)
            self.place(device, port, 1 + number % BRIDGE_SLOTS)

    def finished(self) -> tuple[GuestPort, ...]:
        """All ports; expanders get bus numbers that leave room for what is below the root bus and each other."""
        parents = {port.id: port.parent for port in self.ports}

        def expander_of(port: GuestPort) -> str | None:
            here: str | None = port.id
            while here is not None and here not in self.expanders.values():
                here = parents[here]
            return here

        buses = {name: sum(expander_of(port) == name for port in self.ports) for name in [None, *self.expanders.values()]}
        following = max(_FIRST_EXPANDER_BUS, _rounded(1 + buses[None] + _BUS_STEP))
        numbers: dict[str, int] = {}
        for name in self.expanders.values():
            numbers[name] = following
            following = _rounded(following + buses[name])
        return tuple(replace(port, bus_nr=numbers.get(port.id)) for port in self.ports)


def _rounded(number: int) -> int:
    return -(-number // _BUS_STEP) * _BUS_STEP


def _with_cliques(facts: Facts, devices: list[GuestDevice]) -> list[GuestDevice]:
    """NVIDIA's P2P approval: GPUs of one NUMA node form a clique, where the guest has several (kata-vra.md: "usually one per socket")."""
    own = [device for device in devices if device.companion_of is None]
    gpus = [device for device in own if (function := facts.host[_source(device)]).kind is Kind.GPU and function.vendor_id == _NVIDIA]
    if len(gpus) < 2:
        return devices
    cliques: list[list[GuestDevice]] = []
    for gpu in gpus:
        home = next((clique for clique in cliques if tree_class(facts.host, facts.host[_source(gpu)], facts.host[_source(clique[0])]) <= PeerClass.PHB), None)
        if home is None:
            cliques.append([gpu])
        else:
            home.append(gpu)
    number = {gpu.address: index for index, clique in enumerate(cliques[:_MOST_CLIQUES]) for gpu in clique}
    return [replace(device, clique=number.get(device.address)) for device in devices]

