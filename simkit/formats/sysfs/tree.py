"""A recorded node: a host written out as the sysfs and procfs that it would show, for plans to be tried on."""

from __future__ import annotations

import os
from pathlib import Path

from simkit.errors import InputError
from simkit.formats.acpi.encode import table, tables
from simkit.formats.pci.config_encode import encode
from simkit.formats.sysfs.firmware import ALWAYS_THERE, TABLES
from simkit.formats.sysfs.tree_used import traces
from simkit.model.address import RootBus
from simkit.model.address_space import AddressRange, BridgeWindows
from simkit.model.capabilities import BarKind, Link, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import NumaNode
from simkit.model.platform import IommuKind, TeeKind
from simkit.model.unknown import Unknown, is_known, known_or

_BUS = "sys/bus/pci"
_ALWAYS = ("vfio-pci", "pcieport")
_IOMMU_NAMES = {IommuKind.INTEL: "dmar0", IommuKind.AMD: "ivhd0", IommuKind.SMMU: "smmu3.0x0"}
_UNSET, _PREFETCH = 0x20000000, 0x2000
_LAST_BAR = 6
_VF_BARS = 6
_CAPACITY = {TeeKind.SEV_SNP: "sev_es", TeeKind.TDX: "tdx"}
_ONLY_THERE = {"aarch64": "CPU implementer\t: 0x41\n", "ppc64": "cpu\t\t: POWER\n"}
_FLAGS = {BarKind.IO: 0x40101, BarKind.MEM32: 0x40200, BarKind.MEM64: 0x140204}


