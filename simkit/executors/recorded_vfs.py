"""Virtual functions of a recorded node: what `sriov_enable` and `sriov_disable` (drivers/pci/iov.c) do to its tree."""

from __future__ import annotations

import errno
import os
import shutil
import struct
from collections.abc import Iterator
from itertools import count as counting
from pathlib import Path

from simkit.executors.node import refusal
from simkit.executors.recorded_memory import Memory
from simkit.formats.pci.config_space import find_extended
from simkit.model.address import Address
from simkit.plan import attributes

_SRIOV = 0x0010
_CONTROL, _NUM_VFS, _OFFSET, _STRIDE, _DEVICE = 0x08, 0x10, 0x14, 0x16, 0x1A
_ENABLE = 0x01 | 0x08
_GROUPS = "sys/kernel/iommu_groups"
_SHARED = ("class", "vendor", "revision", "subsystem_vendor", "subsystem_device", "numa_node", "local_cpulist", "local_cpus", "ari_enabled",
           "current_link_speed", "current_link_width", "max_link_speed", "max_link_width", "dma_mask_bits", "consistent_dma_mask_bits")
_DRIVERS = {"igb": "igbvf", "ixgbe": "ixgbevf", "i40e": "iavf", "ice": "iavf"}


class VirtualFunctions:
    """The virtual functions of one physical function, whose folder is `physical`."""

    def __init__(self, root: Path, memory: Memory, physical: Path) -> None:
        """Only looks."""
        self.root, self.memory, self.physical = root, memory, physical
        self.config = physical / "config"

    @property
    def total(self) -> int:
        """`sriov_totalvfs`."""
        return int(self._file("sriov_totalvfs") or "0")

    @property
    def count(self) -> int:
        """`sriov_numvfs`."""
        return int(self._file("sriov_numvfs") or "0")

    def all(self) -> tuple[Path, ...]:
        """The folders of those there are, by index."""
        links = (self.physical / f"virtfn{index}" for index in range(self.count))
        return tuple(Path(os.path.realpath(link)) for link in links if link.is_symlink())

    def remove(self) -> None:
        """Take all away (`sriov_disable`); none may be bound."""
        before = self.count
        for index, folder in enumerate(self.all()):
            self.memory.unlink(self.physical / f"virtfn{index}")
            self.memory.unlink(self.root / attributes.DEVICES / folder.name)
            self._ungroup(folder)
            if folder.name in self.memory.literal:
                self.memory.literal.remove(folder.name)
            if folder.name in self.memory.made:
                self.memory.made.remove(folder.name)
                self.memory.natural.pop(folder.name, None)
                self.memory.changes.remove(folder)
            else:
                if (folder / "driver_override").exists():
                    self.memory.changes.write(folder / "driver_override", f"{attributes.NO_OVERRIDE}\n".encode())
                self.memory.put_away("removed", folder.name, folder)
        self._set_count(before, 0)

    def make(self, number: int, path: str) -> Iterator[Path]:
        """Make `number` virtual functions, yielding each folder once it can be probed; `path` is where refusals happen.

        Raises:
            ExecutorError: EIO where offset and stride are not recorded, ENOMEM where the bridge has no bus numbers for them.
        """
        offset, stride = self._register(_OFFSET, "sriov_offset"), self._register(_STRIDE, "sriov_stride")
        if not offset or (number > 1 and not stride):
            raise refusal(errno.EIO, path, "FirstVFOffset and VFStride were not recorded")
        address = Address.parse(self.physical.name)
        last = address.routing_id + offset + (number - 1) * stride
        if last >> 8 > self._last_bus(address.bus):
            raise refusal(errno.ENOMEM, path, f"bus {last >> 8:02x} lies outside the bridge's range")
        for index in range(number):
            yield self._make(index, Address.from_routing_id(address.domain, address.routing_id + offset + index * stride))
        self._set_count(0, number)

    def _make(self, index: int, address: Address) -> Path:
        folder = self.physical.parent / str(address)
        if not self.memory.take_back("removed", str(address), folder):
            self._write(folder)
            self.memory.made.append(str(address))
            driver = (self.physical / "driver").readlink().name
            self.memory.natural[str(address)] = _DRIVERS.get(driver, driver)
        self.memory.link(self.root / attributes.DEVICES / str(address), folder)
        self.memory.link(self.physical / f"virtfn{index}", folder)
        self._group(folder)
        return folder

    def _write(self, folder: Path) -> None:
        self.memory.changes.make_folder(folder)
        for name in _SHARED:
            if (self.physical / name).is_file():
                shutil.copyfile(self.physical / name, folder / name)
        device = self._register(_DEVICE, "sriov_vf_device")
        files = {"driver_override": f"{attributes.NO_OVERRIDE}\n", "reset_method": "flr\n"}
        files["device"] = f"0x{device:04x}\n" if device else self._file("device") or ""
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        if self.config.is_file():
            (folder / "config").write_bytes(_virtual_config(self.config.read_bytes()))
        (folder / "physfn").symlink_to(f"../{self.physical.name}")
        if (self.physical / "subsystem").is_symlink():
            self.memory.link(folder / "subsystem", Path(os.path.realpath(self.physical / "subsystem")))

    def _group(self, folder: Path) -> None:
        """A group of its own with the lowest free number (`iommu_group_alloc`), or the physical function's.

        It joins where a bridge above is in that group: then nothing isolates on the way up (`pci_device_group`).
        """
        link = self.physical / "iommu_group"
        if not link.is_symlink():
            return
        home = self.root / _GROUPS
        shared = Path(os.path.realpath(link))
        if any((shared / "devices" / above.name).is_symlink() for above in self.physical.parents):
            group = shared
        else:
            group = home / str(next(number for number in counting() if not (home / str(number)).exists()))
            if not self.memory.take_back("groups", group.name, group):
                self.memory.changes.make_folder(group)
                for file in (file for file in shared.iterdir() if file.is_file()):
                    shutil.copyfile(file, group / file.name)
                (group / "devices").mkdir()
        if not (folder / "iommu_group").is_symlink():
            self.memory.link(folder / "iommu_group", group)
            self.memory.link(group / "devices" / folder.name, folder)

    def _ungroup(self, folder: Path) -> None:
        link = folder / "iommu_group"
        if not link.is_symlink():
            return
        group = Path(os.path.realpath(link))
        self.memory.unlink(link)
        self.memory.unlink(group / "devices" / folder.name)
        if not any((group / "devices").iterdir()):
            if folder.name in self.memory.made:
                self.memory.changes.remove(group)
            else:
                self.memory.put_away("groups", group.name, group)

    def _set_count(self, before: int, after: int) -> None:
        """NumVFs in the attribute and in the capability, with VF Enable and MSE; back at the first number, the first registers."""
        name = self.physical.name
        self.memory.changes.write(self.physical / "sriov_numvfs", f"{after}\n".encode())
        config = bytearray(self.config.read_bytes()) if self.config.is_file() else bytearray()
        capability = find_extended(bytes(config), _SRIOV)
        if capability is None:
            return
        places = slice(capability + _CONTROL, capability + _CONTROL + 2), slice(capability + _NUM_VFS, capability + _NUM_VFS + 2)
        first, registers = self.memory.sriov.setdefault(name, (before, b"".join(bytes(config[place]) for place in places).hex()))
        (control,) = struct.unpack_from("<H", config, capability + _CONTROL)
        new = struct.pack("<HH", control | _ENABLE if after else control & ~_ENABLE, after)
        if after == first:
            new = bytes.fromhex(registers)
            del self.memory.sriov[name]
        for place, value in zip(places, (new[:2], new[2:]), strict=True):
            config[place] = value
        self.memory.changes.write(self.config, bytes(config))

    def _register(self, place: int, attribute: str) -> int:
        """A 16-bit register of the SR-IOV capability, or the attribute that shows it; 0 where neither was recorded."""
        config = self.config.read_bytes() if self.config.is_file() else b""
        capability = find_extended(config, _SRIOV)
        if capability is not None and capability + place + 2 <= len(config):
            return int(struct.unpack_from("<H", config, capability + place)[0])
        return int(self._file(attribute) or "0", 16 if attribute == "sriov_vf_device" else 10)

    def _last_bus(self, own: int) -> int:
        """The subordinate bus of the bridge above; without one all numbers are free, as below a root bus."""
        config = self.physical.parent / "config"
        return max(own, config.read_bytes()[0x1A]) if config.is_file() else 0xFF

    def _file(self, name: str) -> str | None:
        try:
            return (self.physical / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None


def _virtual_config(physical: bytes) -> bytes:
    """A virtual function's registers: vendor and device read 0xFFFF, command, BARs and bit 7 of the header type 0, no SR-IOV (PCIe 6.0 §9.3.4.1)."""
    config = bytearray(physical)
    config[0:6] = b"\xff" * 4 + bytes(2)
    config[0x0E] &= 0x7F
    config[0x10:0x28] = bytes(0x18)
    capability = find_extended(physical, _SRIOV)
    if capability is not None:
        (word,) = struct.unpack_from("<I", config, capability)
        config[capability : capability + 0x40] = struct.pack("<I", word & 0xFFF00000) + bytes(0x3C)
    return bytes(config)
