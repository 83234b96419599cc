"""The slot of AMD's IOMMU: who is out of its scope, by the kernel's report or by what firmware mostly does."""

from dataclasses import replace

import pytest

from simkit.model.capabilities import PortType
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.semantics.regroup import after_reboot, regroup
from simkit.semantics.what_if import what_if
from tests.semantics.test_groups import ON, at, host, make


def slot(*, vendor: int = 0x1022, iommu: object = IommuKind.AMD, reported: tuple[int | None, int | None, int | None, int] | None = None) -> Host:
    """Host bridge, IOMMU and event collector in one slot; a root port beside."""
    functions = (make("00:00.0", "pci0000:00", None, class_code=0x060000, many=True), make("00:00.2", "pci0000:00", None, class_code=0x080600),
                 make("00:00.3", "pci0000:00", PortType.RC_EVENT_COLLECTOR, class_code=0x080700), make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON))
    if reported is not None:
        functions = tuple(replace(function, iommu_group=number) for function, number in zip(functions, reported, strict=True))
    return host(*(replace(function, vendor_id=vendor) for function in functions), iommu=iommu)


def without(answer) -> set[str]:
    return {str(address)[5:] for address in answer.ungrouped}


@pytest.mark.parametrize("iommu", [IommuKind.AMD, UNKNOWN])
def test_the_host_bridge_beside_the_iommu_is_taken_for_out_of_scope_and_that_is_said(iommu: object) -> None:
    answer = groups(slot(iommu=iommu))
    assert without(answer) == {"00:00.0", "00:00.2"}
    assert answer.status is Status.ASSUMED
    assert any("IVRS leaves out" in assumption.text and "0000:00:00.0" in assumption.text for assumption in answer.assumptions)


def test_where_the_tables_are_known_they_decide() -> None:
    machine = replace(slot(), iommu_scopes=(IommuScope(IommuKind.AMD, 0, ids=(IdRange(0, 0xFFFF),)),))
    assert without(groups(machine)) == {"00:00.2"}
    assert groups(machine).status is Status.EXACT


@pytest.mark.parametrize(("vendor", "iommu"), [(0x8086, UNKNOWN), (0x1022, IommuKind.INTEL)])
def test_another_vendors_function_of_that_class_is_no_iommu_of_amds(vendor: int, iommu: object) -> None:
    assert without(groups(slot(vendor=vendor, iommu=iommu))) == set()


@pytest.mark.parametrize("iommu", [IommuKind.AMD, UNKNOWN])
@pytest.mark.parametrize("numbers", [(None, None, 0, 1), (0, None, 0, 1), (None, None, None, 0)])
def test_what_the_kernel_left_without_a_group_is_no_difference_and_stays_out(numbers: tuple[int | None, ...], iommu: object) -> None:
    machine = slot(iommu=iommu, reported=numbers)
    answer = groups(machine)
    assert answer.reported
    assert not answer.differences
    assert after_reboot(machine, answer) == ()
    assert regroup(answer, groups(what_if(machine, kernel="6.18.1"))) == ()
    assert regroup(answer, groups(what_if(machine, acs={at("00:01.0"): ON.control}))) == ()


def test_a_group_that_rules_cannot_make_is_still_a_difference() -> None:
    answer = groups(slot(reported=(0, None, 1, 2)))
    assert {str(difference.function)[5:] for difference in answer.differences} == {"00:00.0", "00:00.3"}


def test_nobody_in_a_group_says_nothing_of_scopes() -> None:
    machine = slot(reported=(None, None, None, None))  # type: ignore[arg-type]
    assert without(groups(what_if(replace(machine, kernel="6.1"), kernel="6.18"))) >= {"00:00.2"}
    assert groups(what_if(replace(machine, kernel="6.1"), kernel="6.18")).of(at("00:01.0")) is not None


def test_an_iommu_with_a_slot_of_its_own_leaves_the_host_bridge_in() -> None:
    machine = host(make("00:00.0", "pci0000:00", None, class_code=0x060000), replace(make("00:01.0", "pci0000:00", None, class_code=0x080600), vendor_id=0x1022),
                   iommu=IommuKind.AMD)
    assert without(groups(machine)) == {"00:01.0"}
