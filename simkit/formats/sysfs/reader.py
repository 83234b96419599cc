"""A node's sysfs and procfs, live, copied into a folder or packed into a tar (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from simkit.errors import Fault, InputError, MalformedConfigSpace
from simkit.formats.pci.config_space import ConfigSpace, decode
from simkit.formats.sysfs.files import Files, FolderFiles, name_of, text_of
from simkit.formats.sysfs.firmware import iommu_scopes
from simkit.formats.sysfs.path import function_named, is_root_bus, makers
from simkit.formats.sysfs.platform import cpu, iommu, nearest, numa_nodes, tees
from simkit.formats.sysfs.usage import usage
from simkit.model.address import Address, Parent, RootBus
from simkit.model.address_space import AddressRange, BridgeWindows
from simkit.model.capabilities import Bar, BarKind, Link, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import NumaNode
from simkit.model.place import Place, Places
from simkit.model.scope import MadeBus
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_VF_BARS, _WITH_WINDOWS = slice(7, 13), 17
"""Resources of a function with CONFIG_PCI_IOV, and how many a bridge has (include/linux/pci.h: PCI_IOV_RESOURCES, DEVICE_COUNT_RESOURCE)."""
DEVICES, GROUPS = "sys/bus/pci/devices", "sys/kernel/iommu_groups"
_MISSING = Unknown("sysfs has no such attribute for it")
_DENIED = Unknown("the attribute is there, but may not be read: capture as root")
_UNREADABLE = Unknown("sysfs holds no config space of it")
_EMPTY = Unknown("/proc/cmdline is empty or not in the source (tar packs procfs without its content)")
_NOT_ASSIGNED = Unknown("the kernel assigned no address to it")
_SPEED = re.compile(r"(\d{1,3}(?:\.\d{1,2})?) GT/s", re.ASCII)
_IO, _MEM, _PREFETCH, _MEM64, _UNSET = 0x100, 0x200, 0x2000, 0x100000, 0x20000000
T = TypeVar("T")


def capture_local(root: Path = Path("/")) -> Host:
    """The facts of this machine, as root or not; what may not be read is unknown, with that reason."""
    return read_named(FolderFiles(root), otherwise="local")


def read_named(files: Files, *, otherwise: str) -> Host:
    """Read a tree by the name that the machine gives itself."""
    return read(files, name=(files.read("proc/sys/kernel/hostname") or b"").decode("ascii", "replace").strip() or otherwise)


def read(files: Files, *, name: str) -> Host:
    """Read a tree.

    Functions are those of /sys/bus/pci/devices and those found below /sys/devices/pci*: partial captures lack the one or the other.
    A path below /sys/devices tells what a function lies below; where a capture has none, the bus numbers of the bridges do.

    Raises:
        MalformedConfigSpace: `config` files that are truncated, all of them.
        InconsistentHost: the functions cannot be one machine.
    """
    paths = dict(_found(files))
    taken, nodes, groups = usage(files), numa_nodes(files), _groups(files)
    functions: list[Function] = []
    faults: list[Fault] = []
    for address, path in paths.items():
        try:
            functions.append(_Reader(files, address, path, paths, nodes).read(taken.get(address), groups))
        except MalformedConfigSpace as error:
            faults.extend(error.faults)
    if faults:
        raise MalformedConfigSpace(f"{files.name} holds config space that is cut off", faults=tuple(faults))
    release = text_of(files, "proc/sys/kernel/osrelease") or _release(text_of(files, "proc/version"))
    places = {f"functions/{address}": Place(f"{files.name.rstrip('/')}/{path}") for address, path in paths.items()}
    return Host(
        name_of(name) or "local", _placed(functions, paths), nodes, cpu(files), iommu(files), tees(files),
        kernel=release or Unknown("/proc/version is not in the source"),
        cmdline=(text_of(files, "proc/cmdline") or "") if files.read("proc/cmdline", most=1) else _EMPTY,
        iommu_scopes=iommu_scopes(files), made_buses=_made(paths), places=Places(places, root=Place(files.name)))


def _placed(functions: list[Function], paths: dict[Address, str]) -> tuple[Function, ...]:
    """Below the bridge that forwards their bus, where their paths do not tell (PCIe 6.0 §7.3.1: secondary to subordinate); of several the innermost."""
    flat = [function for function in functions if isinstance(function.parent, RootBus) and not paths[function.address].startswith("sys/devices/")]
    if not flat:
        return tuple(functions)
    above: dict[tuple[int, int], Address] = {}
    bridges = [(bridge.bus_range.secondary, bridge.bus_range.subordinate, bridge.address) for bridge in functions if bridge.bus_range is not None]
    for secondary, subordinate, bridge in sorted(bridges):
        for bus in range(max(secondary, bridge.bus + 1), subordinate + 1):
            above[bridge.domain, bus] = bridge
    below = {function.address: above[key] for function in flat if (key := (function.address.domain, function.address.bus)) in above}
    return tuple(replace(function, parent=below[function.address]) if function.address in below else function for function in functions)


def _made(paths: dict[Address, str]) -> tuple[MadeBus, ...]:
    """The root buses that lie below a function."""
    return tuple(sorted({MadeBus(bus, function) for path in paths.values() for bus, function in makers(path) if function in paths}, key=lambda made: made.bus))


def _groups(files: Files) -> dict[Address, int]:
    """The members of each folder of /sys/kernel/iommu_groups; none where the kernel keeps none."""
    found = {}
    for group in files.listdir(GROUPS):
        if re.fullmatch(r"[0-9]{1,9}", group):
            found.update({address: int(group) for entry in files.listdir(f"{GROUPS}/{group}/devices") if (address := function_named(entry)) is not None})
    return found


def _release(version: str | None) -> str | None:
    """The release in /proc/version: `Linux version 6.1.0-56-cloud-amd64 (…)`."""
    words = (version or "").split()
    return words[2] if words[:2] == ["Linux", "version"] and len(words) > 2 else None


def _found(files: Files) -> Iterator[tuple[Address, str]]:
    """Every function with the folder that holds its attributes, in address order."""
    paths: dict[Address, str] = {}
    for entry in files.listdir("sys/devices"):
        if entry.startswith("pci"):
            _walk(files, f"sys/devices/{entry}", paths)
    for entry in files.listdir(DEVICES):
        address = function_named(entry)
        real = files.realpath(f"{DEVICES}/{entry}")
        if address is not None and real is not None and (real.startswith("sys/devices/") or address not in paths):
            paths[address] = real
    for address in sorted(paths):
        yield address, paths[address]


def _walk(files: Files, folder: str, paths: dict[Address, str]) -> None:
    stack = [folder]
    while stack:
        here = stack.pop()
        for entry in files.listdir(here):
            address = function_named(entry)
            if address is not None and files.readlink(f"{here}/{entry}") is None:
                paths.setdefault(address, f"{here}/{entry}")
                stack.append(f"{here}/{entry}")
            elif entry.startswith("pci") and ":" in entry and files.readlink(f"{here}/{entry}") is None:
                stack.append(f"{here}/{entry}")


class _Reader:
    """One function's attributes; every method reads one kind of fact."""

    def __init__(self, files: Files, address: Address, path: str, paths: dict[Address, str], nodes: tuple[NumaNode, ...]) -> None:
        self.files, self.address, self.path, self.paths, self.nodes = files, address, path, paths, nodes
        self.names = frozenset(files.listdir(path))

    def read(self, used: str | None, groups: dict[Address, int]) -> Function:
        space = self._config()
        return Function(
            self.address,
            self._parent(),
            vendor_id=self._hex("vendor", 4, _id(space, lambda known: known.vendor_id)),
            device_id=self._hex("device", 4, _id(space, lambda known: known.device_id)),
            class_code=self._hex("class", 6, _of(space, lambda known: known.class_code)),
            revision=self._hex("revision", 2, _of(space, lambda known: known.revision)),
            subsystem=self._subsystem(space),
            port_type=_of(space, lambda known: known.port_type),
            multifunction=self._multifunction(space),
            bus_range=space.bus_range if isinstance(space, ConfigSpace) else None,
            link=self._link(space),
            acs=_of(space, lambda known: known.acs),
            ats=_of(space, lambda known: known.ats),
            ari=_of(space, lambda known: known.ari),
            sriov=self._sriov(space),
            physfn=self._physfn(),
            bars=self._bars(space),
            numa_node=self._numa_node(),
            iommu_group=self._group(groups),
            driver=self._driver(),
            reset_methods=self._reset_methods(),
            usage=used,
            device_control=_of(space, lambda known: known.device_control),
            resizable_bars=_of(space, lambda known: known.resizable_bars),
            windows=self._windows(space),
            msix_vectors=_of(space, lambda known: known.msix_vectors),
        )

    def _attribute(self, name: str) -> str | None:
        return text_of(self.files, f"{self.path}/{name}") if name in self.names else None

    def _missing(self, name: str) -> Unknown:
        return _DENIED if name in self.names and self.files.denied(f"{self.path}/{name}") else _MISSING

    def _hex(self, name: str, digits: int, otherwise: int | Unknown) -> int | Unknown:
        text = self._attribute(name)
        return int(text, 16) if text is not None and re.fullmatch(rf"0x[0-9a-fA-F]{{1,{digits}}}", text) else otherwise

    def _decimal(self, name: str) -> int | Unknown:
        text = self._attribute(name) or ""
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else self._missing(name)

    def _config(self) -> ConfigSpace | Unknown:
        data = self.files.read(f"{self.path}/config", most=4096) if "config" in self.names else None
        if data:
            return decode(data, where=f"{self.files.name.rstrip('/')}/{self.path}/config")
        return _UNREADABLE if data is not None or "config" not in self.names else self._missing("config")

    def _parent(self) -> Parent:
        """What the path says lies above; that of the physical function where the own path says nothing; else the bus it stands on."""
        physfn = self._physfn()
        here = physfn or self.address
        return self._above(self.path) or (self._above(self.paths[physfn]) if physfn else None) or RootBus(here.domain, here.bus)

    def _above(self, path: str) -> Parent | None:
        """The nearest folder above that is a function, or a root bus (`pci0000:00`)."""
        for part in reversed(path.split("/")[:-1]):
            address = function_named(part)
            if address is not None and address in self.paths:
                return address
            if is_root_bus(part):
                try:
                    return RootBus.parse(part)
                except InputError:
                    break
        return None

    def _physfn(self) -> Address | None:
        target = self.files.readlink(f"{self.path}/physfn") if "physfn" in self.names else None
        found = function_named(target.rstrip("/").rpartition("/")[2]) if target else None
        return found if found in self.paths else None

    def _subsystem(self, space: ConfigSpace | Unknown) -> tuple[int, int] | None | Unknown:
        vendor, device = self._hex("subsystem_vendor", 4, _MISSING), self._hex("subsystem_device", 4, _MISSING)
        if is_known(vendor) and is_known(device):
            return (vendor, device) if vendor or device else None
        return _of(space, lambda known: known.subsystem)

    def _multifunction(self, space: ConfigSpace | Unknown) -> bool | Unknown:
        """The kernel's meaning (`pci_scan_slot`): the header's bit of function 0, true of every other function that is no VF."""
        if "physfn" in self.names:
            return False
        return self.address.function > 0 or _of(space, lambda known: known.multifunction_bit)

    def _link(self, space: ConfigSpace | Unknown) -> Link | None | Unknown:
        """From the attributes, which everybody may read; what they leave open from config space."""
        told = _of(space, lambda known: known.link)
        read = told if isinstance(told, Link) else Link()
        speed, most = self._speed("current_link_speed", read.speed_gtps), self._speed("max_link_speed", read.max_speed_gtps)
        if not is_known(speed) and not is_known(most):
            return told
        return Link(speed, self._width("current_link_width", read.width), most, self._width("max_link_width", read.max_width))

    def _speed(self, name: str, otherwise: float | Unknown) -> float | Unknown:
        match = _SPEED.match(self._attribute(name) or "")
        return float(match[1]) if match else otherwise

    def _width(self, name: str, otherwise: int | Unknown) -> int | Unknown:
        """Lanes; 0 and 255 are how the kernel says that it does not know (PCIE_LNK_WIDTH_UNKNOWN)."""
        number = self._decimal(name)
        return number if is_known(number) and 0 < number <= 64 else otherwise

    def _sriov(self, space: ConfigSpace | Unknown) -> Sriov | None | Unknown:
        known = _of(space, lambda known: known.sriov)
        if known is None:
            return known
        if isinstance(known, Sriov):
            return self._vf_bars(known)
        total = self._decimal("sriov_totalvfs")
        if not is_known(total):
            return known
        return self._vf_bars(Sriov(total, num_vfs=self._decimal("sriov_numvfs"), offset=self._decimal("sriov_offset"), stride=self._decimal("sriov_stride"),
                     vf_device_id=self._hex("sriov_vf_device", 4, _bare_hex(self._attribute("sriov_vf_device")))))

    def _resources(self) -> list[tuple[int, int, int]] | Unknown:
        """Start, end and flags, line by line (`resource_show`)."""
        text = self._attribute("resource")
        if text is None:
            return self._missing("resource")
        lines = [line.split() for line in text.splitlines()]
        if not all(len(words) == 3 and all(re.fullmatch(r"0x[0-9a-fA-F]{1,16}", word) for word in words) for words in lines):
            return Unknown("its `resource` is not as the kernel prints it")
        return [(int(start, 16), int(end, 16), int(flags, 16)) for start, end, flags in lines]

    def _bars(self, space: ConfigSpace | Unknown) -> tuple[Bar, ...] | Unknown:
        """Resources 0 to 6 (include/linux/ioport.h). Unassigned ones start at 0 (IORESOURCE_UNSET)."""
        lines = self._resources()
        if isinstance(lines, Unknown):
            return space.bars if "resource" not in self.names and isinstance(space, ConfigSpace) and space.bars else lines
        return tuple(_decoded(lines[:7], 1))

    def _vf_bars(self, found: Sriov) -> Sriov:
        """Resources 7 to 12, each as large as all virtual functions need (`sriov_init`)."""
        lines = self._resources()
        if isinstance(lines, Unknown) or len(lines) < _VF_BARS.stop or not found.total_vfs:
            return found
        return replace(found, vf_bars=tuple(_decoded(lines[_VF_BARS], found.total_vfs)) or found.vf_bars)

    def _windows(self, space: ConfigSpace | Unknown) -> BridgeWindows | None | Unknown:
        """What the kernel keeps of a bridge's windows: three of the last four resources; config space where it shows none."""
        told = _of(space, lambda known: known.windows)
        lines = self._resources()
        if told is None or isinstance(lines, Unknown) or len(lines) not in (_WITH_WINDOWS, _WITH_WINDOWS - len(range(13)[_VF_BARS])):
            return told
        io, memory, high = (AddressRange(start, end) if flags & (_IO | _MEM) and not flags & _UNSET and end > start else None
                            for start, end, flags in lines[-4:-1])
        wide = told.wide if isinstance(told, BridgeWindows) else bool(lines[-2][2] & _MEM64) if lines[-2][2] else UNKNOWN
        return BridgeWindows(io, memory, high, wide)

    def _numa_node(self) -> int | None | Unknown:
        text = self._attribute("numa_node")
        if text is not None and re.fullmatch(r"-?[0-9]{1,5}", text):
            return int(text) if int(text) >= 0 else None
        near = nearest(self.files, self.path, self.nodes) if self.names & {"local_cpulist", "local_cpus"} else None
        return near if near is not None else self._missing("numa_node")

    def _group(self, groups: dict[Address, int]) -> int | None | Unknown:
        """The link that the IOMMU core makes, or the group that has the function among its devices; unless the source keeps no groups at all, none."""
        target = self.files.readlink(f"{self.path}/iommu_group") if "iommu_group" in self.names else None
        number = (target or "").rstrip("/").rpartition("/")[2]
        if re.fullmatch(r"[0-9]{1,9}", number):
            return int(number)
        if self.address in groups or self.files.listdir(GROUPS):
            return groups.get(self.address)
        return Unknown("the kernel reports no IOMMU groups (no IOMMU driver, or the capture left them out)")

    def _driver(self) -> str | None | Unknown:
        name = name_of(self.files.readlink(f"{self.path}/driver")) if "driver" in self.names else None
        if name:
            return name
        return None if self.names & {"driver_override", "config", "enable"} else _MISSING

    def _reset_methods(self) -> tuple[str, ...] | Unknown:
        """`reset_method`, which only resettable functions have (5.15 and later); with `reset` alone there is one, but which is not told."""
        text = self._attribute("reset_method")
        if text is not None:
            return tuple(text.split())
        return self._missing("reset_method") if "reset" in self.names or "driver_override" not in self.names else ()


