"""Devices for which Linux answers the ACS question without asking the ACS capability (`pci_dev_acs_enabled[]`, drivers/pci/quirks.c).

Rows are asked in the kernel's order: a row answers yes, answers no, or declines, and then the next row that matches is asked; if all
decline, registers decide. The 132 rows, their order, the ids inside of their functions and those functions' text are the same in 6.1.192, 6.12.117
and 7.3.4 (Debian's linux-source), compared one by one with what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from simkit.model.address import RootBus
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_NETWORK, _ZHAOXIN, _ZHAOXIN_CLASSES = 0x02, 0x1D17, (0x0C03, 0x0106)
_SOUTH_BRIDGES = {0x1002: (0x0101, 0x0403, 0x0601, 0x0604, 0x0C03, 0x0C05), 0x1022: (0x0604, 0x0C03)}
_ROOT_PORT_MASK = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF
_ENDPOINT_MASK = _ROOT_PORT_MASK | AcsBits.TB | AcsBits.DT


@dataclass(frozen=True, slots=True)
class Taken:
    """A yes that rests on what Linux does at boot and no register shows; `text` says what was taken."""

    text: str


Answer = bool | None | Taken | Unknown
"""Yes, no, declined, yes with an assumption, or: yes if the unknown fact is so, else declined."""

Rule = Callable[[Function, AcsBits, "IommuKind | Unknown"], Answer]


def quirk_answer(function: Function, flags: AcsBits, iommu: IommuKind | Unknown = UNKNOWN) -> Answer:
    """Whether a quirk says that `function` isolates for `flags` (`pci_dev_specific_acs_enabled`); None where no quirk answers.

    Where ids are unknown (lspci without -nn), rows count that its vendor, class and port type leave open: unknown, if one of them may say yes.
    """
    vendor, device = function.vendor_id, function.device_id
    rows = _ROWS.get(vendor, ()) if is_known(vendor) else tuple(row for rows in _ROWS.values() for row in rows)
    perhaps = False
    for devices, rule in rows:
        surely = is_known(vendor) and (devices is _EVERY if isinstance(device, Unknown) else device in devices)
        if not surely and not (_may_be(device, devices) and _may_speak(rule, function)):
            continue
        answer = rule(function, flags, iommu)
        if surely and (answer is True or (answer is not None and not perhaps)):
            return answer
        perhaps |= answer is not None and answer is not False
    unknown = vendor if isinstance(vendor, Unknown) else device
    return Unknown(f"its ids: {unknown.why}") if perhaps and isinstance(unknown, Unknown) else None


def _may_be(device: int | Unknown, devices: Container[int]) -> bool:
    return isinstance(device, Unknown) or device in devices


def _may_speak(rule: Rule, function: Function) -> bool:
    """Whether a function of unknown ids can be one of a row's devices, by what those are (NICs, root ports, conventional south bridges)."""
    base = function.class_code >> 8 if is_known(function.class_code) else None
    if rule is _mf_endpoint:
        return base is None or base >> 8 == _NETWORK or (base in _ZHAOXIN_CLASSES and function.vendor_id in (_ZHAOXIN, UNKNOWN))
    if rule is _root_port:
        return isinstance(function.port_type, Unknown) or function.port_type is PortType.ROOT_PORT
    if rule is _amd_south_bridge:
        classes = _SOUTH_BRIDGES[function.vendor_id] if is_known(function.vendor_id) else _SOUTH_BRIDGES[0x1002]
        return not isinstance(function.port_type, PortType) and (base is None or base in classes)
    return True


def enabled_elsewhere(function: Function) -> bool:
    """Whether Linux turns ACS of this port on in other registers than the standard's (`pci_dev_specific_enable_acs`: Intel's chipsets)."""
    return function.vendor_id == 0x8086 and function.port_type is PortType.ROOT_PORT and function.device_id in _INTEL_PCH | _SUNRISE_POINT


