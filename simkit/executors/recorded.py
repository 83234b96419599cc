"""A recorded node: a sysfs tree in a folder that answers writes as the kernel does."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from simkit.errors import InputError
from simkit.executors import kernel_text
from simkit.executors.exclusive import exclusive
from simkit.executors.files import FolderNode
from simkit.executors.node import inside, refusal
from simkit.executors.recorded_changes import Changes
from simkit.executors.recorded_memory import Memory
from simkit.executors.recorded_pages import is_pool, resize
from simkit.executors.recorded_vfs import VirtualFunctions
from simkit.formats.pci.config_space import CAP_PCIE, EXT_ACS, find_conventional, find_extended
from simkit.model.address import Address
from simkit.plan import attributes

_ATTRIBUTES = ("driver_override", "sriov_numvfs", "sriov_drivers_autoprobe", "config")
_MAX_READ_REQUEST, _RELAXED_ORDERING = 0x7000, 0x0010


class RecordedNode(FolderNode):
    """Writes that a plan makes change the tree as Linux 6.1 to 7.3 would; every other write is refused with EACCES.

    What is known of drivers is what was recorded: without an override a function probes to the driver it was recorded with.
    `modules` are drivers the node can load besides those recorded; their folders are there while a device is bound to them.
    Brought back to its first state by writes, the folder is what it was, byte for byte. A write happens whole or not at all: one in
    which a process died is taken back by the next that opens the folder while no other is changing it.
    """

    def __init__(self, folder: Path, *, modules: Collection[str] = (attributes.VFIO,)) -> None:
        """`folder` holds ``sys`` (`simkit.formats.sysfs.tree.write` makes one).

        Raises:
            InputError: it holds no PCI devices.
        """
        root = Path(os.path.realpath(folder))
        if not (root / attributes.DEVICES).is_dir():
            raise InputError("not a recorded node: no PCI devices in it", where=str(folder / attributes.DEVICES),
                             remedy="record one from a host, or name the folder that holds `sys`")
        super().__init__(root)
        self.modules = tuple(modules)
        with suppress(OSError), exclusive(self):
            Changes(root).take_back()

    def listdir(self, path: str) -> tuple[str, ...]:
        """As `Node.listdir`; `modules` are among the drivers."""
        names = super().listdir(path)
        return tuple(sorted({*names, *self.modules})) if path.strip("/") == attributes.DRIVERS else names

    def write(self, path: str, data: bytes, offset: int = 0) -> None:
        """As `Node.write`, with the kernel's errors.

        They are those of `bind_store`, `unbind_store`, `drivers_probe_store` (drivers/base/bus.c), `driver_override_store`,
        `sriov_numvfs_store`, `sriov_drivers_autoprobe_store` and `pci_write_config` (drivers/pci), and `nr_hugepages_store` (mm/hugetlb.c).
        """
        Changes(self.root).take_back()
        memory = Memory.load(self.root)
        try:
            self._answer(memory, path, data, offset)
        except BaseException:
            memory.changes.take_back()
            raise
        memory.save()

    def _answer(self, memory: Memory, path: str, data: bytes, offset: int) -> None:
        parts = path.split("/")
        text = data.decode("utf-8", "replace")
        if path == attributes.PROBE:
            self._probe(memory, path, kernel_text.line(text))
        elif "/".join(parts[:4]) == attributes.DRIVERS and len(parts) == 6 and parts[5] in ("bind", "unbind"):
            self._driver_file(memory, path, parts[4], parts[5], kernel_text.line(text))
        elif is_pool(path):
            resize(memory, path, text)
        else:
            self._attribute(memory, path, data, offset)

    def _driver_file(self, memory: Memory, path: str, driver: str, what: str, name: str) -> None:
        if driver not in self.listdir(attributes.DRIVERS):
            raise refusal(errno.ENOENT, path, f"no driver {driver} is loaded", remedy=f"modprobe {driver}")
        folder = self._function(name)
        if folder is None:
            raise refusal(errno.ENODEV, path, f"no device {name}")
        if what == "unbind":
            if _bound(folder) != driver:
                raise refusal(errno.ENODEV, path, f"{name} is not bound to {driver}")
            self._detach(memory, folder)
        elif driver != self._match(memory, folder, driver):
            raise refusal(errno.ENODEV, path, f"{driver} does not match {name}")
        elif _bound(folder) is not None:
            raise refusal(errno.EBUSY, path, f"{name} is bound to {_bound(folder)}")
        elif not self._may_probe(memory, folder):
            raise refusal(errno.ENODEV, path, "its physical function has sriov_drivers_autoprobe 0 (pci_device_can_probe)")
        else:
            self._attach(memory, folder, driver)

    def _probe(self, memory: Memory, path: str, name: str) -> None:
        """Finding no driver is no error (`device_attach`), which is why a plan reads again."""
        folder = self._function(name)
        if folder is None:
            raise refusal(errno.ENODEV, path, f"no device {name}")
        driver = self._match(memory, folder, None)
        if _bound(folder) is None and driver in self.listdir(attributes.DRIVERS) and self._may_probe(memory, folder):
            self._attach(memory, folder, str(driver))

    def _match(self, memory: Memory, folder: Path, asked: str | None) -> str | None:
        """The driver that takes a device (`pci_match_device`): the override's if there is one, else the recorded one; VFIO's by override only."""
        override = _override(memory, folder)
        if override is not None:
            return override
        recorded = memory.natural.get(folder.name, _bound(folder) if asked == _bound(folder) else None)
        return None if attributes.is_vfio(recorded) and _bound(folder) is None else recorded

    def _attach(self, memory: Memory, folder: Path, driver: str) -> None:
        place = self.root / attributes.DRIVERS / driver
        if not place.is_dir():
            memory.changes.make_folder(place)
            for name in ("bind", "unbind"):
                (place / name).write_bytes(b"")
            memory.drivers.append(driver)
        memory.natural.setdefault(folder.name, None)
        memory.link(folder / "driver", place)
        back = memory.natural[folder.name] == driver
        if back:
            del memory.natural[folder.name]
        if back and folder.name in memory.unlisted:
            memory.unlisted.remove(folder.name)
        else:
            memory.link(place / folder.name, folder)

    def _detach(self, memory: Memory, folder: Path) -> None:
        driver = _bound(folder)
        assert driver is not None
        place = self.root / attributes.DRIVERS / driver
        listed = (place / folder.name).is_symlink()
        memory.unlink(folder / "driver")
        memory.unlink(place / folder.name)
        if folder.name not in memory.natural:
            memory.natural[folder.name] = driver
            if not listed:
                memory.unlisted.append(folder.name)
        elif memory.natural[folder.name] is None:
            del memory.natural[folder.name]
        if driver in memory.drivers and not any(entry.is_symlink() for entry in place.iterdir()):
            memory.changes.remove(place)
            memory.drivers.remove(driver)

    def _attribute(self, memory: Memory, path: str, data: bytes, offset: int) -> None:
        file = inside(self.root, path)
        if not file.exists():
            raise refusal(errno.ENOENT, path)
        if file.name not in _ATTRIBUTES or not _is_function(file.parent):
            raise refusal(errno.EISDIR if file.is_dir() else errno.EACCES, path, "a recorded node keeps it read-only")
        if file.name == "config":
            _write_config(memory, file, path, data, offset)
            return
        text = data.decode("utf-8", "replace")
        match file.name:
            case "driver_override":
                if len(data) >= 4095:
                    raise refusal(errno.EINVAL, path, "too long")
                _set_override(memory, file, text.partition("\n")[0])
            case "sriov_drivers_autoprobe":
                wish = kernel_text.truth(text)
                if wish is None:
                    raise refusal(errno.EINVAL, path, f"{text.strip()!r} is neither yes nor no")
                memory.changes.write(file, f"{int(wish)}\n".encode())
            case _:
                self._numvfs(memory, file.parent, path, text)

    def _numvfs(self, memory: Memory, folder: Path, path: str, text: str) -> None:
        """In the order in which `sriov_numvfs_store` (drivers/pci/pci-sysfs.c or iov.c) tests."""
        virtual = VirtualFunctions(self.root, memory, folder)
        count = kernel_text.number(text)
        if count is None:
            raise refusal(errno.EINVAL, path, f"{text.strip()!r} is no number of virtual functions")
        if count > virtual.total:
            raise refusal(errno.ERANGE, path, f"{count} of at most {virtual.total}")
        if count == virtual.count:
            return
        if _bound(folder) is None:
            raise refusal(errno.ENOENT, path, "no driver bound to device; cannot configure SR-IOV")
        if attributes.is_vfio(_bound(folder)):
            raise refusal(errno.ENOENT, path, "vfio-pci makes none unless it is told to (enable_sriov)", remedy="bind the device's own driver")
        if count and virtual.count:
            raise refusal(errno.EBUSY, path, f"{virtual.count} VFs already enabled; disable before enabling {count} VFs")
        if count == 0:
            for function in virtual.all():
                if _bound(function) is not None:
                    self._detach(memory, function)
            virtual.remove()
        else:
            for function in virtual.make(count, path):
                if _text(folder / "sriov_drivers_autoprobe") != "0":
                    self._probe(memory, path, function.name)

    def _may_probe(self, memory: Memory, folder: Path) -> bool:
        """`pci_device_can_probe` (drivers/pci/pci-driver.c): a virtual function needs its physical function's autoprobe, or an override."""
        physical = folder / "physfn"
        return not physical.is_symlink() or _override(memory, folder) is not None or _text(physical / "sriov_drivers_autoprobe") != "0"

    def _function(self, name: str) -> Path | None:
        link = self.root / attributes.DEVICES / name
        return inside(self.root, f"{attributes.DEVICES}/{name}") if _is_address(name) and link.exists() else None


