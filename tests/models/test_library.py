"""The shipped library: loads, is what its maker makes, and is consistent as a machine must be."""

import runpy
from pathlib import Path

import pytest

from simkit.formats.library import folder
from simkit.formats.source import open_host, open_policy, open_workload, shipped
from simkit.model.capabilities import PortType
from simkit.model.function import Kind
from simkit.model.group import Status
from simkit.model.unknown import is_known
from simkit.semantics.groups import groups
from simkit.verify.verify import PROPERTIES


def test_hosts_are_what_their_maker_makes() -> None:
    made = runpy.run_path(str(folder() / "make.py"))
    for machine in made["MACHINES"]:
        host, sources = machine()
        assert (folder() / "hosts" / f"{host.name}.yaml").read_text() == made["text"](host, sources), f"run python models/make.py: {host.name}"
        assert sources
        assert host.assumed
    assert {machine()[0].name for machine in made["MACHINES"]} == set(shipped("hosts"))


@pytest.mark.parametrize("name", shipped("hosts"))
def test_a_shipped_host_is_one_machine(name: str) -> None:
    host = open_host(name)
    for function in host.functions:
        parent = host.parent(function)
        if parent is not None:
            assert parent.bus_range is not None
            assert parent.bus_range.secondary == function.address.bus, f"{function.address} is not on the bus below {parent.address}"
            if is_known(parent.numa_node) and is_known(function.numa_node):
                assert parent.numa_node == function.numa_node
            assert parent.port_type is not PortType.ENDPOINT
        else:
            assert function.address.bus == host.root_bus(function).bus
        if function.bus_range is not None:
            below = [other.address.bus for other in host.below(function.address)]
            assert all(function.bus_range.secondary <= bus <= function.bus_range.subordinate for bus in below)
        if function.port_type is PortType.UPSTREAM:
            assert all(child.port_type is PortType.DOWNSTREAM for child in host.children(function.address))
        if function.port_type is PortType.DOWNSTREAM:
            assert parent is not None
            assert parent.port_type is PortType.UPSTREAM
    assert host.of_kind(Kind.GPU)
    assert any(function.usage and "root disk" in function.usage for function in host.functions)
    assert groups(host).status is not Status.AMBIGUOUS


def test_the_cards_of_four_functions_are_one_group_each() -> None:
    host = open_host("rtx-pro-8")
    grouping = groups(host)
    cards = [group for group in grouping.groups if any(host[address].kind is Kind.GPU for address in group.functions)]
    assert len(cards) == 8
    assert all(len(group.functions) == 4 for group in cards)


def test_no_gpu_of_split_roots_shares_a_root_with_a_nic() -> None:
    host = open_host("split-roots")
    roots = {kind: {host.root_bus(function) for function in host.of_kind(kind)} for kind in (Kind.GPU, Kind.NIC)}
    assert not roots[Kind.GPU] & roots[Kind.NIC]


def test_the_edge_board_has_all_below_its_first_port_in_one_group() -> None:
    host = open_host("edge-single")
    gpu = host.of_kind(Kind.GPU)[0]
    group = groups(host).of(gpu.address)
    assert group is not None
    assert gpu.parent in group.functions


def test_workloads_and_policies_load_and_name_what_exists() -> None:
    for name in shipped("workloads"):
        assert open_workload(name).name == name
    for name in shipped("policies"):
        policy = open_policy(name)
        assert policy.name == name
        assert {rule.property for rule in policy.rules} <= set(PROPERTIES)


def test_every_file_of_the_library_begins_by_saying_what_it_is() -> None:
    for file in Path(folder()).rglob("*.yaml"):
        assert file.read_text().startswith("# "), file


@pytest.mark.parametrize("name", shipped("hosts"))
def test_function_0_says_that_it_has_siblings(name: str) -> None:
    """Otherwise Linux would not look for them (`pci_scan_slot`)."""
    host = open_host(name)
    for function in host.functions:
        siblings = [other for other in host.functions if other.address.slot == function.address.slot and not other.is_vf]
        if function.address.function == 0 and len(siblings) > 1:
            assert function.multifunction is True, function.address
