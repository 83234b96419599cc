"""The lab: an emulated copy of a host, booted on a stock kernel, to read what that kernel says and to try what a plan does.

    lab = Lab("6.12")
    machine = lab.machine(host)          # machine.inexpressible says what is not as on the host
    with lab.boot(machine) as session:
        session.host()                   # groups, NUMA nodes, config space, as the kernel shows them
        session.bind(machine.addresses[gpu], "vfio-pci")

No KVM, no root, no network: QEMU emulates all, and a boot takes a few seconds. QEMU, a static busybox and a kernel must be
there; `scripts/lab-kernels` fetches kernels from Debian's packages.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simkit.executors.lab.console import Console
from simkit.executors.lab.errors import LabUnavailable
from simkit.executors.lab.initrd import find_busybox, initrd
from simkit.executors.lab.kernel import VFIO_MODULES, Kernel, default_folder, find
from simkit.executors.lab.machine import Machine, express
from simkit.executors.lab.platforms import Platform, platform
from simkit.executors.lab.session import Session
from simkit.executors.lab.unpacked import unpacked
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.plan import attributes

_CMDLINE = ("quiet loglevel=1 panic=-1 no_timer_check pci=hpiosize=0,hpmemsize=0 cryptomgr.notests "
            "initcall_blacklist=load_system_certificate_list,i8042_init,wakeup_sources_init")
"""What the kernel is told on every machine. `panic` and the console apart it saves time, and no word of it acts on what is read back.

