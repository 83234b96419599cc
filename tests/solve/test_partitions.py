"""Partitions of the fabric manager: guests with NVLink get the GPUs of one, others any; against every set of GPUs."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import InconsistentHost, MalformedDocument
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.platform import Partition
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Workload
from simkit.semantics.placement import check
from simkit.semantics.placement_gpus import check_gpus
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

HOST = open_host("hgx-h100")
GPUS = [gpu.address for gpu in HOST.of_kind(Kind.GPU)]


def offering(*sets: tuple[int, ...]):
    return replace(HOST, partitions=tuple(Partition(number, tuple(GPUS[at] for at in found)) for number, found in enumerate(sets)))


def guests(*wishes: tuple[int, bool]) -> Workload:
    return Workload("w", tuple(GuestRequest(f"g{number}", (DeviceRequest(Kind.GPU, count, peers=PeerClass.NVL if linked else None),), cpus=2, memory_bytes=1 << 30)
                               for number, (count, linked) in enumerate(wishes)))


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True).map(lambda found: tuple(sorted(found))), max_size=5),
       st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=3))
def test_a_plan_is_found_exactly_where_there_is_one(sets, wishes) -> None:
    host = offering(*sets)
    answer = solve(guests(*wishes), host)

    def there(left: frozenset[int], rest) -> bool:
        if not rest:
            return True
        (count, linked), *others = rest
        ways = combinations(sorted(left), count)
        return any(there(left - set(way), others) for way in ways if not (linked and count > 1 and sets) or way in sets)

    assert isinstance(answer, Planned if there(frozenset(range(8)), wishes) else Infeasible)
    if isinstance(answer, Planned):
        assert check(answer.plan) == ()


def test_a_set_that_is_no_partition_is_told() -> None:
    answer = solve(guests((3, True)), offering((0, 1), (0, 1, 2, 3), (4, 5, 6, 7)))
    assert isinstance(answer, Infeasible)
    assert [reason.text for reason in answer.because] == [
        "g0 asks for 3 GPUs; hgx-h100 has 8", "g0 wants its 3 GPUs at most NVL from each other", "g0's GPUs are to reach each other over NVSwitches, so they are one partition of the fabric manager; it has 1 of 2 and 2 of 4 GPUs"]
    texts = [relaxation.text for relaxation in answer.relaxations]
    assert "g0 with 2 GPUs in place of 3" in texts
    assert any("up to PIX" in text or "up to PXB" in text or "up to PHB" in text or "up to SYS" in text for text in texts)


def test_the_checker_sees_another_set() -> None:
    host = offering((0, 1, 2, 3))
    answer = solve(guests((4, True)), host)
    assert isinstance(answer, Planned)
    assert {device.address for device in answer.plan.guests[0].devices} == set(GPUS[:4])
    assert not any("fabric manager has a partition" in text for text in answer.plan.assumptions)
    other = replace(answer.plan, host=offering((1, 2, 3, 4)))
    assert any("no partition of the fabric manager" in fault for fault in check(other))


def test_partitions_are_kept_in_a_snapshot_and_must_be_of_its_gpus() -> None:
    host = offering((0, 1), (2, 3))
    assert load_host(dump_host(host), source="x").partitions == host.partitions
    with pytest.raises(InconsistentHost, match="partition 9 has 0009"):
        replace(HOST, partitions=(Partition(9, (Address(9, 9, 9, 0),)),))


def test_protected_pcie_takes_the_whole_board() -> None:
    """The shipped wish for all of a machine; with one NVSwitch fewer it is refused, and a plan that lacks one is seen by the checker."""
    workload = open_workload("whole-machine")
    assert workload.guests[0].protected_pcie
    answer = solve(workload, HOST)
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    switch = next(device for device in guest.devices if HOST[device.address].kind is Kind.NVSWITCH)
    less = replace(answer.plan, guests=(replace(guest, devices=tuple(device for device in guest.devices if device != switch)),))
    assert any(f"takes all GPUs and NVSwitches: without {switch.address}" in fault for fault in check_gpus(less))
    (asked,) = workload.guests
    fewer = replace(asked, devices=tuple(replace(request, count=3) if request.kind is Kind.NVSWITCH else request for request in asked.devices))
    refused = solve(replace(workload, guests=(fewer,)), HOST)
    assert isinstance(refused, Infeasible)
    assert [reason.text for reason in refused.because] == [
        "all is to have protected PCIe: it takes all 8 GPUs and 4 NVSwitches of hgx-h100, and all asks for 8 and 3"]
    assert "all without protected PCIe" in [relaxation.text for relaxation in refused.relaxations]


def test_protected_pcie_is_for_confidential_guests() -> None:
    with pytest.raises(MalformedDocument, match="wants protected PCIe and is not confidential"):
        load_workload("simkit: workload/1\nname: w\nguests:\n  a: {protected_pcie: true, devices: [{kind: gpu, count: 8}]}\n", source="w.yaml")
