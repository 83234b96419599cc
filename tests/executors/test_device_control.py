"""Read requests and relaxed ordering of NICs, written as a plan: Device Control of the PCIe capability, read by hand here."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from simkit.errors import ExecutorError, InputError, StalePlan, StepFailed
from simkit.executors.apply import Outcome, apply, rollback
from simkit.executors.compare import difference, snapshot
from simkit.executors.local import LocalNode
from simkit.executors.observe import perform
from simkit.executors.recorded import RecordedNode
from simkit.formats.guest import script
from simkit.formats.native.plan import dump_plan, load_plan
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.model.advice import Aim, Call
from simkit.model.capabilities import Acs, AcsBits, DeviceControl, Sriov
from simkit.model.step import ExpectAcs, ExpectDeviceControl, SetAcs, SetDeviceControl, StepKind
from simkit.model.unknown import UNKNOWN
from simkit.plan.advised import plan_of
from simkit.plan.replay import replay
from simkit.semantics.advice.advise import advise
from simkit.semantics.advice.wanted import all_devices
from simkit.semantics.outcome import outcome
from simkit.testing.small_node import NIC, small_host, small_vf

SHORT = DeviceControl(256, 512, relaxed_ordering=False, extended_tags=True, no_snoop=True)


def small(control=SHORT, *, cmdline="intel_iommu=on"):
    host = replace(small_host(), cmdline=cmdline)
    return host.with_functions(replace(host[NIC], device_control=control))


def planned(host):
    made = plan_of(host, told(host))
    assert made is not None
    return made


def told(host):
    """What NICs may send, without what ports may."""
    advised = advise(host, all_devices(host), (Aim.RDMA,))
    return replace(advised, pieces=tuple(piece for piece in advised.pieces if not piece.controls))


def sent(folder, address=NIC):
    """Device Control: at 8 of the capability with the id 0x10."""
    config = (folder / f"sys/bus/pci/devices/{address}/config").read_bytes()
    at = config[0x34]
    while config[at] != 0x10:
        at = config[at + 1]
    return struct.unpack_from("<H", config, at + 8)[0]


@pytest.fixture
def node(tmp_path):
    sysfs_tree.write(small(), tmp_path / "node")
    return RecordedNode(tmp_path / "node")


BEFORE = 1 << 5 | 2 << 12 | 1 << 8 | 1 << 11
PLAN = planned(small())


def test_one_step_for_both():
    (step,) = PLAN.steps
    assert (step.id, step.kind, step.subject) == (f"001-sends-{NIC}", StepKind.DEVICE_CONTROL, NIC)
    assert step.do == (SetDeviceControl(NIC, 0x7010, 0x5010),)
    assert step.undo == (SetDeviceControl(NIC, 0x7010, 0x2000),)
    assert step.summary == f"raise MaxReadReq from 512 to 4096 bytes; turn relaxed ordering on on {NIC}"
    assert "reset" in step.relies_on
    assert replay(PLAN) == ()
    assert outcome(PLAN)[NIC].device_control == DeviceControl(256, 4096, relaxed_ordering=True, extended_tags=True, no_snoop=True)


@pytest.mark.parametrize(("control", "mask", "value"), [
    (DeviceControl(256, 4096, relaxed_ordering=False), 0x10, 0x10), (DeviceControl(256, 128, relaxed_ordering=True), 0x7000, 0x5000),
    (DeviceControl(UNKNOWN, 2048), 0x7000, 0x5000)])
def test_only_what_is_known_to_be_off(control, mask, value):
    assert planned(small(control)).steps[0].do == (SetDeviceControl(NIC, mask, value),)


@pytest.mark.parametrize("control", [DeviceControl(256, 4096, relaxed_ordering=True), UNKNOWN, None])
def test_nothing_to_write(control):
    host = small(control)
    assert plan_of(host, told(host)) is None


def test_requests_stay_short_where_linux_keeps_them_short():
    """PCIE_BUS_PERFORMANCE: a longer answer could be more than a switch on the way takes."""
    host = small(cmdline="pci=nomsi,pcie_bus_perf")
    assert [(piece.call, piece.do.split(":")[0]) for piece in told(host).pieces if "MaxReadReq" in piece.do] == [(Call.BEWARE, "leave MaxReadReq at 512 bytes")]
    assert planned(host).steps[0].do == (SetDeviceControl(NIC, 0x10, 0x10),)


def test_applied_and_taken_back_byte_for_byte(node, tmp_path):
    start = snapshot(node.root)
    assert sent(node.root) == BEFORE
    assert apply(PLAN, node, tmp_path / "journal").outcome is Outcome.APPLIED
    assert sent(node.root) == BEFORE & ~0x7000 | 0x5010
    assert apply(PLAN, node, tmp_path / "journal").outcome is Outcome.ALREADY
    rollback(tmp_path / "journal", node)
    assert not difference(start, snapshot(node.root))


def test_a_register_that_takes_no_notice_is_found_out(node, tmp_path):
    """As of a device whose relaxed ordering is hardwired to 0, which it may be (PCIe 6.0 §7.5.3.4)."""

    class Hardwired:
        def __getattr__(self, name):
            return getattr(node, name)

        def write(self, path, data, offset=0):
            node.write(path, bytes([data[0] & ~0x10, data[1]]), offset)

    start = snapshot(node.root)
    with pytest.raises(StepFailed, match=r"wrote device control 0x5010 under 0x7010 to .*, but .* reads 0x5000, not device control 0x5010"):
        apply(PLAN, Hardwired(), tmp_path / "journal")
    assert not difference(start, snapshot(node.root))


def test_somebody_else_has_changed_it(node, tmp_path):
    path = f"sys/bus/pci/devices/{NIC}/config"
    config = bytearray((node.root / path).read_bytes())
    at = config.index(bytes(struct.pack("<H", BEFORE)))
    config[at : at + 2] = struct.pack("<H", 0x3000)
    (node.root / path).write_bytes(config)
    with pytest.raises(StalePlan, match="reads 0x3000, not device control 0x2000 under 0x7010"):
        apply(PLAN, node, tmp_path / "journal")


@pytest.mark.parametrize(("size", "says"), [(64, "run as root"), (256, None)])
def test_what_users_may_read_is_not_enough(node, tmp_path, size, says):
    """All may read 64 bytes; 256 hold the register."""
    path = node.root / f"sys/bus/pci/devices/{NIC}/config"
    path.write_bytes(path.read_bytes()[:size])
    if says is None:
        assert apply(PLAN, node, tmp_path / "journal").outcome is Outcome.APPLIED
    else:
        with pytest.raises(ExecutorError, match=says):
            apply(PLAN, LocalNode(node.root), tmp_path / "journal")


def test_a_function_without_pcie_has_no_such_register(node, tmp_path):
    path = node.root / f"sys/bus/pci/devices/{NIC}/config"
    path.write_bytes(path.read_bytes()[:0x34] + b"\0" + path.read_bytes()[0x35:])
    with pytest.raises(StalePlan, match="no PCIe capability"):
        apply(PLAN, node, tmp_path / "journal")


def test_virtual_functions_have_none_of_their_own(tmp_path):
    """Their physical function's holds for them (PCIe 6.0 §9.3.5.4): what is written is ignored."""
    host = small()
    nic = host[NIC]
    assert isinstance(nic.sriov, Sriov)
    virtual = replace(nic, address=small_vf(0), device_id=0x101E, physfn=NIC, sriov=None, iommu_group=20, multifunction=False)
    host = replace(host.with_functions(replace(nic, sriov=replace(nic.sriov, num_vfs=1, enabled=True))), functions=(*host.functions, virtual))
    sysfs_tree.write(host, tmp_path / "node")
    start = snapshot(tmp_path / "node")
    config = (tmp_path / f"node/sys/bus/pci/devices/{small_vf(0)}/config").read_bytes()
    RecordedNode(tmp_path / "node").write(f"sys/bus/pci/devices/{small_vf(0)}/config", b"\x10\x50", config[0x34] + 8)
    assert not difference(start, snapshot(tmp_path / "node"))


