"""Every shipped machine, recorded as a tree, takes a plan and gives it back."""

from __future__ import annotations

import pytest

from simkit.errors import StepFailed
from simkit.executors.apply import Outcome, apply, rollback
from simkit.executors.compare import difference, snapshot
from simkit.executors.recorded import RecordedNode
from simkit.formats.source import open_host, shipped
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.model.capabilities import Sriov
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest, Topology, Workload
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.sriov import vf_address


def everything(host):
    """A plan of two guests: all GPUs with what shares their groups, and two virtual functions of every NIC that can have them."""
    gpus = [gpu for gpu in host.of_kind(Kind.GPU) if not gpu.usage]
    groups = {gpu.iommu_group for gpu in gpus if is_known(gpu.iommu_group) and gpu.iommu_group is not None}
    members = [function for function in host.functions if not function.is_bridge and (function in gpus or function.iommu_group in groups)]
    first = tuple(GuestDevice(function.address, "rp") for function in members if not function.usage)
    second = []
    for nic in host.of_kind(Kind.NIC):
        if isinstance(nic.sriov, Sriov) and nic.sriov.num_vfs == 0 and nic.driver is not None and nic.sriov.total_vfs >= 2:
            second += [GuestDevice(address, "rp", vf_of=nic.address, vf_index=index) for index in range(2) if is_known(address := vf_address(host, nic, index))]
    guests = (GuestPlan("first", TeeKind.NONE, Topology.REPLICATE, 1, 1 << 30, (), first, ()),
              GuestPlan("second", TeeKind.NONE, Topology.FLATTEN, 1, 1 << 30, (), tuple(second), ()))
    return with_steps(Plan(Workload("all", tuple(GuestRequest(guest.name) for guest in guests)), host, fingerprint(host), guests))


EVERY_DAY = ("edge-single", "hgx-h100-vm", "mi300x")


@pytest.mark.parametrize("name", [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.slow) for name in shipped("hosts")])
def test_apply_and_back(name, tmp_path):
    plan = everything(open_host(name))
    assert len(plan.steps) >= 2
    folder = tmp_path / "node"
    sysfs_tree.write(plan.host, folder)
    node, journal, start = RecordedNode(folder), tmp_path / "journal", snapshot(folder)
    assert apply(plan, node, journal).outcome is Outcome.APPLIED
    devices = [device.address for guest in plan.guests for device in guest.devices]
    assert all((folder / f"sys/bus/pci/devices/{address}/driver").resolve().name == "vfio-pci" for address in devices)
    rollback(journal, node)
    assert str(difference(start, snapshot(folder))) == "no difference"
    with pytest.raises(StepFailed, match="the node is as it was"):
        apply(plan, node, journal, fail_at=plan.steps[len(plan.steps) // 2].id)
    assert str(difference(start, snapshot(folder))) == "no difference"
