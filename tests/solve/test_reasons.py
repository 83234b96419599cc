"""Why there is no plan: every necessary part is named, nothing else is, and what is said of it is so."""

from dataclasses import replace

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.workload import Workload
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve
from tests.solve.test_gpu_parts import gpus


def workload(*guests: str) -> Workload:
    return load_workload("simkit: workload/1\nname: w\nguests:\n" + "\n".join(f"  {guest}" for guest in guests), source="w.yaml")


def told(asked: Workload, host: Host) -> list[str]:
    answer = solve(asked, host)
    assert isinstance(answer, Infeasible)
    return [reason.text for reason in answer.because]


def test_the_gpu_that_a_nic_must_be_near_is_part_of_the_contradiction() -> None:
    """One guest has both NICs of a switch; another's GPU is pinned there and its NIC must be beside. Were the GPU open, it would fit."""
    nics = 'a: {devices: [{kind: nic, pinned: ["05:00.0", "08:00.0"]}]}'
    host = open_host("rtx-pro-8")
    reasons = told(workload(nics, 'b: {devices: [{kind: gpu, pinned: ["03:00.0"]}, {kind: nic, count: 1, near: PIX}]}'), host)
    assert [text.split(" ")[0:2] for text in reasons] == [["a", "asks"], ["b", "asks"], ["b", "asks"], ["b", "wants"]]
    assert isinstance(solve(workload(nics, "b: {devices: [{kind: gpu}, {kind: nic, count: 1, near: PIX}]}"), host), Planned)


def test_a_pinned_device_is_told_by_address() -> None:
    """Not how many GPUs the host has: what is wrong with just this one."""
    host = open_host("hgx-h100")
    assert told(workload('a: {devices: [{kind: gpu, pinned: ["04:00.0"]}]}'), host) == ["a asks for GPU 0000:04:00.0; 0000:04:00.0 is ConnectX-7 (nic)"]
    assert told(workload('a: {devices: [{kind: nic, pinned: ["22:00.0"]}]}'), host) == [
        "a asks for NIC 0000:22:00.0; 0000:22:00.0 is the host's session NIC, default route"]
    twice = workload("a: {devices: [{kind: gpu, count: 2}]}")
    (guest,), gpu = twice.guests, Address.parse("03:00.0")
    twice = replace(twice, guests=(replace(guest, devices=(replace(guest.devices[0], pinned=(gpu, gpu)),)),))
    assert told(twice, host) == ["a asks for GPUs 0000:03:00.0 and 0000:03:00.0; 0000:03:00.0 is named 2 times"]


def test_a_guest_is_told_what_serves_which_request() -> None:
    """Two requests for GPUs and two for NICs: only what was asked near is told as near."""
    devices = "[{kind: gpu, count: 2, peers: PIX}, {kind: gpu}, {kind: nic, near: PIX}, {kind: nic, count: 2}]"
    answer = solve(workload(f"a: {{devices: {devices}}}"), open_host("rtx-pro-8"))
    assert isinstance(answer, Planned)
    because = answer.plan.guests[0].because
    assert "2 of its GPUs are PIX from each other: one switch, as PIX asks for" in because
    assert sum("has a GPU at most PIX away" in text for text in because) == 1
    assert next(text for text in because if "1 of its NICs has a GPU at most PIX away" in text).count(" with ") == 1


def test_cpus_of_a_guest_without_gpus_are_beside_its_devices() -> None:
    answer = solve(workload("a: {devices: [{kind: nic, share: vf}]}"), open_host("hgx-h100"))
    assert isinstance(answer, Planned)
    assert answer.because == ("every CPU is on a NUMA node of its guest's GPUs or devices",)


def test_parts_are_counted_as_the_host_has_them() -> None:
    """Not as many as are asked for: 16 virtual functions each, two vGPUs of 24 GB on a GPU of 48, three instances of two sevenths on a GPU."""
    assert told(workload("a: {devices: [{kind: nic, share: vf, near: PIX, model: ConnectX-7}]}"), open_host("hgx-h100"))[0] == (
        "a asks for 1 virtual function of ConnectX-7 NICs; hgx-h100 has 128 such on its 8 NICs that can have them")
    assert told(workload("a: {devices: [{kind: gpu, share: vgpu, profile: L40S-24Q, count: 9}]}"), open_host("split-roots"))[0] == (
        "a asks for 9 vGPUs L40S-24Q of GPUs; split-roots has 8 such on its 4 GPUs that can have them")
    assert told(workload("a: {devices: [{kind: gpu, share: mig, profile: 2g.10gb, count: 7}]}"), gpus(2))[0] == (
        "a asks for 7 MIG instances 2g.10gb of GPUs; gpus has 6 such on its 2 GPUs that can have them")
