"""Laws over many small nodes: whatever the node is like, a plan is applied whole, or nothing of it stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import StepFailed
from simkit.executors.apply import Outcome, apply, rollback
from simkit.executors.compare import difference, snapshot
from simkit.executors.recorded import RecordedNode
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.model.capabilities import Acs, AcsBits, Sriov
from simkit.plan.plan import with_steps
from simkit.testing.small_node import AUDIO, DOWNSTREAM, GPU, NIC, PEER, small_host, small_plan, small_vf

DRIVERS = st.sampled_from(["nvidia", "nouveau", "vfio-pci", "mlx5_vfio_pci", None])


BITS = st.integers(0, 0x7F)
ACS = st.builds(lambda capability, control: Acs(AcsBits(capability), AcsBits(capability & control)), BITS, BITS) | st.none()


@st.composite
def plans(draw):
    """The small node with other drivers, ACS registers and virtual functions that exist already; 0 to 6 are wanted."""
    host = small_host()
    now = draw(st.integers(0, 3))
    ports = [replace(host[port], acs=draw(ACS)) for port in DOWNSTREAM]
    devices = [replace(host[address], driver=draw(DRIVERS)) for address in (GPU, PEER, AUDIO)]
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    virtual = [replace(nic, address=small_vf(index), device_id=0x101E, physfn=NIC, sriov=None, driver=draw(st.sampled_from(["mlx5_core", None])),
                       iommu_group=10 + index, multifunction=False) for index in range(now)]
    host = host.with_functions(*ports, *devices, replace(nic, sriov=replace(nic.sriov, num_vfs=now, enabled=now > 0)))
    return small_plan(replace(host, functions=(*host.functions, *virtual)), vfs=draw(st.integers(0, 6)))


@settings(max_examples=20, deadline=None)
@given(plan=plans(), data=st.data())
def test_all_or_nothing(plan, data):
    all_or_nothing(plan, data)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(plan=plans(), data=st.data())
def test_all_or_nothing_many_times(plan, data):
    all_or_nothing(plan, data)


def all_or_nothing(plan, data):
    plan = with_steps(plan)
    with TemporaryDirectory() as place:
        folder, journal = Path(place) / "node", Path(place) / "journal"
        sysfs_tree.write(plan.host, folder)
        start = snapshot(folder)
        allow = [small_vf(index) for index in range(6)]
        if plan.steps:
            try:
                apply(plan, RecordedNode(folder), journal, allow=allow, fail_at=data.draw(st.sampled_from(plan.steps)).id)
                raise AssertionError("made to fail, but did not")
            except StepFailed:
                assert str(difference(start, snapshot(folder))) == "no difference"
        result = apply(plan, RecordedNode(folder), journal, allow=allow)
        assert result.outcome is (Outcome.APPLIED if plan.steps else Outcome.ALREADY)
        for guest in plan.guests:
            for device in guest.devices:
                driver = (folder / f"sys/bus/pci/devices/{device.address}/driver").resolve().name
                assert driver.replace("-", "_").endswith("vfio_pci")
        rollback(journal, RecordedNode(folder))
        assert str(difference(start, snapshot(folder))) == "no difference"
