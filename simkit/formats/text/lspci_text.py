"""What the text of lspci says of one function (pciutils lspci.c, ls-caps.c, ls-ecaps.c, ls-kernel.c; versions 3.0 to 3.14)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from simkit.formats.text.lines import Faults
from simkit.formats.text.lspci_blocks import Block
from simkit.formats.text.lspci_names import Named, heading, subsystem
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, DeviceControl, Link, PortType, Sriov
from simkit.model.unknown import UNKNOWN, Unknown

REGISTERS = Unknown("lspci -v leaves registers out: run lspci -vvv")
_NO_LINK = Unknown("lspci prints an unknown speed or no lanes: the link is down, or the register reserved")
_NO_VF_BARS = Unknown("lspci prints no regions of virtual functions: not assigned")
_WIDE_DIGITS = 16
_NOT_PRINTED = Unknown("lspci prints no such window of the bridge")
_NOT_ASSIGNED = Unknown("the address is not assigned")
_ACS = (("SrcValid", AcsBits.SV), ("TransBlk", AcsBits.TB), ("ReqRedir", AcsBits.RR), ("CmpltRedir", AcsBits.CR), ("UpstreamFwd", AcsBits.UF),
        ("EgressCtrl", AcsBits.EC), ("DirectTrans", AcsBits.DT))
_PORTS = (
    ("Endpoint", PortType.ENDPOINT), ("Legacy Endpoint", PortType.LEGACY_ENDPOINT), ("Root Port", PortType.ROOT_PORT), ("Upstream Port", PortType.UPSTREAM),
    ("Downstream Port", PortType.DOWNSTREAM), ("PCI-Express to PCI/PCI-X Bridge", PortType.PCIE_TO_PCI_BRIDGE),
    ("PCI/PCI-X to PCI-Express Bridge", PortType.PCI_TO_PCIE_BRIDGE), ("Root Complex Integrated Endpoint", PortType.RC_ENDPOINT),
    ("Root Complex Event Collector", PortType.RC_EVENT_COLLECTOR),
    ("PCI/PCI-X Bridge", PortType.PCIE_TO_PCI_BRIDGE), ("PCI/PCI-X to PCI Express Bridge", PortType.PCI_TO_PCIE_BRIDGE),
)
_CAPABILITIES = (("Express ", "express"), ("Access Control Services", "acs"), ("Address Translation Service", "ats"),
                 ("Alternative Routing-ID Interpretation", "ari"), ("Single Root I/O Virtualization", "sriov"), ("Physical Resizable BAR", "resizable"),
                 ("MSI-X: ", "msix"))
_EXPRESS = re.compile(r"Express (?:\(v\d+\) )?(.*?)(?: \(Slot[+-]\))?(?:,.*| IRQ.*)?")
_CAPABILITY = re.compile(r"Capabilities: (?:\[([0-9a-f]{2,3})(?: v(\d+))?\] )?(.*)")
_LINK = re.compile(r"(LnkCap|LnkSta):\s+(?:Port #\d+, )?Speed (unknown|[\d.]{1,6}GT/s)(?: \(\w+\))?, Width x(\d{1,3})(?: \(\w+\))?(?:,.*)?")
_SENDS = re.compile(r"RlxdOrd([+-]) ExtTag([+-]) PhantFunc[+-] AuxPwr[+-] NoSnoop([+-])(?: .*)?")
_SIZES = re.compile(r"MaxPayload (\d{3,5}) bytes, MaxReadReq (\d{3,5}) bytes")
_BUSES = re.compile(r"Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})(?:,.*)?")
_REGION = re.compile(r"Region (\d): (?:\[virtual\] )?(?:(I/O ports) at|Memory at) (<[\w -]+>|[0-9a-f]{1,16})(?: \(([\w-]+(?: \d)?), (non-)?prefetchable\))?"
                     r"((?: \[[^\]]*\])*)")
_ROM = re.compile(r"(?:\[virtual\] )?Expansion ROM at (<[\w -]+>|[0-9a-f]{1,16})((?: \[[^\]]*\])*)")
_SIZE = re.compile(r"\[size=(\d{1,6})([KMGT]?)\]")
_MSIX = re.compile(r"MSI-X: Enable[+-] (?:Count|TabSize)=(\d{1,4}) .*")
_RESIZABLE = re.compile(r"BAR (\d): current size: (\d{1,4}[KMGTPE]?B|<unknown>), supported:((?: \d{1,4}[KMGTPE]?B)*)")
_WINDOW = re.compile(r"(I/O|Memory|Prefetchable memory) behind bridge: "
                     r"(?:([0-9a-f]{4,16})-([0-9a-f]{4,16})((?: \[[^\]]*\])*)|(None|\[disabled\]))(?: \[[^\]]*\])*")
_COUNTS = re.compile(r"Initial VFs: (\d{1,5}), Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})(?:,.*)?")
_OFFSETS = re.compile(r"VF offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})")
_SUBSYSTEM = re.compile(r"(?:DeviceName: .*)?\bSubsystem: (.*)")
_ON_FLAGS = (("numa_node", re.compile(r"\bNUMA node (\d{1,5})\b")), ("iommu_group", re.compile(r"\bIOMMU group (\d{1,9})\b")))
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}


@dataclass(slots=True)
class Said:
    """The facts that a function's text states, by field of `Function`, and the lines they stand in.

    `depth` is how often -v was given: 0, 1 (there is a line of flags), 2 or more (Control and Status). `listed`: capabilities are
    printed, `any_named`: some of them by name; `denied`: they may not be read; `extended`: some of them lie beyond byte 256.
    """

    named: Named
    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    listed: bool = False
    any_named: bool = False
    denied: bool = False
    extended: bool = False
    sizes: bool = False
    bars: dict[int, Bar] = field(default_factory=dict)


def read(block: Block, faults: Faults) -> Said:
    """Every line of the text that states a fact of the model; a line that begins as one but goes on differently is a fault."""
    depth = 2 if any(text.startswith("Control: ") for _, text in block.details) else 1 if any(text.startswith("Flags: ") for _, text in block.details) else 0
    reader = _Reader(Said(heading(block.heading, verbose=depth > 0), depth=depth), faults)
    for line, text in block.details:
        reader.line(line, text)
    return reader.finish()


class _Reader:
    """Walks the lines; what a line means depends on the capability that it stands below. Of two of a kind the first counts (`pci_find_capability`)."""

    def __init__(self, said: Said, faults: Faults) -> None:
        self.said = said
        self.faults = faults
        self.capability = ""
        self.seen: set[str] = set()
        self.links: dict[str, tuple[float | Unknown, int | Unknown]] = {}
        self.acs: dict[str, AcsBits] = {}
        self.virtual: dict[str, Any] = {}
        self.control: dict[str, Any] = {}
        self.vf_bars: dict[int, Bar] = {}
        self.resizable: list[ResizableBar] = []
        self.windows: dict[str, AddressRange | None] = {}
        self.wide: bool | Unknown = _NOT_PRINTED

    def line(self, number: int, text: str) -> None:
        if text.startswith("Capabilities:"):
            self._begin(number, text)
        elif text.startswith(("Kernel driver in use: ", "Driver in use: ")):
            self._fact(number, "driver", text.partition(": ")[2].strip())
        elif not self.capability:
            self._header(number, text)
        elif (read := _BELOW.get(self.capability)) is not None:
            read(self, number, text)

    def _fact(self, number: int, name: str, value: object) -> None:
        self.said.facts[name] = value
        self.said.places[name] = number

    def _bad(self, number: int, text: str) -> None:
        self.faults.add(number, f"lspci prints no such line: {text[:70]!r}", "is the file as lspci wrote it?")

    def _begin(self, number: int, text: str) -> None:
        found = _CAPABILITY.fullmatch(text)
        if found is None or not found[3]:
            self._bad(number, text)
            return
        words = found[3]
        self.said.listed = True
        self.said.any_named |= words != "Null" and not words.startswith("<")
        self.capability = words
        self.said.denied |= words.startswith("<access denied")
        self.said.extended |= found[1] is not None and len(found[1]) == 3
        if words.startswith("Subsystem: ") and "bus_range" in self.said.facts and "subsystem" not in self.said.facts:
            self._fact(number, "subsystem", subsystem(words.partition(": ")[2]))
        name = next((name for begin, name in _CAPABILITIES if words.startswith(begin)), "")
        if name and name not in self.seen:
            self.seen.add(name)
            self.capability = name
            if name == "express":
                self._express(number, words)
            elif name == "msix":
                self._msix(number, words)
            elif name == "resizable":
                self._fact(number, "resizable_bars", REGISTERS)
            else:
                self._fact(number, name, {"acs": Acs(REGISTERS, REGISTERS), "ats": Ats(REGISTERS), "ari": True, "sriov": REGISTERS}[name])

    def _msix(self, number: int, words: str) -> None:
        found = _MSIX.fullmatch(words)
        if found is None:
            self._bad(number, words)
            return
        self._fact(number, "msix_vectors", int(found[1]))

    def _resizable(self, number: int, text: str) -> None:
        if not text.startswith("BAR "):
            return
        found = _RESIZABLE.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        sizes, current = tuple(map(_bytes, found[3].split())), 0 if found[2] == "<unknown>" else _bytes(found[2])
        self.resizable.append(ResizableBar(int(found[1]), sizes, current if current in sizes else Unknown("the size that is set is not supported")))

    def _window(self, number: int, text: str) -> None:
        """What a bridge forwards; lspci prints closed windows from -vvv on, in the order of their addresses, the higher first."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        base, limit = (int(found[2], 16), int(found[3], 16)) if found[2] else (1, 0)
        if found[1].startswith("Pref") and found[2]:
            self.wide = "[64-bit]" in text or len(found[2]) == _WIDE_DIGITS
        self.windows[found[1]] = AddressRange(base, limit) if base <= limit and "[disabled]" not in (found[4] or "") else None
        self.said.places.setdefault("windows", number)

    def _express(self, number: int, words: str) -> None:
        found = _EXPRESS.fullmatch(words)
        name = found[1] if found else ""
        kind = dict(_PORTS).get(name)
        if kind is None and not name.startswith("Unknown type"):
            self._bad(number, words)
            return
        self._fact(number, "port_type", kind if kind is not None else Unknown(f"lspci does not know the PCIe port type: {name}"))

    def _header(self, number: int, text: str) -> None:
        for begin, read in _HEADER.items():
            if text.startswith(begin):
                read(self, number, text)
        found = _SUBSYSTEM.fullmatch(text)
        if found is not None and (text.startswith(("Subsystem: ", "DeviceName: "))):
            self._fact(number, "subsystem", subsystem(found[1]))

    def _flags(self, number: int, text: str) -> None:
        for name, pattern in _ON_FLAGS:
            if (found := pattern.search(text)) is not None:
                self._fact(number, name, int(found[1]))

    def _number(self, number: int, text: str) -> None:
        words, _, value = text.partition(":")
        if re.fullmatch(r"-?\d{1,9}", value.strip(), re.ASCII) is None:
            self._bad(number, text)
            return
        self._fact(number, "numa_node" if words == "NUMA node" else "iommu_group", int(value) if int(value) >= 0 else None)

    def _buses(self, number: int, text: str) -> None:
        found = _BUSES.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        self._fact(number, "bus_range", BusRange(int(found[2], 16), int(found[3], 16)))

    def _region(self, number: int, text: str) -> None:
        if (bar := self._decoded(number, text)) is not None:
            self._bar(number, bar)

    def _decoded(self, number: int, text: str) -> Bar | None:
        found = _REGION.fullmatch(text)
        if found is None or (found[2] is None and found[4] is None) or int(found[1]) > 5:
            self._bad(number, text)
            return None
        kind = BarKind.IO if found[2] else BarKind.MEM64 if found[4] == "64-bit" and not found[3].startswith("<broken") else BarKind.MEM32
        return Bar(int(found[1]), kind, self._size(found[6]), bool(found[4]) and not found[5], _base(found[3]))

    def _rom(self, number: int, text: str) -> None:
        """The kernel flags every expansion ROM as prefetchable (`pci_read_bases`)."""
        found = _ROM.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        self._bar(number, Bar(6, BarKind.MEM32, self._size(found[2]), prefetchable=True, base=_base(found[1])))

    def _bar(self, number: int, bar: Bar) -> None:
        self.said.bars.setdefault(bar.index, bar)
        self.said.places.setdefault("bars", number)

    def _size(self, tags: str) -> int | Unknown:
        found = _SIZE.search(tags)
        self.said.sizes |= found is not None
        return int(found[1]) << _UNITS[found[2]] if found else Unknown("lspci prints no size: it read a dump, or the kernel does not say")

    def _express_line(self, number: int, text: str) -> None:
        if text.startswith(("RlxdOrd", "MaxPayload ")):
            self._device_control(number, text)
        else:
            self._link(number, text)

    def _device_control(self, number: int, text: str) -> None:
        """The second and third line of DevCtl."""
        sends, sizes = _SENDS.fullmatch(text), _SIZES.fullmatch(text)
        if sends is not None:
            self.control |= {name: sends[at] == "+" for at, name in enumerate(("relaxed_ordering", "extended_tags", "no_snoop"), 1)}
        elif sizes is not None:
            self.control |= {name: _transfer(int(sizes[at])) for at, name in enumerate(("max_payload_bytes", "max_read_request_bytes"), 1)}
        else:
            self._bad(number, text)
        self.said.places.setdefault("device_control", number)

    def _link(self, number: int, text: str) -> None:
        if not text.startswith(("LnkCap:", "LnkSta:")):
            return
        found = _LINK.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        speed = found[2].removesuffix("GT/s")
        try:
            self.links[found[1]] = _NO_LINK if speed == "unknown" else float(speed), int(found[3]) or _NO_LINK
        except ValueError:
            self._bad(number, text)
        self.said.places.setdefault("link", number)

    def _acs_bits(self, number: int, text: str) -> None:
        if not text.startswith(("ACSCap:", "ACSCtl:")):
            return
        words = text[7:].split()
        if len(words) < len(_ACS) or any(word[:-1] != name or word[-1] not in "+-" for word, (name, _) in zip(words, _ACS, strict=False)):
            self._bad(number, text)
            return
        bits = AcsBits.NONE
        for word, (_, bit) in zip(words, _ACS, strict=False):
            bits |= bit if word.endswith("+") else AcsBits.NONE
        self.acs[text[:6]] = bits
        self.said.places["acs/capability" if text.startswith("ACSCap") else "acs/control"] = number

    def _ats(self, number: int, text: str) -> None:
        if not text.startswith("ATSCtl:"):
            return
        if re.match(r"ATSCtl:\s+Enable[+-]", text) is None:
            self._bad(number, text)
            return
        self._fact(number, "ats", Ats("Enable+" in text))

    def _sriov(self, number: int, text: str) -> None:
        if text.startswith("IOVCtl:"):
            if re.match(r"IOVCtl:\s+Enable[+-].* ARIHierarchy[+-]", text) is None:
                self._bad(number, text)
                return
            self.virtual |= {"enabled": " Enable+" in text.replace("\t", " "), "ari_hierarchy": "ARIHierarchy+" in text}
        elif text.startswith("Initial VFs:"):
            self._counts(number, text, _COUNTS, ("initial_vfs", "total_vfs", "num_vfs"))
        elif text.startswith("Region "):
            bar = self._decoded(number, text)
            if bar is not None:
                self.vf_bars.setdefault(bar.index, bar)
        elif text.startswith("VF offset:"):
            self._counts(number, text, _OFFSETS, ("offset", "stride", "vf_device_id"))

    def _counts(self, number: int, text: str, pattern: re.Pattern[str], names: tuple[str, ...]) -> None:
        found = pattern.fullmatch(text)
        if found is None:
            self._bad(number, text)
            return
        self.virtual |= {name: int(value, 16 if name == "vf_device_id" else 10) for name, value in zip(names, found.groups(), strict=True)}

    def finish(self) -> Said:
        """Put together what stands in several lines; the last register of a function has no upper half (PCIe 6.0 §7.5.1.2.1)."""
        facts, last = self.said.facts, 1 if "bus_range" in self.said.facts else 5
        if last in self.said.bars and self.said.bars[last].kind is BarKind.MEM64:
            self.said.bars[last] = replace(self.said.bars[last], kind=BarKind.MEM32)
        if self.links:
            now, most = self.links.get("LnkSta", (UNKNOWN, UNKNOWN)), self.links.get("LnkCap", (UNKNOWN, UNKNOWN))
            facts["link"] = Link(*now, *most) if any(not isinstance(fact, Unknown) for fact in (*now, *most)) else _NO_LINK
        if self.acs:
            facts["acs"] = Acs(self.acs.get("ACSCap", REGISTERS), self.acs.get("ACSCtl", REGISTERS))
        if self.control and any(not isinstance(self.control.get(name, UNKNOWN), Unknown) for name in ("max_payload_bytes", "max_read_request_bytes")):
            facts["device_control"] = DeviceControl(**self.control)
        if "total_vfs" in self.virtual:
            facts["sriov"] = Sriov(**self.virtual, vf_bars=tuple(self.vf_bars[index] for index in sorted(self.vf_bars)) or _NO_VF_BARS)
        if self.resizable:
            facts["resizable_bars"] = tuple(self.resizable)
        if self.windows:
            io, memory, high = (self.windows.get(name, _NOT_PRINTED) for name in ("I/O", "Memory", "Prefetchable memory"))
            facts["windows"] = BridgeWindows(io, memory, high, self.wide)
        return self.said