def _bare_hex(text: str | None) -> int | Unknown:
    """`sriov_vf_device` is printed without 0x."""
    return int(text, 16) if text and re.fullmatch(r"[0-9a-fA-F]{1,4}", text) else _MISSING


def _of(space: ConfigSpace | Unknown, fact: Callable[[ConfigSpace], T]) -> T | Unknown:
    return space if isinstance(space, Unknown) else fact(space)


def _id(space: ConfigSpace | Unknown, fact: Callable[[ConfigSpace], int | Unknown]) -> int | Unknown:
    """Vendor or device from config space; a virtual function has none there (PCIe 6.0 §9.3.4.1.1)."""
    number = _of(space, fact)
    return number if number != 0xFFFF else Unknown("config space reads 0xffff, as of virtual functions, and sysfs tells no id")


def _decoded(lines: list[tuple[int, int, int]], share: int) -> Iterator[Bar]:
    """BARs by index; each takes one of `share` equal parts of its resource."""
    for index, (start, end, flags) in enumerate(lines):
        if flags & (_IO | _MEM) and end > start:
            kind = BarKind.IO if flags & _IO else BarKind.MEM64 if flags & _MEM64 else BarKind.MEM32
            yield Bar(index, kind, (end - start + 1) // share, bool(flags & _PREFETCH), _NOT_ASSIGNED if flags & _UNSET or not start else start)