def _within(flags: AcsBits, mask: AcsBits) -> bool:
    """`pci_acs_ctrl_enabled`."""
    return not flags & ~mask


def _mf_endpoint(_function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_mf_endpoint_acs`: the vendor says that its functions do not talk among themselves."""
    return _within(flags, _ENDPOINT_MASK)


def _root_port(_function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_qcom_rp_acs`, `_xgene_acs`, `_nxp_rp_acs`, `_brcm_acs`, `_loongson_acs`: ports that cannot turn traffic around."""
    return _within(flags, _ROOT_PORT_MASK)


def _annapurna(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_al_acs`: the same, root ports only."""
    return _within(flags, _ROOT_PORT_MASK) if function.port_type is PortType.ROOT_PORT else None


def _cavium(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_cavium_acs`: root ports of ThunderX 1, 2 and 3."""
    return _within(flags, _ROOT_PORT_MASK) if function.port_type is PortType.ROOT_PORT else None


def _intel_rciep(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_rciep_acs`: Intel's integrated endpoints reach each other with translated addresses only (VT-d 3.16)."""
    return _within(flags, _ROOT_PORT_MASK) if function.port_type is PortType.RC_ENDPOINT else None


def _intel_pch(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_intel_pch_acs`: Linux turns peer decoding off in the chipset at boot, where firmware maps its registers."""
    if function.port_type is not PortType.ROOT_PORT:
        return None
    if not _within(flags, _ROOT_PORT_MASK):
        return False
    return Taken(f"Linux turned peer decoding off in the chipset of root port {function.address} (pci_quirk_enable_intel_pch_acs)")


def _intel_sunrise_point(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_intel_spt_pch_acs`: the control register lies at offset 8, where neither lspci nor a reader of config space looks."""
    if function.port_type is not PortType.ROOT_PORT or function.acs is None:
        return None
    if isinstance(function.acs, Unknown):
        return Unknown(f"whether {function.address} has ACS: {function.acs.why}")
    if not is_known(function.acs.capability):
        return Unknown(f"the ACS capability of {function.address}: {function.acs.capability.why}")
    needed = flags & (function.acs.capability | AcsBits.EC)
    if isinstance(function.acs, Acs) and is_known(function.acs.control) and not needed & ~function.acs.control:
        return True
    if not _within(needed, _ROOT_PORT_MASK):
        return False
    return Taken(f"Linux set ACS control of {function.address} at boot, in a register that this chipset has elsewhere (pci_quirk_enable_intel_spt_pch_acs)")


def _amd_south_bridge(function: Function, flags: AcsBits, iommu: IommuKind | Unknown) -> Answer:
    """`pci_quirk_amd_sb_acs`: multifunction devices on the root bus of a machine whose firmware describes an AMD IOMMU."""
    if function.multifunction is False or not isinstance(function.parent, RootBus) or (is_known(iommu) and iommu is not IommuKind.AMD):
        return None
    if not _within(flags & (AcsBits.RR | AcsBits.CR | AcsBits.EC | AcsBits.DT), AcsBits.RR | AcsBits.CR):
        return False
    if not is_known(function.multifunction):
        return Unknown(f"whether {function.address} is multifunction: {function.multifunction.why}")
    return True if is_known(iommu) else Unknown(f"whether firmware describes an AMD IOMMU: {iommu.why}")


def _zhaoxin_port(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_zhaoxin_pcie_ports_acs`: ports named isolate, all others do not, whatever their registers say."""
    if isinstance(function.port_type, Unknown) or function.port_type not in (PortType.ROOT_PORT, PortType.DOWNSTREAM):
        return None
    return function.device_id in _ZHAOXIN_PORTS and _within(flags, _ROOT_PORT_MASK)


def _wangxun(function: Function, flags: AcsBits, _iommu: object) -> Answer:
    """`pci_quirk_wangxun_nic_acs`: NICs named isolate, all others do not."""
    return function.device_id in _WANGXUN_NICS and _within(flags, _ROOT_PORT_MASK)


def _ids(text: str) -> frozenset[int]:
    """Device ids in hexadecimal, `a-b` for a range."""
    found: set[int] = set()
    for word in text.split():
        first, _, last = word.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(found)


_EVERY = range(0x10000)
_AMD_SOUTH_BRIDGES = _ids("4383-4385 4399 439c 439d")
_INTEL_NICS = _ids(
    "10c6 10db 10dd 10e1 10f1 10f7-10fc 1507 1514 151c 1529 152a 154d 154f 1551 1558 "  # 82599 and its like
    "1509 150e-1511 1516 1527 10c9 10e6-10e8 150a 150d 1518 1526 10a7 10a9 10d6 105e-1060 10d9 "  # 82580, 82576, 82575, 82571
    "1521-1524 15b7 15b8"  # I350, I219
)
_INTEL_PCH = _ids(
    "3b42-3b51 1c10-1c1f 1d10 1d12 1d14 1d16 1d18 1d1a 1d1c 1d1e 1e10-1e1f 8c10-8c1f 9c10-9c1b 9c90-9c9b 8d10-8d1e "  # Ibex Peak to Wellsburg
    "8c90 8c92 8c94 8c96 8c98 8c9a 8c9c 8c9e"  # Lynx Point, 9 series
)
_SUNRISE_POINT = _ids("a110-a11f a167-a16a a290-a29f a2e7-a2ee 9d10-9d1b")
_NXP_LX2 = _ids("8d80-8d83 8da0 8da1 8d88-8d8b 8da8 8da9 8d90-8d93 8db0 8db1 8d98-8d9b 8db8 8db9")
_LOONGSON = _ids("3c09 3c19 3c29 7a09 7a19 7a29 7a39 7a49 7a59 7a69")
_CAVIUM_PORTS = _ids("a000-a7ff af84 b884")
_ZHAOXIN_PORTS = _ids("0710-071e 0721 0723-0752")
_WANGXUN_NICS = _ids("0100-010f 1001 2001 5010 5025 5040 5110 5125 5140")

_ROWS: dict[int, tuple[tuple[Container[int], Rule], ...]] = {
    0x1002: ((_AMD_SOUTH_BRIDGES, _amd_south_bridge),),
    0x1022: ((_ids("7809 780f"), _amd_south_bridge),),
    0x1924: ((_ids("0903 0923 0a03"), _mf_endpoint),),
    0x8086: ((_INTEL_NICS, _mf_endpoint), (_EVERY, _intel_rciep), (_INTEL_PCH, _intel_pch), (_SUNRISE_POINT, _intel_sunrise_point)),
    0x17CB: ((_ids("0111 0115 0120 0400 0401"), _root_port),),
    0x1DBF: ((_ids("0401"), _root_port),),
    0x19A2: ((_ids("0710"), _mf_endpoint),),
    0x10DF: ((_ids("0720"), _mf_endpoint),),
    0x177D: ((_CAVIUM_PORTS, _cavium), (_ids("a026 a059 a060"), _mf_endpoint)),
    0x10E8: ((_ids("e004"), _root_port),),
    0x1DEF: ((_ids("e005-e00c"), _root_port),),
    0x14E4: ((_ids("16d7 1750-1752 1760-1763"), _mf_endpoint), (_ids("d714"), _root_port)),
    0x0014: ((_LOONGSON, _root_port),),
    0x1C36: ((_ids("0031"), _annapurna),),
    _ZHAOXIN: ((_ids("3038 3104 9083"), _mf_endpoint), (_EVERY, _zhaoxin_port)),
    0x1957: ((_NXP_LX2, _root_port),),
    0x8088: ((_EVERY, _wangxun),),
}
"""Vendor to its rows of `pci_dev_acs_enabled[]`, in the kernel's order."""
