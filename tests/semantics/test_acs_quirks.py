"""Quirks: a row of each kind, in the words of drivers/pci/quirks.c (6.1.192)."""

from dataclasses import replace

import pytest

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.semantics.acs_quirks import Taken, quirk_answer
from simkit.semantics.groups import groups

OFF = Acs(AcsBits(0x1F), AcsBits.NONE)


def function(vendor: int, device: int, kind: PortType = PortType.ENDPOINT, **facts) -> Function:
    return Function(Address(0, 0, 3, 0), RootBus(0, 0), vendor, device, 0x020000, port_type=kind, acs=facts.pop("acs", None), multifunction=facts.pop("multifunction", True), **facts)


@pytest.mark.parametrize(("asked", "answer"), [
    (function(0x8086, 0x1521), True),  # I350
    (function(0x8086, 0x15B7), True),  # I219
    (function(0x8086, 0x1572), None),  # X710 is in no row
    (function(0x8086, 0x9999, PortType.RC_ENDPOINT), True),
    (function(0x14E4, 0x1751), True),
    (function(0x14E4, 0xD714, PortType.ROOT_PORT), True),
    (function(0x1DEF, 0xE00C, PortType.ROOT_PORT), True),
    (function(0x177D, 0xA5FF, PortType.ROOT_PORT), True),
    (function(0x177D, 0xA800, PortType.ROOT_PORT), None),
    (function(0x1D17, 0x0720, PortType.ROOT_PORT), False),
    (function(0x1D17, 0x0723, PortType.DOWNSTREAM), True),
    (function(0x8088, 0x1001), True),
    (function(0x8088, 0x1002), False),
    (function(0x10DE, 0x2330), None),
])
def test_a_row_of_each_kind(asked: Function, answer: bool | None) -> None:
    assert quirk_answer(asked, REQUIRED_ACS, IommuKind.INTEL) is answer


def test_more_than_the_mask_is_refused() -> None:
    assert quirk_answer(function(0x8086, 0x1521), AcsBits.EC) is False
    assert quirk_answer(function(0x17CB, 0x0400, PortType.ROOT_PORT), AcsBits.TB) is False


def test_amd_south_bridges_with_an_amd_iommu_only() -> None:
    bridge = function(0x1022, 0x780F, PortType.RC_ENDPOINT)
    assert quirk_answer(bridge, REQUIRED_ACS, IommuKind.AMD) is True
    assert quirk_answer(bridge, REQUIRED_ACS, IommuKind.INTEL) is None
    assert isinstance(quirk_answer(bridge, REQUIRED_ACS, UNKNOWN), Unknown)
    assert quirk_answer(replace(bridge, multifunction=False), REQUIRED_ACS, IommuKind.AMD) is None


def test_a_chipset_port_isolates_if_linux_programmed_it_and_that_is_said() -> None:
    port = function(0x8086, 0x8C10, PortType.ROOT_PORT)
    assert isinstance(quirk_answer(port, REQUIRED_ACS, IommuKind.INTEL), Taken)
    below = Function(Address(0, 1, 0, 0), port.address, 0x1234, 1, 0x020000, port_type=PortType.ENDPOINT, acs=None, multifunction=False)
    answer = groups(Host("pch", (port, below), iommu=IommuKind.INTEL, kernel="6.1.0"))
    assert answer.status is Status.ASSUMED
    assert len(answer.groups) == 2
    assert "pci_quirk_enable_intel_pch_acs" in answer.assumptions[0].text


def test_sunrise_points_register_is_elsewhere() -> None:
    port = function(0x8086, 0xA110, PortType.ROOT_PORT, acs=OFF)
    assert isinstance(quirk_answer(port, REQUIRED_ACS, IommuKind.INTEL), Taken)
    assert quirk_answer(replace(port, acs=None), REQUIRED_ACS, IommuKind.INTEL) is None
    assert isinstance(quirk_answer(replace(port, acs=UNKNOWN), REQUIRED_ACS, IommuKind.INTEL), Unknown)


@pytest.mark.parametrize("asked", [
    function(0x8086, UNKNOWN),  # a NIC: I350, or any other
    function(UNKNOWN, UNKNOWN),
    function(UNKNOWN, 0x1521),
    function(UNKNOWN, UNKNOWN, PortType.RC_ENDPOINT),  # Intel's isolate
    function(0x8086, UNKNOWN, PortType.ROOT_PORT),  # a chipset's, or a CPU's
    replace(function(0x1022, UNKNOWN, None), class_code=0x0C0310),
    replace(function(0x1D17, UNKNOWN), class_code=0x0C0300),
    function(0x17CB, UNKNOWN, PortType.ROOT_PORT),
])
def test_ids_that_are_not_told_leave_the_quirk_open(asked: Function) -> None:
    answer = quirk_answer(asked, REQUIRED_ACS, IommuKind.AMD)
    assert isinstance(answer, Unknown)
    assert answer.why.startswith("its ids: ")


@pytest.mark.parametrize(("asked", "answer"), [
    (replace(function(0x8086, UNKNOWN, PortType.RC_ENDPOINT), class_code=0x040300), True),  # every one of Intel's
    (function(0x8086, UNKNOWN, PortType.RC_ENDPOINT), True),  # that may be a NIC as well
    (function(0x8088, UNKNOWN), False),
    (function(0x10DE, UNKNOWN), None),
    (replace(function(0x8086, UNKNOWN), class_code=0x030000), None),
    (replace(function(0x1022, UNKNOWN, None), class_code=0x060000), None),
    (function(0x1022, UNKNOWN, PortType.ROOT_PORT), None),
    (replace(function(0x17CB, UNKNOWN), class_code=0x010802), None),
    (replace(function(UNKNOWN, UNKNOWN), class_code=0x010802), None),
])
def test_what_vendor_class_and_port_settle_without_the_ids(asked: Function, answer: bool | None) -> None:
    assert quirk_answer(asked, REQUIRED_ACS, IommuKind.AMD) is answer
