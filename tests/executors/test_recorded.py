"""A recorded node answers writes as Linux does (drivers/base/bus.c, drivers/pci/pci-sysfs.c, iov.c; seen on booted kernels)."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from simkit.errors import ExecutorError, InputError
from simkit.executors.compare import difference, snapshot
from simkit.executors.recorded import RecordedNode
from simkit.formats.pci.config_space import decode
from simkit.testing.small_node import GPU, NIC, write_small_node

DEVICES = "sys/bus/pci/devices"
VFS = f"{DEVICES}/{NIC}/sriov_numvfs"
AUTOPROBE = f"{DEVICES}/{NIC}/sriov_drivers_autoprobe"
OVERRIDE = f"{DEVICES}/{GPU}/driver_override"


@pytest.fixture
def node(tmp_path):
    return RecordedNode(write_small_node(tmp_path / "node"))


def driver(node, address):
    link = node.readlink(f"{DEVICES}/{address}/driver")
    return link and link.rpartition("/")[2]


def refuses(node, path, text, number):
    before = snapshot(node.root)
    with pytest.raises(ExecutorError) as caught:
        node.write(path, text.encode())
    assert caught.value.errno == number
    assert path in str(caught.value)
    assert not difference(before, snapshot(node.root))


def text(node, path):
    return node.read(path).decode()


def test_driver_override_reads_back_as_the_kernel_prints_it(node):
    assert text(node, OVERRIDE) == "(null)\n"
    node.write(OVERRIDE, b"vfio-pci\nrest")
    assert text(node, OVERRIDE) == "vfio-pci\n"
    node.write(OVERRIDE, b"\n")
    assert text(node, OVERRIDE) == "(null)\n"
    refuses(node, OVERRIDE, "x" * 4095, errno.EINVAL)


def test_bind_and_unbind(node):
    refuses(node, "sys/bus/pci/drivers/mlx5_core/unbind", str(GPU), errno.ENODEV)
    refuses(node, "sys/bus/pci/drivers/nvidia/unbind", "0000:77:00.0", errno.ENODEV)
    refuses(node, "sys/bus/pci/drivers/nvidia/bind", str(GPU), errno.EBUSY)
    refuses(node, "sys/bus/pci/drivers/vfio-pci/bind", str(GPU), errno.ENODEV)
    refuses(node, "sys/bus/pci/drivers/nouveau/bind", str(GPU), errno.ENOENT)
    node.write("sys/bus/pci/drivers/nvidia/unbind", f"{GPU}\n".encode())
    assert driver(node, GPU) is None
    refuses(node, "sys/bus/pci/drivers/nvidia/unbind", str(GPU), errno.ENODEV)
    refuses(node, "sys/bus/pci/drivers/mlx5_core/bind", str(GPU), errno.ENODEV)
    node.write("sys/bus/pci/drivers/nvidia/bind", str(GPU).encode())
    assert driver(node, GPU) == "nvidia"


def test_the_override_decides_who_binds(node):
    start = snapshot(node.root)
    node.write(OVERRIDE, b"vfio-pci")
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) == "nvidia", "a bound device is left alone"
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    refuses(node, "sys/bus/pci/drivers/nvidia/bind", str(GPU), errno.ENODEV)
    RecordedNode(node.root).write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) == "vfio-pci"
    assert node.readlink(f"sys/bus/pci/drivers/vfio-pci/{GPU}").endswith(f"/{GPU}")
    node.write(OVERRIDE, b"\n")
    node.write("sys/bus/pci/drivers/vfio-pci/unbind", str(GPU).encode())
    RecordedNode(node.root).write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) == "nvidia"
    assert not difference(start, snapshot(node.root))


def test_vfio_pci_never_takes_a_device_without_an_override(node):
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    node.write(OVERRIDE, b"vfio-pci")
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    node.write(OVERRIDE, b"\n")
    (node.root / ".recorded-node/state.json").unlink()
    node.write("sys/bus/pci/drivers/vfio-pci/unbind", str(GPU).encode())
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) is None
    refuses(node, "sys/bus/pci/drivers/vfio-pci/bind", str(GPU), errno.ENODEV)


def test_probing_without_a_match_is_no_error(node):
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    node.write(OVERRIDE, b"nothing-of-that-name")
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) is None
    refuses(node, "sys/bus/pci/drivers_probe", "0000:77:00.0", errno.ENODEV)


def test_without_the_module_nothing_binds(tmp_path):
    node = RecordedNode(write_small_node(tmp_path / "node"), modules=())
    node.write(OVERRIDE, b"vfio-pci")
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) is None
    refuses(node, "sys/bus/pci/drivers/vfio-pci/bind", str(GPU), errno.ENOENT)


def test_three_while_two_is_busy_zero_then_four_is_fine(node):
    """Seen on Linux 6.1 with QEMU's NVMe."""
    start = snapshot(node.root)
    node.write(AUTOPROBE, b"0")
    node.write(VFS, b"2")
    refuses(node, VFS, "3", errno.EBUSY)
    node.write(VFS, b"2")
    node.write(VFS, b"0")
    node.write(VFS, b"4\n")
    assert text(node, VFS) == "4\n"
    assert [node.readlink(f"{DEVICES}/{NIC}/virtfn{index}") for index in range(5)] == [
        "../0000:05:00.1", "../0000:05:00.3", "../0000:05:00.5", "../0000:05:00.7", None]
    node.write(VFS, b"0x0")
    node.write(AUTOPROBE, b"1")
    assert not difference(start, snapshot(node.root))


