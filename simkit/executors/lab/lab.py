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
from simkit.executors.lab.kernel import VFIO_MODULES, Kernel, find
from simkit.executors.lab.machine import Machine, express
from simkit.executors.lab.session import Session
from simkit.executors.lab.standins import ALWAYS
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.plan import attributes

QEMU = "qemu-system-x86_64"
_CMDLINE = "console=ttyS0 quiet loglevel=1 panic=-1"


@dataclass(frozen=True, slots=True)
class Lab:
    """One kernel to boot with one QEMU. `kernel` is a release's beginning (``6.12``), a `Kernel`, or None for the newest there is.

    `kernels` is the folder of unpacked kernels (see `simkit.executors.lab.kernel`), `limit_s` how long a boot may take.
    """

    kernel: Kernel | str | None = None
    kernels: Path | None = None
    qemu: str = QEMU
    busybox: Path | None = None
    limit_s: float = 60

    def find_kernel(self, *, amd: bool = False) -> Kernel:
        """The kernel that will boot; `amd` asks for one with the driver for AMD's IOMMU.

        Raises:
            LabUnavailable: there is none.
        """
        return self.kernel if isinstance(self.kernel, Kernel) else find(self.kernel, self.kernels, amd=amd)

    def check(self, *, amd: bool = False) -> None:
        """Look whether all is there that a boot needs.

        Raises:
            LabUnavailable: something is missing; the text says what, and how to get it.
        """
        self._devices()
        find_busybox(self.busybox)
        self.find_kernel(amd=amd)

    def machine(self, host: Host, *, iommu: IommuKind | None = None) -> Machine:
        """An emulated machine like `host`, for this lab's kernel and QEMU; `iommu` takes the place of the host's.

        Raises:
            LabUnavailable: kernel or QEMU is missing.
            NotBuildable: the host is too large.
        """
        amd = (iommu or host.iommu) is IommuKind.AMD
        return express(host, kernel=self.find_kernel(amd=amd).release, has=self._devices(), iommu=iommu)

    @contextmanager
    def boot(self, machine: Machine, *, cmdline: str = "", modules: tuple[str, ...] = VFIO_MODULES) -> Iterator[Session]:
        """A booted machine, gone when the `with` ends. `cmdline` is added to the kernel's, `modules` are loaded with all they need.

        The machine's virtual functions are made first, without drivers: by NVMe's driver, on AMD, where QEMU's NVMe gets no interrupts
        (seen with 7.2), by vfio-pci.

        Raises:
            LabUnavailable: kernel, QEMU or busybox is missing.
            LabFailed: it does not boot within the limit, or not as it should.
        """
        amd = machine.host.iommu is IommuKind.AMD
        kernel = self.find_kernel(amd=amd)
        drivers = modules if amd else (*modules, "nvme")
        with tempfile.TemporaryDirectory(prefix="simkit-lab-") as place:
            archive = Path(place) / "initrd.gz"
            archive.write_bytes(initrd(find_busybox(self.busybox), kernel.with_dependencies(drivers)))
            words = " ".join(word for word in (_CMDLINE, machine.cmdline, cmdline) if word)
            command = [self.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-chardev", "stdio,id=serial,signal=off",
                       "-serial", "chardev:serial", "-kernel", str(kernel.image), "-initrd", str(archive), "-append", words, *machine.args]
            with Console(command, limit_s=self.limit_s, name=f"lab:{machine.host.name}:{kernel.release}") as console:
                session = Session(console)
                for physical, count in machine.vfs:
                    if amd:
                        session.bind(physical, attributes.VFIO)
                    else:
                        session.await_driver(physical)
                    session.set_vfs(physical, count)
                yield session

    def _devices(self) -> frozenset[str]:
        """The devices that this QEMU has.

        Raises:
            LabUnavailable: it cannot be run, or lacks some that every version has.
        """
        if shutil.which(self.qemu) is None:
            raise LabUnavailable("no QEMU", where=self.qemu, remedy="install qemu-system-x86")
        listed = subprocess.run([self.qemu, "-device", "help"], capture_output=True, text=True, timeout=60, check=False)
        found = frozenset(line.split('"')[1] for line in f"{listed.stdout}\n{listed.stderr}".splitlines() if line.startswith('name "'))
        if missing := ALWAYS - found:
            raise LabUnavailable(f"this QEMU has no {', '.join(sorted(missing))}", where=self.qemu, remedy="install qemu-system-x86 7.2 or later")
        return found
