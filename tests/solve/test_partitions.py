"""Partitions of the fabric manager: guests with NVLink get the GPUs of one, others any; against every set of GPUs."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simkit.errors import InconsistentHost, MalformedDocument
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Kind
from simkit.model.platform import Partition
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload
from simkit.semantics.guest_view import guest_view
from simkit.semantics.nccl.guest_file import guest_file
from simkit.semantics.placement import check
from simkit.semantics.placement_gpus import check_gpus
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve
from simkit.verify.promises import peer_class_kept
from simkit.verify.report import Outcome
from simkit.verify.scene import Scene

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


bounds = st.sampled_from([None, PeerClass.NVL, PeerClass.PIX, PeerClass.PHB, PeerClass.SYS])
wishes = st.tuples(st.integers(1, 3), bounds)
Wish = tuple[int, PeerClass | None]


def by_pcie(a: int, b: int) -> PeerClass:
    """On this board: two GPUs below a switch, four on a socket."""
    return PeerClass.PIX if a // 2 == b // 2 else PeerClass.PHB if a // 4 == b // 4 else PeerClass.SYS


def suits(mine: tuple[int, ...], asked: list[Wish], sets, *, switch: bool = False) -> bool:
    """Whether these GPUs serve one guest's requests: joined by NVLink where they are a partition, otherwise by PCIe."""
    whole = tuple(sorted(mine)) in sets
    if sets and not whole and any(bound is PeerClass.NVL and count > 1 for count, bound in asked):
        return False
    linked = whole or switch or not sets

    def serves(left: frozenset[int], rest: list[Wish]) -> bool:
        if not rest:
            return not left
        (count, bound), *others = rest
        return any(serves(left - set(way), others) for way in combinations(sorted(left), count)
                   if bound is None or all((PeerClass.NVL if linked else by_pcie(a, b)) <= bound for a, b in combinations(way, 2)))

    return serves(frozenset(mine), asked)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True).map(lambda found: tuple(sorted(found))), max_size=4),
       st.lists(st.tuples(st.lists(wishes, min_size=1, max_size=2), st.booleans()), min_size=1, max_size=2), st.none() | wishes)
@example([(0, 1)], [([(3, PeerClass.PIX)], False)], None)
@example([(0, 1)], [([(3, PeerClass.PIX)], True)], None)
@example([(0, 1)], [([(1, None)], False)], (2, PeerClass.NVL))
@example([(0, 1)], [([(1, None)], False)], (3, PeerClass.PIX))
@example([(0, 2, 4)], [([(2, PeerClass.PIX), (1, None)], False), ([(3, PeerClass.PHB), (2, None)], False)], None)
def test_gpus_are_as_near_as_their_partition_or_pcie_makes_them(sets, drawn, kept: Wish | None) -> None:
    """Several requests a guest, guests with an NVSwitch of their own (they run the fabric), and what is kept free for one guest more."""
    host = offering(*sets)
    made = tuple(GuestRequest(f"g{number}", (*(DeviceRequest(Kind.GPU, count, peers=bound) for count, bound in asked), *([DeviceRequest(Kind.NVSWITCH, 1)] if switch else [])),
                              topology=Topology.AUTO, cpus=2, memory_bytes=1 << 30) for number, (asked, switch) in enumerate(drawn))
    answer = solve(Workload("w", made, keep_free=() if kept is None else (DeviceRequest(Kind.GPU, kept[0], peers=kept[1]),)), host)
    everyone = [*drawn, *([] if kept is None else [([kept], False)])]

    def there(left: frozenset[int], rest) -> bool:
        if not rest:
            return True
        (asked, switch), *others = rest
        return any(there(left - set(way), others) for way in combinations(sorted(left), sum(count for count, _ in asked)) if suits(way, asked, sets, switch=switch))

    assert isinstance(answer, Planned if there(frozenset(range(8)), everyone) else Infeasible)
    if isinstance(answer, Planned):
        assert check(answer.plan) == ()
        assert peer_class_kept(Scene.after(answer.plan), answer.plan).outcome is Outcome.HOLDS