def write(host: Host, folder: Path) -> None:
    """Write `host` as a tree below `folder`, which must be empty or not there.

    Facts that are unknown have no attribute, and `config` is left out where nothing is known that it would tell. Reading the tree with
    `simkit.formats.sysfs.reader` gives the facts back, as far as sysfs can carry them. It cannot carry names, peer links, what the source
    assumed, IOMMU scopes of domains above 0xffff, links beyond speed and width, uses in other words than a capture's (`held`), and one unknown
    register of a `config` whose others are known: that reads as 0 or as an absent capability.

    Raises:
        InputError: the folder is not empty or no folder, or a driver's name is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty" if folder.is_dir() else f"{folder} is no folder", remedy="give a new folder")
    for function in host.functions:
        if isinstance(function.driver, str) and ("/" in function.driver or "\0" in function.driver or function.driver in ("", ".", "..")):
            raise InputError(f"{function.address} has a driver of the impossible name {function.driver!r}", where=str(host.where(function.path)),
                             remedy="correct the name")
    _Writer(host, folder).write()


class _Writer:
    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.folder = host, folder

    def write(self) -> None:
        for function in self.host.functions:
            self._function(function)
        drivers = {function.driver for function in self.host.functions if isinstance(function.driver, str)}
        for driver in sorted(drivers.union(_ALWAYS)):
            for name in ("bind", "unbind", "new_id"):
                self._text(f"{_BUS}/drivers/{driver}/{name}", "")
        self._text(f"{_BUS}/drivers_probe", "")
        for node in self.host.numa_nodes:
            self._node(node)
        self._platform()
        self._firmware()
        self._used()

    def _text(self, path: str, text: str | bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def _link(self, path: str, target: str) -> None:
        """A relative link, as sysfs has them; both paths from the root."""
        link = self.folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, os.path.dirname(path)))  # noqa: PTH120

    def path(self, function: Function) -> str:
        """Its folder: below its bridge, or the root bus; a virtual function beside its physical one."""
        above = self.host.parent(function)
        return f"{self.path(above) if above else self._bus(self.host.root_bus(function))}/{function.address}"

    def _bus(self, bus: RootBus) -> str:
        """A root bus' folder: below the function whose driver made it, if one did."""
        maker = next((self.host[made.function] for made in self.host.made_buses if made.bus == bus), None)
        return f"{self.path(maker) if maker else 'sys/devices'}/{bus}"

    def _function(self, function: Function) -> None:
        path = self.path(function)
        self._link(f"{_BUS}/devices/{function.address}", path)
        if is_known(function.port_type) or function.bus_range is not None or is_known(function.multifunction):
            self._text(f"{path}/config", encode(function))
        self._text(f"{path}/driver_override", "(null)\n")
        self._ids(path, function)
        if is_known(function.numa_node):
            self._text(f"{path}/numa_node", f"{-1 if function.numa_node is None else function.numa_node}\n")
        if not is_known(function.reset_methods):
            self._text(f"{path}/reset", "")
        elif function.reset_methods:
            self._text(f"{path}/reset_method", f"{' '.join(function.reset_methods)}\n")
        if isinstance(function.driver, str):
            self._link(f"{path}/driver", f"{_BUS}/drivers/{function.driver}")
            self._link(f"{_BUS}/drivers/{function.driver}/{function.address}", path)
        if isinstance(function.iommu_group, int):
            self._link(f"{path}/iommu_group", f"sys/kernel/iommu_groups/{function.iommu_group}")
            self._link(f"sys/kernel/iommu_groups/{function.iommu_group}/devices/{function.address}", path)
        if isinstance(function.link, Link):
            self._speeds(path, function.link)
        if isinstance(function.sriov, Sriov):
            self._sriov(path, function.sriov)
        if not isinstance(function.bars, Unknown):
            self._resource(path, function)
        if function.physfn is not None:
            self._link(f"{path}/physfn", self.path(self.host[function.physfn]))
            index = self.host.virtual_functions(self.host[function.physfn]).index(function)
            self._link(f"{self.path(self.host[function.physfn])}/virtfn{index}", path)

    def _ids(self, path: str, function: Function) -> None:
        subsystem = function.subsystem
        pair = (subsystem, subsystem) if isinstance(subsystem, Unknown) else subsystem or (0, 0)
        numbers = (("vendor", function.vendor_id, 4), ("device", function.device_id, 4), ("class", function.class_code, 6), ("revision", function.revision, 2),
                   ("subsystem_vendor", pair[0], 4), ("subsystem_device", pair[1], 4))
        for name, value, digits in numbers:
            if is_known(value):
                self._text(f"{path}/{name}", f"0x{value:0{digits}x}\n")

    def _speeds(self, path: str, link: Link) -> None:
        for name, speed, width in (("current", link.speed_gtps, link.width), ("max", link.max_speed_gtps, link.max_width)):
            if is_known(speed):
                self._text(f"{path}/{name}_link_speed", f"{speed:.1f} GT/s PCIe\n")
            if is_known(width):
                self._text(f"{path}/{name}_link_width", f"{width}\n")

    def _sriov(self, path: str, sriov: Sriov) -> None:
        self._text(f"{path}/sriov_totalvfs", f"{sriov.total_vfs}\n")
        self._text(f"{path}/sriov_numvfs", f"{known_or(sriov.num_vfs, 0)}\n")
        self._text(f"{path}/sriov_drivers_autoprobe", "1\n")
        for name, value in (("offset", sriov.offset), ("stride", sriov.stride)):
            if is_known(value):
                self._text(f"{path}/sriov_{name}", f"{value}\n")
        if is_known(sriov.vf_device_id):
            self._text(f"{path}/sriov_vf_device", f"{sriov.vf_device_id:x}\n")

    def _resource(self, path: str, function: Function) -> None:
        """Start, end, flags of resources 0 to 12; without a base they are unset, starting at 0 (IORESOURCE_UNSET, include/linux/ioport.h)."""
        assert not isinstance(function.bars, Unknown)
        if function.bars and not any(is_known(bar.size_bytes) for bar in function.bars):
            return
        lines = [(0, 0, 0)] * (17 if function.bus_range is not None else 13)
        for bar in function.bars:
            if is_known(bar.size_bytes) and bar.size_bytes and bar.index <= _LAST_BAR:
                flags = _FLAGS[bar.kind] | bar.prefetchable * _PREFETCH | (not is_known(bar.base)) * _UNSET
                lines[bar.index] = (known_or(bar.base, 0), known_or(bar.base, 0) + bar.size_bytes - 1, flags)
        if isinstance(function.sriov, Sriov):
            for bar in known_or(function.sriov.vf_bars, ()):
                if is_known(bar.size_bytes) and bar.size_bytes and bar.index < _VF_BARS and function.sriov.total_vfs:
                    size = bar.size_bytes * function.sriov.total_vfs
                    flags = _FLAGS[bar.kind] | bar.prefetchable * _PREFETCH | (not is_known(bar.base)) * _UNSET
                    lines[7 + bar.index] = (known_or(bar.base, 0), known_or(bar.base, 0) + size - 1, flags)
        if function.bus_range is not None and isinstance(function.windows, BridgeWindows):
            kinds = ((function.windows.io, BarKind.IO), (function.windows.memory, BarKind.MEM32), (function.windows.prefetchable, BarKind.MEM64))
            for index, (window, kind) in enumerate(kinds, 13):
                if isinstance(window, AddressRange):
                    lines[index] = (window.base, window.limit, _FLAGS[kind])
        self._text(f"{path}/resource", "".join(f"0x{start:016x} 0x{end:016x} 0x{flags:016x}\n" for start, end, flags in lines))

    def _node(self, node: NumaNode) -> None:
        folder = f"sys/devices/system/node/node{node.id}"
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        if is_known(node.cpus):
            self._text(f"{folder}/cpulist", f"{node.cpus}\n")
            if is_known(node.socket) and node.cpus.cpus:
                self._text(f"sys/devices/system/cpu/cpu{node.cpus.cpus[0]}/topology/physical_package_id", f"{node.socket}\n")
        if is_known(node.memory_bytes):
            self._text(f"{folder}/meminfo", f"Node {node.id} MemTotal:       {node.memory_bytes >> 10} kB\n")
        if is_known(node.distances):
            self._text(f"{folder}/distance", f"{' '.join(map(str, node.distances))}\n")
        if is_known(node.hugepages):
            (self.folder / folder / "hugepages").mkdir()
        for pool in known_or(node.hugepages, ()):
            place = f"{folder}/hugepages/hugepages-{pool.size_bytes >> 10}kB"
            (self.folder / place).mkdir(parents=True)
            for name, count in (("nr", pool.total), ("free", pool.free)):
                if is_known(count):
                    self._text(f"{place}/{name}_hugepages", f"{count}\n")

    def _platform(self) -> None:
        host, cpu = self.host, self.host.cpu
        if is_known(host.kernel):
            self._text("proc/sys/kernel/osrelease", f"{host.kernel}\n")
            self._text("proc/version", f"Linux version {host.kernel}\n")
        if is_known(host.cmdline):
            self._text("proc/cmdline", f"{host.cmdline}\n")
        if isinstance(host.iommu, IommuKind):
            (self.folder / "sys/class/iommu").mkdir(parents=True, exist_ok=True)
            if host.iommu in _IOMMU_NAMES:
                (self.folder / "sys/class/iommu" / _IOMMU_NAMES[host.iommu]).mkdir()
        if is_known(host.tees):
            offered = {tee.kind for tee in host.tees}
            intel = TeeKind.TDX in offered or (TeeKind.SEV_SNP not in offered and cpu.vendor == "GenuineIntel")
            name, kind = ("kvm_intel/parameters/tdx", TeeKind.TDX) if intel else ("kvm_amd/parameters/sev_snp", TeeKind.SEV_SNP)
            self._text(f"sys/module/{name}", "Y\n" if kind in offered else "N\n")
            most = [f"{_CAPACITY[tee.kind]} {tee.max_guests}\n" for tee in host.tees if tee.kind in _CAPACITY and is_known(tee.max_guests)]
            if most:
                self._text("sys/fs/cgroup/misc.capacity", "".join(most))
        facts = (("vendor_id", cpu.vendor), ("cpu family", cpu.family), ("model", cpu.model), ("model name", cpu.name))
        lines = [f"{key}\t: {value}\n" for key, value in facts if is_known(value)]
        if isinstance(cpu.arch, str) and cpu.arch in _ONLY_THERE:
            lines.append(_ONLY_THERE[cpu.arch])
        if lines:
            self._text("proc/cpuinfo", "processor\t: 0\n" + "".join(lines))
        if is_known(cpu.threads_per_core):
            first = next((node.cpus.cpus[0] for node in host.numa_nodes if is_known(node.cpus) and node.cpus.cpus), 0)
            self._text(f"sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list", f"0-{cpu.threads_per_core - 1}\n")

    def _firmware(self) -> None:
        """Tables where their scopes are known, with one that is always there: what is not beside it is not on that machine."""
        if is_known(self.host.iommu_scopes):
            for name, data in {ALWAYS_THERE: table(ALWAYS_THERE.encode()), **tables(self.host.iommu_scopes)}.items():
                self._text(f"{TABLES}/{name}", data)

    def _used(self) -> None:
        shown = traces((self.path(function), function.usage) for function in self.host.functions if function.usage)
        for folder in shown.folders:
            (self.folder / folder).mkdir(parents=True)
        for path, target in shown.links.items():
            self._link(path, target)
        for path, text in shown.texts.items():
            self._text(path, text)
