"""A node's sysfs and procfs, live, copied into a folder or packed into a tar (Documentation/ABI/testing/sysfs-bus-pci)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from simkit.errors import InputError
from simkit.formats.config_space import ConfigSpace, decode
from simkit.formats.files import Files, FolderFiles
from simkit.formats.sysfs_platform import cpu, iommu, numa_nodes, tees, usage
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import Bar, BarKind, Link, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.place import Place, Places
from simkit.model.unknown import Unknown, is_known

DEVICES = "sys/bus/pci/devices"
_MISSING = Unknown("sysfs has no such attribute for it")
_UNREADABLE = Unknown("sysfs holds no config space of it")
_SPEED = re.compile(r"(\d+(?:\.\d+)?) GT/s")
_IO, _MEM, _PREFETCH, _MEM64 = 0x100, 0x200, 0x2000, 0x100000
T = TypeVar("T")


def capture_local(root: Path = Path("/")) -> Host:
    """The facts of this machine, as root or not; what may not be read is unknown, with that reason."""
    release = (FolderFiles(root).read("proc/sys/kernel/hostname") or b"local").decode("ascii", "replace").strip()
    return read(FolderFiles(root), name=release or "local")


def read(files: Files, *, name: str) -> Host:
    """Read a tree.

    Functions are those of /sys/bus/pci/devices and those found below /sys/devices/pci*: partial captures lack the one or the other.

    Raises:
        MalformedConfigSpace: a `config` file that is truncated; all such files at once is not tried, the first says enough.
        InconsistentHost: the functions cannot be one machine.
    """
    paths = dict(_found(files))
    taken = usage(files)
    functions = tuple(_Reader(files, address, path, paths, taken.get(address)).read() for address, path in paths.items())
    release = _text(files, "proc/sys/kernel/osrelease") or _release(_text(files, "proc/version"))
    cmdline = _text(files, "proc/cmdline")
    places = {f"functions/{address}": Place(f"{files.name.rstrip('/')}/{path}") for address, path in paths.items()}
    return Host(
        name, functions, numa_nodes(files), cpu(files), iommu(files), tees(files),
        kernel=release or Unknown("/proc/version is not in the source"),
        cmdline=cmdline if cmdline is not None else Unknown("/proc/cmdline is not in the source"),
        places=Places(places, root=Place(files.name)))


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
        address = _address(entry)
        real = files.realpath(f"{DEVICES}/{entry}")
        if address is not None and real is not None:
            paths[address] = real
    for address in sorted(paths):
        yield address, paths[address]


def _walk(files: Files, folder: str, paths: dict[Address, str]) -> None:
    stack = [folder]
    while stack:
        here = stack.pop()
        for entry in files.listdir(here):
            address = _address(entry)
            if address is not None and files.readlink(f"{here}/{entry}") is None:
                paths.setdefault(address, f"{here}/{entry}")
                stack.append(f"{here}/{entry}")
            elif entry.startswith("pci") and ":" in entry and files.readlink(f"{here}/{entry}") is None:
                stack.append(f"{here}/{entry}")


def _address(text: str) -> Address | None:
    if text.count(":") != 2 or "." not in text:
        return None
    try:
        return Address.parse(text)
    except InputError:
        return None


def _text(files: Files, path: str) -> str | None:
    data = files.read(path)
    return data.decode("utf-8", "replace").strip("\n\0 ") if data is not None else None


class _Reader:
    """One function's attributes; every method reads one kind of fact."""

    def __init__(self, files: Files, address: Address, path: str, paths: dict[Address, str], used: str | None) -> None:
        self.files, self.address, self.path, self.paths, self.used = files, address, path, paths, used
        self.names = frozenset(files.listdir(path))

    def read(self) -> Function:
        space = self._config()
        physfn = self._link_address("physfn")
        vendor, device, class_code = self._hex("vendor"), self._hex("device"), self._hex("class")
        return Function(
            self.address,
            self._parent(physfn),
            vendor_id=vendor if vendor is not None else _of(space, lambda known: known.vendor_id),
            device_id=device if device is not None else _of(space, lambda known: known.device_id),
            class_code=class_code if class_code is not None else _of(space, lambda known: known.class_code),
            revision=revision if (revision := self._hex("revision")) is not None else _of(space, lambda known: known.revision),
            subsystem=self._subsystem(space),
            port_type=_of(space, lambda known: known.port_type),
            multifunction=self._multifunction(space, physfn),
            bus_range=space.bus_range if space else None,
            link=self._link(space),
            acs=_of(space, lambda known: known.acs),
            ats=_of(space, lambda known: known.ats),
            ari=_of(space, lambda known: known.ari),
            sriov=self._sriov(space),
            physfn=physfn,
            bars=self._bars(space),
            numa_node=self._numa_node(),
            iommu_group=self._group(),
            driver=self._driver(),
            reset_methods=self._reset_methods(),
            usage=self.used,
        )

    def _attribute(self, name: str) -> str | None:
        return _text(self.files, f"{self.path}/{name}") if name in self.names else None

    def _hex(self, name: str) -> int | None:
        text = self._attribute(name)
        return int(text, 16) if text is not None and re.fullmatch(r"0x[0-9a-fA-F]{1,6}", text) else None

    def _config(self) -> ConfigSpace | None:
        data = self.files.read(f"{self.path}/config", most=4096) if "config" in self.names else None
        return decode(data, where=f"{self.files.name.rstrip('/')}/{self.path}/config") if data else None

    def _parent(self, physfn: Address | None) -> Parent:
        """The nearest folder above that is a function, else the root bus that is above, else the bus it stands on."""
        for part in reversed(self.path.split("/")[:-1]):
            address = _address(part)
            if address is not None and address in self.paths:
                return address
            if part.startswith("pci") and part.count(":") == 1:
                try:
                    return RootBus.parse(part)
                except InputError:
                    break
        if physfn is not None and physfn in self.paths:
            return _Reader(self.files, physfn, self.paths[physfn], self.paths, None)._parent(None)
        return RootBus(self.address.domain, self.address.bus)

    def _link_address(self, name: str) -> Address | None:
        target = self.files.readlink(f"{self.path}/{name}") if name in self.names else None
        found = _address(target.rpartition("/")[2]) if target else None
        return found if found in self.paths else None

    def _subsystem(self, space: ConfigSpace | None) -> tuple[int, int] | None | Unknown:
        vendor, device = self._hex("subsystem_vendor"), self._hex("subsystem_device")
        if vendor is not None and device is not None:
            return (vendor, device) if vendor or device else None
        return _of(space, lambda known: known.subsystem)

    def _multifunction(self, space: ConfigSpace | None, physfn: Address | None) -> bool | Unknown:
        """The kernel's meaning (`pci_scan_slot`): the header's bit of function 0, true of every other function that is no VF."""
        if physfn is not None:
            return False
        return self.address.function > 0 or _of(space, lambda known: known.multifunction_bit)

    def _link(self, space: ConfigSpace | None) -> Link | None | Unknown:
        """From the attributes, which everybody may read, else from config space."""
        speed, most = self._speed("current_link_speed"), self._speed("max_link_speed")
        if is_known(speed) or is_known(most):
            return Link(speed, self._width("current_link_width"), most, self._width("max_link_width"))
        return _of(space, lambda known: known.link)

    def _speed(self, name: str) -> float | Unknown:
        match = _SPEED.match(self._attribute(name) or "")
        return float(match[1]) if match else _MISSING

    def _width(self, name: str) -> int | Unknown:
        text = self._attribute(name) or ""
        return int(text) if text.isdecimal() and 0 < int(text) <= 64 else _MISSING

    def _sriov(self, space: ConfigSpace | None) -> Sriov | None | Unknown:
        known = _of(space, lambda known: known.sriov)
        if isinstance(known, Sriov) or known is None:
            return known
        total = self._attribute("sriov_totalvfs")
        if total is None or not total.isdecimal():
            return known
        return Sriov(int(total), num_vfs=self._number("sriov_numvfs"), offset=self._number("sriov_offset"), stride=self._number("sriov_stride"),
                     vf_device_id=device if (device := self._hex("sriov_vf_device")) is not None else _bare_hex(self._attribute("sriov_vf_device")))

    def _number(self, name: str) -> int | Unknown:
        text = self._attribute(name) or ""
        return int(text) if text.isdecimal() and len(text) < 10 else _MISSING

    def _bars(self, space: ConfigSpace | None) -> tuple[Bar, ...] | Unknown:
        """Start, end and flags of resources 0 to 6 (`resource_show`; include/linux/ioport.h)."""
        text = self._attribute("resource")
        if text is None:
            return space.bars if space and is_known(space.class_code) else _MISSING
        found = []
        for index, line in enumerate(text.splitlines()[:7]):
            words = line.split()
            if len(words) != 3 or not all(re.fullmatch(r"0x[0-9a-fA-F]{1,16}", word) for word in words):
                return _MISSING
            start, end, flags = (int(word, 16) for word in words)
            if flags & (_IO | _MEM) and end > start:
                kind = BarKind.IO if flags & _IO else BarKind.MEM64 if flags & _MEM64 else BarKind.MEM32
                found.append(Bar(index, kind, end - start + 1, bool(flags & _PREFETCH), start))
        return tuple(found)

    def _numa_node(self) -> int | None | Unknown:
        text = self._attribute("numa_node")
        if text is None or re.fullmatch(r"-?\d{1,5}", text) is None:
            return _MISSING
        return int(text) if int(text) >= 0 else None

    def _group(self) -> int | None | Unknown:
        """The link that the IOMMU core makes; without one the function has no group, unless the source keeps no such links at all."""
        target = self.files.readlink(f"{self.path}/iommu_group") if "iommu_group" in self.names else None
        if target is not None and target.rpartition("/")[2].isdecimal():
            return int(target.rpartition("/")[2])
        if self.files.listdir("sys/kernel/iommu_groups"):
            return None
        return Unknown("the kernel reports no IOMMU groups (no IOMMU driver, or the capture left them out)")

    def _driver(self) -> str | None | Unknown:
        target = self.files.readlink(f"{self.path}/driver") if "driver" in self.names else None
        if target is not None:
            return target.rpartition("/")[2]
        return None if self.names & {"driver_override", "config", "enable"} else _MISSING

    def _reset_methods(self) -> tuple[str, ...] | Unknown:
        text = self._attribute("reset_method")
        if text is not None:
            return tuple(text.split())
        return _MISSING if "reset" in self.names or "driver_override" not in self.names else ()


def _bare_hex(text: str | None) -> int | Unknown:
    """`sriov_vf_device` is printed without 0x."""
    return int(text, 16) if text and re.fullmatch(r"[0-9a-fA-F]{1,4}", text) else _MISSING


def _of(space: ConfigSpace | None, fact: Callable[[ConfigSpace], T]) -> T | Unknown:
    return fact(space) if space is not None else _UNREADABLE
