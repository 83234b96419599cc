"""What NVLink and xGMI make of a pair: next to each other, through an NVSwitch, or through one other GPU (NCCL src/graph/paths.cc)."""

from __future__ import annotations

from collections.abc import Mapping

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import PeerKind
from simkit.model.route import PeerClass

Linked = Mapping[Address, frozenset[Address | None]]
_PEERS = (PeerKind.NVLINK, PeerKind.XGMI)


def linked(host: Host) -> Linked:
    """What each function has NVLink or xGMI to; None stands for a switch fabric that the source does not name."""
    found: dict[Address, set[Address | None]] = {}
    for link in host.peer_links:
        if link.kind in _PEERS:
            found.setdefault(link.source, set()).add(link.target)
            if link.target is not None:
                found.setdefault(link.target, set()).add(link.source)
    return {address: frozenset(others) for address, others in found.items()}


def beside(host: Host, links: Linked, a: Address, b: Address) -> PeerClass:
    """The class of a pair by these links alone; DIS where there are none between them."""
    mine, theirs = links.get(a, frozenset()), links.get(b, frozenset())
    if b in mine:
        return PeerClass.NVL
    shared = mine & theirs
    if any(other is None or host[other].kind is Kind.NVSWITCH for other in shared):
        return PeerClass.NVL
    return PeerClass.NVB if shared else PeerClass.DIS
