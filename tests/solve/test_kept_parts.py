"""Parts of devices that are to be kept free beside parts that guests have: against every way to seat them."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.function import Kind
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Workload
from simkit.semantics.placement_apart import check_apart
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve
from tests.solve.test_gpu_parts import A100_40, gpus, seats

HEAD = "simkit: workload/1\nname: w\nguests:\n  a:\n    devices:\n"


@pytest.mark.parametrize(("host", "asked", "kept", "there"), [
    ("hgx-h100", "[{kind: nic, count: 7, model: ConnectX-7}, {kind: nic, share: vf, model: ConnectX-7}]", "{kind: nic, share: vf, count: 15, model: ConnectX-7}", True),
    ("hgx-h100", "[{kind: nic, count: 7, model: ConnectX-7}, {kind: nic, share: vf, count: 2, model: ConnectX-7}]", "{kind: nic, share: vf, count: 15, model: ConnectX-7}", False),
    ("split-roots", "[{kind: gpu, count: 3}, {kind: gpu, share: vgpu, profile: L40S-12Q, count: 2}]", "{kind: gpu, share: vgpu, profile: L40S-12Q, count: 2}", True),
    ("split-roots", "[{kind: gpu, count: 3}, {kind: gpu, share: vgpu, profile: L40S-12Q, count: 2}]", "{kind: gpu, share: vgpu, profile: L40S-12Q, count: 3}", False),
    ("split-roots", "[{kind: gpu, count: 3}, {kind: gpu, share: vgpu, profile: L40S-12Q, count: 2}]", "{kind: gpu, share: vgpu, profile: L40S-24Q}", False),
])
def test_of_one_device(host: str, asked: str, kept: str, there: bool) -> None:
    text = f"{HEAD}      {asked}\nkeep_free: [{kept}]\n".replace("devices:\n      ", "devices: ")
    assert isinstance(solve(load_workload(text, source="w.yaml"), open_host(host)), Planned if there else Infeasible)


instances = st.lists(st.sampled_from(["1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb"]), min_size=1, max_size=3)


@settings(max_examples=60)
@given(st.integers(1, 2), instances, instances)
def test_instances_are_found_room_for_exactly_where_there_is_some(count: int, asked: list[str], kept: list[str]) -> None:
    every = [*asked, *kept]
    there = any(all(seats([name for name, home in zip(every, homes, strict=True) if home == gpu]) for gpu in range(count)) for homes in product(range(count), repeat=len(every)))
    guest = GuestRequest("a", tuple(DeviceRequest(Kind.GPU, 1, Share.MIG, profile=name) for name in asked))
    answer = solve(Workload("w", (guest,), tuple(DeviceRequest(Kind.GPU, 1, Share.MIG, profile=name) for name in kept)), gpus(count))
    assert isinstance(answer, Planned if there else Infeasible)
    if isinstance(answer, Planned):
        taken = [set() for _ in range(count)]
        order = sorted({device.vf_of for device in answer.plan.guests[0].devices})
        for device in answer.plan.guests[0].devices:
            taken[order.index(device.vf_of)] |= set(range(device.mig_start, device.mig_start + A100_40[device.profile][1]))
        assert any(beside(kept, homes, starts, taken) for homes in product(range(count), repeat=len(kept)) for starts in product(*(A100_40[name][0] for name in kept)))


def beside(kept: list[str], homes: tuple[int, ...], starts: tuple[int, ...], taken: list[set[int]]) -> bool:
    """The instances that are kept, at these places, cover no slice twice, nor one that a guest's instance covers."""
    covered = [(home, at) for name, home, start in zip(kept, homes, starts, strict=True) for at in range(start, start + A100_40[name][1])]
    return len(set(covered)) == len(covered) and not any(at in taken[home] for home, at in covered)


def test_sixteen_that_are_kept_and_have_no_room_are_refused_soon() -> None:
    """Each on its own would have room in many ways."""
    host = open_host("rtx-pro-8")
    answer = solve(Workload("w", (GuestRequest("a", (DeviceRequest(Kind.GPU, 1),)),)), host)
    assert isinstance(answer, Planned)
    kept = tuple(DeviceRequest(kind, 1) for kind in (Kind.GPU, Kind.AUDIO) for _ in range(8))
    plan = replace(answer.plan, workload=replace(answer.plan.workload, keep_free=kept))
    assert list(check_apart(plan)) == ["16 wishes for devices to be kept free have no room: 51 functions are left"]
