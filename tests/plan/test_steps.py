"""Steps: the right ones, in the right order, and only where something differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simkit.errors import InputError, UnknownName
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, Sriov
from simkit.model.guest import GuestDevice
from simkit.model.step import ExpectText, SetAcs, StepKind, Write
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Topology
from simkit.plan.plan import with_steps
from simkit.plan.replay import replay
from simkit.plan.steps import steps
from simkit.testing.small_node import AS_LINUX_SETS, AUDIO, DOWNSTREAM, GPU, NIC, PEER, ROOT_PORT, UPSTREAM, small_host, small_plan, small_vf


def ids(plan):
    return [step.id for step in with_steps(plan).steps]


def test_order_and_ids():
    assert ids(small_plan(vfs=1)) == [
        "001-autoprobe-0000:05:00.0", "002-numvfs-0000:05:00.0",
        "003-acs-0000:02:00.0", "004-acs-0000:02:01.0",
        "005-override-0000:03:00.0", "006-unbind-0000:03:00.0", "007-bind-0000:03:00.0",
        "008-override-0000:04:00.0", "009-unbind-0000:04:00.0", "010-bind-0000:04:00.0",
        "011-override-0000:04:00.1", "012-unbind-0000:04:00.1", "013-bind-0000:04:00.1",
        "014-override-0000:05:00.1", "015-bind-0000:05:00.1",
    ]


def test_what_is_as_wanted_gets_no_step():
    host = small_host()
    done = host.with_functions(*(replace(host[address], driver="vfio-pci") for address in (GPU, PEER, AUDIO)),
                               *(replace(host[port], acs=Acs(AcsBits(0x5F), AcsBits(0x5D))) for port in DOWNSTREAM))
    assert ids(small_plan(done, vfs=0)) == []
    variant = host.with_functions(*(replace(host[address], driver="nvgrace_gpu_vfio_pci") for address in (GPU, PEER, AUDIO)))
    assert {step.kind for step in with_steps(small_plan(variant, vfs=0)).steps} == {StepKind.ACS_CONTROL}


def test_unbound_device_needs_no_unbind():
    host = small_host()
    free = host.with_functions(replace(host[GPU], driver=None))
    kinds = [step.kind for step in with_steps(small_plan(free)).steps if step.subject == GPU]
    assert kinds == [StepKind.DRIVER_OVERRIDE, StepKind.BIND]


def test_bridges_and_new_id_are_never_touched():
    plan = with_steps(small_plan())
    bridges = {ROOT_PORT, UPSTREAM, *DOWNSTREAM}
    assert all(step.kind is StepKind.ACS_CONTROL for step in plan.steps if step.subject in bridges)
    guest = plan.guests[0]
    with_bridge = replace(plan, guests=(replace(guest, devices=(*guest.devices, replace(guest.devices[0], address=DOWNSTREAM[0]))),))
    assert not [step for step in steps(plan.host, with_bridge.guests) if step.subject == DOWNSTREAM[0] and step.kind is not StepKind.ACS_CONTROL]
    writes = [action.path for step in plan.steps for action in (*step.do, *step.undo) if isinstance(action, Write)]
    assert writes and not any("new_id" in path for path in writes)


def test_other_number_of_vfs_goes_over_zero_and_comes_back_with_drivers():
    """Linux refuses 4 while there are 2 (EBUSY); on the way back autoprobe must be 1 again before the old VFs are made."""
    host = small_host()
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    old = tuple(replace(nic, address=small_vf(index), physfn=NIC, sriov=None, driver="mlx5_core", iommu_group=20 + index) for index in range(2))
    two = replace(host, functions=(*host.with_functions(replace(nic, sriov=replace(nic.sriov, num_vfs=2))).functions, *old))
    plan = with_steps(small_plan(two, vfs=4))
    assert [(step.kind, step.do, step.undo) for step in plan.steps[:3]] == [
        (StepKind.SRIOV_NUMVFS, (Write("sys/bus/pci/devices/0000:05:00.0/sriov_numvfs", "0"),), (Write("sys/bus/pci/devices/0000:05:00.0/sriov_numvfs", "2"),)),
        (StepKind.SRIOV_AUTOPROBE, (Write("sys/bus/pci/devices/0000:05:00.0/sriov_drivers_autoprobe", "0"),),
         (Write("sys/bus/pci/devices/0000:05:00.0/sriov_drivers_autoprobe", "1"),)),
        (StepKind.SRIOV_NUMVFS, (Write("sys/bus/pci/devices/0000:05:00.0/sriov_numvfs", "4"),), (Write("sys/bus/pci/devices/0000:05:00.0/sriov_numvfs", "0"),)),
    ]
    assert not [step for step in plan.steps if step.kind is StepKind.UNBIND and step.subject in {small_vf(index) for index in range(4)}]
    assert [step.kind for step in with_steps(small_plan(two, vfs=2)).steps if step.subject == NIC] == []


@pytest.mark.parametrize(("change", "says"), [({"driver": None}, "has no driver"), ({"sriov": None}, "no SR-IOV"), ({"sriov": Sriov(1)}, "can have 1 virtual"),
                                                ({"driver": "vfio-pci"}, "bound to vfio-pci, which makes no virtual functions")])
def test_vfs_that_cannot_be_made(change, says):
    host = small_host()
    with pytest.raises(InputError, match=says):
        with_steps(small_plan(host.with_functions(replace(host[NIC], **change))))


def test_a_physical_function_and_its_virtual_functions_do_not_go_together():
    """Seen on Linux 6.1: bound to vfio-pci it makes no virtual functions, and most drivers take theirs with them."""
    plan = small_plan()
    train = replace(plan.guests[0], devices=(*plan.guests[0].devices, GuestDevice(NIC, "rp1")))
    with pytest.raises(InputError, match=rf"{NIC} goes to train, and virtual functions of it to infer"):
        with_steps(replace(plan, guests=(train, *plan.guests[1:])))


@pytest.mark.parametrize("change", [{"address": Address(0, 9, 0, 0)}, {"address": small_vf(5), "vf_of": NIC}])
def test_a_device_that_is_not_there(change):
    plan = small_plan()
    guest = plan.guests[0]
    with pytest.raises(UnknownName, match=str(change["address"])):
        with_steps(replace(plan, guests=(replace(guest, devices=(replace(guest.devices[0], **change),)),)))


def test_unknown_driver_is_said():
    host = small_host()
    plan = with_steps(small_plan(host.with_functions(replace(host[GPU], driver=UNKNOWN))))
    assert not [step for step in plan.steps if step.subject == GPU]
    assert any(str(GPU) in text and "unknown" in text for text in plan.assumptions)


def test_vfs_in_a_guests_hands_are_not_made_anew():
    """Made anew they have no driver_override, so vfio-pci would not take them back: that could not be undone."""
    host = small_host()
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    virtual = replace(nic, address=small_vf(0), physfn=NIC, sriov=None, driver="vfio-pci", iommu_group=20)
    one = replace(host, functions=(*host.with_functions(replace(nic, sriov=replace(nic.sriov, num_vfs=1))).functions, virtual))
    with pytest.raises(InputError, match=r"0000:05:00.1 is bound to vfio-pci and would have to go.*free it first"):
        with_steps(small_plan(one, vfs=2))
    assert not [step for step in with_steps(small_plan(one, vfs=1)).steps if step.subject in (NIC, small_vf(0))]


def acs(plan):
    return {step.subject: (step.do[0], step.undo[0]) for step in plan.steps if step.kind is StepKind.ACS_CONTROL}


def test_acs_short_way_and_isolation():
    plan = with_steps(small_plan())
    assert acs(plan) == {
        DOWNSTREAM[0]: (SetAcs(DOWNSTREAM[0], 0x40, 0x40), SetAcs(DOWNSTREAM[0], 0x40, 0)),
        DOWNSTREAM[1]: (SetAcs(DOWNSTREAM[1], 0x5D, 0x5D), SetAcs(DOWNSTREAM[1], 0x5D, 0)),
    }
    step = next(step for step in plan.steps if step.subject == DOWNSTREAM[1])
    assert "pci=config_acs=1x11101@0000:02:01.0" in step.relies_on
    for word in ("groups", "rescan", "hot-plug", "reboot"):
        assert word in step.relies_on
    older = with_steps(small_plan(replace(small_host(), kernel="6.1.0-18-amd64")))
    assert "6.1 has no command line option" in next(step for step in older.steps if step.kind is StepKind.ACS_CONTROL).relies_on


def test_no_dt_without_ats_without_replica_or_with_tb():
    host = small_host()
    no_ats = host.with_functions(replace(host[GPU], ats=None), replace(host[AUDIO], ats=None))
    assert acs(with_steps(small_plan(no_ats))) == {DOWNSTREAM[1]: (SetAcs(DOWNSTREAM[1], 0x1D, 0x1D), SetAcs(DOWNSTREAM[1], 0x1D, 0))}
    plan = small_plan()
    flat = replace(plan, guests=tuple(replace(guest, topology=Topology.FLATTEN) for guest in plan.guests))
    assert not any(do.mask & 0x40 for do, _ in acs(with_steps(flat)).values())
    blocked = host.with_functions(replace(host[DOWNSTREAM[0]], acs=Acs(AcsBits(0x5F), AS_LINUX_SETS | AcsBits.TB)))
    assert DOWNSTREAM[0] not in acs(with_steps(small_plan(blocked)))


def test_a_switch_of_one_guest_alone_keeps_its_short_way():
    host = small_host()
    alone = replace(host, functions=tuple(function for function in host.functions if function.address not in (NIC, DOWNSTREAM[2])))
    assert DOWNSTREAM[1] not in acs(with_steps(small_plan(alone, vfs=0)))


def test_unreadable_acs_is_left_and_said():
    host = small_host()
    plan = with_steps(small_plan(host.with_functions(replace(host[DOWNSTREAM[1]], acs=UNKNOWN))))
    assert DOWNSTREAM[1] not in acs(plan)
    assert any(str(DOWNSTREAM[1]) in text for text in plan.assumptions)


def test_with_steps_twice_is_the_same():
    once = with_steps(small_plan())
    assert with_steps(once) == once
    (certificate,) = once.certificates
    assert dict(certificate.figures)["steps"] == len(once.steps)


@pytest.mark.parametrize("damage", ["order", "missing", "undo", "check"])
def test_replay_sees_damage(damage):
    plan = with_steps(small_plan())
    assert replay(plan) == ()
    steps = list(plan.steps)
    bind = next(index for index, step in enumerate(steps) if step.kind is StepKind.BIND)
    match damage:
        case "order":
            steps[bind - 1], steps[bind] = steps[bind], steps[bind - 1]
        case "missing":
            del steps[bind - 1]
        case "undo":
            steps[bind] = replace(steps[bind], undo=())
        case _:
            steps[0] = replace(steps[0], check=(ExpectText(steps[0].check[0].path, "1"),))
    assert replay(replace(plan, steps=tuple(steps)))


def test_undo_of_unbind_fails_without_clearing_the_override():
    """`bind_store` matches by override first: the old driver takes the device back only once the override is gone."""
    plan = with_steps(small_plan())
    steps = tuple(replace(step, undo=step.undo[-1:]) if step.kind is StepKind.UNBIND else step for step in plan.steps)
    assert any("unbind" in fault for fault in replay(replace(plan, steps=steps)))


def test_addresses_are_the_expected_ones():
    assert [str(small_vf(index)) for index in range(6)] == ["0000:05:00.1", "0000:05:00.3", "0000:05:00.5", "0000:05:00.7", "0000:05:01.1", "0000:05:01.3"]
    assert Address.parse("0000:05:00.0") == NIC
