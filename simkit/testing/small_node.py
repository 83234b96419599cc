"""A small node with known answers: its host, two guests on it, and its recorded sysfs tree, written without `simkit.formats`."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind, TeeKind
from simkit.model.workload import GuestRequest, Topology, Workload
from simkit.semantics.fingerprint import fingerprint

ALL_BUT_EC = AcsBits(0x5F)
AS_LINUX_SETS = AcsBits(0x1D)
ROOT_PORT, UPSTREAM, DISK_PORT = Address(0, 0, 1, 0), Address(0, 1, 0, 0), Address(0, 0, 2, 0)
DOWNSTREAM = tuple(Address(0, 2, device, 0) for device in range(3))
GPU, PEER, AUDIO, NIC, DISK = Address(0, 3, 0, 0), Address(0, 4, 0, 0), Address(0, 4, 0, 1), Address(0, 5, 0, 0), Address(0, 6, 0, 0)
TOTAL_VFS, FIRST_VF_OFFSET, VF_STRIDE, VF_DEVICE = 6, 1, 2, 0x101E


def small_host() -> Host:
    """One switch with two GPUs (one with an audio function in its group, its port without ACS control) and a NIC with SR-IOV; a disk the host needs."""
    linux = Acs(ALL_BUT_EC, AS_LINUX_SETS)

    def bridge(address: Address, parent: Address | RootBus, port: PortType, buses: tuple[int, int], acs: Acs | None, group: int) -> Function:
        return Function(address, parent, 0x1000, 0xC010, 0x060400, 0xB0, None, port_type=port, multifunction=False, bus_range=BusRange(*buses), acs=acs,
                        ats=None, sriov=None, numa_node=0, iommu_group=group, driver="pcieport")

    def endpoint(address: Address, parent: Address, ids: tuple[int, int, int], driver: str | None, group: int) -> Function:
        return Function(address, parent, *ids, 0xA1, None, port_type=PortType.ENDPOINT, multifunction=address.function > 0, acs=None, ats=Ats(enabled=False),
                        sriov=None, numa_node=0, iommu_group=group, driver=driver)

    root = RootBus(0, 0)
    sriov = Sriov(TOTAL_VFS, TOTAL_VFS, 0, FIRST_VF_OFFSET, VF_STRIDE, VF_DEVICE, enabled=False, ari_hierarchy=False)
    functions = (
        bridge(ROOT_PORT, root, PortType.ROOT_PORT, (1, 5), linux, 0),
        bridge(UPSTREAM, ROOT_PORT, PortType.UPSTREAM, (2, 5), None, 1),
        bridge(DOWNSTREAM[0], UPSTREAM, PortType.DOWNSTREAM, (3, 3), linux, 2),
        bridge(DOWNSTREAM[1], UPSTREAM, PortType.DOWNSTREAM, (4, 4), Acs(ALL_BUT_EC, AcsBits.NONE), 3),
        bridge(DOWNSTREAM[2], UPSTREAM, PortType.DOWNSTREAM, (5, 5), linux, 4),
        bridge(DISK_PORT, root, PortType.ROOT_PORT, (6, 6), linux, 5),
        endpoint(GPU, DOWNSTREAM[0], (0x10DE, 0x2330, 0x030200), "nvidia", 6),
        replace(endpoint(PEER, DOWNSTREAM[1], (0x10DE, 0x2330, 0x030200), "nvidia", 7), multifunction=True),
        endpoint(AUDIO, DOWNSTREAM[1], (0x10DE, 0x22BA, 0x040300), "snd_hda_intel", 7),
        replace(endpoint(NIC, DOWNSTREAM[2], (0x15B3, 0x1021, 0x020000), "mlx5_core", 8), sriov=sriov),
        replace(endpoint(DISK, DISK_PORT, (0x144D, 0xA80A, 0x010802), "nvme", 9), usage="root disk"),
    )
    node = NumaNode(0, CpuSet.of(range(8)), 64 << 30, 0, (10,))
    return Host("small-node", functions, (node,), iommu=IommuKind.INTEL, tees=(), kernel="6.12.0", cmdline="intel_iommu=on")


def small_plan(host: Host | None = None, *, vfs: int = 2) -> Plan:
    """Two guests, without steps: `train` has both GPUs and the audio function (replicate), `infer` the NIC's first `vfs` virtual functions."""
    host = host or small_host()
    ports = tuple(GuestPort(f"rp{number}", GuestPortKind.ROOT, None, number, number) for number in range(1, 4))
    train = tuple(GuestDevice(address, f"rp{number}", group=group, companion_of=PEER if address == AUDIO else None)
                  for number, (address, group) in enumerate(((GPU, 6), (PEER, 7), (AUDIO, 7)), start=1))
    infer = tuple(GuestDevice(small_vf(index), f"rp{index + 1}", vf_of=NIC, vf_index=index) for index in range(vfs))
    guests = (GuestPlan("train", TeeKind.NONE, Topology.REPLICATE, 4, 16 << 30, ports, train, ()),
              GuestPlan("infer", TeeKind.NONE, Topology.FLATTEN, 2, 8 << 30, ports, infer, ()))
    workload = Workload("small", tuple(GuestRequest(guest.name, topology=guest.topology, cpus=guest.cpus, memory_bytes=guest.memory_bytes) for guest in guests))
    return Plan(workload, host, fingerprint(host), guests)


