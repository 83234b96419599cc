"""sysfs, attribute by attribute: trees written here by hand, and captures of real nodes re-read with tarfile and struct alone."""

from __future__ import annotations

import os
import re
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.errors import MalformedConfigSpace, SimkitError
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.sysfs.files import FolderFiles, TarFiles
from simkit.formats.sysfs.reader import capture_local, read
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Bar, BarKind, BusRange, Link, PortType, Sriov
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.scope import MadeBus
from simkit.model.unknown import Unknown, is_known

ROOT = "sys/devices/pci0000:00"
PORT = f"{ROOT}/0000:00:01.0"
NIC = f"{PORT}/0000:01:00.0"


def make(folder: Path, tree: dict[str, bytes | str | None]) -> Path:
    """Bytes are a file, text a symbolic link to a path from the root, None a folder."""
    for path, content in tree.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        elif isinstance(content, str):
            target.symlink_to(os.path.relpath(content, os.path.dirname(path)))
        else:
            target.write_bytes(content)
    return folder


def host(folder: Path, tree: dict[str, bytes | str | None]):
    make(folder, {"sys": None, **tree})
    return read(FolderFiles(folder), name="x")


def at(text: str) -> Address:
    return Address.parse(text)


def config(size: int = 64, *, bridge: tuple[int, int] | None = None, many: bool = False) -> bytes:
    data = bytearray(size)
    struct.pack_into("<HHHHI", data, 0, 0x8086, 0x1234, 0, 0, 0x060400 << 8 | 3)
    data[14] = (bridge is not None) | many << 7
    if bridge:
        data[0x18:0x1B] = bytes((0, *bridge))
    return bytes(data)


# ---- which functions, below what


def test_a_root_bus_below_a_function_was_made_by_its_driver(tmp_path):
    """Intel VMD: the domain is the function's, all the way down; a host bridge below a platform device is nobody's."""
    vmd = f"{ROOT}/0000:00:0e.0"
    found = host(tmp_path, {f"{vmd}/class": b"0x010400\n", f"{vmd}/pci10000:e0/10000:e0:06.0/class": b"0x060400\n",
                            f"{vmd}/pci10000:e0/10000:e0:06.0/10000:e1:00.0/class": b"0x010802\n",
                            "sys/devices/platform/10.pcie/pci0001:00/0001:00:00.0/class": b"0x060000\n",
                            "sys/bus/pci/devices/0001:00:00.0": "sys/devices/platform/10.pcie/pci0001:00/0001:00:00.0"})
    assert found.made_buses == (MadeBus(RootBus(0x10000, 0xE0), at("0000:00:0e.0")),)
    assert found[at("10000:e1:00.0")].parent == at("10000:e0:06.0")
    assert found[at("10000:e0:06.0")].parent == RootBus(0x10000, 0xE0)



def test_functions_of_links_and_of_folders_are_united(tmp_path):
    found = host(tmp_path, {f"{PORT}/class": b"0x060400\n", f"{NIC}/class": b"0x020000\n", "sys/devices/platform/10.pcie/pci0001:00/0001:00:00.0/class": b"0x060000\n",
                            "sys/bus/pci/devices/0001:00:00.0": "sys/devices/platform/10.pcie/pci0001:00/0001:00:00.0",
                            "sys/bus/pci/devices/0000:0f:00.0": "sys/devices/gone", "sys/bus/pci/devices/nonsense": NIC})
    assert {str(function.address): str(function.parent) for function in found.functions} == {
        "0000:00:01.0": "pci0000:00", "0000:01:00.0": "0000:00:01.0", "0001:00:00.0": "pci0001:00"}
    assert found.where(f"functions/{at('0000:01:00.0')}/acs").source == f"{tmp_path}/{NIC}"


def test_a_domain_behind_a_function(tmp_path):
    """Intel VMD: a root bus of its own below an endpoint's folder."""
    found = host(tmp_path, {f"{PORT}/pci10000:00/10000:00:02.0/class": b"0x060400\n", f"{PORT}/class": b"0x010400\n"})
    assert found[at("10000:00:02.0")].parent == RootBus(0x10000, 0)


