"""NCCL's and RCCL's topology XML (`NCCL_TOPO_FILE`, `NCCL_TOPO_DUMP_FILE`; NCCL src/graph/xml.cc)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from simkit.errors import InputError
from simkit.formats.xml.nccl_links import LINKS, StatedLink, peer_links
from simkit.formats.xml.nccl_root import open_system
from simkit.formats.xml.repeated import FreeAddresses
from simkit.formats.xml.walk import TopologyReader, shown
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import Link, PortType
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu
from simkit.model.unknown import UNKNOWN, Unknown, is_known

if TYPE_CHECKING:
    from lxml.etree import _Element

_SILENT = Unknown("NCCL's XML does not say")
_GPU_CLASS, _NIC_CLASS = 0x030200, 0x020700
_SPEED = re.compile(r"(\d{1,3}(?:\.\d{1,2})?) GT/s", re.ASCII)
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,6})", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,5}", re.ASCII)
_MOST_LANES = 64


def read(data: bytes, *, source: str) -> Host:
    """Read `<system><cpu><pci>…`.

    A `<pci>` that holds others is a switch, of which NCCL keeps one function (the upstream port, as sysfs paths are climbed two
    levels at a time) and drops the downstream and root ports: `Host.elided`. The root bus above a `<cpu>`'s children is not in
    the file: it is made from the first child's address, one for each `<cpu>`. A busid that comes again is kept under a free
    address, and a numaid that comes again in another machine (`host_hash`, where the dumps of several are one file) under a free
    number. A missing class is taken from a `<gpu>` or `<nic>` inside. What lies at the other end of an NVLink: `nccl_links`.

    Raises:
        MalformedDocument: with all faults.
    """
    return _Reader(source).read(open_system(data, source=source))


class _Reader(TopologyReader):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.functions: list[Function] = []
        self.links: list[StatedLink] = []
        self.named: dict[tuple[str, Address], Address] = {}
        self.root_buses: set[RootBus] = set()
        self.stated: set[Address] = set()
        self.seen: set[Address] = set()
        self.free = FreeAddresses()
        self.next_bus: dict[RootBus, RootBus] = {}

    def read(self, root: _Element) -> Host:
        cpus = [element for element in root if element.tag == "cpu"]
        self.stated = set(_busids(root))
        numbers = self._numbers(cpus)
        nodes = self._nodes(cpus, numbers)
        for cpu, number in zip(cpus, numbers, strict=True):
            children = [child for child in cpu if child.tag == "pci"]
            if children:
                bus = self._root_bus(children[0])
                for child in children:
                    self._pci(child, bus, number, cpu.get("host_hash", ""))
        switches = {function.address for function in self.functions if function.is_bridge or function.kind is Kind.NVSWITCH}
        links = peer_links(self.links, self.named, switches, self)
        places = self.places()
        return Host(
            self.name,
            tuple(self.functions),
            nodes,
            _cpu(cpus[0]),
            peer_links=links,
            elided=True,
            assumed=tuple(self.assumed),
            places=places,
        )

    def _numbers(self, cpus: list[_Element]) -> list[int | None]:
        """The NUMA node of each `<cpu>`; a machine's number that another machine has is replaced by a free one."""
        stated = [self._numa(cpu) for cpu in cpus]
        free = max((number for number in stated if number is not None), default=0) + 1
        owners: dict[int, str] = {}
        kept: dict[tuple[str, int], int] = {}
        for cpu, number in zip(cpus, stated, strict=True):
            machine = cpu.get("host_hash", "")
            if number is None or (machine, number) in kept:
                continue
            if owners.setdefault(number, machine) == machine:
                kept[machine, number] = number
            else:
                self.assumed.append(f"NUMA node {number} is there again in line {cpu.sourceline}, of another machine; that node is kept as {free}")
                kept[machine, number], free = free, free + 1
        return [None if number is None else kept[cpu.get("host_hash", ""), number] for cpu, number in zip(cpus, stated, strict=True)]

    def _nodes(self, cpus: list[_Element], numbers: list[int | None]) -> tuple[NumaNode, ...]:
        """The nodes by number; what several `<cpu>` elements say of one is put together."""
        found: dict[int, set[int] | None] = {}
        for cpu, number in zip(cpus, numbers, strict=True):
            if number is not None:
                mask, before = self._affinity(cpu), found.get(number)
                found[number] = mask if before is None else before | (mask or set())
        return tuple(NumaNode(number, _SILENT if mask is None else CpuSet.of(mask)) for number, mask in sorted(found.items()))

    def _affinity(self, cpu: _Element) -> set[int] | None:
        affinity = cpu.get("affinity")
        try:
            return _mask(affinity) if affinity else None
        except ValueError:
            self.fault(f"affinity {shown(affinity)} is no CPU mask", cpu, "write 32-bit words in hexadecimal, separated by commas")
            return None

    def _numa(self, cpu: _Element) -> int | None:
        """`numaid`; -1 is how NCCL says that there is none."""
        text = cpu.get("numaid", "-1")
        if not _DECIMAL.fullmatch(text):
            self.fault(f"numaid={shown(text)} is no number", cpu, "write the number of a NUMA node, or -1")
            return None
        return int(text) if int(text) >= 0 else None

    def _root_bus(self, first: _Element) -> RootBus:
        try:
            address = Address.parse(first.get("busid", ""))
        except InputError:
            address = Address(0, 0, 0, 0)
        first_bus = RootBus(address.domain, address.bus)
        bus = self.next_bus.get(first_bus, first_bus)
        while bus in self.root_buses:
            bus = RootBus(bus.domain, bus.bus + 1) if bus.bus < 0xFF else RootBus(bus.domain + 1, 0)
        self.root_buses.add(bus)
        self.next_bus[first_bus] = bus
        return bus

    def _pci(self, element: _Element, parent: Parent, node: int | None, machine: str) -> None:
        try:
            address = Address.parse(element.get("busid", ""))
        except InputError as error:
            self.fault(f"busid: {error.what}", element, error.faults[0].remedy)
            return
        stated, address = address, self._own(address, element)
        self.named.setdefault((machine, stated), address)
        self.seen.add(address)
        self.stated.add(address)
        self.record(address, element)
        vendor, device = self._number(element, "subsystem_vendor"), self._number(element, "subsystem_device")
        pair = (vendor, device) if isinstance(vendor, int) and isinstance(device, int) else _SILENT
        self.functions.append(
            Function(
                address,
                parent,
                vendor_id=self._number(element, "vendor"),
                device_id=self._number(element, "device"),
                class_code=self._class(element),
                subsystem=pair,
                name=_name(element),
                port_type=PortType.UPSTREAM if any(child.tag == "pci" for child in element) else _SILENT,
                multifunction=_SILENT,
                link=self._link(element),
                acs=_SILENT,
                ats=_SILENT,
                ari=_SILENT,
                sriov=_SILENT,
                bars=_SILENT,
                numa_node=node,
                iommu_group=_SILENT,
                driver=_SILENT,
                reset_methods=_SILENT,
            )
        )
        for child in element:
            if child.tag == "pci":
                self._pci(child, address, node, machine)
        gpu = next((child for child in element if child.tag == "gpu" and len(child)), ())  # several ranks on one GPU each repeat its links
        self.links += [StatedLink(address, machine, link) for link in gpu if link.tag in LINKS]

    def _own(self, address: Address, element: _Element) -> Address:
        """An address of its own for a busid that stands in the file before."""
        if address not in self.seen:
            return address
        free = self.free.of(address, self.stated)
        if free is None:
            self.fault(f"busid {address} is there more often than its bus has room", element, "give each function a busid of its own")
            return address
        self.assumed.append(f"busid {address} is there again in line {element.sourceline}; that element is kept as {free}")
        return free

    def _number(self, element: _Element, key: str) -> int | Unknown:
        text = element.get(key)
        if text is None or text == "":
            return _SILENT
        match = _HEX.fullmatch(text)
        if match is None or int(match[1], 16) > (0xFFFFFF if key == "class" else 0xFFFF):
            self.fault(f"{key}={shown(text)} is no number", element, "write it in hexadecimal")
            return _SILENT
        return int(match[1], 16)

    def _class(self, element: _Element) -> int | Unknown:
        given = self._number(element, "class")
        if is_known(given):
            return given
        for child in element:
            if child.tag in ("gpu", "nic", "pci"):
                return {"gpu": _GPU_CLASS, "nic": _NIC_CLASS, "pci": 0x060400}[str(child.tag)]
        return given

    def _link(self, element: _Element) -> Link | Unknown:
        speed, width = element.get("link_speed", ""), element.get("link_width", "")
        match = _SPEED.match(speed)
        if (match is None and "GT/s" in speed) or (width and not _DECIMAL.fullmatch(width)):
            self.fault(f"link {shown(speed)} x{shown(width)} is no link", element, 'write link_speed="32.0 GT/s PCIe" link_width="16"')
            return _SILENT
        lanes = int(width or "0")
        if match is None and not 0 < lanes <= _MOST_LANES:
            return _SILENT
        return Link(float(match[1]) if match else _SILENT, lanes if 0 < lanes <= _MOST_LANES else _SILENT)


