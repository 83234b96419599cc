"""Firmware's tables against the kernels that obeyed them: machines of which a part is outside the IOMMU's scope, read back with their tables."""

from dataclasses import replace

import pytest

from simkit.executors.lab import Lab
from simkit.executors.lab.agreement import groups_agree
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, is_known

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ON = Acs(AcsBits(0x5F), AcsBits(0x1D))


def at(text: str) -> Address:
    return Address.parse(text)


def two_roots(iommu: IommuKind) -> Host:
    """A root port with a NIC on each of two root buses, and a bridge to conventional PCI with a card on the first."""
    def port(text: str, root: int, below: int) -> Function:
        return Function(at(text), RootBus(0, root), 0x1234, 1, 0x060400, port_type=PortType.ROOT_PORT, acs=ON, multifunction=False, bus_range=BusRange(below, below))

    def nic(text: str, parent: str, kind: PortType | None) -> Function:
        return Function(at(text), at(parent), 0x1234, 2, 0x020000, port_type=kind, acs=None, multifunction=False)

    bridge = Function(at("00:04.0"), RootBus(0, 0), 0x1234, 3, 0x060400, port_type=None, acs=None, multifunction=False, bus_range=BusRange(3, 3))
    return Host("two-roots", (port("00:03.0", 0, 1), nic("01:00.0", "00:03.0", PortType.ENDPOINT), bridge, nic("03:01.0", "00:04.0", None),
                              port("80:00.0", 0x80, 0x81), nic("81:00.0", "80:00.0", PortType.ENDPOINT)), iommu=iommu)


def booted(lab: Lab, iommu: IommuKind, *changes: tuple[str, str]) -> Host:
    """The machine as its kernel shows it; each change adds an option to QEMU's arguments that begin so."""
    machine = lab.machine(two_roots(iommu))
    args = machine.args
    for start, option in changes:
        assert any(each.startswith(start) for each in args)
        args = tuple(f"{each},{option}" if each.startswith(start) else each for each in args)
    with lab.boot(replace(machine, args=args), cmdline="no_timer_check") as session:  # which a busy machine without KVM may fail
        return session.host()


def ungrouped(read: Host) -> set[str]:
    return {str(function.address) for function in read.functions if function.iommu_group is None}


def check(read: Host, *, rests_on_the_table: bool) -> None:
    """Kernel and rules agree function by function; and, where the table leaves functions out, they would not without it."""
    assert is_known(read.iommu_scopes)
    assert {scope.kind for scope in read.iommu_scopes} == {read.iommu}
    agreement = groups_agree(read)
    assert agreement, agreement.differences
    assert bool(groups_agree(replace(read, iommu_scopes=UNKNOWN))) is not rests_on_the_table


def test_intels_unit_of_everything(lab: Lab) -> None:
    read = booted(lab, IommuKind.INTEL)
    assert ungrouped(read) == set()
    check(read, rests_on_the_table=False)


def test_an_expander_that_bypasses_intels_iommu(lab: Lab) -> None:
    """DMAR then names what it translates, bridges with all below them; nothing on the other root bus has a group."""
    read = booted(lab, IommuKind.INTEL, ("pxb-pcie", "bypass_iommu=on"))
    assert ungrouped(read) == {"0000:80:00.0", "0000:81:00.0"}
    assert not any(scope.rest for scope in read.iommu_scopes)
    check(read, rests_on_the_table=True)


def test_a_first_bus_that_bypasses_intels_iommu(lab: Lab) -> None:
    read = booted(lab, IommuKind.INTEL, ("q35", "default_bus_bypass_iommu=on"))
    assert {str(function.address) for function in read.functions} - ungrouped(read) == {"0000:80:00.0", "0000:81:00.0"}
    check(read, rests_on_the_table=True)


def test_amds_ids_and_aliases(amd_lab: Lab) -> None:
    """IVRS lists every bridge, and that what is below one to conventional PCI speaks under the bridge's id."""
    read = booted(amd_lab, IommuKind.AMD)
    aliases = [ids for scope in read.iommu_scopes for ids in scope.ids if ids.alias is not None]
    bridge = next(function for function in read.functions if function.port_type is None and function.bus_range is not None)
    assert [(ids.alias, ids.first >> 8) for ids in aliases] == [(bridge.address.routing_id, bridge.bus_range.secondary)]
    check(read, rests_on_the_table=False)


def test_a_first_bus_that_bypasses_amds_iommu(amd_lab: Lab) -> None:
    read = booted(amd_lab, IommuKind.AMD, ("q35", "default_bus_bypass_iommu=on"))
    assert {str(function.address) for function in read.functions} - ungrouped(read) == {"0000:80:00.0", "0000:81:00.0"}
    check(read, rests_on_the_table=True)