def test_without_paths_bridges_tell_what_lies_below(tmp_path):
    flat = "sys/bus/pci/devices/"
    found = host(tmp_path, {f"{flat}0000:00:01.0/config": config(bridge=(1, 4)), f"{flat}0000:01:00.0/config": config(bridge=(2, 4)),
                            f"{flat}0000:02:03.0/config": config(bridge=(3, 3)), f"{flat}0000:03:00.0/config": config(), f"{flat}0000:04:00.0/config": config(),
                            f"{flat}0000:80:00.0/config": config(), f"{flat}0001:03:00.0/config": config()})
    assert [str(function.parent) for function in found.functions] == ["pci0000:00", "0000:00:01.0", "0000:01:00.0", "0000:02:03.0", "0000:01:00.0", "pci0000:80", "pci0001:03"]


@pytest.mark.parametrize(("path", "parent"), [
    ("sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/5f1a-99/pcic37c:00/c37c:00:02.0", "pcic37c:00"),
    ("sys/devices/platform/soc@0/1c08000.pcie/pci0004:00/0004:00:00.0/0004:01:00.0", "pci0004:00"),
    ("sys/devices/pci0000:16/ACPI0016:00/0000:16:00.0", "pci0000:16"),
    ("sys/devices/root/f0069d7c/0000:16:00.0", "pci0000:16"),
])
def test_root_buses_below_other_buses_than_pci(tmp_path, path, parent):
    """Hyper-V's VMBus, a platform device, a CXL host bridge, a controller that Linux names without `pci`: found by the links of the bus."""
    address = path.rpartition("/")[2]
    found = host(tmp_path, {f"{path}/class": b"0x010802\n", f"sys/bus/pci/devices/{address}": path})
    assert str(found[at(address)].parent) == parent


def test_a_copy_that_followed_the_links_has_each_function_twice(tmp_path):
    """As `cp -rL` and `tar -h` make it; the place below /sys/devices tells what lies above."""
    found = host(tmp_path, {f"{NIC}/class": b"0x020000\n", f"{PORT}/class": b"0x060400\n", "sys/bus/pci/devices/0000:01:00.0/class": b"0x020000\n"})
    assert [str(function.parent) for function in found.functions] == ["pci0000:00", "0000:00:01.0"]


def test_physical_functions_that_name_each_other_end(tmp_path):
    flat = "sys/bus/pci/devices/"
    found = host(tmp_path, {f"{flat}0000:01:00.0/physfn": f"{flat}0000:02:00.0", f"{flat}0000:02:00.0/physfn": f"{flat}0000:01:00.0"})
    assert [str(function.parent) for function in found.functions] == ["pci0000:02", "pci0000:01"]


def test_groups_of_a_capture_that_has_only_the_groups_folders(tmp_path):
    found = host(tmp_path, {f"{ROOT}/0000:00:02.0/class": b"0x030000\n", f"{NIC}/class": b"0x020000\n", f"{PORT}/class": b"0x060400\n",
                            "sys/kernel/iommu_groups/7/devices/0000:01:00.0": NIC, "sys/kernel/iommu_groups/7/devices/0000:00:01.0": PORT,
                            "sys/kernel/iommu_groups/junk/devices/0000:00:02.0": None})
    assert [function.iommu_group for function in found.functions] == [7, None, 7]


def test_a_machine_without_pci(tmp_path):
    assert host(tmp_path, {"sys/devices/system/node/node0/cpulist": b"0\n"}).functions == ()


def test_every_truncated_config_is_named(tmp_path):
    with pytest.raises(MalformedConfigSpace) as caught:
        host(tmp_path, {f"{PORT}/config": bytes(10), f"{NIC}/config": bytes(100), f"{ROOT}/0000:00:02.0/config": config()})
    assert [fault.where for fault in caught.value.faults] == [f"{tmp_path}/{PORT}/config", f"{tmp_path}/{NIC}/config"]


