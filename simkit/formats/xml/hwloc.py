"""hwloc's XML (`lstopo --of xml`), versions 1 to 3 (hwloc/topology-xml.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simkit.errors import InputError, MalformedDocument
from simkit.formats.xml.repeated import FreeAddresses
from simkit.formats.xml.walk import TopologyReader, parse, shown
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import BusRange, Link
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from lxml.etree import _Element

_TYPE = re.compile(r"([0-9a-fA-F]{4}) \[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\] \[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\] ([0-9a-fA-F]{2})(?: ([0-9a-fA-F]{2}))?")
_BUSES = re.compile(r"([0-9a-fA-F]{4,8}):\[([0-9a-fA-F]{2})-([0-9a-fA-F]{2})\]")
_SILENT = Unknown("hwloc's XML does not say")
_MOST_BITS = 1 << 16
_REMEDY = "was it written by lstopo?"


def read(data: bytes, *, source: str) -> Host:
    """Read `<topology>` (`<root>` before version 1).

    hwloc drops functions it takes for uninteresting unless asked to keep them, so that a bridge may lack functions here. It
    states a link's bandwidth in GB/s, with the decimal sign of the locale in early versions; speed and width do not follow from it
    (`Link.stated_gbps`). Before version 3 it states the class without its programming interface, which is then taken as 0. An
    address that comes again is kept under a free one.
    NUMA locality is the node set of what a host bridge hangs below, if that is one node.

    Raises:
        MalformedDocument: with all faults.
    """
    root = parse(data, source=source)
    if root.tag not in ("topology", "root"):
        raise MalformedDocument(f"the root element is <{root.tag}>", where=f"{source}:{root.sourceline}", remedy="hwloc's XML begins with <topology>")
    return _Reader(source).read(root)


class _Reader(TopologyReader):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.functions: dict[Address, Function] = {}
        self.nodes: dict[int, NumaNode] = {}
        self.release: str | Unknown = _SILENT
        self.free = FreeAddresses()

    def read(self, root: _Element) -> Host:
        for element in root:
            if element.tag == "object":
                self._object(element, None, frozenset(), None)
        places = self.places()
        return Host(
            self.name,
            tuple(self.functions.values()),
            tuple(self.nodes[number] for number in sorted(self.nodes)),
            kernel=self.release,
            assumed=tuple(self.assumed),
            places=places,
        )

    def _object(self, element: _Element, parent: Parent | None, nodes: frozenset[int], socket: int | None) -> None:
        kind = element.get("type", "")
        if element.get("nodeset"):
            nodes = self._set(element, "nodeset")
        if kind in ("Package", "Socket"):
            socket = self._int(element, "os_index")
        if kind == "NUMANode":
            self._node(element, socket)
        below = parent
        if kind == "Bridge" and element.get("bridge_type", "").startswith("0-"):
            below = self._root_bus(element)
        elif kind in ("Bridge", "PCIDev"):
            below = self._function(element, parent, nodes) or parent
        for child in element:
            if child.tag == "info" and child.get("name") == "OSRelease" and child.get("value"):
                self.release = str(child.get("value"))
            elif child.tag == "object":
                self._object(child, below, nodes, socket)

    def _int(self, element: _Element, key: str) -> int | None:
        text = element.get(key, "")
        return int(text) if text.isdecimal() and len(text) < 10 else None

    def _set(self, element: _Element, key: str) -> frozenset[int]:
        """A bitmap as hwloc prints it: 32-bit words in hexadecimal, the highest first, an empty one for 0, `0xf...f` for a full tail."""
        text = element.get(key, "")
        try:
            number = int("".join(f"{int(word, 16) if word else 0:08x}" for word in text.removeprefix("0xf...f,").split(",")), 16)
        except ValueError:
            number = -1
        if number < 0 or number.bit_length() > _MOST_BITS:
            self.fault(f"{key}={shown(text)} is no set", element, _REMEDY)
            return frozenset()
        return frozenset(bit for bit in range(number.bit_length()) if number >> bit & 1)

    def _node(self, element: _Element, socket: int | None) -> None:
        number = self._int(element, "os_index")
        if number is None:
            self.fault("a NUMA node without os_index", element, _REMEDY)
            return
        memory = self._int_long(element, "local_memory")
        cpus = CpuSet.of(set(self._set(element, "cpuset"))) if element.get("cpuset") else _SILENT
        self.nodes[number] = NumaNode(number, cpus, memory, _SILENT if socket is None else socket)

    def _int_long(self, element: _Element, key: str) -> int | Unknown:
        text = element.get(key, "")
        return int(text) if text.isdecimal() and len(text) < 20 else _SILENT

    def _root_bus(self, element: _Element) -> RootBus | None:
        match = _BUSES.fullmatch(element.get("bridge_pci", ""))
        if match is None:
            self.fault(f"bridge_pci={shown(element.get('bridge_pci'))} is no bus range", element, _REMEDY)
            return None
        return RootBus(int(match[1], 16), int(match[2], 16))

    def _function(self, element: _Element, parent: Parent | None, nodes: frozenset[int]) -> Address | None:
        try:
            address = Address.parse(element.get("pci_busid", ""))
        except InputError as error:
            self.fault(f"pci_busid: {error.what}", element, _REMEDY)
            return None
        stated, address = address, self.free.of(address, self.functions) or address
        if address in self.functions:
            self.fault(f"address {address} is there more often than its bus has room", element, _REMEDY)
            return None
        if address != stated:
            self.assumed.append(f"address {stated} is there again in line {element.sourceline}; that function is kept as {address}")
        match = _TYPE.fullmatch(element.get("pci_type", ""))
        if match is None:
            self.fault(f"pci_type={shown(element.get('pci_type'))} is no class and ids", element, _REMEDY)
            return None
        sub_class, vendor, device, sub_vendor, sub_device, revision, interface = (int(text or "0", 16) for text in match.groups())
        buses = _BUSES.fullmatch(element.get("bridge_pci", ""))
        self.record(address, element)
        self.functions[address] = Function(
            address,
            parent if parent is not None else RootBus(address.domain, address.bus),
            vendor_id=vendor,
            device_id=device,
            class_code=sub_class << 8 | interface,
            revision=revision,
            subsystem=(sub_vendor, sub_device) if sub_vendor or sub_device else None,
            name=_info(element),
            port_type=_SILENT,
            multifunction=_SILENT,
            bus_range=BusRange(int(buses[2], 16), int(buses[3], 16)) if buses else None,
            link=self._link(element),
            acs=_SILENT,
            ats=_SILENT,
            ari=_SILENT,
            sriov=_SILENT,
            bars=_SILENT,
            numa_node=next(iter(nodes)) if len(nodes) == 1 else _SILENT,
            iommu_group=_SILENT,
            driver=_SILENT,
            reset_methods=_SILENT,
        )
        return address

    def _link(self, element: _Element) -> Link | Unknown:
        text = element.get("pci_link_speed", "")
        try:
            speed = float(text.replace(",", ".")) if text else 0.0
        except ValueError:
            self.fault(f"pci_link_speed={shown(text)} is no number", element, _REMEDY)
            return _SILENT
        if not 0 < speed < 1e5:
            return Unknown("hwloc states 0 where the link register could not be read or the link is down")
        return Link(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, round(speed * 8, 3))


def _info(element: _Element) -> str | None:
    for child in element:
        if child.tag == "info" and child.get("name") == "PCIDevice":
            return child.get("value") or None
    return None
