"""Devices that use requester ids besides their own: the fixups that call `pci_add_dma_alias` (drivers/pci/quirks.c), the same in 6.1, 6.12 and 7.3.

Not modelled, as no configuration register shows it: Microsemi Switchtec NTB, whose ids are in its own memory, and Intel VMD, below
which devices use the id of the VMD (`pci_real_dma_dev`). From source only: no device of these was seen on a kernel here.
"""

from __future__ import annotations

from simkit.model.function import Function
from simkit.model.unknown import is_known

_FUNCTION_0 = frozenset({(0x1180, 0xE832), (0x1180, 0xE476), (0x6766, 0x3D40), (0x6766, 0x3D41)})
"""Ricoh, Glenfly (`quirk_dma_func0_alias`)."""

_FUNCTION_1 = frozenset(
    (0x1B4B, device)
    for device in (0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917A, 0x9182, 0x9183, 0x91A0, 0x9215, 0x9220, 0x9230, 0x9235)
) | {(0x1103, 0x0642), (0x1103, 0x0645), (0x197B, 0x2392), (0x1C28, 0x0122)}
"""SATA controllers with chips of Marvell, JMicron (`quirk_dma_func1_alias`)."""

_FIXED = {(0x9005, 0x0285, 0x9005, 0x02BB): 0x08, (0x9005, 0x0285, 0x9005, 0x02BC): 0x08}
"""Adaptec 3405 and 3805 by subsystem (`quirk_fixed_dma_alias`)."""

_NTB = {
    **dict.fromkeys(((0x8086, 0x2260), (0x8086, 0x2264)), frozenset({0x80, 0x88, 0x93})),
    **dict.fromkeys(((0x8086, 0x2950 + low) for low in (4, 5, 6, 8, 9, 10)), frozenset(slot << 3 | number for slot in range(32) for number in range(5))),
    **dict.fromkeys(((0x10B5, 0x87B0), (0x10B5, 0x87B1)), frozenset(range(256))),
}
"""Bridges between hosts: Intel MIC x200 and VCA, PLX (`quirk_mic_x200_dma_alias`, `quirk_pex_vca_alias`, `quirk_plx_ntb_dma_alias`)."""


def explicit_aliases(function: Function) -> frozenset[int]:
    """The other devfns on its bus whose requester ids `function` uses (`dma_alias_mask`)."""
    if not is_known(function.vendor_id) or not is_known(function.device_id):
        return frozenset()
    ids, slot = (function.vendor_id, function.device_id), function.address.device << 3
    if ids in _FUNCTION_1:
        return frozenset({slot | 1}) - {function.address.devfn}
    if ids in _FUNCTION_0:
        return frozenset({slot}) - {function.address.devfn}
    if ids in _NTB:
        return _NTB[ids]
    fixed = _FIXED.get((*ids, *function.subsystem)) if isinstance(function.subsystem, tuple) else None
    return frozenset({fixed}) if fixed is not None else frozenset()
