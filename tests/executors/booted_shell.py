"""A real kernel on an emulated fabric, for tests: boots once, runs a shell script as init, gives back what it printed.

The kernel is the lab's 6.1 (`scripts/lab-kernels`), and nothing else here is the lab's: what is tested against this kernel shares no code with it.
The fabric: an NVMe with four virtual functions, a plain NVMe and a network device, each below a root port with ACS, behind an Intel IOMMU.
"""

from __future__ import annotations

import base64
import gzip
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from simkit.executors.lab.errors import LabUnavailable
from simkit.executors.lab.kernel import Kernel, find

_MODULES = ("irqbypass", "vfio", "vfio_virqfd", "iommufd", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci")
_LIMIT_S = 120
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
for module in {modules}; do [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko; done
echo @@begin
. /run.sh
echo @@end
poweroff -f
"""
DUMP = r"""
mkdir -p /copy/sys/bus/pci/drivers /copy/proc
for folder in $(find /sys/devices/pci0000:00 -name '*:*:*.*' -type d) /sys/kernel/iommu_groups/*; do
  mkdir -p /copy$folder
  for name in vendor device class revision numa_node driver_override sriov_totalvfs sriov_numvfs sriov_drivers_autoprobe sriov_offset sriov_stride \
      sriov_vf_device config type reset_method; do [ ! -f $folder/$name ] || cat $folder/$name > /copy$folder/$name 2>/dev/null; done
  for link in driver iommu_group subsystem physfn; do [ ! -L $folder/$link ] || cp -d $folder/$link /copy$folder/; done
done
cp -a /sys/bus/pci/devices /copy/sys/bus/pci/
for group in /sys/kernel/iommu_groups/*; do cp -a $group/devices /copy$group/; done
for driver in /sys/bus/pci/drivers/*; do
  mkdir /copy$driver; : > /copy$driver/bind; : > /copy$driver/unbind
  for link in $driver/*:*; do [ ! -L $link ] || cp -d $link /copy$driver/; done
done
: > /copy/sys/bus/pci/drivers_probe; cat /proc/version > /copy/proc/version; cat /proc/cmdline > /copy/proc/cmdline
echo @@tree; tar -C /copy -c . | gzip | base64; echo @@tree-end
"""
"""Prints the node's sysfs as a tar between two markers; `tree` unpacks it."""


def kernel() -> Kernel:
    """The kernel that the recorded node is held against; skips the test that asks where something is missing."""
    for program in ("qemu-system-x86_64", "busybox", "cpio", "setpci"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here: the emulated machine needs it")
    try:
        return find("6.1")
    except LabUnavailable as error:
        pytest.skip(str(error))


def boot(kernel: Kernel, script: str, folder: Path, *, programs: tuple[str, ...] = ()) -> str:
    """What `script` prints, run as root by busybox's shell on the booted machine; `programs` are copied into it with their libraries."""
    root = folder / "initramfs"
    for name in ("bin", "proc", "sys", "dev", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), root / "bin/busybox")
    for program in programs:
        _with_libraries(Path(str(shutil.which(program))), root)
    for module in _MODULES:
        for path in (kernel.modules / "kernel").rglob(f"{module}.ko"):
            shutil.copy(path, root / "modules")
    (root / "init").write_text(_INIT.format(modules=" ".join(_MODULES)))
    (root / "init").chmod(0o755)
    (root / "run.sh").write_text(script)
    names = b"\n".join(str(path.relative_to(root)).encode() for path in sorted(root.rglob("*")))
    (folder / "initrd").write_bytes(subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names, cwd=root, capture_output=True, check=True).stdout)
    (folder / "disk").write_bytes(bytes(1 << 20))
    done = subprocess.run(_machine(kernel, folder), stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=True)
    printed = done.stdout.decode("utf-8", "replace").replace("\r", "")
    found = re.search(r"@@begin\n(.*)@@end\n", printed, re.DOTALL)
    assert found, f"the machine did not come to its end: {printed[-2000:]}"
    return found[1]


def _machine(kernel: Kernel, folder: Path) -> list[str]:
    ports = [word for slot in (2, 3, 4) for word in ("-device", f"pcie-root-port,id=rp{slot},bus=pcie.0,addr={slot}.0,chassis={slot},slot={slot}")]
    return ["qemu-system-x86_64", "-machine", "q35,accel=tcg,kernel-irqchip=split", "-cpu", "max", "-smp", "1", "-m", "512", "-nodefaults", "-nographic",
            "-no-reboot", "-serial", "stdio", "-kernel", str(kernel.image), "-initrd", str(folder / "initrd"),
            "-append", "console=ttyS0 quiet loglevel=1 panic=-1 intel_iommu=on", "-device", "intel-iommu,intremap=on,device-iotlb=on", *ports,
            "-device", "nvme-subsys,id=subsystem,nqn=subsystem",
            "-device", "nvme,serial=pf,bus=rp2,subsys=subsystem,sriov_max_vfs=4,sriov_vq_flexible=10,sriov_vi_flexible=5,max_ioqpairs=14,msix_qsize=19",
            "-drive", f"if=none,id=disk,file={folder / 'disk'},format=raw", "-device", "nvme,serial=plain,bus=rp3,drive=disk",
            "-device", "virtio-rng-pci,bus=rp4,disable-legacy=on"]


def _with_libraries(program: Path, root: Path) -> None:
    shutil.copy(program, root / "bin" / program.name)
    for library in re.findall(r"(/\S+)", subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


def tree(printed: str, folder: Path) -> Path:
    """What `DUMP` printed, unpacked below `folder`."""
    packed = re.search(r"@@tree\n(.*?)@@tree-end\n", printed, re.DOTALL)
    assert packed
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(packed[1])))) as archive:
        archive.extractall(folder, filter="data")
    return folder
