"""NCCL's and RCCL's topology XML (`NCCL_TOPO_FILE`, `NCCL_TOPO_DUMP_FILE`; NCCL src/graph/xml.cc)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from simkit.errors import InputError, MalformedDocument
from simkit.formats.repeated import free_address
from simkit.formats.xml import TopologyReader, parse
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import Link, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, PeerKind, PeerLink
from simkit.model.unknown import UNKNOWN, Unknown, is_known

if TYPE_CHECKING:
    from lxml.etree import _Element

_SILENT = Unknown("NCCL's XML does not say")
_LINKS = {"nvlink": PeerKind.NVLINK, "xgmi": PeerKind.XGMI, "c2c": PeerKind.C2C}
_GPU_CLASS, _NIC_CLASS, _SWITCH_CLASSES = 0x030200, 0x020700, ("0x060400", "0x068000")


def read(data: bytes, *, source: str) -> Host:
    """Read `<system><cpu><pci>…`.

    A `<pci>` that holds others is a switch, of which NCCL keeps one function (the upstream port, as sysfs paths are climbed two
    levels at a time) and drops the downstream and root ports: `Host.elided`. The root bus above a `<cpu>`'s children is not in
    the file: it is made from the first child's address, one for each `<cpu>`. A busid that comes again is kept under a free
    address. A missing class is taken from a `<gpu>` or `<nic>` inside. NVLink to a class 0x068000 target that is no function of
    the file, or to a bridge, is a link to an unnamed NVSwitch fabric.

    Raises:
        MalformedDocument: with all faults.
    """
    root = parse(data, source=source)
    if root.tag != "system":
        raise MalformedDocument(f"the root element is <{root.tag}>", where=f"{source}:{root.sourceline}", remedy="NCCL's topology begins with <system>")
    return _Reader(source).read(root)


class _Reader(TopologyReader):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.functions: list[Function] = []
        self.links: list[tuple[Address, str, str, int, _Element]] = []
        self.root_buses: set[RootBus] = set()
        self.stated: set[Address] = set()
        self.seen: set[Address] = set()

    def read(self, root: _Element) -> Host:
        cpus = [element for element in root if element.tag == "cpu"]
        self.stated = set(_busids(root))
        nodes = [node for cpu in cpus if (node := self._node(cpu)) is not None]
        for cpu in cpus:
            children = [child for child in cpu if child.tag == "pci"]
            if children:
                bus = self._root_bus(children[0])
                for child in children:
                    self._pci(child, bus, _numa(cpu))
        links = tuple(self._peer_links())
        places = self.places()
        if not cpus:
            raise MalformedDocument("<system> has no <cpu>", where=f"{self.source}:{root.sourceline}", remedy="is the file complete?")
        return Host(
            self.name,
            tuple(self.functions),
            tuple(sorted(nodes, key=lambda node: node.id)),
            _cpu(cpus[0]),
            peer_links=links,
            elided=True,
            assumed=tuple(self.assumed),
            places=places,
        )

    def _node(self, cpu: _Element) -> NumaNode | None:
        number = _numa(cpu)
        if number is None:
            return None
        affinity = cpu.get("affinity")
        try:
            return NumaNode(number, CpuSet.of(_mask(affinity)) if affinity else _SILENT)
        except ValueError:
            self.fault(f"affinity {affinity!r} is no CPU mask", cpu, "write 32-bit words in hexadecimal, separated by commas")
            return None

    def _root_bus(self, first: _Element) -> RootBus:
        try:
            address = Address.parse(first.get("busid", ""))
        except InputError:
            address = Address(0, 0, 0, 0)
        bus = RootBus(address.domain, address.bus)
        while bus in self.root_buses:
            bus = RootBus(bus.domain, bus.bus + 1) if bus.bus < 0xFF else RootBus(bus.domain + 1, 0)
        self.root_buses.add(bus)
        return bus

    def _pci(self, element: _Element, parent: Parent, node: int | None) -> None:
        try:
            address = Address.parse(element.get("busid", ""))
        except InputError as error:
            self.fault(f"busid: {error.what}", element, error.faults[0].remedy)
            return
        address = self._own(address, element)
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
                self._pci(child, address, node)
            elif child.tag == "gpu":
                self.links += [(address, str(link.tag), link.get("target", ""), _count(link), link) for link in child if link.tag in _LINKS]

    def _own(self, address: Address, element: _Element) -> Address:
        """An address of its own for a busid that stands in the file before."""
        if address not in self.seen:
            return address
        free = free_address(address, self.stated)
        if free is None:
            self.fault(f"busid {address} is there more often than its bus has room", element, "give each function a busid of its own")
            return address
        self.assumed.append(f"busid {address} is there again in line {element.sourceline}; that element is kept as {free}")
        return free

    def _number(self, element: _Element, key: str) -> int | Unknown:
        text = element.get(key)
        if text is None or text == "":
            return _SILENT
        try:
            number = int(text, 16)
        except ValueError:
            number = -1
        if not 0 <= number <= 0xFFFFFF:
            self.fault(f"{key}={text!r} is no number", element, "write it in hexadecimal")
            return _SILENT
        return number

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
        try:
            gtps = float(speed.split()[0]) if speed.split() and "GT/s" in speed else None
            lanes = int(width) if width else None
        except ValueError:
            self.fault(f"link {speed!r} x{width!r} is no link", element, 'write link_speed="32.0 GT/s PCIe" link_width="16"')
            return _SILENT
        if gtps is None and not lanes:
            return _SILENT
        return Link(gtps or _SILENT, lanes or _SILENT)

    def _peer_links(self) -> list[PeerLink]:
        kinds = {function.address: function.is_bridge or function.kind.value == "nvswitch" for function in self.functions}
        found: dict[tuple[PeerKind, Address, Address | None], PeerLink] = {}
        for address, tag, target_text, count, element in self.links:
            kind, target = _LINKS[tag], None
            if kind is not PeerKind.C2C:
                try:
                    target = Address.parse(target_text) if target_text else None
                except InputError as error:
                    self.fault(f"target: {error.what}", element, error.faults[0].remedy)
                    continue
                if target not in kinds or (kinds[target] and element.get("tclass") not in (None, "0x068000")):
                    target = None
            if target is not None and (kind, target, address) in found:
                continue
            found[kind, address, target] = PeerLink(address, target, kind, count)
        return list(found.values())


def _busids(root: _Element) -> Iterator[Address]:
    for element in root.iter("pci"):
        with suppress(InputError):
            yield Address.parse(element.get("busid", ""))


def _numa(cpu: _Element) -> int | None:
    text = cpu.get("numaid", "")
    return int(text) if text.isdecimal() and len(text) < 6 else None


def _mask(text: str) -> set[int]:
    """A CPU mask: 32-bit words, the highest first."""
    number = int("".join(f"{int(word, 16):08x}" for word in text.split(",")), 16)
    if number.bit_length() > 1 << 16:
        raise ValueError(text)
    return {bit for bit in range(number.bit_length()) if number >> bit & 1}


def _count(link: _Element) -> int:
    text = link.get("count", "1")
    return int(text) if text.isdecimal() and 0 < len(text) < 5 and int(text) else 1


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
