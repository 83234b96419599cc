"""Domains that Intel's VMD makes, what firmware's tables put under IOMMUs, and ids that only a device's memory tells."""

from dataclasses import replace

import pytest
from hypothesis import given

from simkit.errors import InconsistentHost
from simkit.formats.draw.text import groups as drawn
from simkit.model.address import RootBus
from simkit.model.capabilities import BusRange, PortType
from simkit.model.function import Function
from simkit.model.group import Rule, Status
from simkit.model.host import Host
from simkit.model.merge import merge
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope, MadeBus, ScopePath
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.semantics.iommu_scope import firmware_alias, translated
from simkit.semantics.reboot import with_bios
from simkit.testing.fabrics import fabrics
from tests.semantics.test_groups import OFF, ON, at, host, make, together

VMD_BUS = RootBus(0x10000, 0)
REST = IommuScope(IommuKind.INTEL, 0, rest=True)


def vmd(text: str) -> Function:
    return replace(make(text, "pci0000:00", PortType.RC_ENDPOINT), vendor_id=0x8086, device_id=0x28C0, class_code=0x010400)


def below_vmd(domain: str = "10000") -> tuple[Function, ...]:
    """A root port with ACS and an NVMe below it: by themselves each would have a group of its own."""
    return (make(f"{domain}:00:01.0", f"pci{domain}:00", PortType.ROOT_PORT, acs=ON, bus_range=BusRange(1, 1)),
            make(f"{domain}:01:00.0", f"{domain}:00:01.0", PortType.ENDPOINT, class_code=0x010802))


def scoped(*scopes: IommuScope, iommu: IommuKind = IommuKind.INTEL) -> Host:
    """A root port, a switch and two endpoints below it; an integrated endpoint beside."""
    return host(make("00:02.0", "pci0000:00", PortType.RC_ENDPOINT), make("00:1c.0", "pci0000:00", PortType.ROOT_PORT, acs=ON, bus_range=BusRange(1, 4)),
                make("01:00.0", "00:1c.0", PortType.UPSTREAM, bus_range=BusRange(2, 4)), make("02:00.0", "01:00.0", PortType.DOWNSTREAM, acs=ON, bus_range=BusRange(3, 3)),
                make("02:01.0", "01:00.0", PortType.DOWNSTREAM, acs=ON, bus_range=BusRange(4, 4)), make("03:00.0", "02:00.0", PortType.ENDPOINT),
                make("04:00.0", "02:01.0", PortType.ENDPOINT), iommu=iommu, iommu_scopes=scopes)


def without_group(answer) -> set[str]:
    return {str(address).removeprefix("0000:") for address in answer.ungrouped}


def test_a_vmd_whose_device_id_is_not_told_is_known_by_its_class() -> None:
    maker = replace(vmd("00:0e.0"), device_id=UNKNOWN)
    answer = groups(host(maker, *below_vmd()))
    assert together(answer, "00:0e.0", "10000:00:01.0", "10000:01:00.0")
    assert answer.status is Status.ASSUMED
    assert not together(groups(host(replace(maker, class_code=0x020000), *below_vmd())), "00:0e.0", "10000:01:00.0")


def test_all_below_a_vmd_is_in_its_group() -> None:
    machine = host(vmd("00:0e.0"), *below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),))
    answer = groups(machine)
    assert answer.status is Status.EXACT
    assert together(answer, "0000:00:0e.0", "10000:00:01.0", "10000:01:00.0")
    assert [because.rule for because in answer.groups[0].because] == [Rule.MAKER]
    apart = groups(replace(machine, made_buses=(), functions=tuple(replace(function, device_id=1) for function in machine.functions)))
    assert len(apart.groups) == 3
    assert any("no VMD is known that made pci10000:00" in assumption.text for assumption in apart.assumptions)


def test_who_made_a_domain_is_taken_by_order_and_said() -> None:
    answer = groups(host(vmd("00:0e.0"), vmd("00:0f.0"), *below_vmd("10000"), *below_vmd("10001")))
    assert answer.status is Status.ASSUMED
    assert together(answer, "0000:00:0e.0", "10000:01:00.0")
    assert together(answer, "0000:00:0f.0", "10001:01:00.0")
    assert any("paired in order (10000 0000:00:0e.0, 10001 0000:00:0f.0)" in assumption.text for assumption in answer.assumptions)


def test_below_a_vmd_that_nothing_translates_nothing_has_a_group() -> None:
    machine = host(vmd("00:0e.0"), make("00:02.0", "pci0000:00", PortType.RC_ENDPOINT), *below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),),
                   iommu_scopes=(IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((2, 0),)),)),))
    answer = groups(machine)
    assert without_group(answer) == {"00:0e.0", "10000:00:01.0", "10000:01:00.0"}
    assert len(groups(replace(machine, iommu_scopes=(REST,))).groups) == 2


def test_what_is_probed_below_a_vmd_without_group_gets_none() -> None:
    """The VMD is known to have no group, of the rest nothing is known."""
    machine = host(replace(vmd("00:0e.0"), iommu_group=None), *below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),))
    assert without_group(groups(machine)) == {"00:0e.0", "10000:00:01.0", "10000:01:00.0"}


