"""Devices for which Linux answers the ACS question without reading registers (`pci_dev_acs_enabled[]`, drivers/pci/quirks.c).

Same table in 6.1 and 7.3. A quirk answers "all requested flags lie in its mask", or declines (None) and the registers decide.
Ids are those named in the kernel's table.
"""

from __future__ import annotations

from simkit.model.capabilities import AcsBits, PortType
from simkit.model.function import Function
from simkit.model.unknown import is_known

_ALL = AcsBits.SV | AcsBits.TB | AcsBits.RR | AcsBits.CR | AcsBits.UF | AcsBits.DT
_ROOT_PORT_MASK = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF

_MULTIFUNCTION_ENDPOINTS: dict[int, frozenset[int]] = {
    # pci_quirk_mf_endpoint_acs: functions known not to talk among themselves
    0x8086: frozenset(
        {0x10C6, 0x10DB, 0x10DD, 0x10E1, 0x10F1, 0x10F7, 0x10F8, 0x10F9, 0x10FA, 0x10FB, 0x10FC, 0x1507, 0x1514, 0x151C, 0x1529, 0x152A, 0x154D, 0x154F,
         0x1551, 0x1558, 0x1509, 0x150E, 0x150F, 0x1510, 0x1511, 0x1516, 0x1527, 0x10C9, 0x10E6, 0x10E7, 0x10E8, 0x150A, 0x150D, 0x1518, 0x1526, 0x10A7,
         0x10A9, 0x10D6, 0x105E, 0x105F, 0x1060, 0x10D9, 0x1521, 0x1522, 0x1523, 0x1524, 0x15B7, 0x15B8}),
    0x1924: frozenset({0x0903, 0x0923, 0x0A03}),
    0x19A2: frozenset({0x0710, 0x0720}),
    0x10DF: frozenset({0x0720}),
    0x14E4: frozenset({0x16D7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763}),
}
_ROOT_PORTS: dict[int, frozenset[int]] = {
    # root ports that cannot turn traffic around although they have no ACS capability
    0x17CB: frozenset({0x0400, 0x0401}),
    0x1DBF: frozenset({0x0401}),
    0x10E8: frozenset({0xE004}),
    0x14E4: frozenset({0xD714}),
}


def quirk_answer(function: Function, flags: AcsBits) -> bool | None:
    """Whether a quirk says that `function` isolates for `flags`; None where no quirk answers."""
    vendor, device = function.vendor_id, function.device_id
    if not is_known(vendor) or not is_known(device):
        return None
    if vendor == 0x8086 and function.port_type is PortType.RC_ENDPOINT:
        # pci_quirk_rciep_acs: Intel's integrated endpoints have no way to each other
        return _within(flags, _ROOT_PORT_MASK)
    if device in _MULTIFUNCTION_ENDPOINTS.get(vendor, ()):
        return _within(flags, _ALL)
    if device in _ROOT_PORTS.get(vendor, ()) and function.port_type is PortType.ROOT_PORT:
        return _within(flags, _ROOT_PORT_MASK)
    return None


def _within(flags: AcsBits, mask: AcsBits) -> bool:
    return not flags & ~mask
