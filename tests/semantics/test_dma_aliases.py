"""Requester ids that devices use besides their own. From source: no such device was seen on a kernel here."""

from dataclasses import replace

from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.group import Rule
from simkit.semantics.dma_alias_quirks import explicit_aliases
from simkit.semantics.groups import groups
from tests.semantics.test_groups import ON, host, make, together


def device(address: str, vendor: int, number: int, **facts) -> Function:
    return replace(make(address, "00:01.0", PortType.ENDPOINT, acs=ON), vendor_id=vendor, device_id=number, **facts)


ROOT = make("00:01.0", "pci0000:00", PortType.ROOT_PORT, acs=ON)


def test_a_sata_controller_shares_the_id_of_function_1() -> None:
    """Marvell 88SE9123: function 1 is an IDE controller, where it is there at all. Both isolate by their registers, and share a group all the same."""
    disks, ide = device("01:00.0", 0x1B4B, 0x9123, multifunction=True), device("01:00.1", 0x1B4B, 0x91A4)
    answer = groups(host(ROOT, disks, ide))
    assert together(answer, "0000:01:00.0", "0000:01:00.1")
    assert [because.rule for because in answer.groups[1].because] == [Rule.ALIAS_ON_BUS]
    assert not together(groups(host(ROOT, replace(disks, device_id=0x9999), ide)), "0000:01:00.0", "0000:01:00.1")
    assert len(groups(host(ROOT, disks)).groups) == 2


def test_aliases_work_in_both_directions_and_in_turn() -> None:
    """A PLX bridge between hosts may use every id of its bus; what else is there shares its group, with its slot's functions in turn."""
    loose = make("01:02.0", "00:01.0", PortType.ENDPOINT, many=True), make("01:02.1", "00:01.0", PortType.ENDPOINT)
    answer = groups(host(ROOT, device("01:00.0", 0x10B5, 0x87B0), device("01:01.0", 1, 2), *loose))
    assert together(answer, "0000:01:00.0", "0000:01:01.0", "0000:01:02.0", "0000:01:02.1")
    assert len(groups(host(ROOT, device("01:00.0", 0x10B5, 0x8747), device("01:01.0", 1, 2), *loose)).groups) == 4


def test_only_the_named_subsystems_of_an_adapter_are_fixed() -> None:
    assert explicit_aliases(device("01:0e.0", 0x9005, 0x0285, subsystem=(0x9005, 0x02BB))) == {0x08}
    assert explicit_aliases(device("01:0e.0", 0x9005, 0x0285, subsystem=(0x9005, 0x0001))) == frozenset()
    assert explicit_aliases(device("01:00.1", 0x1180, 0xE476)) == {0}
    assert explicit_aliases(device("01:00.0", 0x1180, 0xE476)) == frozenset()
