"""Ways to ask for a little less: found at once whatever number is asked for, and each of them helps."""

import pytest

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.solve import relax
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.core import minimal_core
from simkit.solve.problem import build
from simkit.solve.solve import solve


def refused(host: str, guests: str, more: str = "") -> list[str]:
    """What is offered; each was solved again here."""
    workload = load_workload(f"simkit: workload/1\nname: w\nguests: {guests}\n{more}\n", source="w.yaml")
    opened = open_host(host)
    answer = solve(workload, opened)
    assert isinstance(answer, Infeasible)
    problem = build(workload, opened)
    core, _ = minimal_core(problem, problem.labels())
    for change in relax._Search(problem.facts, 0).changes(workload, core, 3):
        assert isinstance(solve(change.workload, opened), Planned), change.text
    return [change.text for change in answer.relaxations]


def test_memory_that_no_machine_has() -> None:
    assert refused("hgx-h100", "{a: {memory: 9999999 TiB}}") == ["a with 2304 GiB of memory in place of 10239998976 GiB"]


def test_every_number_at_its_highest() -> None:
    offered = refused("hgx-h100", "{a: {memory: 9999999 TiB, cpus: 65535, devices: [{kind: gpu, count: 4096}]}}")
    assert offered == ["a with 8 GPUs in place of 4096, and a with 384 CPUs in place of 65535, and a with 2304 GiB of memory in place of 10239998976 GiB"]


def test_a_request_that_goes_does_not_pass_its_number_on() -> None:
    """Its successors are counted anew: nine GPUs are not taken for the USB controller that is left out."""
    offered = refused("hgx-h100", "{a: {cpus: 65535, devices: [{kind: usb}, {kind: gpu, count: 9}]}}")
    assert "a without its 1 USB controller, and a with 8 GPUs in place of 9, and a with 384 CPUs in place of 65535" in offered
    offered = refused("hgx-h100", "{a: {cpus: 65535}}", "keep_free: [{kind: usb}, {kind: gpu, count: 9}]")
    assert "no USB controllers kept free in place of 1, and 8 GPUs kept free in place of 9, and a with 384 CPUs in place of 65535" in offered


def test_many_contradictions_are_ended_one_after_the_other() -> None:
    devices = "[{kind: usb}, {kind: gpu, count: 9}, {kind: nvme, count: 99}]"
    assert refused("hgx-h100", f"{{a: {{cpus: 65535, memory: 9999 TiB, tee: tdx, devices: {devices}}}}}") == [
        "a without its 1 USB controller, a with 4 NVMe disks in place of 99, a with 8 GPUs in place of 9, a without tdx, so not confidential, "
        "a with 384 CPUs in place of 65535 and a with 2304 GiB of memory in place of 10238976 GiB"]


def test_a_gpu_that_goes_takes_what_was_to_be_near_it_along() -> None:
    offered = refused("hgx-h100", "{a: {devices: [{kind: gpu, count: 8}, {kind: gpu}, {kind: nic, count: 9, near: SYS}]}}")
    assert "a without its 1 GPU, with 8 NICs" in offered
    assert refused("split-roots", "{a: {devices: [{kind: gpu, count: 4}, {kind: gpu, share: vgpu, profile: L40S-12Q}, {kind: nic, near: SYS}]}}")[0] == "a with 3 GPUs in place of 4"


def test_whole_devices_are_offered_for_parts() -> None:
    assert "a with 1 GPU as a whole in place of 1 MIG instance 1g.10gb of GPUs" in refused("split-roots", "{a: {devices: [{kind: gpu, share: mig, profile: 1g.10gb}]}}")


@pytest.mark.parametrize("topology", ["flatten", "replicate"])
def test_companions_may_go_on_a_bridge_or_stay_out(topology: str) -> None:
    offered = refused("rtx-pro-8", f"{{a: {{topology: {topology}, companions: port, devices: [{{kind: gpu, count: 5}}]}}}}")
    assert "a with companions on a bridge in place of a port each" in offered
    assert "a with companions left out of it: bound to vfio-pci and not attached" in offered


def test_a_place_is_called_what_it_is() -> None:
    offered = refused("hgx-h100", "{a: {cpus: 250}, b: {cpus: 4}}", "spread: [{guests: [a, b], by: numa}]")
    assert "up to 2 of a and b on one NUMA node" in offered
