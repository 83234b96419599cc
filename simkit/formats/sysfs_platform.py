"""What sysfs and procfs say of the machine around the PCIe tree: CPU, NUMA, IOMMU, TEE, and what the host itself uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.errors import InputError
from simkit.formats.files import Files
from simkit.model.address import Address
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.unknown import UNKNOWN, Unknown

_NODES = "sys/devices/system/node"
_CPUINFO_BYTES = 1 << 16


def _text(files: Files, path: str, most: int = 1 << 20) -> str | None:
    data = files.read(path, most=most)
    return data.decode("utf-8", "replace").strip("\n\0 ") if data is not None else None


def cpu(files: Files) -> Cpu:
    """The first processor of /proc/cpuinfo; threads per core from its sibling list."""
    lines = (_text(files, "proc/cpuinfo", _CPUINFO_BYTES) or "").split("\n\n")[0].splitlines()
    found = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
    threads = _cpus(_text(files, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"))
    name = found.get("model name") or found.get("cpu")
    arch = "x86_64" if "vendor_id" in found else "aarch64" if "CPU implementer" in found else "ppc64" if "POWER" in found.get("cpu", "") else UNKNOWN
    return Cpu(arch, found.get("vendor_id") or UNKNOWN, _number(found.get("cpu family")), _number(found.get("model")), name or UNKNOWN,
               len(threads) if threads else UNKNOWN)


def _number(text: str | None) -> int | Unknown:
    return int(text) if text and text.isdecimal() and len(text) < 10 else UNKNOWN


def _cpus(text: str | None) -> CpuSet | None:
    try:
        return CpuSet.parse(text) if text is not None else None
    except InputError:
        return None


def numa_nodes(files: Files) -> tuple[NumaNode, ...]:
    """The nodes below /sys/devices/system/node."""
    numbers = sorted(int(entry[4:]) for entry in files.listdir(_NODES) if re.fullmatch(r"node\d{1,5}", entry))
    return tuple(_node(files, number) for number in numbers)


def _node(files: Files, number: int) -> NumaNode:
    folder = f"{_NODES}/node{number}"
    cpus = _cpus(_text(files, f"{folder}/cpulist"))
    if cpus is None:
        cpus = _mask(_text(files, f"{folder}/cpumap"))
    memory = re.search(r"MemTotal:\s+(\d{1,15}) kB", _text(files, f"{folder}/meminfo") or "")
    distances = (_text(files, f"{folder}/distance") or "").split()
    socket: int | Unknown = UNKNOWN
    if cpus:
        package = _text(files, f"sys/devices/system/cpu/cpu{cpus.cpus[0]}/topology/physical_package_id")
        socket = _number(package)
    missing = Unknown("sysfs has no such attribute for the node")
    known = bool(distances) and all(text.isdecimal() and len(text) < 6 for text in distances)
    return NumaNode(number, cpus if cpus is not None else missing, int(memory[1]) << 10 if memory else missing, socket,
                    tuple(int(text) for text in distances) if known else missing)


def _mask(text: str | None) -> CpuSet | None:
    if not text or re.fullmatch(r"[0-9a-fA-F,]{1,20000}", text) is None:
        return None
    bits = int("".join(word.zfill(8) for word in text.split(",")), 16)
    return CpuSet.of([bit for bit in range(bits.bit_length()) if bits >> bit & 1])


def iommu(files: Files) -> IommuKind | Unknown:
    """Whose IOMMU devices are registered in /sys/class/iommu; none there although the class exists: no IOMMU translates."""
    entries = files.listdir("sys/class/iommu")
    for prefix, kind in (("dmar", IommuKind.INTEL), ("ivhd", IommuKind.AMD), ("smmu3", IommuKind.SMMU)):
        if any(entry.startswith(prefix) for entry in entries):
            return kind
    if not entries and files.realpath("sys/class/iommu") is not None and not files.listdir("sys/kernel/iommu_groups"):
        return IommuKind.NONE
    return Unknown("/sys/class/iommu is not in the source")


def tees(files: Files) -> tuple[Tee, ...] | Unknown:
    """SEV-SNP and TDX as the KVM modules report them; unknown where neither module is loaded or its parameter is not there."""
    snp, tdx = _text(files, "sys/module/kvm_amd/parameters/sev_snp"), _text(files, "sys/module/kvm_intel/parameters/tdx")
    if snp is None and tdx is None:
        return Unknown("no KVM module says whether it offers confidential guests")
    offered = (TeeKind.SEV_SNP, snp), (TeeKind.TDX, tdx)
    return tuple(Tee(kind) for kind, text in offered if text in ("Y", "1"))


def usage(files: Files) -> dict[Address, str]:
    """What the host itself needs: the controller of the root disk, the NIC of the default route, the boot console."""
    found: dict[Address, str] = {}
    for address, use in (*_root_disk(files), *_default_route(files), *_console(files)):
        found[address] = f"{found[address]}, {use}" if address in found else use
    return found


def _above(path: str | None) -> Address | None:
    """The last PCI function on a path below /sys/devices."""
    for part in reversed((path or "").split("/")):
        if part.count(":") == 2 and "." in part:
            try:
                return Address.parse(part)
            except InputError:
                continue
    return None


def _root_disk(files: Files) -> Iterator[tuple[Address, str]]:
    for line in (_text(files, "proc/self/mountinfo") or "").splitlines():
        words = line.split()
        if len(words) > 4 and words[4] == "/" and re.fullmatch(r"\d+:\d+", words[2]):
            address = _above(files.realpath(f"sys/dev/block/{words[2]}"))
            if address is not None:
                yield address, "root disk"


def _default_route(files: Files) -> Iterator[tuple[Address, str]]:
    for line in (_text(files, "proc/net/route") or "").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == words[7] == "00000000" and re.fullmatch(r"[\w.-]+", words[0]):
            address = _above(files.realpath(f"sys/class/net/{words[0]}/device"))
            if address is not None:
                yield address, "default route"


def _console(files: Files) -> Iterator[tuple[Address, str]]:
    for entry in files.listdir("sys/bus/pci/devices"):
        if _text(files, f"sys/bus/pci/devices/{entry}/boot_vga") == "1":
            address = _above(entry)
            if address is not None:
                yield address, "console"
