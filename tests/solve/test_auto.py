"""The topology `auto`: neighbours where the workload wants them seen, root ports for all else, never more switch ports than mirroring everything takes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host, open_workload
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.workload import Topology, Workload
from simkit.semantics.guest_limits import MOST_SWITCH_PORTS
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.placement import check
from simkit.semantics.routes import tree_class
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve
from tests.solve.test_brute_force import small_hosts, small_workloads


def count(guest: GuestPlan, kind: GuestPortKind) -> int:
    return sum(port.kind is kind for port in guest.ports)


def with_topology(workload: Workload, topology: Topology) -> Workload:
    return replace(workload, guests=tuple(replace(guest, topology=topology) for guest in workload.guests))


def test_all_of_a_machine_fits_with_neighbours_only_where_they_are_wanted() -> None:
    """Eight GPUs, eight NICs beside them, four NVSwitches: mirrored, that is 20 switch ports."""
    workload, host = open_workload("whole-machine"), open_host("hgx-h100")
    answer = solve(workload, host)
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    assert count(guest, GuestPortKind.DOWNSTREAM) == MOST_SWITCH_PORTS
    refused = solve(with_topology(workload, Topology.REPLICATE), host)
    assert isinstance(refused, Infeasible)
    assert "all with topology auto in place of replicate, so that its drivers see switches only where it asks for neighbours" in [each.text for each in refused.relaxations]
    view, at = guest_view(host, guest), guest_addresses(host, guest)
    nics = [device.address for device in guest.devices if host[device.address].kind.value == "nic"]
    gpus = [device.address for device in guest.devices if host[device.address].kind.value == "gpu"]
    assert len(nics) == len(gpus) == 8
    for nic in nics:
        near = [gpu for gpu in gpus if tree_class(host, host[nic], host[gpu]) is PeerClass.PIX]
        assert near
        assert all(tree_class(view, view[at[nic]], view[at[gpu]]) is PeerClass.PIX for gpu in near)


@settings(max_examples=100)
@given(small_hosts(), small_workloads(), st.booleans())
def test_what_fits_mirrored_fits_so_with_no_more_switch_ports(host: Host, workload: Workload, flat: bool) -> None:
    one, other = (solve(with_topology(workload, topology), host) for topology in (Topology.FLATTEN if flat else Topology.REPLICATE, Topology.AUTO))
    assert isinstance(one, Planned) == isinstance(other, Planned)
    if isinstance(one, Planned) and isinstance(other, Planned):
        assert check(other.plan) == ()
        if not flat:
            for mirrored, guest in zip(one.plan.guests, other.plan.guests, strict=True):
                assert count(guest, GuestPortKind.DOWNSTREAM) <= count(mirrored, GuestPortKind.DOWNSTREAM)


def test_without_neighbours_it_is_flat() -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a: {topology: auto, cpus: 8, memory: 16 GiB, devices: [{kind: gpu, count: 4, peers: NVL}, {kind: nvme, count: 1}]}\n"
    answer = solve(load_workload(text, source="w.yaml"), open_host("hgx-h100"))
    assert isinstance(answer, Planned)
    assert count(answer.plan.guests[0], GuestPortKind.DOWNSTREAM) == 0
    assert {device.clique for device in answer.plan.guests[0].devices if device.clique is not None} == {0}


@pytest.mark.parametrize("where", ["root", "elsewhere"])
def test_the_checker_wants_neighbours_seen(where: str) -> None:
    """A NIC that is taken off the mirrored switch and put on a root port of its own is told."""
    host = open_host("hgx-h100")
    answer = solve(open_workload("whole-machine"), host)
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    nic = next(device for device in guest.devices if host[device.address].kind.value == "nic")
    other = next(device for device in guest.devices if host[device.address].kind.value == "nvswitch")
    swapped = {nic.address: other.port, other.address: nic.port}
    ports = tuple(replace(port, mirrors=None) for port in guest.ports) if where == "root" else guest.ports
    moved = replace(guest, ports=ports, devices=tuple(replace(device, port=swapped.get(device.address, device.port)) for device in guest.devices))
    faults = check(replace(answer.plan, guests=(moved,)))
    assert any(f"its drivers see no GPU within PIX of {nic.address}" in fault for fault in faults), faults
