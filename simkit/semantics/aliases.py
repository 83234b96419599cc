"""Whose requester id a function's requests carry: `pci_for_each_dma_alias` (drivers/pci/search.c), the same in 6.1 and 7.3."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.unknown import Unknown
from simkit.semantics.acs import Isolation

_BROADCOM, _TRANSLATING = 0x14E4, (0x9000, 0x9084)
_TRANSPARENT = (PortType.ROOT_PORT, PortType.UPSTREAM, PortType.DOWNSTREAM)


def ends_translation(function: Function) -> bool:
    """`PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT`: a bridge with a translation unit of its own (Broadcom Vulcan, Cavium ThunderX2)."""
    return function.vendor_id == _BROADCOM and function.device_id in _TRANSLATING


def alias_bridges(isolation: Isolation, function: Function) -> Iterator[Function]:
    """The bridges above `function` under whose id its requests may appear, nearest first.

    PCIe ports add nothing. A PCIe-to-PCI bridge answers for what is below it with its subordinate bus' 00.0, a PCI-to-PCIe or
    conventional bridge with its own id; either way the function shares that bridge's fate. Ids that devices
    themselves use besides their own are in dma_alias_quirks.py. A bridge with a translation unit of its own ends the walk.
    That 7.3 takes ASPEED's AST1150 for a bridge that leaves ids as they
    are changes no group: it never isolates, so that what is below it joins it by the ACS path.
    """
    for bridge in isolation.host.ancestors(function):
        if ends_translation(bridge):
            return
        kind = bridge.port_type
        if isinstance(kind, Unknown):
            if not isolation.guess(f"{bridge.path}/port_type", f"whether {bridge.address} is a PCIe port or a PCI bridge", kind):
                yield bridge
        elif kind not in _TRANSPARENT:
            yield bridge
