"""Groups on small trees whose answer is known, unknown facts, and laws."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.source import open_host
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.testing.fabrics import fabrics

ON = Acs(AcsBits(0x5F), AcsBits(0x1D))
OFF = Acs(AcsBits(0x5F), AcsBits.NONE)


def at(text: str) -> Address:
    return Address.parse(text)


def make(text: str, parent: str, kind: PortType | None, *, acs: Acs | None = None, many: bool = False, **facts) -> Function:
    above = RootBus.parse(parent) if parent.startswith("pci") else at(parent)
    return Function(at(text), above, 0x1234, 0x5678, facts.pop("class_code", 0x060400 if kind and kind not in (PortType.ENDPOINT, PortType.RC_ENDPOINT) else 0x020000),
                    port_type=kind, acs=acs, multifunction=many or at(text).function > 0, **facts)


def host(*functions: Function, **facts) -> Host:
    return Host("h", functions, iommu=facts.pop("iommu", IommuKind.INTEL), kernel="6.12.0", **facts)


def together(answer, *addresses: str) -> bool:
    return answer.of(at(addresses[0])) is not None and set(map(at, addresses)) <= set(answer.of(at(addresses[0])).functions)


def switch(*, root: Acs | None = ON, down: Acs | None = ON) -> Host:
    """Root port, switch with two downstream ports on slots of their own, an endpoint below each."""
    return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=root), make("01:00.0", "00:01.0", PortType.UPSTREAM),
                make("02:00.0", "01:00.0", PortType.DOWNSTREAM, acs=down), make("02:01.0", "01:00.0", PortType.DOWNSTREAM, acs=down),
                make("03:00.0", "02:00.0", PortType.ENDPOINT), make("04:00.0", "02:01.0", PortType.ENDPOINT))


def test_a_root_port_without_acs_has_all_below_it_in_one_group() -> None:
    answer = groups(switch(root=None))
    assert len(answer.groups) == 1
    assert any(because.rule == "pci_acs_path_enabled" for because in answer.groups[0].because)


def test_everything_isolating_is_everything_apart() -> None:
    assert len(groups(switch()).groups) == 6


def test_downstream_ports_without_acs_still_look_isolated() -> None:
    """kernel.md: step 2 stops the port itself at the path of the upstream port. The switch may turn traffic; Linux does not see it."""
    answer = groups(switch(down=None))
    assert not together(answer, "03:00.0", "04:00.0")
    assert together(answer, "02:00.0", "03:00.0")


def test_one_bit_missing_at_the_root_merges_all() -> None:
    for bit in (AcsBits.SV, AcsBits.RR, AcsBits.CR, AcsBits.UF):
        assert len(groups(switch(root=Acs(ON.capability, ON.control & ~bit))).groups) == 1, bit
    hard_wired = Acs(AcsBits.SV | AcsBits.UF, AcsBits.SV | AcsBits.UF)
    assert len(groups(switch(root=hard_wired)).groups) == 6


def test_a_pci_bridge_merges_what_is_below_it_however_good_the_ports_above() -> None:
    answer = groups(host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("01:00.0", "00:01.0", PortType.PCIE_TO_PCI_BRIDGE),
                         make("02:01.0", "01:00.0", None), make("02:02.0", "01:00.0", None)))
    assert together(answer, "01:00.0", "02:01.0", "02:02.0")
    assert not together(answer, "00:01.0", "02:01.0")


def test_functions_of_one_device_without_acs_share_and_with_acs_do_not() -> None:
    def card(acs: Acs | None) -> Host:
        return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("01:00.0", "00:01.0", PortType.ENDPOINT, acs=acs, many=True), make("01:00.1", "00:01.0", PortType.ENDPOINT, acs=acs))

    assert together(groups(card(None)), "01:00.0", "01:00.1")
    assert not together(groups(card(ON)), "01:00.0", "01:00.1")


def test_intel_integrated_endpoints_stay_apart_and_those_of_others_merge() -> None:
    def chip(vendor: int) -> Host:
        return host(*(replace(make(f"00:04.{number}", "pci0000:00", PortType.RC_ENDPOINT, many=True), vendor_id=vendor) for number in range(2)))

    assert not together(groups(chip(0x8086)), "00:04.0", "00:04.1")
    assert together(groups(chip(0x1022)), "00:04.0", "00:04.1")


def test_amds_iommu_has_no_group_and_without_an_iommu_nobody_has() -> None:
    iommu = make("00:00.2", "pci0000:00", None, class_code=0x080600)
    assert groups(host(iommu, iommu=IommuKind.AMD)).ungrouped == (iommu.address,)
    assert groups(host(iommu, iommu=IommuKind.INTEL)).ungrouped == ()
    assert len(groups(replace(switch(), iommu=IommuKind.NONE)).ungrouped) == 6


def test_virtual_functions_of_an_isolated_physical_one_are_alone() -> None:
    answer = groups(host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("01:00.0", "00:01.0", PortType.ENDPOINT),
                         *(replace(make(f"01:00.{number}", "00:01.0", PortType.ENDPOINT), physfn=at("01:00.0"), multifunction=False) for number in (1, 2))))
    assert len(answer.groups) == 4


def test_an_unknown_register_that_matters_gives_both_ends_and_names_itself() -> None:
    machine = switch()
    blind = machine.with_functions(replace(machine[at("00:01.0")], acs=UNKNOWN))
    answer = groups(blind)
    assert answer.status is Status.AMBIGUOUS
    assert len(answer.groups) == 1
    assert len(answer.finest) == 6
    assert [assumption.path for assumption in answer.assumptions] == ["functions/0000:00:01.0/acs"]


def test_an_unknown_register_that_does_not_matter_leaves_the_answer_exact() -> None:
    machine = switch(root=None)
    assert groups(machine.with_functions(replace(machine[at("02:00.0")], acs=UNKNOWN))).status is Status.EXACT


def test_an_unknown_iommu_and_a_strange_kernel_are_said() -> None:
    assert groups(replace(switch(), iommu=UNKNOWN)).status is Status.ASSUMED
    old = groups(replace(switch(), kernel="4.18.0-553.el8"))
    assert old.status is Status.ASSUMED
    assert "4.18" in old.assumptions[0].text
    assert groups(switch(), kernel="6.6.1").kernel == "6.6"


def test_a_bridge_that_has_no_group_itself_is_the_one_that_looks_for_siblings() -> None:
    """The kernel goes on from the last bridge it came to (`pdev = bus->self`), not from the function: two functions of a card stay apart then."""
    port = make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=OFF, iommu_group=None)
    card = make("01:00.0", "00:01.0", PortType.ENDPOINT, many=True), make("01:00.1", "00:01.0", PortType.ENDPOINT)
    assert len(groups(host(port, *card)).groups) == 2
    assert len(groups(host(replace(port, iommu_group=UNKNOWN), *card)).groups) == 1


def test_bridges_are_probed_before_what_is_below_them_however_buses_are_numbered() -> None:
    """A kernel that numbers buses itself (`pci=assign-busses`), or firmware that numbers backwards: the order is that of the scan, not of addresses."""
    def numbered(root: int, inner: int, one: int, two: int) -> Host:
        return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make(f"{root:02x}:00.0", "00:01.0", PortType.UPSTREAM),
                    make(f"{inner:02x}:00.0", f"{root:02x}:00.0", PortType.DOWNSTREAM), make(f"{inner:02x}:01.0", f"{root:02x}:00.0", PortType.DOWNSTREAM),
                    make(f"{one:02x}:00.0", f"{inner:02x}:00.0", PortType.ENDPOINT), make(f"{two:02x}:00.0", f"{inner:02x}:01.0", PortType.ENDPOINT))

    forwards, backwards = groups(numbered(1, 2, 3, 4)), groups(numbered(9, 8, 3, 4))
    assert together(backwards, "08:00.0", "03:00.0")
    assert sorted(len(group.functions) for group in forwards.groups) == sorted(len(group.functions) for group in backwards.groups)


def test_what_the_kernel_reported_wins_and_the_difference_is_shown() -> None:
    machine = switch(root=None)
    numbers = {function.address: index for index, function in enumerate(machine.functions)}
    answer = groups(machine.with_functions(*(replace(function, iommu_group=numbers[function.address]) for function in machine.functions)))
    assert answer.reported
    assert len(answer.groups) == 6
    assert len(answer.differences) == 6
    assert "0000:03:00.0: reported with no other" in answer.differences[4].text


def test_a_topology_without_ports_is_ambiguous() -> None:
    answer = groups(replace(switch(), elided=True))
    assert answer.status is Status.AMBIGUOUS
    assert len(answer.groups) == 1
    assert answer.assumptions


@pytest.mark.parametrize("name", ["hgx-h100", "rtx-pro-8"])
def test_every_function_is_in_one_group(name: str) -> None:
    machine = open_host(name)
    answer = groups(machine)
    members = [address for group in answer.groups for address in group.functions] + list(answer.ungrouped)
    assert sorted(members) == [function.address for function in machine.functions]


def coarser(coarse, fine) -> bool:
    """Whether every group of `fine` lies inside one of `coarse`."""
    return all(any(set(group) <= set(other) for other in coarse) for group in fine)


def partition(answer) -> list[tuple[Address, ...]]:
    return [group.functions for group in answer.groups]


@given(fabrics(), st.data())
def test_setting_more_bits_never_merges_groups(fabric: Host, data: st.DataObject) -> None:
    ports = [function for function in fabric.functions if isinstance(function.acs, Acs)]
    if not ports:
        return
    port = data.draw(st.sampled_from(ports))
    more = AcsBits(data.draw(st.integers(0, 0x7F)))
    richer = fabric.with_functions(replace(port, acs=Acs(port.acs.capability, port.acs.control | more)))
    assert coarser(partition(groups(fabric)), partition(groups(richer)))


@given(fabrics(), st.data())
def test_the_truth_lies_between_the_ends(fabric: Host, data: st.DataObject) -> None:
    hidden = data.draw(st.sets(st.sampled_from(fabric.functions)))
    field = data.draw(st.sampled_from(["acs", "port_type", "multifunction"]))
    blind = fabric.with_functions(*(replace(function, **{field: UNKNOWN}) for function in hidden))
    truth, seen = groups(fabric), groups(blind)
    assert truth.status is Status.EXACT
    assert coarser(partition(seen), partition(truth))
    if seen.status is Status.AMBIGUOUS:
        assert coarser(partition(truth), seen.finest)
        assert seen.assumptions
    else:
        assert partition(seen) == partition(truth)


@given(fabrics())
def test_numbering_buses_anew_changes_nothing(fabric: Host) -> None:
    def moved(address: Address) -> Address:
        return Address(address.domain + 1, address.bus, address.device, address.function)

    def parent(above):
        return RootBus(above.domain + 1, above.bus) if isinstance(above, RootBus) else moved(above)

    other = Host("moved", tuple(replace(function, address=moved(function.address), parent=parent(function.parent), physfn=moved(function.physfn) if function.physfn else None)
                                for function in fabric.functions), iommu=fabric.iommu, kernel=fabric.kernel)
    assert [tuple(map(moved, group)) for group in partition(groups(fabric))] == partition(groups(other))