def test_a_made_bus_needs_its_maker() -> None:
    with pytest.raises(InconsistentHost, match="which is not there"):
        host(*below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),))
    with pytest.raises(InconsistentHost, match="was made twice"):
        host(vmd("00:0e.0"), *below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),) * 2)
    with pytest.raises(InconsistentHost, match="cannot be made by"):
        host(vmd("00:0e.0"), made_buses=(MadeBus(RootBus(0, 0), at("00:0e.0")),))


def test_intel_scopes_name_functions_and_what_is_below_bridges() -> None:
    assert without_group(groups(scoped(REST))) == set()
    only = IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((2, 0),)),))
    assert without_group(groups(scoped(only))) == {"00:1c.0", "01:00.0", "02:00.0", "02:01.0", "03:00.0", "04:00.0"}
    port = IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((0x1C, 0), (0, 0), (1, 0)), below=True),))
    answer = groups(scoped(port))
    assert answer.unscoped == answer.ungrouped
    assert "      firmware's tables (DMAR, IVRS, IORT) put these under no IOMMU" in drawn(scoped(port), answer).splitlines()
    assert without_group(answer) == {"00:02.0", "00:1c.0", "01:00.0", "02:00.0", "03:00.0"}
    assert len(answer.groups) == 2
    assert without_group(groups(scoped(replace(REST, domain=1)))) == {str(function.address)[5:] for function in scoped().functions}
    assert drawn(scoped(replace(REST, domain=1)), groups(scoped(replace(REST, domain=1)))).startswith("h: no IOMMU groups: firmware's tables put no function")
    assert without_group(groups(scoped(only, REST))) == set()


def test_a_path_of_one_step_may_name_any_bus() -> None:
    """`dmar_match_pci_path`'s way with broken firmware."""
    broken = IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(3, ((0, 0),)),))
    assert without_group(groups(scoped(broken))) == {"00:02.0", "00:1c.0", "01:00.0", "02:00.0", "02:01.0", "04:00.0"}
    assert len(groups(scoped(replace(broken, paths=(ScopePath(3, ((0, 0), (0, 0))),)))).groups) == 0


def test_a_virtual_function_is_found_by_its_physical_one() -> None:
    physical = make("00:02.0", "pci0000:00", PortType.RC_ENDPOINT)
    virtual = make("00:02.1", "pci0000:00", PortType.RC_ENDPOINT, physfn=physical.address)
    machine = host(physical, virtual, iommu_scopes=(IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((2, 0),)),)),))
    assert without_group(groups(machine)) == set()
    assert translated(replace(machine, functions=(physical, replace(virtual, physfn=None))), replace(virtual, physfn=None)) is False


def test_amd_scopes_are_ids_and_the_last_alias_counts() -> None:
    ids = (IdRange(0x0010, 0x00FF), IdRange(0x0300, 0x0300, alias=0x0010))
    machine = scoped(IommuScope(IommuKind.AMD, 0, ids=ids), iommu=IommuKind.AMD)
    assert without_group(groups(machine)) == {"01:00.0", "02:00.0", "02:01.0", "04:00.0"}
    target = scoped(IommuScope(IommuKind.AMD, 0, ids=(IdRange(0x0300, 0x0300, alias=0x0010),)), iommu=IommuKind.AMD)
    assert without_group(groups(target)) == {"00:1c.0", "01:00.0", "02:00.0", "02:01.0", "04:00.0"}
    aliased = IommuScope(IommuKind.AMD, 0, ids=(IdRange(0, 0xFFFF), IdRange(0x0208, 0x0208, 0x0201), IdRange(0x0208, 0x0208, 0x0200)))
    answer = groups(scoped(aliased, iommu=IommuKind.AMD))
    assert together(answer, "0000:02:00.0", "0000:02:01.0")
    assert any(because.rule is Rule.ALIAS_ON_BUS for group in answer.groups for because in group.because)
    assert not together(groups(scoped(IommuScope(IommuKind.AMD, 0, ids=(IdRange(0, 0xFFFF),)), iommu=IommuKind.AMD)), "0000:02:00.0", "0000:02:01.0")


def test_an_alias_on_another_bus_is_none_to_grouping() -> None:
    machine = scoped(IommuScope(IommuKind.AMD, 0, ids=(IdRange(0, 0xFFFF, alias=0x0010),)), iommu=IommuKind.AMD)
    assert [firmware_alias(machine, function) for function in machine.functions] == [None, 0x10, None, None, None, None, None]


def test_an_smmu_must_map_every_id_a_function_uses() -> None:
    machine = scoped(IommuScope(IommuKind.SMMU, 0, ids=(IdRange(0, 0x02FF),)), iommu=IommuKind.SMMU)
    assert without_group(groups(machine)) == {"03:00.0", "04:00.0"}
    bridge = make("00:03.0", "pci0000:00", PortType.PCIE_TO_PCI_BRIDGE, bus_range=BusRange(5, 5))
    card = make("05:04.0", "00:03.0", None)
    old = host(bridge, card, iommu=IommuKind.SMMU, iommu_scopes=(IommuScope(IommuKind.SMMU, 0, ids=(IdRange(0, 0xFF), IdRange(0x0520, 0x0520))),))
    assert without_group(groups(old)) == {"05:04.0"}
    assert without_group(groups(replace(old, iommu_scopes=(IommuScope(IommuKind.SMMU, 0, ids=(IdRange(0, 0xFFFF),)),)))) == set()


