"""Recorded nodes: the tree is as the kernel would show it, and reading it gives the host back."""

from __future__ import annotations

import os
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given

from simkit.errors import InputError
from simkit.formats.source import open_host, shipped
from simkit.formats.sysfs import reader as sysfs
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.formats.sysfs.files import FolderFiles
from simkit.model.address import Address, RootBus
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, DeviceControl, Egress, Link, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.scope import IdRange, IommuScope, MadeBus
from simkit.model.unknown import UNKNOWN, is_known
from simkit.testing.hosts import hosts

PORT, SWITCH, LEG, NIC, VF, OLD, GPU = (Address.parse(text) for text in (
    "0000:16:01.0", "0000:17:00.0", "0000:18:04.0", "0000:19:00.0", "0000:19:02.1", "0000:00:1f.2", "10000:01:00.0"))


def whole_host() -> Host:
    """Every fact that sysfs can carry, known."""
    acs = Acs(AcsBits(0x7F), AcsBits(0x1D), egress=Egress(40, 0x80_0000_0006))
    room = BridgeWindows(AddressRange(0x1000, 0x2FFF), AddressRange(0xC0000000, 0xC01FFFFF), AddressRange(0x20_0000_0000, 0x3F_FFFF_FFFF), wide=True)
    plain = {"resizable_bars": (), "windows": None, "msix_vectors": None}
    nothing = plain | {"acs": None, "ats": None, "ari": False, "sriov": None}
    port = {"vendor_id": 0x8086, "device_id": 0x347A, "class_code": 0x060400, "revision": 4, "subsystem": (0x8086, 0), "multifunction": False, "bars": (),
            "ats": None, "ari": False, "sriov": None, "acs": acs, "numa_node": 1, "driver": "pcieport", "reset_methods": ("pm", "bus"), "windows": room,
            "resizable_bars": (), "msix_vectors": 17}
    slow, fast = Link(2.5, 1, 5.0, 4), Link(16.0, 8, 32.0, 16)
    functions = (
        Function(PORT, RootBus(0, 0x16), port_type=PortType.ROOT_PORT, bus_range=BusRange(0x17, 0x1B), link=fast, iommu_group=3, **port),
        Function(SWITCH, PORT, port_type=PortType.UPSTREAM, bus_range=BusRange(0x18, 0x1B), link=fast, iommu_group=4, **port),
        Function(LEG, SWITCH, port_type=PortType.DOWNSTREAM, bus_range=BusRange(0x19, 0x19), link=slow, iommu_group=5, **port),
        Function(NIC, LEG, 0x15B3, 0x101D, 0x020000, 0, (0x15B3, 0x0016), None, PortType.ENDPOINT, True, None, fast, acs, Ats(enabled=True), True,
                 Sriov(16, 16, 2, 2, 1, 0x101E, enabled=True, ari_hierarchy=True, vf_bars=(Bar(0, BarKind.MEM64, 1 << 20, True, 0x21_0000_0000),)), None,
                 (Bar(0, BarKind.MEM64, 32 << 20, True, 0x20_0000_0000), Bar(6, BarKind.MEM32, 1 << 20, False, 0xF010_0000)), 1, 6, "mlx5_core", ("flr", "bus"),
                 "root disk, default route", DeviceControl(256, 4096, relaxed_ordering=True, extended_tags=True, no_snoop=False), (ResizableBar(0, (1 << 25, 1 << 26), 1 << 25),), None, 64),
        Function(VF, LEG, 0x15B3, 0x101E, 0x020000, 0, (0x15B3, 0x0016), None, PortType.ENDPOINT, False, None, fast, acs, Ats(enabled=False), True, None, NIC,
                 (Bar(0, BarKind.MEM64, 1 << 20, True),), 1, 7, "vfio-pci", ("flr",), **plain),
        Function(OLD, RootBus(0, 0), 0x1A03, 0x2000, 0x030000, 0x52, None, None, None, True, None, None, bars=(Bar(1, BarKind.IO, 128, False, 0xE000),),
                 numa_node=None, iommu_group=None, driver=None, reset_methods=(), usage="console", device_control=None, **nothing),
        Function(GPU, RootBus(0x10000, 1), 0x10DE, 0x2330, 0x030200, 0xA1, (0x10DE, 0x16C1), None, PortType.RC_ENDPOINT, False, None, None, **nothing,
                 bars=(), numa_node=0, iommu_group=8, driver="nvidia", reset_methods=("flr",)),
    )
    pools = (HugePages(2 << 20, 1024, 1000), HugePages(1 << 30, 64, 0))
    nodes = (NumaNode(0, CpuSet.of(range(4)), 512 << 30, 0, (10, 21), pools), NumaNode(1, CpuSet.of([4, 5, 6, 7]), 256 << 30, 1, (21, 10), ()))
    return Host("whole", functions, nodes, Cpu("x86_64", "AuthenticAMD", 25, 17, "AMD EPYC 9654", 2), IommuKind.AMD, (Tee(TeeKind.SEV_SNP, 509),),
                kernel="6.8.0-45-generic", cmdline="root=/dev/sda iommu=pt", made_buses=(MadeBus(RootBus(0x10000, 1), OLD),),
                iommu_scopes=(IommuScope(IommuKind.AMD, 0, ids=(IdRange(0, 0x1FFF), IdRange(0x1910, 0x191F, 0x1900))), IommuScope(IommuKind.AMD, 1)))