# ---- attributes


def test_what_everybody_may_read(tmp_path):
    found = host(tmp_path, {
        f"{PORT}/config": config(bridge=(1, 1), many=True), f"{NIC}/config": config(), f"{NIC}/vendor": b"0x15b3\n", f"{NIC}/device": b"0x101d\n",
        f"{NIC}/class": b"0x020000\n", f"{NIC}/revision": b"0x05\n", f"{NIC}/subsystem_vendor": b"0x15b3\n", f"{NIC}/subsystem_device": b"0x0016\n",
        f"{NIC}/numa_node": b"-1\n", f"{NIC}/current_link_speed": b"8.0 GT/s PCIe\n", f"{NIC}/current_link_width": b"8\n", f"{NIC}/max_link_speed": b"16 GT/s\n",
        f"{NIC}/max_link_width": b"255\n", f"{NIC}/reset_method": b"flr bus\n", f"{NIC}/sriov_totalvfs": b"127\n", f"{NIC}/sriov_numvfs": b"0\n",
        f"{NIC}/sriov_vf_device": b"101e\n", f"{NIC}/driver": "sys/bus/pci/drivers/mlx5_core", f"{NIC}/iommu_group": "sys/kernel/iommu_groups/42",
        "sys/kernel/iommu_groups/42/devices": None,
        f"{NIC}/resource": b"0x0000002000000000 0x0000002001ffffff 0x000000000014220c\n" + b"0x0 0x0 0x0\n" * 2 + b"0x0 0xfff 0x20040200\n" + b"0x0 0x0 0x0\n" * 9})
    nic = found[at("0000:01:00.0")]
    assert (nic.vendor_id, nic.device_id, nic.class_code, nic.revision, nic.subsystem) == (0x15B3, 0x101D, 0x020000, 5, (0x15B3, 0x16))
    assert (nic.numa_node, nic.driver, nic.iommu_group, nic.reset_methods, nic.multifunction) == (None, "mlx5_core", 42, ("flr", "bus"), False)
    assert nic.link == Link(8.0, 8, 16.0, Unknown()) and nic.sriov == Sriov(127, num_vfs=0, vf_device_id=0x101E)
    assert nic.bars == (Bar(0, BarKind.MEM64, 32 << 20, True, 0x2000000000), Bar(3, BarKind.MEM32, 4096))
    for fact in (nic.port_type, nic.acs, nic.ats, nic.ari):
        assert isinstance(fact, Unknown) and "root" in fact.why
    port = found[at("0000:00:01.0")]
    assert port.multifunction is True and port.bus_range == BusRange(1, 1) and port.iommu_group is None and port.driver is None


def test_what_is_not_there_is_unknown_and_says_why(tmp_path):
    found = host(tmp_path, {f"{NIC}/class": b"0x020000\n", f"{PORT}/vendor": b"nonsense\n", f"{PORT}/class": b"0x0604001\n", f"{PORT}/resource": b"junk\n", f"{PORT}/numa_node": b"x"})
    for function in found.functions:
        for name in ("vendor_id", "revision", "subsystem", "port_type", "link", "acs", "sriov", "bars", "numa_node", "iommu_group", "driver", "reset_methods"):
            fact = getattr(function, name)
            assert isinstance(fact, Unknown) and len(fact.why) > 10, name
    assert isinstance(found[at("0000:00:01.0")].class_code, Unknown)
    for fact in (found.iommu, found.tees, found.kernel, found.cmdline, found.cpu.arch):
        assert isinstance(fact, Unknown) and fact.why