@pytest.mark.parametrize(("given", "reads"), [("0x2", 2), ("02", 2), ("+1\n", 1), (" 2", None), ("1_0", None), ("0b1", None), ("2\n\n", None), ("", None)])
def test_numbers_are_those_of_c(node, given, reads):
    """Seen on Linux 6.1 (`kstrtou16`)."""
    if reads is None:
        refuses(node, VFS, given, errno.EINVAL)
    else:
        node.write(VFS, given.encode())
        assert text(node, VFS) == f"{reads}\n"


def test_octal_is_octal(node):
    refuses(node, VFS, "010", errno.ERANGE)


@pytest.mark.parametrize(("given", "reads"), [("oNx", 1), ("of", 0), ("yes", 1), ("tx", 1), ("N", 0), ("0", 0), (" 1", None), ("o", None), ("2", None)])
def test_yes_and_no_are_told_by_the_first_letters(node, given, reads):
    """Seen on Linux 6.1 (`kstrtobool`)."""
    if reads is None:
        refuses(node, AUTOPROBE, given, errno.EINVAL)
    else:
        node.write(AUTOPROBE, given.encode())
        assert text(node, AUTOPROBE) == f"{reads}\n"


def test_the_text_null_is_a_driver_that_there_is_not(node):
    """Seen on Linux 6.1: it reads as no override does, and keeps every driver off; only a newline clears it."""
    start = snapshot(node.root)
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    node.write(OVERRIDE, b"(null)")
    assert text(node, OVERRIDE) == "(null)\n"
    RecordedNode(node.root).write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert driver(node, GPU) is None
    refuses(node, "sys/bus/pci/drivers/nvidia/bind", str(GPU), errno.ENODEV)
    node.write(OVERRIDE, b"\n")
    node.write("sys/bus/pci/drivers_probe", str(GPU).encode())
    assert not difference(start, snapshot(node.root))


def test_a_name_with_white_space_is_no_device(node):
    refuses(node, "sys/bus/pci/drivers_probe", f" {GPU}", errno.ENODEV)
    refuses(node, "sys/bus/pci/drivers/nvidia/unbind", f"{GPU} ", errno.ENODEV)


def test_a_physical_function_on_vfio_pci_makes_no_vfs(node):
    """Seen on Linux 6.1: without the module's enable_sriov."""
    node.write(f"{DEVICES}/{NIC}/driver_override", b"vfio-pci")
    node.write("sys/bus/pci/drivers/mlx5_core/unbind", str(NIC).encode())
    node.write("sys/bus/pci/drivers_probe", str(NIC).encode())
    assert driver(node, NIC) == "vfio-pci"
    refuses(node, VFS, "1", errno.ENOENT)


