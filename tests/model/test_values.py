"""Addresses, CPU sets, unknowns, hosts that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InconsistentHost, InputError, UnknownName
from simkit.model.address import Address, RootBus
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet
from simkit.model.place import Place, Places
from simkit.model.unknown import UNKNOWN, Unknown, is_known, known_or

addresses = st.builds(Address, st.integers(0, 0xFFFFFFFF), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7))


@given(addresses)
def test_an_address_reads_back_as_it_prints(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert Address.from_routing_id(address.domain, address.routing_id) == address


def test_addresses_print_as_linux_prints_them() -> None:
    assert str(Address.parse("3b:0.1")) == "0000:3b:00.1"
    assert str(Address.parse("10000:00:02.0")) == "10000:00:02.0"
    assert str(Address(0xFFFF, 0xFF, 1, 0)) == "ffff:ff:01.0"
    assert str(RootBus.parse("pci0000:16")) == "pci0000:16"


@pytest.mark.parametrize("text", ["", "00:00", "0000:00:20.0", "0000:00:00.8", "0000:100:00.0", "zz:00.0", "000000000:00:00.0", "0000:00:00.0 x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"not a PCI address|out of range"):
        Address.parse(text)


@given(st.sets(st.integers(0, 300)))
def test_a_cpu_list_reads_back_as_it_prints(cpus: set[int]) -> None:
    assert set(CpuSet.parse(str(CpuSet.of(cpus)))) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "0-99999999", "1--2", "-", ",".join(["0-65535"] * 2)])
def test_what_is_no_cpu_list_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        CpuSet.parse(text)


def test_unknown_is_neither_true_nor_false_and_equals_any_other() -> None:
    with pytest.raises(TypeError, match="needs root"):
        bool(Unknown("needs root"))
    assert Unknown("a") == Unknown("b") == UNKNOWN
    assert not is_known(UNKNOWN)
    assert known_or(UNKNOWN, 3) == 3
    assert known_or(None, 3) is None


def test_a_place_is_found_at_the_nearest_ancestor() -> None:
    places = Places({"functions/x": Place("h.yaml", 4), "functions/x/acs": Place("h.yaml", 9)}, root=Place("h.yaml"))
    assert str(places.of("functions/x/acs/control")) == "h.yaml:9"
    assert str(places.of("functions/x/link")) == "h.yaml:4"
    assert str(places.of("kernel")) == "h.yaml"


def function(address: str, parent: str) -> Function:
    return Function(Address.parse(address), RootBus.parse(parent) if parent.startswith("pci") else Address.parse(parent))


def test_a_host_that_cannot_be_names_every_fault() -> None:
    with pytest.raises(InconsistentHost) as caught:
        Host("odd", (function("00:01.0", "pci0000:00"), function("00:01.0", "pci0000:00"), function("01:00.0", "00:02.0"),
                     function("05:00.0", "06:00.0"), function("06:00.0", "05:00.0"), function("07:00.0", "05:00.0")))
    text = str(caught.value)
    assert "0000:00:01.0 is there twice" in text
    assert "0000:01:00.0 lies below 0000:00:02.0, which is not there" in text
    assert text.count("cycle") == 1


def test_a_long_chain_of_bridges_is_no_trouble() -> None:
    chain = [function("00:00.0", "pci0000:00")]
    for number in range(1, 3000):
        chain.append(Function(Address(number, 0, 0, 0), chain[-1].address))
    host = Host("deep", tuple(chain))
    assert len(list(host.ancestors(host.functions[-1]))) == 2999
    assert len(list(host.below(host.root_buses[0]))) == 3000


def test_a_missing_function_is_a_lookup_error_of_ours() -> None:
    with pytest.raises(UnknownName, match=r"has no function 0000:09:00\.0"):
        Host("small", (function("00:01.0", "pci0000:00"),))[Address(0, 9, 0, 0)]
