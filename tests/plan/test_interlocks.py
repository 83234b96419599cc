"""Interlocks: nothing in use is taken away unless it is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.model.capabilities import Sriov
from simkit.plan.interlocks import InterlockError, require_free, takes_away
from simkit.plan.plan import with_steps
from simkit.testing.small_node import AUDIO, DISK, GPU, NIC, small_host, small_plan, small_vf


def with_usage(address, text):
    host = small_host()
    return with_steps(small_plan(host.with_functions(replace(host[address], usage=text))))


def test_free_plan_is_let_through():
    require_free(with_steps(small_plan()))


@pytest.mark.parametrize("address", [GPU, AUDIO])
def test_usage_is_refused_and_allowed_by_name(address):
    plan = with_usage(address, "console")
    with pytest.raises(InterlockError, match=rf"{address} away: it is the host's console.*allow {address} by name"):
        require_free(plan)
    with pytest.raises(InterlockError):
        require_free(plan, allow=(DISK,))
    require_free(plan, allow=(address,))


def test_what_the_node_itself_shows_counts_too():
    plan = with_steps(small_plan())
    (fault,) = takes_away(plan, uses={GPU: "the console (boot_vga)", DISK: "the root disk"})
    assert "boot_vga" in fault.what


def test_making_vfs_of_the_session_nic_takes_nothing_away():
    require_free(with_usage(NIC, "session NIC"))


@pytest.mark.parametrize(("driver", "refused"), [("mlx5_core", True), (None, False)])
def test_vfs_in_use_are_not_swept_away(driver, refused):
    host = small_host()
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    virtual = replace(nic, address=small_vf(0), physfn=NIC, sriov=None, driver=driver, iommu_group=20)
    one = replace(host, functions=(*host.with_functions(replace(nic, sriov=replace(nic.sriov, num_vfs=1))).functions, virtual))
    plan = with_steps(small_plan(one, vfs=2))
    assert [str(small_vf(0)) in fault.what for fault in takes_away(plan)] == [True] * refused
    require_free(plan, allow=(small_vf(0),))