def test_a_virtual_function_has_its_ids_from_sysfs(tmp_path):
    vf = f"{PORT}/0000:01:00.1"
    blank = b"\xff\xff\xff\xff" + config(256)[4:]
    found = host(tmp_path, {f"{NIC}/config": config(many=True), f"{vf}/config": blank, f"{vf}/vendor": b"0x15b3\n", f"{vf}/device": b"0x101e\n", f"{vf}/physfn": NIC,
                            f"{PORT}/0000:01:00.2/config": blank, f"{PORT}/0000:01:00.2/physfn": NIC, f"{PORT}/0000:01:00.3/config": b"\xff" * 64, f"{PORT}/class": b"0x060400"})
    function = found[at("0000:01:00.1")]
    assert (function.vendor_id, function.device_id, function.physfn, function.multifunction) == (0x15B3, 0x101E, at("0000:01:00.0"), False)
    nameless = found[at("0000:01:00.2")]
    assert isinstance(nameless.vendor_id, Unknown) and isinstance(nameless.device_id, Unknown) and nameless.class_code == 0x060400
    gone = found[at("0000:01:00.3")]
    assert isinstance(gone.vendor_id, Unknown) and isinstance(gone.class_code, Unknown) and "answer" in gone.class_code.why


def test_what_is_no_text_is_made_one(tmp_path):
    """Bytes of no encoding and controls of a terminal neither break a snapshot nor reach the screen."""
    make(tmp_path, {f"{NIC}/class": b"0x020000\n", f"{NIC}/reset_method": b"fl\xffr\n", "proc/version": b"Linux version 6.1\x1b[31m x", "proc/cmdline": b"a=\0\x9b b\tc\n"})
    os.symlink(b"../drivers/n\xff\x1bc", os.fsencode(tmp_path / NIC) + b"/driver")
    found = read(FolderFiles(tmp_path), name="n\udcff")
    nic = found[at("0000:01:00.0")]
    assert (found.name, nic.driver, nic.reset_methods) == ("n\\udcff", "n\\udcff\\x1bc", ("fl\ufffdr",))
    assert (found.kernel, found.cmdline) == ("6.1\ufffd[31m", "a=\ufffd\ufffd b\tc")
    assert load_host(dump_host(found), source="x") == found


class Forbidding(FolderFiles):
    """A folder as somebody sees it who may list but not read it; root may read everything, so that modes do not tell in a test."""

    def read(self, path, *, most=1 << 20):
        return None

    def denied(self, path):
        return super().read(path) is not None


def test_denied_is_said(tmp_path):
    make(tmp_path, {f"{NIC}/config": config(), f"{NIC}/numa_node": b"0\n"})
    function = read(Forbidding(tmp_path), name="x")[at("0000:01:00.0")]
    assert "root" in function.port_type.why and "root" in function.numa_node.why


def test_the_node_by_local_cpus_where_the_kernel_prints_no_other(tmp_path):
    nodes = {f"sys/devices/system/node/node{number}/cpumap": text for number, text in ((0, b"00000000,0000000f\n"), (8, b"0000000f,00000000\n"), (255, b"0\n"))}
    found = host(tmp_path, {**nodes, f"{ROOT}/0000:00:01.0/local_cpus": b"0000000f,00000000\n", f"{ROOT}/0000:00:02.0/local_cpulist": b"0-3\n",
                            f"{ROOT}/0000:00:03.0/local_cpulist": b"0-3,32-35\n", f"{ROOT}/0000:00:04.0/local_cpulist": b"0-3\n", f"{ROOT}/0000:00:04.0/numa_node": b"8\n"})
    assert [function.numa_node for function in found.functions] == [8, 0, Unknown(), 8]
    assert [node.cpus for node in found.numa_nodes] == [CpuSet.of(range(4)), CpuSet.of(range(32, 36)), CpuSet()]


# ---- the machine around