def test_refusals_of_sriov_numvfs(node):
    refuses(node, VFS, "7", errno.ERANGE)
    refuses(node, VFS, "many", errno.EINVAL)
    refuses(node, VFS, "-1", errno.EINVAL)
    refuses(node, AUTOPROBE, "perhaps", errno.EINVAL)
    node.write("sys/bus/pci/drivers/mlx5_core/unbind", str(NIC).encode())
    node.write(VFS, b"0")
    refuses(node, VFS, "1", errno.ENOENT)


def test_vfs_that_leave_the_bridges_buses(node):
    config = node.root / DEVICES / str(NIC) / "config"
    data = bytearray(config.read_bytes())
    struct.pack_into("<H", data, 0x100 + 0x14, 0x100)
    config.write_bytes(data)
    refuses(node, VFS, "1", errno.ENOMEM)


def test_a_new_vf_is_a_function_with_a_group_of_its_own(node):
    node.write(AUTOPROBE, b"0")
    node.write(VFS, b"6")
    vf = f"{DEVICES}/0000:05:01.3"
    assert node.readlink(f"{vf}/physfn") == f"../{NIC}"
    assert [text(node, f"{vf}/{name}") for name in ("vendor", "device", "class", "driver_override")] == ["0x15b3\n", "0x101e\n", "0x020000\n", "(null)\n"]
    assert driver(node, "0000:05:01.3") is None
    groups = [node.readlink(f"{DEVICES}/{node.readlink(f'{DEVICES}/{NIC}/virtfn{index}')[3:]}/iommu_group").rpartition("/")[2] for index in range(6)]
    assert groups == ["10", "11", "12", "13", "14", "15"]
    assert node.listdir("sys/kernel/iommu_groups/15/devices") == ("0000:05:01.3",)
    space = decode(node.read(f"{vf}/config"), where="vf")
    assert (space.vendor_id, space.device_id, space.sriov) == (0xFFFF, 0xFFFF, None)
    assert node.read(f"{vf}/config")[4:6] == b"\0\0"
    nic = decode(node.read(f"{DEVICES}/{NIC}/config"), where="nic")
    assert (nic.sriov.num_vfs, nic.sriov.enabled) == (6, True)


def test_a_vf_below_a_bridge_that_does_not_isolate_joins_its_group(node):
    """`pci_device_group`, step 2: the path up does not isolate, so the port's group is taken."""
    port = node.root / DEVICES / "0000:02:02.0"
    (port / "iommu_group").unlink()
    shared = node.root / "sys/kernel/iommu_groups/8"
    (port / "iommu_group").symlink_to(os.path.relpath(shared, os.path.realpath(port)))
    (shared / "devices/0000:02:02.0").symlink_to(os.path.relpath(os.path.realpath(port), shared / "devices"))
    start = snapshot(node.root)
    node.write(AUTOPROBE, b"0")
    node.write(VFS, b"2")
    assert set(node.listdir("sys/kernel/iommu_groups/8/devices")) == {"0000:02:02.0", str(NIC), "0000:05:00.1", "0000:05:00.3"}
    node.write(VFS, b"0")
    node.write(AUTOPROBE, b"1")
    assert not difference(start, snapshot(node.root))


def test_autoprobe_gives_new_vfs_their_driver(node):
    start = snapshot(node.root)
    node.write(VFS, b"1")
    assert driver(node, "0000:05:00.1") == "mlx5_core"
    node.write(VFS, b"0")
    assert not difference(start, snapshot(node.root))


