"""Links beside PCIe that NCCL's XML states: `<nvlink>`, `<xgmi>` and `<c2c>` in a `<gpu>` (NCCL src/graph/topo.cc)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simkit.errors import InputError
from simkit.formats.xml.walk import TopologyReader
from simkit.model.address import Address
from simkit.model.platform import PeerKind, PeerLink

if TYPE_CHECKING:
    from lxml.etree import _Element

LINKS = {"nvlink": PeerKind.NVLINK, "xgmi": PeerKind.XGMI, "c2c": PeerKind.C2C}
_SWITCH, _CPU, _GPUS = "0x068000", "0x068001", ("0x03", "0x12")


@dataclass(frozen=True, slots=True)
class StatedLink:
    """An element, the function that it lies in, and the machine (`host_hash`) in which its target's busid counts."""

    source: Address
    machine: str
    element: _Element


def peer_links(
    stated: Iterable[StatedLink], named: Mapping[tuple[str, Address], Address], switches: Collection[Address], reader: TopologyReader
) -> tuple[PeerLink, ...]:
    """The links, each once; `named` are the functions by machine and busid, `switches` those that are bridges or NVSwitches.

    The class of the target tells what it is (`kvDictPciClass`): a GPU, the CPU (0x068001, POWER9), or a switch. NCCL has one NVSwitch
    fabric whatever the target's address is: so has a link to a switch that is no function of the file, its elements' counts together.
    """
    found: dict[tuple[PeerKind, Address, Address | None], PeerLink] = {}
    for link in stated:
        end = _end(link, named, switches, reader)
        if end is None:
            continue
        kind, target = end
        if target is not None and (kind, target, link.source) in found:
            continue
        before = found.get((kind, link.source, None)) if target is None else None
        found[kind, link.source, target] = PeerLink(link.source, target, kind, _count(link.element) + (before.count if before else 0))
    return tuple(found.values())


def _end(
    link: StatedLink, named: Mapping[tuple[str, Address], Address], switches: Collection[Address], reader: TopologyReader
) -> tuple[PeerKind, Address | None] | None:
    """Kind and target; nothing where it leads to a GPU that the file leaves out."""
    kind, text, tclass = LINKS[str(link.element.tag)], link.element.get("target", ""), link.element.get("tclass", "")
    if kind is PeerKind.C2C or tclass == _CPU:
        return PeerKind.C2C, None
    try:
        address = Address.parse(text) if text else None
    except InputError as error:
        if tclass == _SWITCH:  # in a virtual machine NCCL writes fffffff:ffff:ff (ncclTopoGetXmlFromGpu)
            return kind, None
        reader.fault(f"target: {error.what}", link.element, error.faults[0].remedy)
        return None
    target = named.get((link.machine, address)) if address is not None else None
    if target is None and tclass.startswith(_GPUS):
        reader.assumed.append(f"{kind} of {link.source} to {text}, which the file leaves out, is left out too")
        return None
    return kind, None if target in switches and tclass not in ("", _SWITCH) else target


def _count(element: _Element) -> int:
    text = element.get("count", "1")
    return int(text) if text.isdecimal() and 0 < len(text) < 5 and int(text) else 1