def test_platform(tmp_path):
    found = host(tmp_path, {
        "proc/version": b"Linux version 6.8.0-45-generic (buildd@x) #1 SMP\n", "proc/cmdline": b"root=/dev/sda1 iommu=pt\n",
        "proc/cpuinfo": b"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654\n\nprocessor\t: 1\nmodel\t: 99\n",
        "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": b"0,96\n", "sys/devices/system/cpu/cpu0/topology/physical_package_id": b"0\n",
        "sys/devices/system/node/node0/cpulist": b"0-3\n", "sys/devices/system/node/node0/meminfo": b"Node 0 MemTotal:       1024 kB\nNode 0 MemFree: 1 kB\n",
        "sys/devices/system/node/node0/distance": b"10 32\n", "sys/devices/system/node/node1/cpulist": b"\n", "sys/class/iommu/ivhd3": None,
        "sys/module/kvm_amd/parameters/sev_snp": b"Y\n", "sys/fs/cgroup/misc.capacity": b"sev 410\nsev_es 99\n"})
    assert (found.kernel, found.cmdline, found.iommu) == ("6.8.0-45-generic", "root=/dev/sda1 iommu=pt", IommuKind.AMD)
    assert found.cpu == Cpu("x86_64", "AuthenticAMD", 25, 17, "AMD EPYC 9654", 2)
    assert found.numa_nodes[0] == NumaNode(0, CpuSet.of(range(4)), 1 << 20, 0, (10, 32)) and found.numa_nodes[1] == NumaNode(1, CpuSet())
    assert found.tees == (Tee(TeeKind.SEV_SNP, 99),)


def test_pools_of_huge_pages_by_node_and_size(tmp_path):
    node = "sys/devices/system/node/node{}/hugepages/hugepages-{}kB/{}_hugepages"
    found = host(tmp_path, {
        node.format(0, 1048576, "nr"): b"16\n", node.format(0, 1048576, "free"): b"3\n", node.format(0, 2048, "nr"): b"0\n", node.format(0, 2048, "free"): b"0\n",
        node.format(1, 2048, "nr"): b"5\n", node.format(1, 2048, "free"): b"9\n", node.format(1, 3, "nr"): b"5\n", node.format(1, 65536, "surplus"): b"5\n",
        "sys/devices/system/node/node2/cpulist": b"0\n", "sys/devices/system/node/node3/hugepages": None}).numa_nodes
    assert [each.hugepages for each in found] == [
        (HugePages(2 << 20, 0, 0), HugePages(1 << 30, 16, 3)), (HugePages(2 << 20, 5), HugePages(64 << 20)), Unknown(), ()]
    assert "changed" in found[1].hugepages[0].free.why and "folder" in found[2].hugepages.why
    assert found[0].pool(1 << 30) == HugePages(1 << 30, 16, 3)
    assert (found[3].pool(1 << 30), found[2].pool(1 << 30)) == (None, Unknown())


@pytest.mark.parametrize(("entry", "kind"), [("dmar0", IommuKind.INTEL), ("smmu3.0x50000000", IommuKind.SMMU), ("", IommuKind.NONE), ("strange", Unknown())])
def test_iommu(tmp_path, entry, kind):
    assert host(tmp_path, {f"sys/class/iommu/{entry}": None}).iommu == kind


def test_no_confidential_guests_is_known(tmp_path):
    assert host(tmp_path, {"sys/module/kvm_intel/parameters/tdx": b"N\n"}).tees == ()


# ---- what must not be taken away

