"""NCCL's topology XML as NCCL takes it: every element in its order, with what `Host` has no word for (NCCL src/graph/xml.cc, `ncclTopoGetXmlFromFile`).

`nccl_xml` reads the same files as hosts; this reads them as what NCCL will conclude from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkit.errors import InputError
from simkit.formats.xml.nccl_root import open_system, whole
from simkit.formats.xml.walk import TopologyReader, shown
from simkit.model.address import Address
from simkit.model.nccl_topology import NcclC2c, NcclCpu, NcclGpu, NcclNet, NcclNic, NcclNvlink, NcclPci, NcclTopology
from simkit.model.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from lxml.etree import _Element

_VERSION = 1
_IDS = ("vendor", "device", "subsystem_vendor", "subsystem_device")
_INT = (1 << 31) - 1
_MOST_LINKS, _MOST_MBPS, _MOST_LANES, _MOST_DEVICES = 1 << 10, 10**9, 1 << 10, 1 << 16


def read(data: bytes, *, source: str) -> NcclTopology:
    """Read `<system><cpu><pci>…`. Elements that NCCL has no handler for are passed over, as it does; what is not stated is unknown.

    Raises:
        MalformedDocument: with all faults.
    """
    return _Reader(source).read(open_system(data, source=source))


class _Reader(TopologyReader):
    def read(self, root: _Element) -> NcclTopology:
        version = whole(self, root, "version", 0, _INT)
        if version != _VERSION:
            stated = "states no version" if version is None else f"states version {version}, as RCCL's files do"
            self.assumed.append(f"the file {stated}: NCCL would refuse it; it is read as if it had version {_VERSION}")
        if next(root.iter("xgmi"), None) is not None:
            self.assumed.append("links of AMD's (<xgmi>) are left out, as NCCL has none")
        cpus = tuple(self._cpu(element) for element in root if element.tag == "cpu")
        self.places()
        return NcclTopology(self.name, cpus, tuple(self.assumed))

    def _cpu(self, element: _Element) -> NcclCpu:
        numa, family, model = (whole(self, element, key, -_INT, _INT) for key in ("numaid", "familyid", "modelid"))
        return NcclCpu(
            -1 if numa is None else numa,
            self._machine(element),
            _text(element, "arch"),
            _text(element, "vendor"),
            _known(family),
            _known(model),
            tuple(found for child in element if (found := self._pci(child) if child.tag == "pci" else self._nic(child)) is not None),
        )

    def _machine(self, element: _Element) -> int:
        """`host_hash`, hexadecimal in any case (`ncclGetSystemId`)."""
        text = element.get("host_hash", "0")
        try:
            return int(text.strip() or "0", 16) if len(text) <= 20 else self._no_hash(text, element)
        except ValueError:
            return self._no_hash(text, element)

    def _no_hash(self, text: str, element: _Element) -> int:
        self.fault(f"host_hash={shown(text)} is no number", element, "write it in hexadecimal, or leave it out")
        return 0

    def _pci(self, element: _Element) -> NcclPci | None:
        busid = self._busid(element, "busid")
        ids = [whole(self, element, key, -_INT, _INT) or 0 for key in _IDS]
        gpus = tuple(self._gpu(child) for child in element if child.tag == "gpu")
        nics = [nic for child in element if (nic := self._nic(child)) is not None]
        children = tuple(found for child in element if child.tag == "pci" and (found := self._pci(child)) is not None)
        peers = [self._busid(child, "target") for child in element if child.tag == "pcilink"]
        if busid is None:
            return None
        return NcclPci(
            busid,
            _text(element, "class"),
            (ids[0], ids[1], ids[2], ids[3]),
            _text(element, "link_speed"),
            _known(whole(self, element, "link_width", 0, _MOST_LANES)),
            gpus,
            nics[0] if nics else None,
            children,
            tuple(peer for peer in peers if peer is not None),
        )

    def _busid(self, element: _Element, key: str) -> Address | None:
        try:
            return Address.parse(element.get(key, ""))
        except InputError as error:
            self.fault(f"{key}: {error.what}", element, error.faults[0].remedy)
            return None

    def _gpu(self, element: _Element) -> NcclGpu:
        gdr, part = whole(self, element, "gdr", -_INT, _INT), whole(self, element, "mlopart", -1, 1)
        return NcclGpu(
            whole(self, element, "rank", -_INT, _INT),
            _known(whole(self, element, "dev", 0, _MOST_DEVICES)),
            _known(whole(self, element, "sm", 0, _INT)),
            UNKNOWN if gdr is None else gdr != 0,
            None if part == -1 else part,
            tuple(self._nvlink(child) for child in element if child.tag == "nvlink"),
            tuple(self._c2c(child) for child in element if child.tag == "c2c"),
        )

    def _nvlink(self, element: _Element) -> NcclNvlink:
        """A target that is no busid (fffffff:ffff:ff: hidden from this virtual machine) is a fault only where it must be a GPU's."""
        kind = _text(element, "tclass")
        try:
            target = Address.parse(element.get("target", ""))
        except InputError as error:
            target = None
            if isinstance(kind, str) and kind.startswith("0x03"):
                self.fault(f"target: {error.what}", element, error.faults[0].remedy)
        return NcclNvlink(target, self._needed(element, "count", _MOST_LINKS), kind)

    def _c2c(self, element: _Element) -> NcclC2c:
        return NcclC2c(self._needed(element, "bw", _MOST_MBPS), self._needed(element, "count", _MOST_LINKS))

    def _needed(self, element: _Element, key: str, high: int) -> int:
        if element.get(key) is None:
            self.fault(f"<{element.tag}> has no {key}", element, f"state {key}: NCCL fails without it")
            return 0
        return whole(self, element, key, 0, high) or 0

    def _nic(self, element: _Element) -> NcclNic | None:
        return NcclNic(tuple(self._net(child) for child in element if child.tag == "net")) if element.tag == "nic" else None

    def _net(self, element: _Element) -> NcclNet:
        gdr, net = (whole(self, element, key, -_INT, _INT) for key in ("gdr", "net"))
        return NcclNet(
            element.get("name", ""),
            whole(self, element, "dev", 0, _MOST_DEVICES),
            _known(whole(self, element, "speed", -_INT, _INT)),
            UNKNOWN if gdr is None else gdr != 0,
            net != 0,
        )


def _text(element: _Element, key: str) -> str | Unknown:
    text = element.get(key)
    return UNKNOWN if text is None else text


def _known(number: int | None) -> int | Unknown:
    return UNKNOWN if number is None else number