def again(host: Host, folder: Path) -> Host:
    sysfs_tree.write(host, folder)
    return sysfs.read(FolderFiles(folder), name=host.name)


def test_a_host_that_sysfs_can_carry_comes_back_equal(tmp_path):
    host = whole_host()
    read = again(host, tmp_path / "node")
    for before, after in zip(host.functions, read.functions, strict=True):
        for field in fields(Function):
            assert getattr(after, field.name) == getattr(before, field.name), (str(before.address), field.name)
    assert read == host


def unprivileged(function: Function) -> Function:
    """What 64 bytes of config space and the readable attributes leave."""
    several = False if function.is_vf else True if function.address.function else UNKNOWN
    sriov = Sriov(16, num_vfs=2, offset=2, stride=1, vf_device_id=0x101E, vf_bars=function.sriov.vf_bars) if function.address == NIC else UNKNOWN
    function = replace(function, resizable_bars=UNKNOWN, msix_vectors=UNKNOWN, windows=None if is_known(several) else UNKNOWN)
    return replace(function, device_control=UNKNOWN, port_type=UNKNOWN, acs=UNKNOWN, ats=UNKNOWN, ari=UNKNOWN, bus_range=None, multifunction=several, sriov=sriov,
                   link=UNKNOWN if function.link is None else function.link)


def test_unprivileged_facts_come_back_too(tmp_path):
    """Facts of an unprivileged capture: no capability is known, and nothing is made up by writing."""
    host = whole_host()
    seen = host.with_functions(*map(unprivileged, host.functions))
    assert not is_known(seen[VF].port_type) and not is_known(seen[PORT].acs)
    assert again(seen, tmp_path / "node") == seen


def test_the_tree_is_as_the_kernel_makes_it(tmp_path):
    root = tmp_path / "node"
    sysfs_tree.write(whole_host(), root)
    nic = root / "sys/devices/pci0000:16/0000:16:01.0/0000:17:00.0/0000:18:04.0/0000:19:00.0"
    assert os.readlink(root / "sys/bus/pci/devices/0000:19:00.0") == f"../../../devices/{nic.relative_to(root / 'sys/devices')}"
    assert os.readlink(nic / "driver") == "../../../../../../bus/pci/drivers/mlx5_core"
    assert os.readlink(nic / "iommu_group") == "../../../../../../kernel/iommu_groups/6"
    assert os.readlink(nic / "virtfn0") == "../0000:19:02.1" and os.readlink(nic.parent / "0000:19:02.1" / "physfn") == "../0000:19:00.0"
    assert (root / "sys/kernel/iommu_groups/6/devices/0000:19:00.0").resolve() == nic.resolve()
    texts = {"vendor": "0x15b3", "device": "0x101d", "class": "0x020000", "revision": "0x00", "subsystem_vendor": "0x15b3", "numa_node": "1", "driver_override": "(null)",
             "current_link_speed": "16.0 GT/s PCIe", "max_link_width": "16", "sriov_totalvfs": "16", "sriov_numvfs": "2", "sriov_drivers_autoprobe": "1",
             "sriov_vf_device": "101e", "reset_method": "flr bus"}
    for name, text in texts.items():
        assert (nic / name).read_text() == text + "\n", name
    config = (nic / "config").read_bytes()
    assert len(config) == 4096 and config[:4] == bytes.fromhex("b3151d10")
    assert len((root / "sys/devices/pci0000:00/0000:00:1f.2/config").read_bytes()) == 256
    resource = (nic / "resource").read_text().splitlines()
    assert len(resource) == 13 and resource[0] == "0x0000002000000000 0x0000002001ffffff 0x0000000000142204"
    assert (nic.parent / "0000:19:02.1/resource").read_text().splitlines()[0] == "0x0000000000000000 0x00000000000fffff 0x0000000020142204"
    for driver in ("mlx5_core", "nvidia", "pcieport", "vfio-pci"):
        assert {name for name in os.listdir(root / "sys/bus/pci/drivers" / driver) if ":" not in name} == {"bind", "unbind", "new_id"}
    assert (root / "sys/bus/pci/drivers_probe").read_bytes() == b""
    assert (root / "sys/bus/pci/devices/0000:00:1f.2/boot_vga").read_text() == "1\n"
    links = [path for path in root.rglob("*") if path.is_symlink()]
    assert len(links) > 25 and all(not os.readlink(path).startswith("/") and path.exists() for path in links)