Room for hot-plugging (`pci_hotplug_io_size`) would have the kernel move every bridge's windows, which QEMU answers by laying out all address
spaces anew, each device's its own behind an IOMMU: most of a large machine's boot. The timer's check fails on a busy machine
(`check_timer`: panic). Certificates, the keyboard's controller and the ciphers' self-tests are not looked at.
"""
_FIRMWARE = "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"


@dataclass(frozen=True, slots=True)
class Lab:
    """One kernel to boot with one QEMU. `kernel` is a release's beginning (``6.12``), a `Kernel`, or None for the newest there is.

    `kernels` is the folder of unpacked kernels (see `simkit.executors.lab.kernel`), `limit_s` how long a boot may take. `qemu` takes the place
    of the program that the machine's architecture calls for; `devicetree` has Arm's machines described by one, instead of by ACPI's tables.
    """

    kernel: Kernel | str | None = None
    kernels: Path | None = None
    qemu: str | None = None
    busybox: Path | None = None
    limit_s: float = 60
    devicetree: bool = False

    def find_kernel(self, *, iommu: IommuKind = IommuKind.INTEL) -> Kernel:
        """The kernel that will boot, with a driver for this IOMMU.

        Raises:
            LabUnavailable: there is none.
        """
        return self._kernel(self._platform(iommu), amd=iommu is IommuKind.AMD)

    def check(self, *, iommu: IommuKind = IommuKind.INTEL) -> None:
        """Look whether all is there that a boot with this IOMMU needs.

        Raises:
            LabUnavailable: something is missing; the text says what, and how to get it.
        """
        place = self._platform(iommu)
        self._devices(place)
        self._firmware(place)
        self._busybox(place)
        self.find_kernel(iommu=iommu)

    def machine(self, host: Host, *, iommu: IommuKind | None = None) -> Machine:
        """An emulated machine like `host`, for this lab's kernel and QEMU; `iommu` takes the place of the host's.

        Raises:
            LabUnavailable: kernel or QEMU is missing.
            NotBuildable: the host is too large.
        """
        kind = iommu or (host.iommu if isinstance(host.iommu, IommuKind) else IommuKind.INTEL)
        kernel = self.find_kernel(iommu=kind).release
        return express(host, kernel=kernel, has=self._devices(self._platform(kind)), iommu=iommu, devicetree=self.devicetree)

    def read(self, machine: Machine) -> Host:
        """What the kernel says of a machine: groups, NUMA nodes, configuration space; booted for that alone, and gone.

        No modules are loaded, and ports are left without their driver (`pcie_ports=compat`), which takes a good part of a large machine's boot and
        has no say in groups; on an SMMU it has, before 6.15, so there it stays.

        Raises:
            LabUnavailable: kernel, QEMU or busybox is missing.
            LabFailed: it does not boot within the limit, or not as it should.
        """
        spared = "" if machine.host.iommu is IommuKind.SMMU else "pcie_ports=compat"
        with self.boot(machine, cmdline=spared, modules=() if not machine.vfs else VFIO_MODULES) as session:
            return session.host()

    @contextmanager
    def boot(self, machine: Machine, *, cmdline: str = "", modules: tuple[str, ...] = VFIO_MODULES) -> Iterator[Session]:
        """A booted machine, gone when the `with` ends. `cmdline` is added to the kernel's, `modules` are loaded with all they need.

        The machine's virtual functions are made first, without drivers: by NVMe's driver, or by vfio-pci: for network cards, and on AMD, where
        QEMU's NVMe gets no interrupts (seen with 7.2).

        Raises:
            LabUnavailable: kernel, QEMU or busybox is missing.
            LabFailed: it does not boot within the limit, or not as it should.
        """
        place, amd = machine.platform, machine.host.iommu is IommuKind.AMD
        kernel = self._kernel(place, amd=amd)
        drivers = modules if amd else (*modules, "nvme")
        with tempfile.TemporaryDirectory(prefix="simkit-lab-") as folder:
            archive = Path(folder) / "initrd.gz"
            archive.write_bytes(initrd(self._busybox(place), kernel.with_dependencies(drivers), console=place.architecture.console))
            words = " ".join(word for word in (f"console={place.architecture.console}", _CMDLINE, machine.cmdline, cmdline) if word)
            command = [self._program(place), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-chardev", "stdio,id=serial,signal=off",
                       "-serial", "chardev:serial", *self._firmware(place), "-kernel", str(unpacked(kernel.image)), "-initrd", str(archive), "-append", words,
                       *machine.args]
            with Console(command, limit_s=self.limit_s, name=f"lab:{machine.host.name}:{kernel.release}") as console:
                session = Session(console)
                for physical, count in machine.vfs:
                    if amd or machine.host[physical].kind is not Kind.NVME:
                        session.bind(physical, attributes.VFIO)
                    else:
                        session.await_driver(physical)
                    session.set_vfs(physical, count)
                yield session

    def _platform(self, iommu: IommuKind) -> Platform:
        return platform(iommu, devicetree=self.devicetree)

    def _kernel(self, place: Platform, *, amd: bool) -> Kernel:
        return self.kernel if isinstance(self.kernel, Kernel) else find(self.kernel, self.kernels, amd=amd, architecture=place.architecture)

    def _program(self, place: Platform) -> str:
        return self.qemu or place.architecture.qemu

    def _busybox(self, place: Platform) -> bytes:
        return find_busybox(self.busybox, architecture=place.architecture, folder=self.kernels or default_folder())

    def _firmware(self, place: Platform) -> tuple[str, ...]:
        """QEMU's words for the UEFI of a machine that has to be given one: unpacked beside the kernels, or installed.

        Raises:
            LabUnavailable: there is none.
        """
        if not place.firmware:
            return ()
        folder = self.kernels or default_folder()
        found = next((path for path in (*sorted(folder.glob(f"*/{_FIRMWARE}")), Path("/") / _FIRMWARE) if path.is_file()), None)
        if found is None:
            raise LabUnavailable("no UEFI for Arm's machine", where=str(folder), remedy="run scripts/lab-kernels, or install qemu-efi-aarch64")
        return ("-bios", str(found))

    def _devices(self, place: Platform) -> frozenset[str]:
        """The devices that QEMU has for this platform.

        Raises:
            LabUnavailable: it cannot be run, or lacks some that every version has.
        """
        program, package = self._program(place), place.architecture.package
        if shutil.which(program) is None:
            raise LabUnavailable("no QEMU", where=program, remedy=f"install {package}")
        listed = subprocess.run([program, "-device", "help"], capture_output=True, text=True, timeout=60, check=False)
        found = frozenset(line.split('"')[1] for line in f"{listed.stdout}\n{listed.stderr}".splitlines() if line.startswith('name "'))
        if missing := place.needs - found:
            raise LabUnavailable(f"this QEMU has no {', '.join(sorted(missing))}", where=program, remedy=f"install {package} 7.2 or later")
        return found
