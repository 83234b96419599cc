"""A booted machine in the hands of a test or a rehearsal: read it, and do to its devices what a node's root can do."""

from __future__ import annotations

import re
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

from simkit.errors import UnknownName
from simkit.executors.lab.console import Console
from simkit.executors.lab.facts import fetch
from simkit.executors.lab.node import LabNode
from simkit.formats.pci.config_space import EXT_ACS, EXTENDED, find_extended
from simkit.formats.sysfs.files import FolderFiles
from simkit.formats.sysfs.reader import read
from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.host import Host
from simkit.model.place import Place, Places
from simkit.plan import attributes

_ADDED = re.compile(r" (\w{4,}:\w\w:\w\w\.\w): Adding to iommu group")


class Session:
    """One booted machine. `node` is what `simkit.executors.apply` applies plans to; refused writes raise ExecutorError with the kernel's errno."""

    def __init__(self, console: Console) -> None:
        """The console stays its owner's to close."""
        self.console = console
        self.node = LabNode(console)

    def capture(self, folder: Path) -> None:
        """Copy the machine's sysfs and procfs into `folder`, as far as readers of recorded nodes need it.

        Raises:
            LabFailed: it arrives damaged, or the machine does not answer.
        """
        fetch(self.console, folder)

    def host(self) -> Host:
        """All that the kernel shows of the machine now.

        Raises:
            LabFailed: as `capture`.
        """
        with tempfile.TemporaryDirectory(prefix="simkit-lab-") as place:
            self.capture(Path(place))
            found = read(FolderFiles(Path(place)), name=self.console.name)
        return replace(found, places=Places(root=Place(self.console.name)))

    def dmesg(self, pattern: str = "iommu|DMAR|AMD-Vi|ACS|vfio|pci ") -> tuple[str, ...]:
        """The kernel's messages that match a pattern of `grep -E`."""
        quoted = pattern.replace("'", "'\\''")
        return tuple(self.console.run(f"dmesg | grep -E '{quoted}'")[1].decode("utf-8", "replace").splitlines())

    def probe_order(self) -> tuple[Address, ...]:
        """The functions in the order in which the kernel grouped them since boot, as its log tells."""
        found = (_ADDED.search(line) for line in self.dmesg("Adding to iommu group"))
        return tuple(dict.fromkeys(Address.parse(match[1]) for match in found if match is not None))

    def driver(self, address: Address) -> str | None:
        """The driver that a function is bound to now."""
        link = self.node.readlink(attributes.bound(address))
        return None if link is None else link.rpartition("/")[2]

    def await_driver(self, address: Address, *, limit_s: int = 20) -> str | None:
        """The driver that a function is bound to as soon as there is one: drivers probe in the background after boot; None where none comes."""
        link, tries = attributes.bound(address), 10 * limit_s
        self.console.run(f"n=0; until [ -e /{link} ] || [ $n -ge {tries} ]; do n=$((n+1)); usleep 100000; done", limit_s=2 * limit_s)
        return self.driver(address)

    def group(self, address: Address) -> int | None:
        """The function's IOMMU group now."""
        link = self.node.readlink(f"{attributes.device(address)}/iommu_group")
        return None if link is None else int(link.rpartition("/")[2])

    def vfio_groups(self) -> tuple[int, ...]:
        """The groups that VFIO offers: the files in /dev/vfio."""
        return tuple(sorted(int(name) for name in self.node.listdir("dev/vfio") if name.isdecimal()))

    def bind(self, address: Address, driver: str | None) -> str | None:
        """Bind a function to `driver` by override, or to whatever the kernel finds for it (None); the driver it then has."""
        self.node.write(attributes.override(address), (driver or "\n").encode())
        bound = self.driver(address)
        if bound is not None:
            self.node.write(attributes.unbind(bound), str(address).encode())
        self.node.write(attributes.PROBE, str(address).encode())
        return self.driver(address)

    def reset(self, address: Address) -> None:
        """Reset a function by the first method it offers (`reset_method`)."""
        self.node.write(f"{attributes.device(address)}/reset", b"1")

    def set_vfs(self, address: Address, count: int) -> None:
        """Make virtual functions, without drivers on them."""
        self.node.write(attributes.autoprobe(address), b"0")
        self.node.write(attributes.numvfs(address), str(count).encode())

    def acs(self, address: Address) -> AcsBits:
        """A function's ACS control now.

        Raises:
            UnknownName: it has no ACS capability, or is not there.
        """
        return self._acs(address)[1]

    def set_acs(self, address: Address, control: AcsBits) -> AcsBits:
        """Write a function's ACS control at run time; what it then reads. Groups stay as they are until the functions below are probed again."""
        place, _ = self._acs(address)
        self.node.write(attributes.config(address), struct.pack("<H", control), place)
        return self.acs(address)

    def _acs(self, address: Address) -> tuple[int, AcsBits]:
        config = self.node.read(attributes.config(address), EXTENDED) or b""
        offset = find_extended(config, EXT_ACS)
        if offset is None:
            raise UnknownName(f"{address} has no ACS capability", where=self.console.name, remedy="root ports of the lab have one where the host's do")
        return offset + 6, AcsBits(struct.unpack_from("<H", config, offset + 6)[0])

    def remove(self, address: Address) -> None:
        """Take a function, and all below it, out of the kernel."""
        self.node.write(f"{attributes.device(address)}/remove", b"1")

    def rescan(self) -> None:
        """Have the kernel look for functions again."""
        self.node.write("sys/bus/pci/rescan", b"1")
