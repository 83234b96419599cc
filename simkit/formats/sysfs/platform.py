"""What sysfs and procfs say of the machine around the PCIe tree: CPU, NUMA, IOMMU, TEE."""

from __future__ import annotations

import re

from simkit.errors import InputError
from simkit.formats.sysfs.files import Files, text_of
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_NODES = "sys/devices/system/node"
_CPUS = "sys/devices/system/cpu"
_CPUINFO_BYTES = 1 << 16
_LEAST_PAGE = 4096
_X86 = ("GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls", "Shanghai")
_ASIDS = ((TeeKind.SEV_SNP, "sev_es"), (TeeKind.TDX, "tdx"))


def cpu(files: Files) -> Cpu:
    """The first processor of /proc/cpuinfo; threads per core from the sibling list of the first CPU that has one."""
    lines = (text_of(files, "proc/cpuinfo", _CPUINFO_BYTES) or "").split("\n\n")[0].splitlines()
    found = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
    numbers = sorted(int(entry[3:]) for entry in files.listdir(_CPUS) if re.fullmatch(r"cpu\d{1,5}", entry, re.ASCII))
    lists = (_cpus(text_of(files, f"{_CPUS}/cpu{number}/topology/thread_siblings_list")) for number in numbers)
    threads = next((siblings for siblings in lists if siblings), None)
    return Cpu(_arch(found), found.get("vendor_id") or UNKNOWN, _number(found.get("cpu family")), _number(found.get("model")),
               found.get("model name") or found.get("cpu") or UNKNOWN, len(threads) if threads else UNKNOWN)


def _arch(found: dict[str, str]) -> str | Unknown:
    """From keys that only one architecture prints (arch/*/kernel/cpu/proc.c, cpuinfo.c, setup-common.c)."""
    if found.get("vendor_id") in _X86:
        return "x86_64"
    if "CPU implementer" in found:
        return "aarch64"
    return "ppc64" if "POWER" in found.get("cpu", "") else Unknown("/proc/cpuinfo does not tell the architecture")


def _number(text: str | None) -> int | Unknown:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else UNKNOWN


def _cpus(text: str | None) -> CpuSet | None:
    try:
        return CpuSet.parse(text) if text is not None else None
    except InputError:
        return None


def numa_nodes(files: Files) -> tuple[NumaNode, ...]:
    """The nodes below /sys/devices/system/node."""
    numbers = sorted({int(entry[4:]) for entry in files.listdir(_NODES) if re.fullmatch(r"node\d{1,5}", entry, re.ASCII)})
    return tuple(_node(files, number) for number in numbers)


def _node(files: Files, number: int) -> NumaNode:
    folder = f"{_NODES}/node{number}"
    cpus = _cpus(text_of(files, f"{folder}/cpulist"))
    if cpus is None:
        cpus = _mask(text_of(files, f"{folder}/cpumap"))
    memory = re.search(r"MemTotal:\s+(\d{1,15}) kB", text_of(files, f"{folder}/meminfo") or "", re.ASCII)
    distances = (text_of(files, f"{folder}/distance") or "").split()
    socket: int | Unknown = UNKNOWN
    if cpus:
        package = text_of(files, f"sys/devices/system/cpu/cpu{cpus.cpus[0]}/topology/physical_package_id")
        socket = _number(package)
    missing = Unknown("sysfs has no such attribute for the node")
    known = bool(distances) and all(text.isascii() and text.isdecimal() and len(text) < 6 for text in distances)
    return NumaNode(number, cpus if cpus is not None else missing, int(memory[1]) << 10 if memory else missing, socket,
                    tuple(int(text) for text in distances) if known else missing, _hugepages(files, f"{folder}/hugepages"))


