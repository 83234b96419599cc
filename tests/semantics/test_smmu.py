"""Arm's SMMUv3: stream ids that are taken, functions that wait for a driver, and groups that follow the order of drivers."""

from dataclasses import replace

import pytest

from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import REQUIRED_ACS, Acs, BusRange, PortType
from simkit.model.function import Function
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.semantics.smmu import grouped_when_bound, handed_over

PORT, BRIDGE, ONE, TWO, ZERO = (Address.parse(text) for text in ("00:01.0", "01:00.0", "02:01.0", "02:02.0", "02:00.0"))
ISOLATING = Acs(REQUIRED_ACS, REQUIRED_ACS)


def function(address: Address, parent: Parent, kind: PortType | None, class_code: int = 0x020000, *, acs: Acs | None = None, buses: BusRange | None = None,
             driver=UNKNOWN, ids: tuple[int, int] = (0x1234, 1), physfn: Address | None = None) -> Function:
    return Function(address, parent, *ids, class_code, port_type=kind, acs=acs, ats=None, sriov=None, multifunction=False, bus_range=buses, driver=driver,
                    physfn=physfn)


def host(*below: Function, acs: Acs | None = ISOLATING, kind: PortType | None = PortType.PCIE_TO_PCI_BRIDGE, kernel: str = "7.3.0", ids=(0x1234, 1)) -> Host:
    port = function(PORT, RootBus(0, 0), PortType.ROOT_PORT, 0x060400, acs=acs, buses=BusRange(1, 2), driver="pcieport")
    bridge = function(BRIDGE, PORT, kind, 0x060400, buses=BusRange(2, 2), ids=ids)
    return Host("arm", (port, bridge, *below), iommu=IommuKind.SMMU, kernel=kernel)


def child(address: Address, **more) -> Function:
    return function(address, BRIDGE, None, **more)


@pytest.mark.parametrize(("kind", "below", "none"), [
    (PortType.PCIE_TO_PCI_BRIDGE, (ONE, TWO), (TWO,)),          # both use 02:00.0, the first has it
    (PortType.PCIE_TO_PCI_BRIDGE, (ZERO, ONE, TWO), (ONE, TWO)),    # which is 02:00.0's own
    (PortType.PCIE_TO_PCI_BRIDGE, (ONE,), ()),
    (None, (ONE, TWO), (ONE, TWO)),          # both use the bridge's id, which the bridge has
])
def test_a_stream_id_belongs_to_one_function(kind: PortType | None, below: tuple[Address, ...], none: tuple[Address, ...]) -> None:
    made = host(*map(child, below), kind=kind)
    assert groups(made).ungrouped == none
    assert groups(replace(made, iommu=IommuKind.INTEL)).ungrouped == ()


@pytest.mark.parametrize(("kernel", "none"), [("6.12.0", (TWO,)), ("7.3.0", ())])
def test_aspeeds_bridge_leaves_ids_as_they_are_since_7_0(kernel: str, none: tuple[Address, ...]) -> None:
    assert groups(host(child(ONE), child(TWO), kernel=kernel, ids=(0x1A03, 0x1150))).ungrouped == none


@pytest.mark.parametrize(("kernel", "waits"), [("6.1.0", True), ("6.14.0", True), ("6.15.0", False), ("7.3.0", False)])
def test_groups_come_with_the_driver_before_6_15(kernel: str, waits: bool) -> None:
    disk, idle = (function(address, RootBus(0, 0), PortType.RC_ENDPOINT, driver=driver)
                  for address, driver in ((Address.parse("00:05.0"), "nvme"), (Address.parse("00:06.0"), None)))
    made = Host("arm", (disk, idle), iommu=IommuKind.SMMU, kernel=kernel)
    answer = groups(made)
    assert answer.status is Status.EXACT
    assert answer.ungrouped == ((idle.address,) if waits else ())
    assert groups(replace(made, iommu=IommuKind.INTEL)).ungrouped == ()


