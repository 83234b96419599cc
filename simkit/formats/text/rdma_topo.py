"""What `rdma_topo dump` writes (linux-rdma/rdma-core, kernel-boot/rdma_topo): sysfs of the PCI functions, as JSON."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import replace
from typing import Any

from simkit.errors import InputError, MalformedConfigSpace, MalformedDocument
from simkit.formats.pci.bus_tree import grow
from simkit.formats.pci.config_space import ConfigSpace, decode
from simkit.formats.text.lines import Faults
from simkit.model.address import Address, Parent, RootBus
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.place import Place, Places
from simkit.model.unknown import Unknown

MOST_BYTES = 128 << 20
MOST_FUNCTIONS = 1 << 17
MOST_DEPTH = 16
_MOST_CONFIG, _MOST_VPD = 4096, 1 << 15
_SILENT = Unknown("rdma_topo does not dump it")
_HOST = Unknown("rdma_topo tells nothing of the machine around PCI: add a kernel log")
_NO_GROUPS = Unknown("no function of the dump has an IOMMU group")
_NO_BARS = Unknown("its base address registers read zero: absent, or not assigned")
_MODALIAS = re.compile(r"pci:v([0-9A-F]{8})d([0-9A-F]{8})sv([0-9A-F]{8})sd([0-9A-F]{8})bc([0-9A-F]{2})sc([0-9A-F]{2})i([0-9A-F]{2})")
_TOPOLOGY = ("rdma_nic_pf_bdf", "rdma_nic_boards", "rdma_dma_bdf", "gpu_bdf", "gpu_bdfs")
_LEFT_OUT = "rdma_topo leaves out host and ISA bridges and system peripherals: a slot or group may hold such functions too"
_VPD_NAME, _VPD_LARGE = 0x82, 0x80


def read(data: bytes, *, source: str) -> Host:
    """Read a dump.

    A record's `realpath` gives address and parents, `config` the registers, `modalias` the ids that the kernel uses (those of a virtual
    function are not in its config space). `numa_node` -1 is no node; null in `iommu_group` is no group, if another function has one.

    Raises:
        MalformedDocument: no JSON, the output of `rdma_topo topology` instead, or records that are damaged, all of them.
    """
    faults = Faults(source)
    records = _records(data, source)
    if any(isinstance(record, dict) and any(key in record for key in _TOPOLOGY) for record in records):
        raise MalformedDocument("this is what `rdma_topo topology --json` concludes: NICs and their GPUs, not the tree", where=source,
                                remedy="give what `rdma_topo dump` writes")
    starts = _starts(data)
    reader = _Reader(faults, starts)
    for index, record in enumerate(records):
        reader.record(index, record)
    if not records:
        faults.add(1, "no function is in it", "was `rdma_topo dump` run on a machine with PCI?")
    faults.check("is no dump of rdma_topo as it stands")
    return reader.host(source)


def _records(data: bytes, source: str) -> list[Any]:
    if len(data) > MOST_BYTES:
        raise MalformedDocument(f"the file has over {MOST_BYTES >> 20} MiB", where=source, remedy="is this the right file?")
    try:
        found = json.loads(data)
    except RecursionError:
        raise MalformedDocument("nested too deeply", where=source, remedy="a dump is a list of flat records") from None
    except UnicodeDecodeError as error:
        raise MalformedDocument(f"byte {error.start} is not UTF-8", where=source, remedy="save it as UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise MalformedDocument(f"no JSON: {error.msg}", where=f"{source}:{error.lineno}", remedy="is the file complete?") from None
    except ValueError as error:
        raise MalformedDocument(f"no JSON: {error}", where=source, remedy="is the file complete?") from None
    if not isinstance(found, list) or len(found) > MOST_FUNCTIONS:
        raise MalformedDocument(f"no list of up to {MOST_FUNCTIONS} records", where=source, remedy="give what `rdma_topo dump` writes")
    return found


def _starts(data: bytes) -> list[int]:
    """The lines in which records begin: rdma_topo writes one key a line, the records' braces four blanks deep."""
    return [number for number, line in enumerate(data.split(b"\n"), 1) if line.rstrip() == b"    {"]