def _hugepages(files: Files, folder: str) -> tuple[HugePages, ...] | Unknown:
    """A folder for each size that the kernel has (`hugetlb_register_node`, mm/hugetlb.c); no folder around them: a kernel or a copy without."""
    sizes = sorted(int(entry[10:-2]) << 10 for entry in files.listdir(folder) if re.fullmatch(r"hugepages-[1-9]\d{0,11}kB", entry, re.ASCII))
    pools = tuple(_pool(files, f"{folder}/hugepages-{size >> 10}kB", size) for size in sizes if size >= _LEAST_PAGE and not size & (size - 1))
    return pools if files.realpath(folder) is not None else Unknown("sysfs has no such folder for the node")


def _pool(files: Files, folder: str, size: int) -> HugePages:
    total, free = (_number((text_of(files, f"{folder}/{name}_hugepages") or "").strip()) for name in ("nr", "free"))
    torn = is_known(total) and is_known(free) and free > total
    return HugePages(size, total, Unknown("read while the pool changed") if torn else free)


def nearest(files: Files, folder: str, nodes: tuple[NumaNode, ...]) -> int | None:
    """The node that holds all of a function's local CPUs (`local_cpulist`, `local_cpus`); None where that does not single one out.

    For a function without a node the kernel prints all CPUs that are online (`pci_dev_show_local_cpu`): no one node of several has them.
    """
    cpus = _cpus(text_of(files, f"{folder}/local_cpulist")) or _mask(text_of(files, f"{folder}/local_cpus"))
    populated = {node.id: set(node.cpus) for node in nodes if isinstance(node.cpus, CpuSet) and len(node.cpus)}
    holding = [number for number, held in populated.items() if cpus and held.issuperset(cpus)]
    return holding[0] if len(holding) == 1 and len(populated) > 1 else None


def _mask(text: str | None) -> CpuSet | None:
    if not text or re.fullmatch(r"[0-9a-fA-F,]{1,20000}", text) is None:
        return None
    bits = int("".join(word.zfill(8) for word in text.split(",")), 16)
    if bits.bit_length() > 1 << 16:
        return None
    return CpuSet.of([bit for bit in range(bits.bit_length()) if bits >> bit & 1])


def iommu(files: Files) -> IommuKind | Unknown:
    """Whose IOMMU devices are registered in /sys/class/iommu; none there although the class exists: no IOMMU translates."""
    entries = files.listdir("sys/class/iommu")
    for prefix, kind in (("dmar", IommuKind.INTEL), ("ivhd", IommuKind.AMD), ("smmu3", IommuKind.SMMU)):
        if any(entry.startswith(prefix) for entry in entries):
            return kind
    if not entries and files.realpath("sys/class/iommu") is not None and not files.listdir("sys/kernel/iommu_groups"):
        return IommuKind.NONE
    return Unknown("/sys/class/iommu is not in the source, or names IOMMUs of a kind that is not known")


def tees(files: Files) -> tuple[Tee, ...] | Unknown:
    """SEV-SNP and TDX as the KVM modules report them; unknown where neither module is loaded or its parameter is not there."""
    snp, tdx = text_of(files, "sys/module/kvm_amd/parameters/sev_snp"), text_of(files, "sys/module/kvm_intel/parameters/tdx")
    if snp is None and tdx is None:
        return Unknown("no KVM module says whether it offers confidential guests")
    offered = {TeeKind.SEV_SNP: snp, TeeKind.TDX: tdx}
    return tuple(Tee(kind, _capacity(files, name)) for kind, name in _ASIDS if offered[kind] in ("Y", "1"))


def _capacity(files: Files, name: str) -> int | Unknown:
    """How many guests at once: the root cgroup's misc.capacity (Documentation/admin-guide/cgroup-v2.rst, Misc)."""
    found = re.search(rf"^{name} (\d{{1,9}})$", text_of(files, "sys/fs/cgroup/misc.capacity") or "", re.ASCII | re.MULTILINE)
    return int(found[1]) if found else Unknown("the misc cgroup does not tell how many")