def _write_config(memory: Memory, file: Path, path: str, data: bytes, offset: int) -> None:
    """Of ACS Control the bits that the capability has are writable (PCIe 6.0 §7.7.11.3), and of Device Control the size of read requests and relaxed ordering.

    The rest ignores writes, as read-only registers do; so does all of Device Control in a virtual function (§9.3.5.4).
    """
    config = bytearray(file.read_bytes())
    if offset >= len(config):
        raise refusal(errno.EFBIG, path, f"offset {offset:#x} lies beyond its {len(config)} bytes")
    acs, express = find_extended(bytes(config), EXT_ACS), find_conventional(bytes(config), CAP_PCIE)
    masks: dict[int, int] = {}
    if acs is not None:
        masks |= dict(enumerate(struct.pack("<H", struct.unpack_from("<H", config, acs + 4)[0] & 0x7F), acs + 6))
    if express is not None and not (file.parent / "physfn").is_symlink():
        masks |= dict(enumerate(struct.pack("<H", _MAX_READ_REQUEST | _RELAXED_ORDERING), express + 8))
    for place, mask in masks.items():
        if offset <= place < offset + len(data):
            config[place] = config[place] & ~mask | data[place - offset] & mask
    memory.changes.write(file, bytes(config))


def _is_address(name: str) -> bool:
    try:
        return str(Address.parse(name)) == name
    except InputError:
        return False


def _is_function(folder: Path) -> bool:
    return _is_address(folder.name)


def _bound(folder: Path) -> str | None:
    link = folder / "driver"
    return link.readlink().name if link.is_symlink() else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _override(memory: Memory, folder: Path) -> str | None:
    text = _text(folder / "driver_override")
    return text if text != attributes.NO_OVERRIDE or folder.name in memory.literal else None


def _set_override(memory: Memory, file: Path, text: str) -> None:
    """A lone newline clears it; the text ``(null)`` is the name of a driver that there is not, and reads the same (`driver_set_override`)."""
    name = file.parent.name
    if text == attributes.NO_OVERRIDE and name not in memory.literal:
        memory.literal.append(name)
    elif text != attributes.NO_OVERRIDE and name in memory.literal:
        memory.literal.remove(name)
    memory.changes.write(file, f"{text or attributes.NO_OVERRIDE}\n".encode())
