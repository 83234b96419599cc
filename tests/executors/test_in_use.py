"""What a node itself shows to be in use."""

from __future__ import annotations

import os

import pytest

from simkit.executors.in_use import in_use
from simkit.executors.local import LocalNode
from simkit.testing.small_node import DISK, GPU, NIC, PEER, write_small_node


@pytest.fixture
def root(tmp_path):
    return write_small_node(tmp_path / "node")


def device(root, address):
    return (root / f"sys/bus/pci/devices/{address}").resolve()


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


def file(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def disk(root, address, *below):
    place = device(root, address).joinpath(*below)
    place.mkdir(parents=True)
    link(root / "sys/class/block" / place.name, place)
    return place


def test_nothing_is_used_where_nothing_is_told(root):
    assert in_use(LocalNode(root)) == {}


def test_root_disk_by_number_and_through_a_partition(root):
    place = disk(root, DISK, "nvme/nvme0/nvme0n1/nvme0n1p2")
    link(root / "sys/dev/block/259:2", place)
    file(root, "proc/self/mountinfo", "22 1 259:2 / /data rw - ext4 /dev/x rw\n29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n")
    assert in_use(LocalNode(root)) == {DISK: "the disk of the root file system"}


def test_btrfs_has_no_number_but_a_name(root):
    disk(root, DISK, "nvme/nvme0/nvme0n1/nvme0n1p3")
    file(root, "proc/self/mountinfo", "29 1 0:25 /@ /home rw shared:1 - btrfs /dev/nvme0n1p3 rw\n30 1 0:5 / /proc rw - proc proc rw\n")
    assert in_use(LocalNode(root)) == {DISK: "a disk that is mounted at /home"}


def test_root_on_device_mapper_and_multipath(root):
    """dm-0 over a disk of an NVMe subsystem: neither link names a PCI function."""
    mapper = root / "sys/devices/virtual/block/dm-0"
    head = root / "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    link(mapper / "slaves/nvme0n1", head)
    link(root / "sys/class/block/dm-0", mapper)
    link(root / "sys/dev/block/253:0", mapper)
    head.mkdir(parents=True)
    link(root / "sys/class/block/nvme0n1", head)
    controller = device(root, DISK) / "nvme/nvme0"
    controller.mkdir(parents=True)
    link(head.parent / "nvme0", controller)
    file(root, "proc/self/mountinfo", "29 1 253:0 / / rw - xfs /dev/mapper/root rw\n")
    assert in_use(LocalNode(root)) == {DISK: "the disk of the root file system"}


def test_swap(root):
    disk(root, DISK, "nvme/nvme0/nvme0n1/nvme0n1p1")
    file(root, "proc/swaps", "Filename Type Size Used Priority\n/dev/nvme0n1p1 partition 1 0 -2\n")
    assert in_use(LocalNode(root)) == {DISK: "a disk with swap in use"}


def test_default_route_also_over_a_bond_and_ipv6(root):
    for address, name in ((NIC, "ens1"), (PEER, "ens2")):
        place = device(root, address) / "net" / name
        place.mkdir(parents=True)
        link(root / "sys/class/net" / name, place)
    bond = root / "sys/devices/virtual/net/bond0"
    link(bond / "lower_ens1", root / "sys/class/net/ens1")
    link(root / "sys/class/net/bond0", bond)
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    file(root, "proc/net/route", head + "ens2 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\nbond0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n")
    assert in_use(LocalNode(root)) == {NIC: "the network interface bond0 with the default route"}
    zero = "0" * 32
    file(root, "proc/net/ipv6_route", f"{zero} 00 {zero} 00 fe80{'0' * 28} 00000400 1 0 00000003 ens2\n{zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo\n")
    assert set(in_use(LocalNode(root))) == {NIC, PEER}


def test_console(root):
    file(root, f"sys/bus/pci/devices/{GPU}/boot_vga", "1\n")
    file(root, f"sys/bus/pci/devices/{PEER}/boot_vga", "0\n")
    assert in_use(LocalNode(root)) == {GPU: "the console (boot_vga)"}


def test_zfs_does_not_tell_which_disks_so_all_may_be(root):
    disk(root, DISK, "nvme/nvme0/nvme0n1/nvme0n1p3")
    file(root, "proc/self/mountinfo", "29 1 0:25 / / rw - zfs rpool/ROOT/debian rw\n")
    assert in_use(LocalNode(root)) == {DISK: "a disk that may be in the ZFS pool rpool, mounted at /: the kernel does not tell which disks are"}


def test_btrfs_over_two_disks_and_bcachefs(root):
    disk(root, DISK, "nvme/nvme0/nvme0n1")
    disk(root, PEER, "nvme/nvme1/nvme1n1")
    for name in ("nvme0n1", "nvme1n1"):
        (root / "sys/fs/btrfs/0000-uuid/devices" / name).mkdir(parents=True)
    file(root, "proc/self/mountinfo", "29 1 0:25 /@ / rw - btrfs /dev/nvme0n1 rw\n")
    assert set(in_use(LocalNode(root))) == {DISK, PEER}
    file(root, "proc/self/mountinfo", "29 1 0:25 / / rw - bcachefs /dev/nvme0n1:/dev/nvme1n1 rw\n")
    assert set(in_use(LocalNode(root))) == {DISK, PEER}


ROUTES = ("Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
          "ens2 0000000A 00000000 0001 0 0 0 000000FF 0 0 0\nens1 0001000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n")
HEAD = "  sl  local_address rem_address   st\n"


def interface(root, address, name):
    place = device(root, address) / "net" / name
    place.mkdir(parents=True)
    link(root / "sys/class/net" / name, place)


@pytest.mark.parametrize(("table", "line", "use"), [
    ("tcp", "0501000A:0016 0901000A:C350 01", "that carries an SSH session"),
    ("tcp", "0501000A:1F90 0901000A:C350 01", "with open TCP connections"),
    ("tcp", "0501000A:0016 00000000:0000 0A", None),
    ("tcp", "0100007F:0016 0100007F:C350 01", None),
    ("tcp6", "0000000000000000FFFF00000501000A:0016 0000000000000000FFFF00000901000A:C350 01", "that carries an SSH session"),
    ("tcp6", "B80D0120000000000000000005000000:0016 B80D0120000000000000000009000000:C350 01", "that carries an SSH session"),
    ("tcp6", "00000000000000000000000001000000:0016 00000000000000000000000001000000:C350 01", None),
])
def test_the_session_by_route_or_local_address(root, table, line, use):
    """10.0.1.5 talks to 10.0.1.9: of two routes that fit, the longer one; 2001:db8::5 is an address of ens1."""
    interface(root, NIC, "ens1")
    interface(root, PEER, "ens2")
    file(root, "proc/net/route", ROUTES)
    file(root, "proc/net/if_inet6", "20010db8000000000000000000000005 02 40 00 80     ens1\n00000000000000000000000000000001 01 80 10 80       lo\n")
    file(root, f"proc/net/{table}", f"{HEAD}   0: {line} 00000000:00000000\n")
    assert in_use(LocalNode(root)) == ({NIC: f"the network interface ens1 {use}"} if use else {})


def open_file(root, process, name, target):
    (root / f"proc/{process}/fd").mkdir(parents=True, exist_ok=True)
    (root / f"proc/{process}/fd/{name}").symlink_to(target)
    file(root, f"proc/{process}/comm", "python\n")


def test_what_processes_hold_open(root):
    open_file(root, 41, "3", "/dev/nvidia5")
    open_file(root, 41, "4", "socket:[77]")
    open_file(root, 42, "0", "/dev/vfio/8")
    open_file(root, 43, "0", "/dev/dri/renderD129")
    file(root, f"proc/driver/nvidia/gpus/{GPU}/information", "Model: H100\nDevice Minor: \t 5\n")
    link(root / "sys/class/drm/renderD129", device(root, PEER) / "drm/renderD129")
    assert in_use(LocalNode(root)) == {GPU: "open (/dev/nvidia5) in process 41 python", NIC: "open (/dev/vfio/8) in process 42 python",
                                       PEER: "open (/dev/dri/renderD129) in process 43 python"}