def _busids(root: _Element) -> Iterator[Address]:
    for element in root.iter("pci"):
        with suppress(InputError):
            yield Address.parse(element.get("busid", ""))


def _mask(text: str) -> set[int]:
    """A CPU mask: 32-bit words, the highest first."""
    number = int("".join(f"{int(word, 16):08x}" for word in text.split(",")), 16)
    if number.bit_length() > 1 << 16:
        raise ValueError(text)
    return {bit for bit in range(number.bit_length()) if number >> bit & 1}


def _name(element: _Element) -> str | None:
    """NCCL names no devices; the architecture it states is as near as it gets."""
    gpu = next((child for child in element if child.tag == "gpu"), None)
    if gpu is None:
        return None
    if gpu.get("gcn"):
        return f"{gpu.get('gcn')}" if gpu.get("gcn", "").startswith("gfx") else f"gfx{gpu.get('gcn')}"
    return f"sm_{gpu.get('sm')}" if gpu.get("sm") else None


def _cpu(cpu: _Element) -> Cpu:
    family, model = cpu.get("familyid", ""), cpu.get("modelid", "")
    return Cpu(
        cpu.get("arch") or UNKNOWN,
        cpu.get("vendor") or UNKNOWN,
        int(family) if family.isdecimal() and len(family) < 9 else UNKNOWN,
        int(model) if model.isdecimal() and len(model) < 9 else UNKNOWN,
    )