def test_bridges_are_tried_with_pcieport_and_virtual_functions_with_their_physical_ones_driver() -> None:
    physical = function(Address.parse("00:05.0"), RootBus(0, 0), PortType.RC_ENDPOINT, driver="nvme")
    virtual = function(Address.parse("00:05.1"), RootBus(0, 0), PortType.RC_ENDPOINT, driver=None, physfn=physical.address)
    bridge = function(Address.parse("00:07.0"), RootBus(0, 0), None, 0x060400, buses=BusRange(1, 1), driver=None)
    made = Host("arm", (physical, virtual, bridge), iommu=IommuKind.SMMU, kernel="6.1.0")
    assert groups(made).ungrouped == ()
    handed = Host("arm", (replace(physical, driver="vfio-pci"), virtual, bridge), iommu=IommuKind.SMMU, kernel="6.1.0")
    assert groups(handed).ungrouped == (virtual.address,)


@pytest.mark.parametrize(("kernel", "driver", "status"), [
    ("6.1.0", UNKNOWN, Status.ASSUMED), (UNKNOWN, None, Status.ASSUMED), ("7.3.0", UNKNOWN, Status.EXACT), (UNKNOWN, "nvme", Status.EXACT)])
def test_what_is_unknown_of_drivers_and_release_is_assumed_and_said(kernel, driver, status: Status) -> None:
    disk = function(Address.parse("00:05.0"), RootBus(0, 0), PortType.RC_ENDPOINT, driver=driver)
    answer = groups(Host("arm", (disk,), iommu=IommuKind.SMMU, kernel=kernel))
    assert (answer.status, answer.ungrouped) == (status, ())
    assert [said.path for said in answer.assumptions] == (["kernel"] if status is Status.ASSUMED else [])


def test_the_order_of_drivers_is_said_where_it_decides() -> None:
    """A disk below a port without ACS: with it, unless its driver comes first."""
    disk = function(BRIDGE, PORT, PortType.ENDPOINT, driver="nvme")
    port = function(PORT, RootBus(0, 0), PortType.ROOT_PORT, 0x060400, buses=BusRange(1, 1), driver="pcieport")
    for acs, kernel, told in ((None, "6.1.0", True), (ISOLATING, "6.1.0", False), (None, "7.3.0", False)):
        made = Host("arm", (replace(port, acs=acs), disk), iommu=IommuKind.SMMU, kernel=kernel)
        assert any("ports have their drivers before" in said.text and str(BRIDGE) in said.text for said in groups(made).assumptions) is told
    made = Host("arm", (replace(port, acs=None, iommu_group=1), replace(disk, iommu_group=0)), iommu=IommuKind.SMMU, kernel="6.1.0")
    assert groups(made).differences == ()
    assert {one.function for one in groups(replace(made, kernel="7.3.0")).differences} == {PORT, BRIDGE}


def test_what_waits_has_the_group_that_binding_makes() -> None:
    """Told or not: one that waits is grouped anew when vfio-pci comes, one that had a driver keeps its group."""
    port = function(PORT, RootBus(0, 0), PortType.ROOT_PORT, 0x060400, acs=None, buses=BusRange(1, 1), driver="pcieport")
    idle = function(BRIDGE, PORT, PortType.ENDPOINT, driver=None)
    for told in (Host("arm", (port, idle), iommu=IommuKind.SMMU, kernel="6.1.0"),
                 Host("arm", (replace(port, iommu_group=3), replace(idle, iommu_group=None)), iommu=IommuKind.SMMU, kernel="6.1.0")):
        assert grouped_when_bound(told, told[BRIDGE]) and not grouped_when_bound(told, told[PORT])
        assert groups(told).of(BRIDGE) is None
        group = groups(handed_over(told, (BRIDGE,))).of(BRIDGE)
        assert group is not None and group.functions == (PORT, BRIDGE)
        assert not grouped_when_bound(replace(told, kernel="7.3.0"), told[BRIDGE])
    kept = Host("arm", (replace(port, iommu_group=3), replace(idle, iommu_group=4)), iommu=IommuKind.SMMU, kernel="6.1.0")
    assert not grouped_when_bound(kept, kept[BRIDGE])
    assert handed_over(kept, (BRIDGE,))[BRIDGE].iommu_group == 4
