"""Devices that use requester ids besides their own: the fixups that call `pci_add_dma_alias` (drivers/pci/quirks.c), the same in 6.1, 6.12 and 7.3.

The ids that Switchtec's bridges between hosts use are in their own memory, which no register of config space shows (`hidden_aliases`).
From source only: no device of these was seen on a kernel here.
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


def _ids(text: str) -> frozenset[int]:
    return frozenset(int(word, 16) for word in text.split())


_BRIDGE_OTHER = 0x0680
_SWITCHTEC = {
    0x11F8: _ids(
        "8531 8532 8533 8534 8535 8536 8541 8542 8543 8544 8545 8546 8551 8552 8553 8554 8555 8556 8561 8562 8563 8564 8565 8566 8571 8572 8573 8574 8575 8576 "
        "4000 4084 4068 4052 4036 4028 4100 4184 4168 4152 4136 4128 4200 4284 4268 4252 4236 4228 4352 4336 4328 4452 4436 4428 4552 4536 4528 "
        "5000 5084 5068 5052 5036 5028 5100 5184 5168 5152 5136 5128 5200 5284 5268 5252 5236 5228 5300 5384 5368 5352 5336 5328 "
        "5400 5484 5468 5452 5436 5428 5500 5584 5568 5552 5536 5528"
    ),
    0x1055: _ids("1001 1002 1003 1004 1005 1006 1008"),
}
"""Microsemi's and Microchip's switches (`quirk_switchtec_ntb_dma_alias`), 93 and 7 of 7.3; 6.1 lacks 1055:1008."""


def hidden_aliases(function: Function) -> bool:
    """Whether Linux reads from the device's memory at boot which ids of its bus it uses: a Switchtec bridge between hosts, of class 0680."""
    if not is_known(function.class_code) or function.class_code >> 8 != _BRIDGE_OTHER or not is_known(function.vendor_id):
        return False
    return function.device_id in _SWITCHTEC.get(function.vendor_id, ())
