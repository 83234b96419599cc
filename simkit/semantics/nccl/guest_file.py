"""The topology that a NCCL inside a guest should be told: the host's neighbourhoods, at the guest's addresses, as far as the short way is open.

NCCL reads NCCL_TOPO_FILE first and then asks sysfs for what is missing (`ncclTopoGetSystem`, src/graph/topo.cc): a `<pci>` that the file
has with a parent stays where the file puts it (`ncclTopoGetXmlFromSys`, src/graph/xml.cc, climbs only from a node without one). So
the file decides who is below one switch; it should say so only where requests really turn around there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

from simkit.model.address import Address
from simkit.model.capabilities import PortType
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.nccl_topology import NcclCpu, NcclPci, NcclTopology
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known, known_or
from simkit.semantics.guest_view import guest_addresses
from simkit.semantics.nccl.sysfs_links import link_of
from simkit.semantics.nccl.sysfs_view import has_rdma, nccl_arch, nccl_class
from simkit.semantics.p2p import nearness
from simkit.semantics.partitions import as_joined
from simkit.semantics.routes import route

_SWITCH_CLASS = "0x060400"
_SWITCH_DOMAIN, _SWITCH_BUS = 0xFFFF, 0xFF
"""Switches get addresses that no guest has: nothing is looked up in sysfs by them."""


@dataclass(frozen=True, slots=True)
class GuestFile:
    """`topology` as the file has it, `with_file` tells what NCCL adds; `notes` are sentences: which switches were left out, and why.

    `shut` are the pairs for whose sake they were: each a sentence with the guest's addresses and the host's.
    """

    topology: NcclTopology
    notes: tuple[str, ...]
    shut: tuple[str, ...] = ()


def guest_file(host: Host, guest: GuestPlan) -> GuestFile:
    """The description for one guest."""
    return _File(host, guest).build()


class _File:
    def __init__(self, host: Host, guest: GuestPlan) -> None:
        self.host, self.guest = as_joined(host, guest.whole), guest
        self.at = guest_addresses(host, guest)
        wanted = (Kind.GPU, Kind.NIC)
        own = [device for device in guest.devices if device.companion_of is None and self._source(device).kind in wanted]
        self.devices = sorted(own, key=lambda device: self.at[device.address])
        self.gpus = [device for device in self.devices if self._source(device).kind is Kind.GPU]
        self.nics = [device for device in self.devices if self._source(device).kind is Kind.NIC and has_rdma(self._source(device))]
        self.notes: list[str] = []
        self.shut: list[str] = []
        self.switches = 0

    def _source(self, device: GuestDevice) -> Function:
        return self.host[device.vf_of or device.address]

    def build(self) -> GuestFile:
        by_node: dict[int, list[GuestDevice]] = {}
        for device in (*self.gpus, *self.nics):
            by_node.setdefault(self._node(device), []).append(device)
        cpus = []
        for number in sorted(by_node):
            roots: dict[Address, list[GuestDevice]] = {}
            for device in sorted(by_node[number], key=lambda device: self._source(device).address):
                roots.setdefault(self._chain(device)[0] if self._chain(device) else self._source(device).address, []).append(device)
            children = [tree for _, devices in sorted(roots.items()) for tree, _ in self._below(devices, 0)]
            cpu = self.host.cpu
            cpus.append(NcclCpu(number, 0, nccl_arch(cpu), cpu.vendor, cpu.family, cpu.model, tuple(children)))
        return GuestFile(NcclTopology(f"{self.guest.name} (file)", tuple(cpus)), tuple(self.notes), tuple(self.shut))

    def _node(self, device: GuestDevice) -> int:
        """The guest's NUMA node, or a number of its own for a host node of which the guest has no CPUs: what is there is far from what is elsewhere."""
        host_node = _host_node(self._source(device))
        mine = {each.host_node: each.id for each in self.guest.nodes}
        if host_node in mine or not mine:
            return mine.get(host_node, max(host_node, 0))
        others = sorted({_host_node(self._source(each)) for each in self.devices} - set(mine))
        return len(mine) + others.index(host_node)

    def _chain(self, device: GuestDevice) -> tuple[Address, ...]:
        """The switches above, topmost first: what NCCL sees of them, the upstream ports."""
        above = list(self.host.ancestors(self._source(device)))
        seen = above if self.host.elided else [port for port in above if port.port_type is PortType.UPSTREAM]
        return tuple(port.address for port in reversed(seen))

    def _below(self, devices: list[GuestDevice], depth: int) -> list[tuple[NcclPci, list[GuestDevice]]]:
        """Trees of these devices, which share the switches above down to `depth`; a switch stays where all below it may use it to reach each other."""
        inner: dict[Address | None, list[GuestDevice]] = {}
        for device in devices:
            chain = self._chain(device)
            inner.setdefault(chain[depth] if len(chain) > depth else None, []).append(device)
        found: list[tuple[NcclPci, list[GuestDevice]]] = []
        for switch, below in inner.items():
            if switch is None:
                found += [(self._device(device), [device]) for device in below]
                continue
            trees = self._below(below, depth + 1)
            if len(trees) == 1:
                found += trees
            elif self._open(switch, trees):
                self.switches += 1
                busid = Address(_SWITCH_DOMAIN, _SWITCH_BUS, self.switches // 8, self.switches % 8)
                speed, width = link_of(self.host, self.host[switch])
                pci = NcclPci(busid, _SWITCH_CLASS, (0, 0, 0, 0), speed, width, children=tuple(tree for tree, _ in trees))
                found.append((pci, [device for _, inside in trees for device in inside]))
            else:
                found += trees
        return found

    def _open(self, switch: Address, trees: list[tuple[NcclPci, list[GuestDevice]]]) -> bool:
        shut = [pair for at, (_, one) in enumerate(trees) for _, two in trees[at + 1 :] for pair in product(one, two) if not self._reaches(*pair)]
        if shut:
            a, b = shut[0]
            more = f" (and {len(shut) - 1} more pairs)" if len(shut) > 1 else ""
            self.notes.append(f"switch {switch} is left out: {a.address} and {b.address} do not reach each other through it{more}: {self._why(a, b)}")
            for one, two in shut:
                here = f"{self.at[one.address]} and {self.at[two.address]} (host {one.address} and {two.address})"
                self.shut.append(f"{here} are not near: {self._why(one, two)}")
        return not shut

    def _why(self, a: GuestDevice, b: GuestDevice) -> str:
        """Of the way that is not direct: one may be open and the way back not."""
        ways = [route(self.host, *pair) for pair in permutations((self._source(a).address, self._source(b).address))]
        return next((way.why for way in ways if not way.direct), ways[0].why)

    def _reaches(self, a: GuestDevice, b: GuestDevice) -> bool:
        """Whether what NCCL would send through the switch gets there: a NIC's requests to a GPU, GPUs' to each other where no NVLink joins them."""
        one, two = self._source(a), self._source(b)
        kinds = {one.kind, two.kind}
        if kinds == {Kind.NIC} or one.address == two.address:
            return True
        if kinds == {Kind.GPU}:
            linked = nearness(self.host, one.address, two.address) <= PeerClass.NVB
            return linked or all(route(self.host, *pair).direct for pair in ((one.address, two.address), (two.address, one.address)))
        nic, gpu = (one, two) if one.kind is Kind.NIC else (two, one)
        return route(self.host, nic.address, gpu.address).direct

    def _device(self, device: GuestDevice) -> NcclPci:
        source = self._source(device)
        speed, width = link_of(self.host, source)
        busid = self.at[device.address]
        subsystem = source.subsystem if is_known(source.subsystem) and source.subsystem is not None else (0, 0)
        return NcclPci(busid, nccl_class(source), (known_or(source.vendor_id, 0), known_or(source.device_id, 0), *subsystem), speed, width or 16)


def _host_node(function: Function) -> int:
    """-1 where there is none, or none is known."""
    node = function.numa_node
    return node if is_known(node) and node is not None else -1