LOST = {"name", "revision", "subsystem", "ats", "ari", "sriov", "usage", "device_control", "resizable_bars", "windows", "msix_vectors"}


@pytest.mark.parametrize("name", shipped("hosts"))
def test_shipped_hosts_come_back(name, tmp_path):
    """Known facts come back as they are; of unknown ones only those that share a register with known ones become absent or 0."""
    host = open_host(name)
    read = again(host, tmp_path / "node")
    for before, after in zip(host.functions, read.functions, strict=True):
        for field in fields(Function):
            old, new = getattr(before, field.name), getattr(after, field.name)
            if old != new:
                assert field.name in LOST, (str(before.address), field.name, old, new)
                assert field.name in ("name", "usage") or not is_known(old) or field.name == "sriov", (str(before.address), field.name, old, new)
    assert (read.numa_nodes, read.cpu, read.iommu, read.tees, read.kernel, read.cmdline) == (host.numa_nodes, host.cpu, host.iommu, host.tees, host.kernel, host.cmdline)


@given(host=hosts())
def test_known_facts_survive_any_mixture(host, tmp_path_factory):
    """Any host, sensible or not: what has an attribute of its own comes back."""
    folder = tmp_path_factory.mktemp("trees") / "node"
    if any(isinstance(function.driver, str) and ("/" in function.driver or function.driver in (".", "..")) for function in host.functions):
        with pytest.raises(InputError, match="impossible name"):
            sysfs_tree.write(host, folder)
        assert not folder.exists()
        return
    read = again(host, folder)
    assert [function.address for function in read.functions] == [function.address for function in host.functions]
    for before, after in zip(host.functions, read.functions, strict=True):
        assert after.parent == before.parent
        for name in ("class_code", "numa_node", "iommu_group"):
            assert not is_known(getattr(before, name)) or getattr(before, name) is None or getattr(after, name) == getattr(before, name), name
        for name in ("numa_node", "reset_methods"):
            assert getattr(after, name) == getattr(before, name), name
        for name in ("vendor_id", "device_id"):
            assert getattr(after, name) == getattr(before, name) or getattr(before, name) == 0xFFFF, name
        if isinstance(before.driver, str):
            assert after.driver == before.driver


@pytest.mark.parametrize("usage", ["root disk", "disk mounted at /var/lib/data", "swap", "root disk, session NIC, default route", "session NIC", "default route",
                                   "NIC with open connections", "console"])
def test_what_the_host_uses_comes_back(tmp_path, usage):
    host = replace(whole_host(), made_buses=())  # whose maker the host would use as well
    host = host.with_functions(*(replace(function, usage=usage if function.address in (NIC, GPU) else None) for function in host.functions))
    assert again(host, tmp_path / "node") == host


@pytest.mark.parametrize("name", shipped("hosts"))
def test_what_shipped_hosts_use_comes_back(tmp_path, name):
    host = open_host(name)
    assert [function.usage for function in again(host, tmp_path / "node").functions] == [function.usage for function in host.functions]


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        sysfs_tree.write(whole_host(), tmp_path)
    with pytest.raises(InputError, match="no folder"):
        sysfs_tree.write(whole_host(), tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"] and (tmp_path / "mine").read_text() == "x"


@pytest.mark.parametrize("driver", ["../../../../escaped", "a/b", "..", ""])
def test_a_driver_name_cannot_leave_the_folder(tmp_path, driver):
    host = Host("x", (Function(OLD, RootBus(0, 0), driver=driver),))
    with pytest.raises(InputError, match=re.escape(repr(driver))):
        sysfs_tree.write(host, tmp_path / "node")
    assert list(tmp_path.iterdir()) == []