def test_tables_of_another_kind_say_nothing() -> None:
    """A what-if with another IOMMU: what Intel's table says does not count."""
    machine = scoped(IommuScope(IommuKind.INTEL, 0, paths=()), iommu=IommuKind.AMD)
    assert translated(machine, machine.functions[0]) == UNKNOWN
    assert groups(machine) == groups(replace(machine, iommu_scopes=UNKNOWN))


def test_no_table_is_no_iommu_unless_one_is_known() -> None:
    assert without_group(groups(scoped(iommu=UNKNOWN))) == {str(function.address)[5:] for function in scoped().functions}
    assert groups(scoped()).groups


@given(fabrics())
def test_scopes_that_cover_all_change_nothing(fabric: Host) -> None:
    """Law: firmware that puts everything under its IOMMU groups as if nothing were known of it; that of nothing leaves no group."""
    blank = replace(fabric, iommu=IommuKind.INTEL, functions=tuple(replace(function, iommu_group=UNKNOWN) for function in fabric.functions))
    domains = {function.address.domain for function in fabric.functions}
    everything = tuple(IommuScope(IommuKind.INTEL, domain, rest=True) for domain in domains)
    ids = tuple(IommuScope(IommuKind.SMMU, domain, ids=(IdRange(0, 0xFFFF),)) for domain in domains)
    assert groups(replace(blank, iommu_scopes=everything)) == groups(blank)
    assert groups(replace(blank, iommu=IommuKind.SMMU, iommu_scopes=ids)) == groups(replace(blank, iommu=IommuKind.SMMU))
    assert groups(replace(blank, iommu_scopes=(IommuScope(IommuKind.INTEL, 77, rest=True),))).groups == ()


def test_what_only_a_switchtecs_memory_tells_is_left_open() -> None:
    """Its management function lies beside the upstream port: whether it uses the port's id decides on all below."""
    root = make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON)
    port, other = make("01:00.0", "00:01.0", PortType.UPSTREAM, many=True, acs=ON), make("01:00.1", "00:01.0", PortType.ENDPOINT, acs=ON)
    bridge = replace(other, vendor_id=0x11F8, device_id=0x8536, class_code=0x068000)
    answer = groups(host(root, port, bridge))
    assert answer.status is Status.AMBIGUOUS
    assert answer.possible == 2
    assert together(answer, "0000:01:00.0", "0000:01:00.1")
    assert "quirk_switchtec_ntb_dma_alias" in answer.assumptions[0].text
    assert "own memory" in answer.assumptions[0].text
    assert groups(host(root, port, replace(bridge, class_code=0x058000))).status is Status.EXACT
    assert groups(host(root, replace(bridge, address=at("01:00.0"), multifunction=False))).status is Status.EXACT
    assert groups(host(root, port, replace(bridge, vendor_id=0x1055, device_id=0x1008))).status is Status.AMBIGUOUS


def test_a_merge_keeps_what_one_source_says() -> None:
    told = host(vmd("00:0e.0"), *below_vmd(), made_buses=(MadeBus(VMD_BUS, at("00:0e.0")),), iommu_scopes=(REST,))
    silent = replace(told, made_buses=(), iommu_scopes=UNKNOWN)
    for pair in ((told, silent), (silent, told)):
        merged = merge(pair)
        assert (merged.host.made_buses, merged.host.iommu_scopes, merged.disagreements) == (told.made_buses, told.iommu_scopes, ())
    assert [found.path for found in merge((told, replace(told, iommu_scopes=()))).disagreements] == ["iommu_scopes"]


def test_a_port_that_does_not_isolate_does_not_bring_an_untranslated_function_in() -> None:
    machine = host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=OFF, bus_range=BusRange(1, 1)), make("01:00.0", "00:01.0", PortType.ENDPOINT),
                   iommu_scopes=(IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((1, 0),)),)),))
    assert without_group(groups(machine)) == set()
    assert without_group(groups(replace(machine, iommu_scopes=(replace(machine.iommu_scopes[0], paths=(ScopePath(0, ((1, 0), (1, 0))),)),)))) == {"00:01.0", "01:00.0"}


def test_an_iommu_switched_on_in_firmware_brings_tables_that_nobody_has_seen() -> None:
    off = scoped(iommu=IommuKind.NONE)
    on = with_bios(off, {"iommu": True})
    assert on.iommu_scopes == UNKNOWN
    assert len(groups(on).groups) == 7
    assert with_bios(scoped(REST), {"iommu": True}).iommu_scopes == (REST,)
    assert with_bios(scoped(REST), {"iommu": False}).iommu_scopes == ()
