"""Whose requester id a function's requests carry: `pci_for_each_dma_alias` (drivers/pci/search.c), the same in 6.1 and 7.3."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.unknown import Unknown
from simkit.semantics.acs import Isolation

_TRANSPARENT = (PortType.ROOT_PORT, PortType.UPSTREAM, PortType.DOWNSTREAM)


def alias_bridges(isolation: Isolation, function: Function) -> Iterator[Function]:
    """The bridges above `function` under whose id its requests may appear, nearest first.

    PCIe ports add nothing. A PCIe-to-PCI bridge answers for what is below it with its subordinate bus' 00.0, a PCI-to-PCIe or
    conventional bridge with its own id; either way the function shares that bridge's fate. Explicit alias ids (quirks of Marvell,
    JMicron, PLX NTB and the like) are not modelled.
    """
    for bridge in isolation.host.ancestors(function):
        kind = bridge.port_type
        if isinstance(kind, Unknown):
            if not isolation.guess(f"{bridge.path}/port_type", f"whether {bridge.address} is a PCIe port or a PCI bridge", kind):
                yield bridge
        elif kind not in _TRANSPARENT:
            yield bridge