def _bytes(text: str) -> int:
    return int(text.rstrip("KMGTPEB")) << _UNITS[text.rstrip("B")[-1:] if text.rstrip("B")[-1:].isalpha() else ""]


def _transfer(size: int) -> int | Unknown:
    """As lspci prints it: 128 << n also of the two reserved values (PCIe 6.0 §7.5.3.4)."""
    return size if size in (128, 256, 512, 1024, 2048, 4096) else Unknown("the register holds a reserved size")


def _base(text: str) -> int | Unknown:
    return _NOT_ASSIGNED if text.startswith("<") else int(text, 16) or _NOT_ASSIGNED


_HEADER: dict[str, Callable[[_Reader, int, str], None]] = {
    "Flags: ": _Reader._flags, "NUMA node:": _Reader._number, "IOMMU group:": _Reader._number, "Bus: ": _Reader._buses, "Region ": _Reader._region,
    "I/O behind bridge": _Reader._window, "Memory behind bridge": _Reader._window, "Prefetchable memory behind bridge: ": _Reader._window,
    "Expansion ROM at ": _Reader._rom, "[virtual] Expansion ROM at ": _Reader._rom,
}
_BELOW: dict[str, Callable[[_Reader, int, str], None]] = {
    "express": _Reader._express_line, "acs": _Reader._acs_bits, "ats": _Reader._ats, "sriov": _Reader._sriov,
    "resizable": _Reader._resizable,
}
