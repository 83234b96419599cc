"""Why there is no plan: every necessary part is named, nothing else is, and what is said of it is so."""

from simkit.formats.source import open_host
from simkit.formats.workload import load_workload
from simkit.model.host import Host
from simkit.model.workload import Workload
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve


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