def test_nvlinks_that_the_fabric_manager_leaves_off_are_not_promised() -> None:
    """Three GPUs are no partition: on one socket by PCIe, in the plan's reasons, the guest's tree and NCCL's file; a plan for two switches is refused for PIX."""
    host = offering((0, 1), (0, 1, 2, 3))
    three = GuestRequest("g", (DeviceRequest(Kind.GPU, 3, peers=PeerClass.PHB),), topology=Topology.REPLICATE, cpus=2, memory_bytes=1 << 30)
    answer = solve(Workload("w", (three,)), host)
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    assert "its 3 GPUs are PHB from each other: over one host bridge, as PHB asks for" in guest.because
    assert guest_view(host, guest).peer_links == ()
    linked = solve(Workload("w", (three,)), offering((0, 1, 2)))
    assert isinstance(linked, Planned)
    assert "its 3 GPUs reach each other over NVLink or xGMI, as PHB asks for" in linked.plan.guests[0].because
    assert len(guest_view(host, linked.plan.guests[0]).peer_links) == 0 < len(guest_view(linked.plan.host, linked.plan.guests[0]).peer_links)
    shut = Address.parse("0000:01:00.0")
    assert [f"switch {shut} is left out: {GPUS[0]} and {GPUS[1]} do not reach each other through it" in " ".join(guest_file(plan.host, plan.guests[0]).notes)
            for plan in (answer.plan, linked.plan)] == [True, False]
    near = Workload("w", (replace(three, devices=(DeviceRequest(Kind.GPU, 3, peers=PeerClass.PIX),)),))
    planned = solve(near, offering((0, 1, 2)))
    assert isinstance(planned, Planned) and check(planned.plan) == ()
    other = replace(planned.plan, host=host)
    assert "g: no way to tell its devices apart by request serves all of its 1 requests" in check(other)
    assert peer_class_kept(Scene.after(other), other).outcome is Outcome.VIOLATED
    refused = solve(near, host)
    assert isinstance(refused, Infeasible)
    assert [reason.text for reason in refused.because] == [
        "g asks for 3 GPUs; hgx-h100 has 8", "g wants its 3 GPUs at most PIX from each other",
        "g's GPUs have NVLink only where they are one partition of the fabric manager, otherwise PCIe; it has 1 of 2 and 1 of 4 GPUs"]
    assert [relaxation.text for relaxation in refused.relaxations] == ["g with 2 GPUs in place of 3", "g with GPUs up to PHB from each other in place of PIX"]


@pytest.mark.parametrize(("asked", "fewer"), [(5, 4), (7, 4), (3, 2)])
def test_the_next_smaller_partition_is_offered(asked: int, fewer: int) -> None:
    """Fewer GPUs are not always easier: there are partitions of four and none of three."""
    answer = solve(guests((asked, True)), open_host("hgx-h100-vm"))
    assert isinstance(answer, Infeasible)
    assert f"g0 with {fewer} GPUs in place of {asked}" in [relaxation.text for relaxation in answer.relaxations]


def test_parts_of_other_gpus_do_not_keep_a_guest_from_its_partition() -> None:
    """Virtual functions are of no partition; beside them the whole GPUs still are one."""
    host = replace(offering((0, 1)), functions=tuple(replace(function, sriov=Sriov(16, 16, 0, 4, 1, 0x2330, enabled=False)) if function.address == GPUS[5] else function
                                                     for function in HOST.functions))
    mixed = GuestRequest("g", (DeviceRequest(Kind.GPU, 2, peers=PeerClass.NVL), DeviceRequest(Kind.GPU, 3, Share.VF)), cpus=2, memory_bytes=1 << 30)
    answer = solve(Workload("w", (mixed,)), host)
    assert isinstance(answer, Planned), answer
    assert check(answer.plan) == ()
    assert {device.address for device in answer.plan.guests[0].devices if device.vf_of is None} == set(GPUS[:2])


def test_a_set_that_is_no_partition_is_told() -> None:
    answer = solve(guests((3, True)), offering((0, 1), (0, 1, 2, 3), (4, 5, 6, 7)))
    assert isinstance(answer, Infeasible)
    assert [reason.text for reason in answer.because] == [
        "g0 asks for 3 GPUs; hgx-h100 has 8", "g0 wants its 3 GPUs at most NVL from each other", "g0's GPUs are to reach each other over NVSwitches, so they are one partition of the fabric manager; it has 1 of 2 and 2 of 4 GPUs"]
    texts = [relaxation.text for relaxation in answer.relaxations]
    assert "g0 with 2 GPUs in place of 3" in texts
    assert "g0 with GPUs up to PHB from each other in place of NVL" in texts


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


def test_a_gpu_is_near_to_itself() -> None:
    with pytest.raises(MalformedDocument, match="a GPU is always near to itself; for GPUs near each other say `peers`"):
        load_workload("simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: gpu, near: PIX}]}\n", source="w.yaml")
