"""The rework posted in 2025, on the examples that its own text gives, and what must hold of it. From the posted text: no kernel has it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simkit.model.capabilities import Acs, AcsBits, Bar, BarKind, PortType
from simkit.model.group import Status
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN
from simkit.semantics.groups import groups
from simkit.testing.fabrics import fabrics
from tests.semantics.test_groups import OFF, ON, coarser, host, make, partition, switch, together

KERNEL = "6.17+pci_reachable_set"


def reworked(made: Host):
    return groups(made, kernel=KERNEL)


def test_a_switch_without_acs_at_its_ports_is_one_group_beside_its_upstream_port() -> None:
    """Root and upstream port alone; both downstream ports and both devices together, also if only one of the ports lets traffic through."""
    for one_off in (switch(down=None), switch(down=OFF), switch().with_functions(replace(switch().functions[2], acs=OFF))):
        answer = reworked(one_off)
        assert together(answer, "02:00.0", "02:01.0", "03:00.0", "04:00.0")
        assert len(answer.groups) == 3
    assert len(reworked(switch()).groups) == 6


def test_a_root_port_that_has_acs_and_does_not_use_it_takes_all_below_with_it() -> None:
    assert len(reworked(switch(root=OFF)).groups) == 1
    assert len(reworked(switch(root=None)).groups) == 6


def test_one_function_that_lets_through_joins_its_whole_device_and_what_is_below() -> None:
    """00:1f.6 isolates, its siblings do not; one of them is a root port with a device below."""
    made = host(make("00:1f.0", "pci0000:00", PortType.RC_ENDPOINT, acs=OFF, many=True), make("00:1f.2", "pci0000:00", PortType.ROOT_PORT, acs=OFF),
                make("00:1f.6", "pci0000:00", PortType.RC_ENDPOINT, acs=ON), make("01:01.0", "00:1f.2", PortType.ENDPOINT))
    assert len(reworked(made).groups) == 1
    assert not together(groups(made), "00:1f.0", "00:1f.6")


def test_functions_without_acs_are_taken_at_the_specifications_word() -> None:
    card = host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("01:00.0", "00:01.0", PortType.ENDPOINT, many=True), make("01:00.1", "00:01.0", PortType.ENDPOINT))
    assert len(reworked(card).groups) == 3
    assert len(groups(card).groups) == 2


def test_a_bridge_to_conventional_pci_is_apart_unless_it_has_registers_in_memory() -> None:
    def below(bars) -> Host:
        return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("01:00.0", "00:01.0", PortType.PCIE_TO_PCI_BRIDGE, bars=bars),
                    make("02:01.0", "01:00.0", None), make("02:02.0", "01:00.0", None))

    assert together(reworked(below(())), "02:01.0", "02:02.0")
    assert not together(reworked(below(())), "01:00.0", "02:01.0")
    assert together(reworked(below((Bar(0, BarKind.MEM32, 4096),))), "01:00.0", "02:01.0", "02:02.0")
    unknown = reworked(below(UNKNOWN))
    assert unknown.status is Status.AMBIGUOUS
    assert unknown.assumptions[-1].path == "functions/0000:01:00.0/bars"


def test_virtual_functions_go_by_the_bus_of_their_physical_one() -> None:
    physical = make("02:00.0", "00:01.0", PortType.ENDPOINT)
    virtual = [replace(make(f"03:00.{number}", "00:01.0", PortType.ENDPOINT), physfn=physical.address, multifunction=False) for number in (0, 1)]
    assert len(reworked(host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), physical, *virtual)).groups) == 4
    assert len(reworked(host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=OFF), physical, *virtual)).groups) == 1


@given(fabrics())
def test_what_today_keeps_apart_though_a_switch_may_turn_it_around_is_together(made: Host) -> None:
    """Two ports of one switch, either without ACS: always one group, with all below."""
    answer = reworked(made)
    for upstream in made.functions:
        ports = made.children(upstream.address) if upstream.port_type is PortType.UPSTREAM else ()
        if any(port.acs is None or not isinstance(port.acs, Acs) for port in ports):
            below = [str(function.address) for function in made.below(upstream.address)]
            assert together(answer, *below)


@given(fabrics(), st.data())
def test_setting_more_bits_never_merges_groups_here_either(made: Host, data: st.DataObject) -> None:
    ports = [function for function in made.functions if isinstance(function.acs, Acs)]
    if ports:
        port = data.draw(st.sampled_from(ports))
        more = AcsBits(data.draw(st.integers(0, 0x7F)))
        richer = made.with_functions(replace(port, acs=Acs(port.acs.capability, port.acs.control | more)))
        assert coarser(partition(reworked(made)), partition(reworked(richer)))


@given(fabrics(), st.data())
def test_the_truth_lies_between_the_ends_here_too(made: Host, data: st.DataObject) -> None:
    hidden = data.draw(st.sets(st.sampled_from([function for function in made.functions if function.acs is not None] or [made.functions[0]])))
    blind = made.with_functions(*(replace(function, acs=UNKNOWN) for function in hidden))
    truth, seen = reworked(made), reworked(blind)
    assert coarser(partition(seen), partition(truth))
    if seen.status is Status.AMBIGUOUS:
        assert coarser(partition(truth), seen.finest)


def test_the_variant_is_named_and_said_to_be_unseen() -> None:
    answer = reworked(switch())
    assert answer.kernel == "6.17+pci_reachable_set"
    assert answer.status is Status.ASSUMED
    assert "not seen on a kernel" in answer.assumptions[0].text