class _Reader:
    def __init__(self, faults: Faults, starts: list[int]) -> None:
        self.faults, self.starts = faults, starts
        self.lines: dict[Address, int] = {}
        self.paths: dict[Address, str] = {}
        self.functions: list[Function] = []

    def record(self, index: int, record: object) -> None:
        line = self.starts[index] if index < len(self.starts) else 1
        if not isinstance(record, dict):
            self.faults.add(line, f"record {index} is no object", "give what `rdma_topo dump` writes")
            return
        path = record.get("realpath")
        try:
            address = Address.parse(path.rstrip("/").rpartition("/")[2] if isinstance(path, str) else "")
        except InputError:
            self.faults.add(line, f"record {index}: realpath {str(path)[:60]!r} ends in no PCI address", "is the dump damaged?")
            return
        if address in self.lines:
            self.faults.add(line, f"{address} is there twice", "give the dump of one machine")
            return
        self.lines[address], self.paths[address] = line, str(path)
        space = self._config(line, address, record.get("config"))
        if space is not None:
            self.functions.append(self._function(line, address, space, record))

    def _config(self, line: int, address: Address, text: object) -> ConfigSpace | None:
        data = _unpacked(text, _MOST_CONFIG)
        if data is None:
            self.faults.add(line, f"{address}: config is no zlib stream in base64 of up to {_MOST_CONFIG} bytes", "is the dump damaged?")
            return None
        try:
            return decode(data, where=f"{self.faults.source}:{line}")
        except MalformedConfigSpace as error:
            self.faults.found.extend(error.faults)
            return None

    def _function(self, line: int, address: Address, space: ConfigSpace, record: dict[str, Any]) -> Function:
        function = Function(
            address, RootBus(address.domain, address.bus), space.vendor_id, space.device_id, space.class_code, space.revision, space.subsystem,
            _name(_unpacked(record.get("vpd"), _MOST_VPD)), space.port_type, space.multifunction_bit, space.bus_range, space.link, space.acs, space.ats,
            space.ari, space.sriov, bars=space.bars or _NO_BARS, numa_node=self._number(line, address, record, "numa_node"),
            iommu_group=self._number(line, address, record, "iommu_group"), driver=_SILENT, reset_methods=_SILENT,
            device_control=space.device_control,
            resizable_bars=space.resizable_bars, windows=space.windows, msix_vectors=space.msix_vectors)
        alias = record.get("modalias")
        found = _MODALIAS.fullmatch(alias) if isinstance(alias, str) else None
        if found is None:
            self.faults.add(line, f"{address}: modalias {str(alias)[:60]!r} is not as the kernel prints it", "is the dump damaged?")
            return function
        vendor, device, sub_vendor, sub_device, base, sub, interface = (int(part, 16) for part in found.groups())
        pair = (sub_vendor & 0xFFFF, sub_device & 0xFFFF)
        return replace(function, vendor_id=vendor & 0xFFFF, device_id=device & 0xFFFF, class_code=base << 16 | sub << 8 | interface,
                       subsystem=pair if any(pair) else function.subsystem)

    def _number(self, line: int, address: Address, record: dict[str, Any], key: str) -> int | None | Unknown:
        value = record.get(key, _SILENT)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, Unknown)):
            self.faults.add(line, f"{address}: {key} {str(value)[:40]!r} is no number", "is the dump damaged?")
            return _SILENT
        return value if isinstance(value, Unknown) or value >= 0 else None

    def host(self, source: str) -> Host:
        """The tree as `realpath` tells it; virtual functions by their physical ones' registers."""
        grouped = any(isinstance(function.iommu_group, int) for function in self.functions)
        found = []
        for function in grow(self.functions).functions:
            own = function if grouped else replace(function, iommu_group=_NO_GROUPS)
            found.append(replace(own, parent=self._parent(function)))
        places = {f"functions/{address}": Place(source, line) for address, line in self.lines.items()}
        return Host(source.rpartition("/")[2].partition(".")[0] or source, tuple(found), iommu=_HOST, tees=_HOST, kernel=_HOST, cmdline=_HOST,
                    assumed=(_LEFT_OUT,), places=Places(places, root=Place(source)))

    def _parent(self, function: Function) -> Parent:
        """The nearest folder above that is a function of the dump, else the root bus there."""
        for part in reversed(self.paths[function.address].rstrip("/").split("/")[:-1]):
            try:
                if part.startswith("pci"):
                    return RootBus.parse(part)
                address = Address.parse(part)
            except InputError:
                continue
            if address in self.lines and address != function.address:
                return address
        return function.parent


def _unpacked(text: object, most: int) -> bytes | None:
    """base64 of a zlib stream; None where it is neither, or longer than `most` bytes."""
    if not isinstance(text, str):
        return None
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(text, validate=True), most + 1)
    except (zlib.error, binascii.Error, ValueError):
        return None
    return data if len(data) <= most and stream.eof else None


def _name(vpd: bytes | None) -> str | None:
    """The identifier string of Vital Product Data, if it comes first (PCIe 6.0 §6.27.2)."""
    if vpd is None or len(vpd) < 3 or vpd[0] != _VPD_NAME:
        return None
    length = int.from_bytes(vpd[1:3], "little")
    name = vpd[3 : 3 + length].decode("ascii", "replace").strip().strip("\0")
    return name if name.isprintable() and name else None
