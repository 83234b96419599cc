"""What of a host is worth drawing, in the order an engineer would draw it: socket, root port, switch, device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from simkit.formats.draw.owner import Owner
from simkit.model.address import Address
from simkit.model.capabilities import Acs, Link, PortType
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.platform import PeerKind
from simkit.model.unknown import Unknown, is_known

SHOWN = frozenset({Kind.GPU, Kind.NIC, Kind.NVSWITCH, Kind.NVME, Kind.STORAGE})
"""Kinds that make a branch worth drawing; the rest is folded into a count."""

_PORT_WORDS = {
    PortType.ROOT_PORT: "root port",
    PortType.UPSTREAM: "switch",
    PortType.DOWNSTREAM: "switch port",
    PortType.PCIE_TO_PCI_BRIDGE: "PCI bridge",
    PortType.PCI_TO_PCIE_BRIDGE: "PCIe bridge",
}
_LINK_WORDS = {PeerKind.NVLINK: "NVLink", PeerKind.XGMI: "xGMI", PeerKind.C2C: "C2C"}
_KIND_WORDS = {Kind.GPU: "GPU", Kind.NIC: "NIC", Kind.NVSWITCH: "NVSwitch", Kind.NVME: "NVMe"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One drawn line or box. `function` None is a heading (a NUMA node, or what was folded away).

    `group` is the kernel's number of its IOMMU group, or `#` and a position where the group is predicted.
    """

    title: str
    facts: tuple[str, ...] = ()
    function: Function | None = None
    through: Function | None = None
    group: str | None = None
    owner: Owner | None = None
    children: tuple[Entry, ...] = ()


def outline(host: Host, grouping: Grouping | None = None, owners: Mapping[Address, Owner] | None = None, *, whole: bool = False) -> tuple[Entry, ...]:
    """The entries to draw, one per NUMA node that has devices.

    `owners` names whose a function is (a guest). With `whole` every function is there; otherwise branches without a GPU, NIC,
    NVSwitch or disk, and virtual functions that nobody has, are folded into a count, and a downstream port with its one device is one entry (`through`).
    """
    return _Outline(host, grouping, owners or {}, whole).roots()


def short(address: Address) -> str:
    """An address without the domain where that is 0, as people say it."""
    return str(address).removeprefix("0000:")


def link_text(link: Link | None) -> str:
    """Speed and width as people say them: ``32 GT/s x16``, with what the device could do where it runs below that."""
    if link is None or not is_known(link.speed_gtps):
        return f"{link.stated_gbps:.0f} Gb/s" if link is not None and is_known(link.stated_gbps) else ""
    return _link(link.speed_gtps, link.width) + (f" (of {_link(link.max_speed_gtps, link.max_width)})" if _below_its_best(link) else "")


def _link(speed_gtps: float | Unknown, width: int | Unknown) -> str:
    speed = f"{speed_gtps:g} GT/s" if is_known(speed_gtps) else "?"
    return f"{speed} x{width}" if is_known(width) else speed


def _below_its_best(link: Link) -> bool:
    slower = is_known(link.speed_gtps) and is_known(link.max_speed_gtps) and link.max_speed_gtps > link.speed_gtps
    narrower = is_known(link.width) and is_known(link.max_width) and link.max_width > link.width
    return slower or narrower


def acs_text(function: Function) -> str:
    """ACS control as a list of bits, or why there is none to show."""
    acs = function.acs
    if not isinstance(acs, Acs):
        return "no ACS" if acs is None else "ACS unknown"
    if not is_known(acs.control):
        return "ACS control unknown"
    return "ACS " + (",".join(bit.name or hex(bit) for bit in acs.control) or "off")


def kind_word(function: Function) -> str:
    """What an engineer calls it: ``GPU``, ``root port``, ``switch``."""
    if is_known(function.port_type) and function.port_type in _PORT_WORDS:
        return _PORT_WORDS[function.port_type]
    word = _KIND_WORDS.get(function.kind, function.kind.value)
    return f"{word} VF" if function.is_vf else word


