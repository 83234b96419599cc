"""Linux's P2PDMA on small trees, each case read off `calc_map_type_and_dist`."""

from dataclasses import replace

import pytest

from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.host import Host
from simkit.model.p2pdma import MapType
from simkit.model.platform import Cpu
from simkit.model.unknown import UNKNOWN
from simkit.semantics.p2pdma import p2pdma
from tests.semantics.test_groups import OFF, ON, host, make, switch

A, B = Address(0, 3, 0, 0), Address(0, 4, 0, 0)
ZEN, ICE_LAKE = Cpu(vendor="AuthenticAMD", family=0x19), Cpu(vendor="GenuineIntel", family=6)


def on(cpu: Cpu, made: Host, kernel: str = "6.12", **ids: int) -> Host:
    """The host with that processor, and ids given to what is first on root bus 0."""
    first = made.functions[0]
    return replace(made.with_functions(replace(first, **ids)), cpu=cpu, kernel=kernel)


def two_roots() -> Host:
    return host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("03:00.0", "00:01.0", PortType.ENDPOINT),
                make("40:00.0", "pci0000:40", PortType.ROOT_PORT, acs=ON), make("04:00.0", "40:00.0", PortType.ENDPOINT))


def test_below_a_switch_that_does_not_redirect_the_request_stays_there() -> None:
    answer = p2pdma(on(ICE_LAKE, switch(down=OFF)), A, B)
    assert (answer.possible, answer.distance, answer.redirects) == ((MapType.BUS_ADDRESS,), 4, ())


def test_a_redirect_sends_it_over_the_host_bridge_if_that_passes_it() -> None:
    """Either way counts: RR, CR or EC at any port of the way, as in the kernel's message."""
    for cpu, expected in ((ZEN, MapType.THROUGH_HOST_BRIDGE), (ICE_LAKE, MapType.NOT_SUPPORTED)):
        answer = p2pdma(on(cpu, switch()), A, B)
        assert answer.possible == (expected,)
        assert answer.redirects == (Address(0, 2, 0, 0), Address(0, 2, 1, 0))
    only_one = switch(down=OFF)
    only_one = only_one.with_functions(replace(only_one[Address(0, 2, 1, 0)], acs=Acs(AcsBits(0x7F), AcsBits.EC)))
    assert p2pdma(on(ICE_LAKE, only_one), A, B).possible == (MapType.NOT_SUPPORTED,)


def test_the_common_bridge_counts_too() -> None:
    """Two functions of one card right below a root port that redirects: the kernel counts the port."""
    card = host(make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON), make("03:00.0", "00:01.0", PortType.ENDPOINT, many=True),
                make("03:00.1", "00:01.0", PortType.ENDPOINT))
    answer = p2pdma(on(ZEN, card), A, Address(0, 3, 0, 1))
    assert (answer.possible, answer.distance, answer.redirects) == ((MapType.THROUGH_HOST_BRIDGE,), 2, (Address(0, 0, 1, 0),))
    assert p2pdma(on(ZEN, card), A, A).possible == (MapType.BUS_ADDRESS,)
    assert p2pdma(on(ZEN, card), A, A).distance == 0


@pytest.mark.parametrize(("ids", "one_bridge", "two_bridges"), [
    ((0x8086, 0x2030), MapType.THROUGH_HOST_BRIDGE, MapType.NOT_SUPPORTED),
    ((0x8086, 0x3C00), MapType.THROUGH_HOST_BRIDGE, MapType.NOT_SUPPORTED),
    ((0x8086, 0x347A), MapType.NOT_SUPPORTED, MapType.NOT_SUPPORTED),
    ((0x10DE, 0x2F95), MapType.NOT_SUPPORTED, MapType.NOT_SUPPORTED),
])
def test_host_bridges_by_list(ids: tuple[int, int], one_bridge: MapType, two_bridges: MapType) -> None:
    """Between two bridges both must be listed, and for both; the second here is not."""
    named = {"vendor_id": ids[0], "device_id": ids[1]}
    assert p2pdma(on(ICE_LAKE, switch(), **named), A, B).possible == (one_bridge,)
    assert p2pdma(on(ICE_LAKE, two_roots(), **named), A, B).possible == (two_bridges,)


def test_two_bridges_that_are_both_listed() -> None:
    made = two_roots()
    both = [replace(made[Address(0, bus, device, 0)], vendor_id=0x8086, device_id=0x09A2) for bus, device in ((0, 1), (0x40, 0))]
    assert p2pdma(on(ICE_LAKE, made.with_functions(*both), vendor_id=0x8086, device_id=0x09A2), A, B).possible == (MapType.THROUGH_HOST_BRIDGE,)
    older = [replace(function, device_id=0x2F00) for function in both]
    assert p2pdma(on(ICE_LAKE, made.with_functions(*older), vendor_id=0x8086, device_id=0x2F00), A, B).possible == (MapType.NOT_SUPPORTED,)


def test_the_list_grew() -> None:
    named = {"vendor_id": 0x10DE, "device_id": 0x2F95}
    assert p2pdma(on(Cpu(vendor="NVIDIA", family=8), switch(), "7.3", **named), A, B).possible == (MapType.THROUGH_HOST_BRIDGE,)
    between = p2pdma(on(Cpu(vendor="NVIDIA", family=8), switch(), "6.18", **named), A, B)
    assert between.possible == (MapType.THROUGH_HOST_BRIDGE, MapType.NOT_SUPPORTED)
    assert "between Linux 6.12 and 7.3" in between.assumptions[0].text


def test_what_is_unknown_leaves_answers_open_and_says_which_fact() -> None:
    answer = p2pdma(on(ZEN, switch(down=UNKNOWN)), A, B)
    assert answer.possible == (MapType.BUS_ADDRESS, MapType.THROUGH_HOST_BRIDGE)
    assert [assumption.path for assumption in answer.assumptions] == ["functions/0000:02:00.0/acs", "functions/0000:02:01.0/acs"]
    assert p2pdma(on(Cpu(), switch()), A, B).possible == (MapType.THROUGH_HOST_BRIDGE, MapType.NOT_SUPPORTED)


def test_a_root_bus_whose_first_device_tells_nothing_is_not_listed() -> None:
    """`pci_host_bridge_dev` wants 00.0, or a root port, first on the bus."""
    made = host(make("00:00.1", "pci0000:00", PortType.RC_ENDPOINT), *switch().functions)
    assert p2pdma(on(ICE_LAKE, made, vendor_id=0x8086, device_id=0x2030), A, B).possible == (MapType.NOT_SUPPORTED,)