def test_without_autoprobe_only_an_override_binds_a_vf(node):
    node.write(AUTOPROBE, b"0")
    node.write(VFS, b"1")
    vf = "0000:05:00.1"
    node.write("sys/bus/pci/drivers_probe", vf.encode())
    assert driver(node, vf) is None
    refuses(node, "sys/bus/pci/drivers/mlx5_core/bind", vf, errno.ENODEV)
    node.write(f"{DEVICES}/{vf}/driver_override", b"vfio-pci")
    node.write("sys/bus/pci/drivers_probe", vf.encode())
    assert driver(node, vf) == "vfio-pci"


def test_recorded_vfs_come_back_as_they_were(node):
    """A tree recorded with VFs (here: made, then forgotten to be made) is the same after 0 and back."""
    node.write(VFS, b"2")
    (node.root / ".recorded-node/state.json").unlink()
    (node.root / ".recorded-node").rmdir()
    (node.root / DEVICES / "0000:05:00.3" / "numa_node").write_text("7\n")
    start = snapshot(node.root)
    node.write(VFS, b"0")
    node.write(AUTOPROBE, b"0")
    node.write(VFS, b"3")
    assert driver(node, "0000:05:00.3") is None
    node.write(VFS, b"0")
    node.write(AUTOPROBE, b"1")
    node.write(VFS, b"2")
    assert driver(node, "0000:05:00.3") == "mlx5_core"
    assert not difference(start, snapshot(node.root))


def test_links_written_in_another_way_are_kept(node):
    link = node.root / DEVICES / str(GPU) / "driver"
    link.unlink()
    link.symlink_to("../../../../../bus/../bus/pci/drivers/nvidia".replace("../../../../../", "../" * 6))
    assert link.exists()
    (node.root / f"sys/bus/pci/drivers/nvidia/{GPU}").unlink()
    start = snapshot(node.root)
    node.write("sys/bus/pci/drivers/nvidia/unbind", str(GPU).encode())
    assert driver(node, GPU) is None
    node.write("sys/bus/pci/drivers/nvidia/bind", str(GPU).encode())
    assert not difference(start, snapshot(node.root))


def control(node, address):
    """The register by hand: ACS is the first extended capability, at 0x100."""
    data = node.read(f"{DEVICES}/{address}/config")
    assert struct.unpack_from("<H", data, 0x100) == (0x000D,)
    return struct.unpack_from("<H", data, 0x106)[0]


def test_only_implemented_acs_bits_stick(node):
    path = f"{DEVICES}/0000:02:01.0/config"
    assert control(node, "0000:02:01.0") == 0
    node.write(path, b"\xff\xff", 0x106)
    assert control(node, "0000:02:01.0") == 0x5F
    node.write(path, b"\x1d", 0x106)
    assert control(node, "0000:02:01.0") == 0x1D
    before = snapshot(node.root)
    node.write(path, b"\xff\xff", 0x104)
    node.write(path, b"\xff\xff", 0x00)
    node.write(f"{DEVICES}/{GPU}/config", b"\xff\xff", 0x106)
    assert not difference(before, snapshot(node.root))
    with pytest.raises(ExecutorError) as caught:
        node.write(path, b"\0", 4096)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize(("path", "number"), [
    (f"{DEVICES}/{GPU}/vendor", errno.EACCES), (f"{DEVICES}/{GPU}", errno.EISDIR), ("proc/version", errno.EACCES), (f"{DEVICES}/{GPU}/none", errno.ENOENT),
    ("sys/bus/pci/drivers/nvidia/new_id", errno.ENOENT), ("../escape", errno.EINVAL), ("/etc/passwd", errno.EINVAL), ("", errno.EINVAL),
])
def test_everything_else_is_read_only(node, path, number):
    refuses(node, path, "1", number)


def test_links_that_lead_out_are_refused(node, tmp_path):
    (tmp_path / "outside").write_text("secret")
    (node.root / "sys/way-out").symlink_to(tmp_path / "outside")
    with pytest.raises(ExecutorError, match="leads out"):
        node.read("sys/way-out")
    refuses(node, "sys/way-out", "1", errno.EPERM)


def test_a_folder_without_devices_is_no_node(tmp_path):
    with pytest.raises(InputError, match="no PCI devices"):
        RecordedNode(tmp_path)
