"""A kernel's log, as `dmesg`, `journalctl -k` or a syslog file holds it: a partial account of a machine (drivers/pci/probe.c, setup-res.c, iommu.c)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from simkit.formats.pci.bus_tree import grow
from simkit.formats.text.lines import Faults, lines
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Bar, BarKind, BusRange, Link, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.place import Place, Places
from simkit.model.platform import Cpu, IommuKind
from simkit.model.scope import MadeBus
from simkit.model.unknown import UNKNOWN, Unknown

MOST_FUNCTIONS = 1 << 17
_SILENT = Unknown("a kernel log does not tell it")
_OLD_KERNEL = Unknown("kernels before 6.8 do not log the PCIe port type")
_NO_HEADER = Unknown("a kernel log does not tell the header type's multifunction bit")
_NO_START = Unknown("the log does not begin at the boot: what was found then is not in it")
_NO_NODE = Unknown("the log names no NUMA node of its root bus")
_NO_GROUPS = Unknown("the log assigns no function to an IOMMU group")
_NO_BARS = Unknown("the log shows no BAR of it: it has none, or it is a virtual function")
_NO_ROOM = Unknown("the kernel found no room for it, or had not assigned it yet")
_ADDRESS = r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
_DEVICE = re.compile(rf"(?:^|[ \]>])[A-Za-z][\w.-]* ({_ADDRESS}): (.*)")
_OLD_GROUP = re.compile(rf"iommu: (Adding|Removing) device ({_ADDRESS}) (?:to|from) group (\d{{1,9}})")
_FOUND = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\] type ([0-9a-f]{2}) class 0x([0-9a-f]{6})(?: (.*))?")
_GROUP = re.compile(r"(Adding to|Removing from) iommu group (\d{1,9})")
_BRIDGE = re.compile(r"(?:PCI|CardBus) bridge to \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]")
_BAR = re.compile(r"(?:reg (?:0x)?([0-9a-f]{2,3}):|BAR (\d{1,2})(?:: assigned|:)?|(ROM)(?:: assigned)?)"
                  r" \[(mem|io) +0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})([ \w]*)\].*")
_NO_SPACE = re.compile(r"(?:BAR (\d{1,2})|ROM)(?:: (?:no space for|failed to assign|can't assign)| \[[^\]]*\]: (?:can't assign|failed to assign)).*")
_SPEED = r"([\d.]{1,8}) GT/s(?: PCIe)? x(\d{1,3}) link"
_LIMITED = re.compile(rf"[\d.]+ Gb/s available PCIe bandwidth, limited by {_SPEED} at ({_ADDRESS}) \(capable of [\d.]+ Gb/s with {_SPEED}\)")
_FULL = re.compile(rf"[\d.]+ Gb/s available PCIe bandwidth \({_SPEED}\)")
_ACS = re.compile(r"Configured ACS to 0x([0-9a-f]{1,4})\b.*")
_ROOT = re.compile(r"(?:pci_bus ([0-9a-f]{4,8}:[0-9a-f]{2}): root bus resource|PCI host bridge to bus ([0-9a-f]{4,8}:[0-9a-f]{2}))\b")
_MADE = re.compile(r"PCI host bridge to bus ([0-9a-f]{4,8}:[0-9a-f]{2})")
_NODE = re.compile(r"pci_bus ([0-9a-f]{4,8}:[0-9a-f]{2}): on NUMA node (\d{1,5})\b")
_VERSION = re.compile(r"\bLinux version (\S+) ")
_CMDLINE = re.compile(r"\b(?:Kernel command line|Command line): (.*)")
_CPU = re.compile(r"CPU0: (.{1,100}?) +\(family: 0x([0-9a-f]{1,3}), model: 0x([0-9a-f]{1,3})\b")
_VENDORS = (("Intel", "GenuineIntel"), ("AMD", "AuthenticAMD"), ("Hygon", "HygonGenuine"))
_IOMMUS = (
    (IommuKind.INTEL, re.compile(r"DMAR: Intel\(R\) Virtualization Technology for Directed I/O|DMAR: dmar\d+: Using (?:Queued|Register based) invalidation")),
    (IommuKind.AMD, re.compile(r"AMD-Vi: (?:Found IOMMU|Extended features|Enabling IOMMU|IOMMU performance counters supported|Interrupt remapping enabled)")),
    (IommuKind.SMMU, re.compile(r"arm-smmu(?:-v3)? [\w.-]+: (?:ias|probing hardware configuration|SMMUv\d)")),
    (IommuKind.NONE, re.compile(r"DMAR: IOMMU disabled|AMD IOMMU disabled|AMD-Vi: .*disabled")),
)
"""What each driver logs once it works. `DMAR: IOMMU enabled` only repeats the command line: AMD machines log it as well."""
_PORTS = {
    "PCIe Endpoint": PortType.ENDPOINT, "PCIe Legacy Endpoint": PortType.LEGACY_ENDPOINT, "PCIe Root Port": PortType.ROOT_PORT,
    "PCIe Switch Upstream Port": PortType.UPSTREAM, "PCIe Switch Downstream Port": PortType.DOWNSTREAM,
    "PCIe to PCI/PCI-X bridge": PortType.PCIE_TO_PCI_BRIDGE, "PCI/PCI-X to PCIe bridge": PortType.PCI_TO_PCIE_BRIDGE,
    "PCIe Root Complex Integrated Endpoint": PortType.RC_ENDPOINT, "PCIe Root Complex Event Collector": PortType.RC_EVENT_COLLECTOR,
    "conventional PCI endpoint": None, "conventional PCI bridge": None, "conventional PCI": None, "CardBus bridge": None,
}
"""`pci_type_str`, 6.8 and later."""


def read(data: bytes, *, source: str) -> Host:
    """Read what a log says of PCI functions, IOMMU groups, root buses, kernel and command line.

    Prefixes (time, host name, level) are passed over. Of several boots the last one counts, and of several lines on one thing the last: BARs
    and bus numbers are assigned anew while the kernel boots. A function that leaves its group has left the machine. A log that begins
    with the boot and has groups tells of a function without one that it has none.

    Raises:
        MalformedDocument: lines that contradict themselves, or no line that says anything of PCI.
    """
    faults = Faults(source)
    text = lines(data, source=source)
    boots = [number for number, line in enumerate(text) if "Linux version " in line and _VERSION.search(line)]
    reader = _Reader(faults)
    for number in range(boots[-1] if boots else 0, len(text)):
        reader.line(number + 1, text[number])
    if not reader.devices and not reader.roots and not faults.found:
        faults.add(1, "no line tells of a PCI function", "give the kernel's whole log: `dmesg`, or `journalctl -k -b`")
    if len(reader.devices) > MOST_FUNCTIONS:
        faults.add(1, f"over {MOST_FUNCTIONS} functions", "no machine has as many")
    faults.check("is no kernel log as it stands")
    return reader.host(source, boots)


@dataclass(slots=True)
class _Device:
    """What the log has said so far of one function."""

    line: int
    facts: dict[str, Any] = field(default_factory=dict)
    bars: dict[int, Bar] = field(default_factory=dict)
    now: tuple[float, int] | None = None
    most: tuple[float, int] | None = None


class _Reader:
    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.devices: dict[Address, _Device] = {}
        self.places: dict[str, int] = {}
        self.roots: set[RootBus] = set()
        self.makers: dict[RootBus, Address] = {}
        self.nodes: dict[RootBus, int] = {}
        self.told: dict[str, Any] = {}
        self.iommus: set[IommuKind] = set()
        self.requested = False

    def line(self, number: int, text: str) -> None:
        found = _DEVICE.search(text)
        if found is not None:
            address = Address.parse(found[1])
            for pattern, read in _MESSAGES:
                if (message := pattern.fullmatch(found[2].strip())) is not None:
                    read(self, number, address, message)
                    break
        elif (old := _OLD_GROUP.search(text)) is not None:
            self._group(number, Address.parse(old[2]), old)
        elif "pci_bus" in text or "PCI host bridge" in text:
            self._bus(text)
        self._platform(number, text)

    def _device(self, number: int, address: Address) -> _Device:
        return self.devices.setdefault(address, _Device(number))

    def _fact(self, number: int, address: Address, name: str, value: object) -> None:
        self._device(number, address).facts[name] = value
        self.places[f"functions/{address}/{name}"] = number

    def _found(self, number: int, address: Address, message: re.Match[str]) -> None:
        """`pci_setup_device`: the function is found, or found again."""
        self.devices[address] = device = _Device(number)
        port = message[5].strip() if message[5] else ""
        device.facts |= {"vendor_id": int(message[1], 16), "device_id": int(message[2], 16), "class_code": int(message[4], 16),
                         "port_type": _PORTS.get(port, _OLD_KERNEL if not port else Unknown(f"the log calls the port {port[:60]!r}"))}

    def _group(self, number: int, address: Address, message: re.Match[str]) -> None:
        if message[1].startswith("Removing"):
            self.devices.pop(address, None)
        else:
            self._fact(number, address, "iommu_group", int(message[message.re.groups]))

    def _bridge(self, number: int, address: Address, message: re.Match[str]) -> None:
        first, last = int(message[1], 16), int(message[2] or message[1], 16)
        if last < first:
            self.faults.add(number, f"bus numbers fall: {message[0]}", "is the log damaged?")
            return
        self._fact(number, address, "bus_range", BusRange(first, last))

    def _bar(self, number: int, address: Address, message: re.Match[str]) -> None:
        offset = int(message[1], 16) if message[1] else None
        index = 6 if message[3] or offset in (0x30, 0x38) else int(message[2]) if offset is None else (offset - 0x10) // 4
        if not 0 <= index <= 6 or (offset is not None and not 0x10 <= offset <= 0x38):
            return
        start, end = int(message[5], 16), int(message[6], 16)
        if end < start:
            self.faults.add(number, f"addresses fall: {message[0]}", "is the log damaged?")
            return
        flags = message[7].split()
        kind = BarKind.IO if message[4] == "io" else BarKind.MEM64 if "64bit" in flags else BarKind.MEM32
        self._device(number, address).bars[index] = Bar(index, kind, end - start + 1, "pref" in flags, start or _NO_ROOM)
        self.places.setdefault(f"functions/{address}/bars", number)

    def _no_space(self, number: int, address: Address, message: re.Match[str]) -> None:
        device, index = self._device(number, address), int(message[1] or 6)
        if index in device.bars:
            bar = device.bars[index]
            device.bars[index] = Bar(index, bar.kind, bar.size_bytes, bar.prefetchable, _NO_ROOM)

    def _limited(self, number: int, address: Address, message: re.Match[str]) -> None:
        """`__pcie_print_link_status`: what the function is capable of, and what the slowest link above it runs at."""
        at = Address.parse(message[3])
        self._speed(number, at, message[1], message[2], now=True)
        self._speed(number, address, message[4], message[5], now=False)

    def _full(self, number: int, address: Address, message: re.Match[str]) -> None:
        self._speed(number, address, message[1], message[2], now=False)

    def _speed(self, number: int, address: Address, speed: str, width: str, *, now: bool) -> None:
        try:
            pair = float(speed), int(width)
        except ValueError:
            self.faults.add(number, f"no link speed: {speed}", "is the log damaged?")
            return
        device = self._device(number, address)
        device.now, device.most = (pair, device.most) if now else (device.now, pair)
        self.places[f"functions/{address}/link"] = number

    def _acs(self, number: int, address: Address, message: re.Match[str]) -> None:
        self._fact(number, address, "acs", Acs(_SILENT, AcsBits(int(message[1], 16) & 0x7F)))

    def _made(self, _number: int, address: Address, message: re.Match[str]) -> None:
        """`pci_register_host_bridge`, of a root bus that a function's driver makes (Intel VMD)."""
        bus = _root_bus(message[1])
        self.roots.add(bus)
        self.makers[bus] = address

    def _bus(self, text: str) -> None:
        if (found := _ROOT.search(text)) is not None:
            self.roots.add(_root_bus(found[1] or found[2]))
        elif (found := _NODE.search(text)) is not None:
            self.nodes[_root_bus(found[1])] = int(found[2])

    def _platform(self, number: int, text: str) -> None:
        for name, pattern in (("kernel", _VERSION), ("cmdline", _CMDLINE)):
            if name not in self.told and (found := pattern.search(text)) is not None:
                self.told[name] = found[1].strip()
                self.places[name] = number
        if "CPU0: " in text and (found := _CPU.search(text)) is not None:
            vendor = next((name for word, name in _VENDORS if found[1].startswith(word)), UNKNOWN)
            self.told["cpu"] = Cpu("x86_64", vendor, int(found[2], 16), int(found[3], 16), found[1])
        self.requested |= "DMAR: IOMMU enabled" in text
        if "DMAR" in text or "AMD" in text or "smmu" in text:
            for kind, pattern in _IOMMUS:
                if pattern.search(text):
                    self.iommus.add(kind)
                    self.places.setdefault("iommu", number)

    def host(self, source: str, boots: list[int]) -> Host:
        grouped = any("iommu_group" in device.facts for device in self.devices.values())
        silent = (None if boots else _NO_START) if grouped else _NO_GROUPS
        tree = grow([self._function(address, device, silent) for address, device in sorted(self.devices.items())], roots=frozenset(self.roots))
        places = {path: Place(source, line) for path, line in self.places.items()}
        places |= {f"functions/{address}": Place(source, device.line) for address, device in self.devices.items()}
        makers = {bus: address for bus, address in self.makers.items() if address in self.devices and bus.domain != address.domain}
        assumed = [f"{len(boots)} boots are in the log; the last one counts"] if len(boots) > 1 else []
        host = Host(source.rpartition("/")[2].partition(".")[0] or source, tree.functions, cpu=self.told.get("cpu", Cpu()),
                    iommu=self._iommu(grouped=grouped), tees=_SILENT, kernel=self.told.get("kernel", _NO_START),
                    cmdline=self.told.get("cmdline", _NO_START), elided=bool(tree.missing), assumed=tuple(assumed),
                    made_buses=tuple(MadeBus(bus, makers[bus]) for bus in sorted(makers)), places=Places(places, root=Place(source)))
        return replace(host, functions=tuple(self._on_node(host, function) for function in host.functions)) if self.nodes else host

    def _on_node(self, host: Host, function: Function) -> Function:
        """Every function has the node of its root bus (`pci_device_add`: `pcibus_to_node`)."""
        node = self.nodes.get(host.root_bus(function))
        return function if node is None else replace(function, numa_node=node)

    def _iommu(self, *, grouped: bool) -> IommuKind | Unknown:
        working = self.iommus - {IommuKind.NONE}
        if len(working) == 1:
            return next(iter(working))
        if not working and grouped and self.requested:
            return IommuKind.INTEL
        if not working and not grouped and self.iommus:
            return IommuKind.NONE
        return Unknown("no line of the log says that an IOMMU driver works" if not working else "the log tells of several kinds of IOMMU")

    def _function(self, address: Address, device: _Device, silent: Unknown | None) -> Function:
        facts = device.facts
        port = facts.get("port_type", _SILENT)
        link: Link | None | Unknown = None if port is None else _SILENT
        if device.now or device.most:
            link = Link(*(device.now or (_SILENT, _SILENT)), *(device.most or (_SILENT, _SILENT)))
        return Function(
            address, RootBus(address.domain, address.bus), facts.get("vendor_id", _SILENT), facts.get("device_id", _SILENT), facts.get("class_code", _SILENT),
            _SILENT, _SILENT, None, port, _NO_HEADER, facts.get("bus_range"), link, facts.get("acs", None if port is None else _SILENT),
            None if port is None else _SILENT, False if port is None else _SILENT, None if port is None else _SILENT,
            bars=tuple(device.bars[index] for index in sorted(device.bars)) if device.bars else _NO_BARS,
            numa_node=_NO_NODE, iommu_group=facts.get("iommu_group", silent), driver=_SILENT, reset_methods=_SILENT)


def _root_bus(text: str) -> RootBus:
    domain, _, bus = text.partition(":")
    return RootBus(int(domain, 16), int(bus, 16))


_MESSAGES: tuple[tuple[re.Pattern[str], Callable[[_Reader, int, Address, re.Match[str]], None]], ...] = (
    (_FOUND, _Reader._found), (_GROUP, _Reader._group), (_BRIDGE, _Reader._bridge), (_BAR, _Reader._bar), (_NO_SPACE, _Reader._no_space),
    (_LIMITED, _Reader._limited), (_FULL, _Reader._full), (_ACS, _Reader._acs), (_MADE, _Reader._made),
)