def small_vf(index: int) -> Address:
    """Where virtual function `index` of the NIC appears: 0000:05:00.1, .3, .5, .7, then 0000:05:01.1 (PCIe 6.0 §9.3.3.9 and .10)."""
    return (Address(0, 5, 0, 1), Address(0, 5, 0, 3), Address(0, 5, 0, 5), Address(0, 5, 0, 7), Address(0, 5, 1, 1), Address(0, 5, 1, 3))[index]


def write_small_node(folder: Path) -> Path:
    """Write the recorded tree of :func:`small_host` below `folder`; returns `folder`."""
    host = small_host()
    for function in host.functions:
        above = (function, *host.ancestors(function))
        place = folder / "sys/devices/pci0000:00" / Path(*(str(each.address) for each in reversed(above)))
        place.mkdir(parents=True)
        _write_function(folder, place, function)
    (folder / "sys/bus/pci/drivers_probe").write_bytes(b"")
    (folder / "proc").mkdir()
    (folder / "proc/version").write_text("Linux version 6.12.0\n", encoding="utf-8")
    return folder


def _write_function(folder: Path, place: Path, function: Function) -> None:
    assert isinstance(function.vendor_id, int) and isinstance(function.device_id, int) and isinstance(function.class_code, int)
    files = {"vendor": f"0x{function.vendor_id:04x}", "device": f"0x{function.device_id:04x}", "class": f"0x{function.class_code:06x}",
             "revision": "0xa1", "numa_node": "0", "driver_override": "(null)"}
    if function.sriov:
        files |= {"sriov_totalvfs": str(TOTAL_VFS), "sriov_numvfs": "0", "sriov_drivers_autoprobe": "1", "sriov_offset": str(FIRST_VF_OFFSET),
                  "sriov_stride": str(VF_STRIDE), "sriov_vf_device": f"{VF_DEVICE:x}"}
    for name, text in files.items():
        (place / name).write_text(f"{text}\n", encoding="utf-8")
    (place / "config").write_bytes(_config(function))
    group = folder / f"sys/kernel/iommu_groups/{function.iommu_group}"
    driver = folder / f"sys/bus/pci/drivers/{function.driver}"
    for made in (group / "devices", driver, folder / "sys/bus/pci/devices"):
        made.mkdir(parents=True, exist_ok=True)
    (group / "type").write_text("DMA\n", encoding="utf-8")
    (driver / "bind").write_bytes(b"")
    (driver / "unbind").write_bytes(b"")
    for link, target in ((folder / "sys/bus/pci/devices" / place.name, place), (group / "devices" / place.name, place), (driver / place.name, place),
                         (place / "iommu_group", group), (place / "driver", driver)):
        link.symlink_to(os.path.relpath(target, link.parent))


def _config(function: Function) -> bytes:
    """4,096 bytes: header, PCIe capability at 0x40, then ACS at 0x100, ATS or SR-IOV behind it."""
    assert isinstance(function.vendor_id, int) and isinstance(function.device_id, int) and isinstance(function.class_code, int)
    config = bytearray(4096)
    struct.pack_into("<HHHHI", config, 0, function.vendor_id, function.device_id, 0, 0x10, function.class_code << 8 | 0xA1)
    config[0x0E] = (1 if function.is_bridge else 0) | (0x80 if function.multifunction else 0)
    if function.bus_range:
        config[0x18:0x1B] = bytes((function.address.bus, function.bus_range.secondary, function.bus_range.subordinate))
    config[0x34] = 0x40
    struct.pack_into("<BBH", config, 0x40, 0x10, 0, int(function.port_type if isinstance(function.port_type, PortType) else 0) << 4 | 2)
    extended: list[tuple[int, bytes]] = []
    if isinstance(function.acs, Acs):
        extended.append((0x000D, struct.pack("<HH", int(function.acs.capability), int(function.acs.control))))  # type: ignore[arg-type]
    if function.sriov:
        extended.append((0x0010, struct.pack("<IHHHHHHHHHH", 0, 0, 0, TOTAL_VFS, TOTAL_VFS, 0, 0, FIRST_VF_OFFSET, VF_STRIDE, 0, VF_DEVICE)))
    if function.ats:
        extended.append((0x000F, bytes(4)))
    for number, (identity, body) in enumerate(extended):
        offset = 0x100 + 0x80 * number
        following = offset + 0x80 if number + 1 < len(extended) else 0
        struct.pack_into("<I", config, offset, following << 20 | 1 << 16 | identity)
        config[offset + 4 : offset + 4 + len(body)] = body
    return bytes(config)