ROUTE = b"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n%s\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\neth9\t00000000\t0\t1\t0\t0\t0\t00000080\t0\n"
DISK = f"{ROOT}/0000:00:02.0"
USES = {
    "disk": {"proc/self/mountinfo": b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", "sys/dev/block/8:1": f"{DISK}/ata1/block/sda/sda1", f"{DISK}/ata1/block/sda/sda1": None},
    "by name": {"proc/self/mountinfo": b"1 0 0:35 /@ / rw - btrfs /dev/sda1 rw\n", "sys/class/block/sda1": f"{DISK}/ata1/block/sda/sda1", f"{DISK}/ata1/block/sda/sda1": None},
    "device mapper": {"proc/self/mountinfo": b"1 0 253:0 / / rw - xfs /dev/mapper/vg-root rw\n", "sys/dev/block/253:0": "sys/devices/virtual/block/dm-0",
                      "sys/devices/virtual/block/dm-0/slaves/dm-1": "sys/devices/virtual/block/dm-1", "sys/devices/virtual/block/dm-1/slaves/sda": f"{DISK}/block/sda",
                      f"{DISK}/block/sda": None},
    "mapper name": {"proc/self/mountinfo": b"1 0 0:9 / / rw - btrfs /dev/mapper/luks rw\n", "sys/class/block/dm-3": "sys/devices/virtual/block/dm-3",
                    "sys/devices/virtual/block/dm-3/dm/name": b"luks\n", "sys/devices/virtual/block/dm-3/slaves/sda": f"{DISK}/block/sda", f"{DISK}/block/sda": None},
    "RAID partition": {"proc/self/mountinfo": b"1 0 259:7 / / rw - xfs /dev/md0p1 rw\n", "sys/dev/block/259:7": "sys/devices/virtual/block/md0/md0p1",
                       "sys/devices/virtual/block/md0/md0p1": None, "sys/devices/virtual/block/md0/slaves/sda": f"{DISK}/block/sda", f"{DISK}/block/sda": None},
    "NVMe multipath": {"proc/self/mountinfo": b"1 0 259:1 / / rw - xfs /dev/nvme0n1p1 rw\n", "sys/dev/block/259:1": "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1",
                       "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1": None,
                       "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0": f"{DISK}/nvme/nvme0", f"{DISK}/nvme/nvme0": None},
    "interface": {"proc/net/route": ROUTE % b"eth0", "sys/class/net/eth0": f"{DISK}/net/eth0", f"{DISK}/net/eth0/device": DISK},
    "IPv6": {"proc/net/ipv6_route": b"0" * 32 + b" 00 " + b"0" * 32 + b" 00 fe80 00000400 1 0 00000003 eth0\n" + b"0" * 32 + b" 00 x 00 x ffffffff 1 0 00200200 lo\n",
             "sys/class/net/eth0": f"{DISK}/net/eth0", f"{DISK}/net/eth0": None},
    "bond": {"proc/net/route": ROUTE % b"vlan7", "sys/class/net/vlan7": "sys/devices/virtual/net/vlan7", "sys/devices/virtual/net/vlan7/lower_bond0": "sys/devices/virtual/net/bond0",
             "sys/class/net/bond0": "sys/devices/virtual/net/bond0", "sys/devices/virtual/net/bond0/lower_eth0": f"{DISK}/net/eth0",
             "sys/class/net/eth0": f"{DISK}/net/eth0", f"{DISK}/net/eth0/device": DISK},
    "console": {f"{DISK}/boot_vga": b"1\n", f"{NIC}/boot_vga": b"0\n", "sys/bus/pci/devices/0000:01:00.0": NIC},
}


@pytest.mark.parametrize("name", USES)
def test_uses(tmp_path, name):
    found = host(tmp_path, {f"{DISK}/class": b"0x010000\n", f"{NIC}/class": b"0x020000\n", "sys/bus/pci/devices/0000:00:02.0": DISK,
                            "sys/class/net/eth9": f"{NIC}/net/eth9", f"{NIC}/net/eth9/device": NIC, **USES[name]})
    expected = "console" if name == "console" else "default route" if name in ("interface", "IPv6", "bond") else "root disk"
    assert {str(function.address): function.usage for function in found.functions if function.usage} == {"0000:00:02.0": expected}


def test_uses_that_go_in_circles_end(tmp_path):
    virtual = "sys/devices/virtual/"
    found = host(tmp_path, {f"{DISK}/class": b"0x010000\n", "proc/self/mountinfo": b"1 0 253:0 / / rw - xfs /dev/dm-0 rw\nshort\n", "sys/dev/block/253:0": f"{virtual}block/dm-0",
                            f"{virtual}block/dm-0/slaves/dm-0": f"{virtual}block/dm-0", "proc/net/route": ROUTE % b"br0", "sys/class/net/br0": f"{virtual}net/br0",
                            f"{virtual}net/br0/lower_br0": f"{virtual}net/br0"})
    assert [function.usage for function in found.functions] == [None]


# ---- this machine, and others'


def test_this_machine(tmp_path):
    found = capture_local()
    listed = Path("/sys/bus/pci/devices")
    names = sorted(os.listdir(listed)) if listed.is_dir() else []
    assert [str(function.address) for function in found.functions] == sorted(names, key=at)
    for function in found.functions:
        folder = listed / str(function.address)
        data = (folder / "config").read_bytes()
        assert function.class_code == int((folder / "class").read_text(), 16) and function.revision == data[8]
        assert is_known(function.port_type) or len(data) == 64
    assert found.kernel == os.uname().release


ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
CHECKS = ("functions", "parent", "class", "ids", "numa", "near", "speed", "width", "config", "buses", "express", "driver", "bars")
AGREED = {
    "2pa-pcidomain32bits": (9, 9, 9, 9, 9, 0, 0, 0, 9, 0, 0, 6, 9),
    "40intel64-2g2n4c+pcilocality": (37, 37, 37, 37, 37, 0, 3, 3, 37, 14, 0, 27, 37),
    "40intel64-4n10c+pci-conflicts": (3, 3, 3, 3, 3, 0, 0, 0, 3, 1, 0, 2, 3),
    "nvidia-dgx-gb10": (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "nvidiagpunumanodes": (6, 6, 6, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0),
}


def stated(archive: Path) -> dict[str, dict]:
    """Every function's own folder in a tar: its path, and files by name."""
    found: dict[str, dict] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = member.name.split("/")
            places = [index for index, part in enumerate(parts) if ADDRESS.fullmatch(part)]
            if not places or "proc" in parts or "slots" in parts or "sys" not in parts or places[-1] < len(parts) - 2:
                continue
            if member.issym() and places[-1] == len(parts) - 1:
                continue
            entry = found.setdefault(parts[places[-1]], {"above": [part for part in parts[: places[-1]] if ADDRESS.fullmatch(part) or part.startswith(("pci0", "pci1"))]})
            if member.isreg():
                entry[parts[-1]] = tar.extractfile(member).read()
            elif member.issym():
                entry[parts[-1]] = member.linkname
    return found


def node_masks(archive: Path) -> dict[int, int]:
    """Every NUMA node's cpumap, as a number."""
    with tarfile.open(archive) as tar:
        found = {re.search(r"/node(\d+)/cpumap$", member.name): member for member in tar}
        return {int(match[1]): int(tar.extractfile(member).read().replace(b",", b""), 16) for match, member in found.items() if match}


@pytest.mark.corpus
def test_captures_agree_with_what_their_files_say(corpus):
    totals = {}
    for archive in sorted((corpus / "hwloc").glob("*.tar.bz2")):
        files, counts = stated(archive), dict.fromkeys(CHECKS, 0)
        masks = node_masks(archive)
        found = read(TarFiles(archive), name="x")
        assert {str(function.address) for function in found.functions} == set(files)
        for function in found.functions:
            told = files[str(function.address)]
            data = told.get("config", b"")
            checks = {"functions": True, "parent": not told["above"] or told["above"][-1] == str(function.parent)}
            if "class" in told:
                checks["class"] = function.class_code == int(told["class"], 16)
            if "vendor" in told:
                checks["ids"] = (function.vendor_id, function.device_id) == (int(told["vendor"], 16), int(told["device"], 16))
            if "numa_node" in told:
                checks["numa"] = function.numa_node == (int(told["numa_node"]) if int(told["numa_node"]) >= 0 else None)
            elif "local_cpus" in told:
                mask = int(told["local_cpus"].replace(b",", b""), 16)
                checks["near"] = [function.numa_node] == [number for number, cpus in masks.items() if mask & cpus]
            if b"GT/s" in told.get("current_link_speed", b""):
                checks["speed"] = function.link.speed_gtps == float(told["current_link_speed"].split()[0])
            if told.get("current_link_width", b"0").strip() != b"0":
                checks["width"] = function.link.width == int(told["current_link_width"])
            if len(data) >= 64:
                checks["config"] = struct.unpack_from("<HH", data) == (function.vendor_id, function.device_id) and data[9:12] == function.class_code.to_bytes(3, "little")
                if data[14] & 127 == 1:
                    checks["buses"] = function.bus_range == BusRange(data[25], data[26])
                else:
                    assert function.bus_range is None
            if len(data) >= 256:
                place, express = data[52] if data[6] & 16 else 0, None
                while place >= 64 and express is None:
                    express, place = (place if data[place] == 16 else None), data[place + 1]
                expected = None if express is None else PortType(data[express + 2] >> 4)
                checks["express"] = function.port_type == expected
            if "driver" in told:
                checks["driver"] = function.driver == told["driver"].rsplit("/", 1)[-1]
            if "resource" in told:
                spans = [[int(word, 16) for word in line.split()] for line in told["resource"].splitlines()[:7]]
                checks["bars"] = [bar.size_bytes for bar in function.bars] == [end - start + 1 for start, end, flags in spans if flags & 0x300 and end > start]
            for name, agrees in checks.items():
                assert agrees, (archive.name, str(function.address), name)
                counts[name] += 1
        totals[archive.name.removesuffix(".tar.bz2")] = tuple(counts.values())
    for name, counts in totals.items():
        print(name, dict(zip(CHECKS, counts, strict=True)))
    assert totals == AGREED


# ---- fuzz

NAMES = ["vendor", "device", "class", "revision", "numa_node", "current_link_speed", "current_link_width", "max_link_speed", "resource", "sriov_totalvfs", "sriov_numvfs",
         "sriov_vf_device", "reset_method", "local_cpulist", "local_cpus", "subsystem_vendor", "boot_vga"]
PROC = ["proc/cpuinfo", "proc/version", "proc/cmdline", "proc/net/route", "proc/net/ipv6_route", "proc/self/mountinfo", "sys/devices/system/node/node0/cpulist",
        "sys/devices/system/node/node0/cpumap", "sys/devices/system/node/node0/meminfo", "sys/devices/system/node/node0/distance", "sys/module/kvm_amd/parameters/sev_snp",
        "sys/fs/cgroup/misc.capacity", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"]
CONTENT = st.binary(max_size=60) | st.sampled_from([b"0x", b"0x10de\n", b"9" * 5000, b"-1\n", b"0-70000\n", "²³".encode(), "٣".encode(), b"0,0-1,,\n", b"8.0 GT/s", b"Y", b"ffffffff," * 50,
                                                    b"Node 0 MemTotal: 99999999999999999 kB", b"1 0 8:1 / / rw - ext4 /dev/../../x rw\n", b"vendor_id : GenuineIntel\n:\n"])


@example(dict.fromkeys(NAMES, b"9" * 5000), dict.fromkeys(PROC, b"9" * 5000), "")
@given(st.dictionaries(st.sampled_from(NAMES), CONTENT), st.dictionaries(st.sampled_from(PROC), CONTENT), st.sampled_from(["", ".", "..", "/", "0000:00:01.0", "x" * 300]))
def test_no_content_breaks_the_reader(tmp_path_factory, attributes, around, target):
    folder = tmp_path_factory.mktemp("fuzz")
    make(folder, {"sys": None, **{f"{PORT}/{name}": data for name, data in attributes.items()}, **around, f"{PORT}/power": None})
    for name in ("driver", "physfn", "iommu_group", "pci1:2", "pci0000:zz"):
        if target and len(target) < 250:
            (folder / PORT / name).symlink_to(target)
    try:
        found = read(FolderFiles(folder), name="x")
    except SimkitError:
        return
    assert [str(function.address) for function in found.functions] == ["0000:00:01.0"]