class _Outline:
    def __init__(self, host: Host, grouping: Grouping | None, owners: Mapping[Address, Owner], whole: bool) -> None:  # noqa: FBT001
        self.host, self.owners, self.whole = host, owners, whole
        self.group_of = {
            address: f"#{index}" if group.id is None else str(group.id)
            for index, group in enumerate(grouping.groups if grouping else ())
            for address in group.functions
        }

    def roots(self) -> tuple[Entry, ...]:
        by_node: dict[int | None, list[Function]] = {}
        for bus in self.host.root_buses:
            for function in self.host.children(bus):
                by_node.setdefault(self._node(function), []).append(function)
        for node in self.host.numa_nodes:
            if is_known(node.memory_bytes) and (not is_known(node.cpus) or len(node.cpus)):
                by_node.setdefault(node.id, [])
        order = sorted(by_node, key=lambda node: (node is None, node or 0))
        return tuple(Entry(*self._heading(node), children=self._entries(by_node[node])) for node in order)

    def _node(self, function: Function) -> int | None:
        if is_known(function.numa_node) and function.numa_node is not None:
            return function.numa_node
        below = {child.numa_node for child in self.host.below(function.address) if is_known(child.numa_node)} - {None}
        if len(below) == 1:
            return below.pop()
        return self.host.numa_nodes[0].id if len(self.host.numa_nodes) == 1 else None

    def _heading(self, number: int | None) -> tuple[str, tuple[str, ...]]:
        node = next((node for node in self.host.numa_nodes if node.id == number), None)
        if number is None:
            return "no one NUMA node, or not known which" if self.host.numa_nodes else "PCIe", ()
        facts = []
        if node is not None and is_known(node.cpus):
            facts.append(f"CPUs {node.cpus}")
        if node is not None and is_known(node.memory_bytes):
            facts.append(f"{node.memory_bytes / (1 << 30):.0f} GiB")
        socket = f"socket {node.socket} · " if node is not None and is_known(node.socket) else ""
        return f"{socket}NUMA node {number}", tuple(facts)

    def _entries(self, functions: list[Function] | tuple[Function, ...]) -> tuple[Entry, ...]:
        entries = []
        hidden: list[Function] = []
        for function in functions:
            below = tuple(self.host.below(function.address))
            if self.whole or any(self._worth(each) for each in (function, *below)):
                entries.append(self._entry(function))
            else:
                hidden += function, *below
        if hidden:
            kinds = ", ".join(dict.fromkeys(kind_word(function) for function in hidden))
            entries.append(Entry(f"… {len(hidden)} more function{'s' * (len(hidden) > 1)} ({kinds})"))
        return tuple(entries)

    def _worth(self, function: Function) -> bool:
        return bool(function.usage) or function.address in self.owners or (function.kind in SHOWN and not function.is_vf)

    def _entry(self, function: Function) -> Entry:
        below = self.host.children(function.address)
        port_of_switch = function.port_type == PortType.DOWNSTREAM or (not is_known(function.port_type) and self.host.parent(function) is not None)
        if not self.whole and port_of_switch and len(below) == 1 and not self.host.children(below[0].address):
            return self._leaf(below[0], through=function)
        return self._leaf(function, children=self._entries(below))

    def _beside(self, function: Function) -> str:
        """Links that are not PCIe: ``18 NVLink``."""
        counts = Counter[str]()
        for link in self.host.peer_links:
            if function.address in (link.source, link.target):
                counts[_LINK_WORDS[link.kind]] += link.count
        return ", ".join(f"{count} {word}" for word, count in counts.items())

    def _leaf(self, function: Function, *, through: Function | None = None, children: tuple[Entry, ...] = ()) -> Entry:
        named = f" {function.label}" if function.label != function.kind.value and (function.name or function.kind in SHOWN) else ""
        facts = [link_text(function.link) if isinstance(function.link, Link) else ""]
        if function.is_bridge or through is not None:
            facts.append(acs_text(through or function))
        facts += [self._beside(function), function.driver if isinstance(function.driver, str) else "", f"in use: {function.usage}" if function.usage else ""]
        return Entry(
            kind_word(function) + named,
            tuple(filter(None, facts)),
            function,
            through,
            self.group_of.get(function.address),
            self.owners.get(function.address),
            children,
        )
