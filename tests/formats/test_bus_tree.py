"""The tree from bus numbers: what firmware numbers depth first is found again; what it cannot have meant makes no cycle."""

from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.pci.bus_tree import grow
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host


def at(text):
    return Address.parse(text)


def bridge(text, first, last, **facts):
    return Function(at(text), RootBus(9, 9), class_code=0x060400, sriov=None, bus_range=BusRange(first, last), **facts)


def leaf(text, **facts):
    return Function(at(text), RootBus(9, 9), class_code=0x020000, **({"sriov": None} | facts))


def parents(functions, **options):
    return {str(function.address): str(function.parent) for function in grow(functions, **options).functions}


@st.composite
def numbered(draw):
    """Functions with the parents that they were made with: buses are given depth first, as firmware and Linux do."""
    made, following = [], [0]

    def fill(bus, parent, depth):
        for device in sorted(draw(st.sets(st.integers(0, 31), max_size=3))):
            here = Address(0, bus, device, 0)
            if depth < 4 and draw(st.booleans()) and following[0] < 250:
                following[0] += 1
                first = following[0]
                place = len(made)
                made.append(None)
                fill(first, here, depth + 1)
                made[place] = Function(here, parent, class_code=0x060400, sriov=None, bus_range=BusRange(first, following[0]))
            else:
                made.append(Function(here, parent, class_code=0x020000, sriov=None))

    fill(0, RootBus(0, 0), 0)
    following[0] += 1
    second = following[0]
    fill(second, RootBus(0, second), 0)
    return made


@given(numbered(), st.randoms(use_true_random=False))
def test_depth_first_numbers_give_the_tree_again(made, random):
    shuffled = list(made)
    random.shuffle(shuffled)
    tree = grow(shuffled)
    assert {function.address: function.parent for function in tree.functions} == {function.address: function.parent for function in made}
    assert tree.missing == ()
    Host("h", tree.functions)


@given(st.lists(st.builds(lambda bus, device, first, last: Function(Address(0, bus, device, 0), RootBus(0, 0), class_code=0x060400, bus_range=BusRange(first, last)),
                          st.integers(0, 5), st.integers(0, 3), st.integers(0, 6), st.integers(0, 6)), unique_by=lambda function: function.address))
def test_no_numbers_make_a_cycle(bridges):
    Host("h", grow(bridges).functions)


def test_bridges_without_buses_carry_nothing():
    """Numbers of 0 are what a bridge has before it is configured."""
    assert parents([bridge("00:01.0", 0, 0), leaf("00:02.0")]) == {"0000:00:01.0": "pci0000:00", "0000:00:02.0": "pci0000:00"}


def test_the_nearest_bridge_around_a_bus_stands_for_one_that_is_missing():
    functions = [bridge("00:01.0", 1, 4), bridge("01:00.0", 2, 4), leaf("04:00.0"), leaf("05:00.0")]
    tree = grow(functions)
    assert parents(functions)["0000:04:00.0"] == "0000:01:00.0" and parents(functions)["0000:05:00.0"] == "pci0000:05"
    assert tree.missing == (RootBus(0, 4),)


def test_a_root_bus_that_is_known_misses_nothing():
    port = leaf("3a:00.0", port_type=PortType.ENDPOINT)
    assert grow([port]).missing == (RootBus(0, 0x3A),)
    assert grow([port], roots=frozenset({RootBus(0, 0x3A)})).missing == ()
    host_bridge = Function(at("00:00.0"), RootBus(0, 0), class_code=0x060000, sriov=None)
    assert grow([port, host_bridge]).missing == (), "a whole list of a machine may have endpoints on a root bus"
    assert grow([leaf("3a:00.0", port_type=PortType.DOWNSTREAM), host_bridge]).missing == (RootBus(0, 0x3A),)


def test_virtual_functions_by_arithmetic():
    """Offset 0x80 and stride 0x40: 01:10.0, 01:18.0, then on the next bus 02:00.0; what is off the stride is none."""
    sriov = Sriov(8, 8, 3, 0x80, 0x40, 0x101E, True, True)
    functions = [bridge("00:01.0", 1, 2), leaf("01:00.0", vendor_id=0x15B3, device_id=0x1021, sriov=sriov),
                 *(leaf(text, vendor_id=0xFFFF, device_id=0xFFFF) for text in ("01:10.0", "01:18.0", "02:00.0", "02:08.0", "01:10.1"))]
    found = {str(function.address): function for function in grow(functions).functions}
    assert {text for text, function in found.items() if function.physfn == at("01:00.0")} == {"0000:01:10.0", "0000:01:18.0", "0000:02:00.0"}
    assert (found["0000:02:00.0"].vendor_id, found["0000:02:00.0"].device_id, str(found["0000:02:00.0"].parent)) == (0x15B3, 0x101E, "0000:00:01.0")
    assert found["0000:02:00.0"].multifunction is False and not isinstance(found["0000:02:08.0"].vendor_id, int)


def test_disabled_ones_are_none():
    for sriov in (Sriov(8, 8, 3, 2, 1, 1, False), Sriov(8, 8, 0, 2, 1, 1, True), Sriov(8, 8, 3, 0, 1, 1, True), Sriov(8)):
        assert all(function.physfn is None for function in grow([leaf("01:00.0", sriov=sriov), leaf("01:00.2"), leaf("01:00.3")]).functions)