def test_acs_and_what_is_sent_are_told_apart(tmp_path):
    """A function may have both registers changed; each is compared with its own, also where the other is as wanted already."""
    host = small()
    host = host.with_functions(replace(host[NIC], acs=Acs(AcsBits(0x5D), AcsBits(0))))
    plan = planned(host)
    step = plan.steps[0]
    acs = replace(step, id="000-acs", kind=StepKind.ACS_CONTROL, before=(ExpectAcs(NIC, 0x5D, 0),), do=(SetAcs(NIC, 0x5D, 0x10),), check=(ExpectAcs(NIC, 0x5D, 0x10),),
                  undo=(SetAcs(NIC, 0x5D, 0),))
    both = replace(plan, steps=(acs, step))
    sysfs_tree.write(host, tmp_path / "node")
    perform(RecordedNode(tmp_path / "node"), step.do[0])
    apply(both, RecordedNode(tmp_path / "node"), tmp_path / "journal")
    assert sent(tmp_path / "node") == BEFORE & ~0x7000 | 0x5010
    config = (tmp_path / f"node/sys/bus/pci/devices/{NIC}/config").read_bytes()
    assert struct.unpack_from("<H", config, config.index(struct.pack("<HH", 0x5D, 0x10)) + 2) == (0x10,)


def test_the_plan_comes_back_from_its_file():
    assert load_plan(dump_plan(PLAN), source="plan.json") == PLAN
    with pytest.raises(InputError, match="out of range"):
        load_plan(dump_plan(PLAN).replace('"mask": 28688', '"mask": 70000', 1), source="plan.json")


@pytest.mark.parametrize("wrong", [{"do": (SetDeviceControl(small_vf(0), 0x7010, 0x5010),)}, {"kind": StepKind.ACS_CONTROL}])
def test_a_step_that_writes_what_is_not_its_own_is_found_out(wrong):
    faults = replay(replace(PLAN, steps=(replace(PLAN.steps[0], **wrong),)))
    assert any("sets Device Control of" in fault and "which is none of a step" in fault for fault in faults)


@pytest.mark.parametrize("wrong", [{"undo": (SetDeviceControl(NIC, 0x7010, 0x3000),)}, {"before": (ExpectDeviceControl(NIC, 0x7010, 0x1000),)}])
def test_steps_that_do_not_fit_are_found_out(wrong):
    assert replay(replace(PLAN, steps=(replace(PLAN.steps[0], **wrong),)))


def test_the_script_carries_it():
    lines = script.render(PLAN).splitlines()
    at = lines.index(f"setpci -s {NIC} CAP_EXP+8.w=5010:7010")
    assert lines[at - 1] == f'is "Device Control of {NIC}" "$(sends {NIC} 28688)" 8192'
    assert lines[at + 1] == f'is "Device Control of {NIC}" "$(sends {NIC} 28688)" 20496'
    assert any(line.startswith("sends()") for line in lines)
    assert "# Needs setpci (pciutils)." in lines
    assert f"  setpci -s {NIC} CAP_EXP+8.w=2000:7010" in script.undo(PLAN).splitlines()
