"""Stock arm64 kernels on emulated machines with an SMMU, described by ACPI's tables or by a devicetree, against the model."""

import time
from dataclasses import replace

import pytest
from conftest import COUNT, KERNELS
from fabric_by_seed import fabric

from simkit.errors import SimkitError
from simkit.executors.lab import Lab
from simkit.executors.lab.agreement import groups_agree, machine_agrees
from simkit.executors.lab.platforms import ARM
from simkit.executors.lab.rehearse import rehearse
from simkit.formats.native.workload import load_workload
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, is_known
from simkit.plan.plan import with_steps
from simkit.semantics.smmu import PROBED_WHEN_FOUND_SINCE
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ARM_KERNELS = [kernel for kernel in KERNELS if kernel.architecture is ARM]
SEEDS = range(COUNT) if COUNT > 3 else (1,)
PORT, DISK, IDLE, FAR_PORT, FAR_DISK = (Address.parse(text) for text in ("00:01.0", "01:00.0", "00:05.0", "80:00.0", "81:00.0"))


PAIRS = [(kernel, tree) for kernel in ARM_KERNELS for tree in (False, True)] if COUNT >= 3 else list(zip(ARM_KERNELS[:1] + ARM_KERNELS[-1:], (True, False), strict=False))
"""Every kernel with either description; for a quick look the oldest with a devicetree, the newest with ACPI."""


@pytest.fixture(params=PAIRS or [(None, False)], ids=lambda pair: f"{pair[0].release if pair[0] else 'no-arm64-kernel'}-{'devicetree' if pair[1] else 'acpi'}")
def arm_lab(request: pytest.FixtureRequest) -> Lab:
    kernel, tree = request.param
    try:
        made = Lab(kernel, limit_s=120, devicetree=tree)
        made.check(iommu=IommuKind.SMMU)
    except SimkitError as error:
        pytest.skip(str(error))
    return made


def test_machines_by_seed_group_as_predicted(arm_lab: Lab) -> None:
    """The kernel's groups are those predicted, in the order in which it made them, from config space and, before any boot, from the host."""
    functions = made = slowest = 0
    for seed in SEEDS:
        machine = arm_lab.machine(fabric(seed, IommuKind.SMMU))
        started = time.monotonic()
        with arm_lab.boot(machine) as session:
            slowest = max(slowest, time.monotonic() - started)
            read, order = session.host(), session.probe_order()
        assert read.iommu is IommuKind.SMMU
        for agreement in (groups_agree(read, order=order), machine_agrees(machine, read, order=order)):
            assert agreement, f"seed {seed} on {read.kernel}:\n" + "\n".join(agreement.differences)
        functions, made = functions + agreement.functions, made + agreement.groups
    print(f"\n{arm_lab.find_kernel().release}: {len(SEEDS)} machines, {functions} functions, {made} groups agree, the slowest boot {slowest:.1f} s")
    if len(SEEDS) == 1:
        assert functions == 27


def small() -> Host:
    """A disk below a root port with ACS, and an integrated function for which no driver is loaded."""
    port = Function(PORT, RootBus(0, 0), 0x1234, 1, 0x060400, port_type=PortType.ROOT_PORT, acs=Acs(AcsBits(0x5F), AcsBits(0x1D)), ats=None, sriov=None,
                    multifunction=False, bus_range=BusRange(1, 1))
    disk = Function(DISK, PORT, 0x1234, 2, 0x010802, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=None, multifunction=False)
    idle = Function(IDLE, RootBus(0, 0), 0x1234, 3, 0xFF0000, port_type=None, acs=None, ats=None, sriov=None, multifunction=False)
    return Host("small", (port, disk, idle), iommu=IommuKind.SMMU)


def test_parameters_and_drivers(arm_lab: Lab) -> None:
    """Passing through is no other grouping; ACS is asked for too late on an old kernel with a devicetree; a group comes with vfio-pci where it waited."""
    late = arm_lab.find_kernel().version < PROBED_WHEN_FOUND_SINCE
    machine = arm_lab.machine(small())
    with arm_lab.boot(machine, cmdline="iommu.passthrough=1 arm-smmu-v3.disable_bypass=0") as session:
        session.await_driver(DISK)
        start = session.host()
        assert groups_agree(start, order=session.probe_order())
        assert machine_agrees(machine, start, order=session.probe_order())
        kind = session.console.run(f"cat /sys/bus/pci/devices/{DISK}/iommu_group/type")[1].strip()
        assert kind == b"identity"
        assert session.acs(PORT) == (AcsBits(0) if late and arm_lab.devicetree else AcsBits(0x1D))
        assert (start[IDLE].iommu_group is None) is late
        assert session.bind(IDLE, "vfio-pci") == "vfio-pci"
        bound = session.host()
        assert bound[IDLE].iommu_group is not None
        assert groups_agree(bound, order=session.probe_order())

        # a port that is found again is asked for its ACS on any kernel by now
        session.remove(PORT)
        session.rescan()
        assert session.acs(PORT) == AcsBits(0x1D)


def test_a_plan_hands_out_what_waits_for_a_driver(arm_lab: Lab) -> None:
    """The rehearsed plan's card: before 6.15 without any group until vfio-pci, then in one group with its other half, as the solver has it."""
    port = small()[PORT]
    card = tuple(Function(Address(0, 1, 0, number), PORT, 0x10DE, 2, code, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=None, bars=(),
                          multifunction=True, driver=None, reset_methods=("flr",)) for number, code in enumerate((0x030200, 0x040300)))
    release = arm_lab.find_kernel().release
    host = Host("card", (port, *card), iommu=IommuKind.SMMU, kernel=release, cmdline="")
    answer = solve(load_workload('simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: gpu}]}', source="w.yaml"), host)
    assert isinstance(answer, Planned)
    assert [device.address for device in answer.plan.guests[0].devices] == [function.address for function in card]
    late = arm_lab.find_kernel().version < PROBED_WHEN_FOUND_SINCE
    assert any("vfio-pci makes the IOMMU groups of" in text for text in answer.plan.assumptions) is late
    found = rehearse(with_steps(answer.plan), arm_lab)
    assert found, (found.groups, found.handed, found.left)
    start = [found.plan.host[device.address] for device in found.plan.guests[0].devices]
    assert all((function.iommu_group is None) is (late and function.driver is None) for function in start)
    if arm_lab.find_kernel().version < (6, 2):  # 6.12's has the driver of the stand-in built in
        assert [function.iommu_group for function in start] == [None, None]


def two_roots() -> Host:
    """`small`, and a port with a disk on a root bus of its own."""
    port = replace(small()[PORT], address=FAR_PORT, parent=RootBus(0, 0x80), bus_range=BusRange(0x81, 0x81))
    return Host("two-roots", (*small().functions, port, replace(small()[DISK], address=FAR_DISK, parent=FAR_PORT)), iommu=IommuKind.SMMU)


@pytest.mark.parametrize(("start", "option", "outside"), [
    ("pxb-pcie", "bypass_iommu=on", {FAR_PORT, FAR_DISK}),
    ("virt", "default_bus_bypass_iommu=on", {Address(0, 0, 0, 0), Address(0, 0, 1, 0), PORT, DISK, IDLE}),
], ids=["expander", "first-bus"])
def test_a_root_bus_outside_the_smmus_scope(arm_lab: Lab, start: str, option: str, outside: set[Address]) -> None:
    """IORT maps the ids of the other bus alone: what is on this one has no group with any driver, and VFIO takes none of it."""
    if arm_lab.devicetree:
        pytest.skip("a devicetree's machine has one root bus")
    machine = arm_lab.machine(two_roots())
    assert any(each.startswith(start) for each in machine.args)
    args = tuple(f"{each},{option}" if each.startswith(start) else each for each in machine.args)
    with arm_lab.boot(replace(machine, args=args)) as session:
        for disk in (DISK, FAR_DISK):
            session.await_driver(disk)
        bound = {disk: session.bind(disk, "vfio-pci") for disk in (DISK, FAR_DISK, IDLE)}
        read, order = session.host(), session.probe_order()
    assert {disk for disk, driver in bound.items() if driver is None} == outside & bound.keys()
    assert is_known(read.iommu_scopes)
    assert {function.address for function in read.functions if function.iommu_group is None} >= outside
    agreement = groups_agree(read, order=order)
    assert agreement, agreement.differences
    assert not groups_agree(replace(read, iommu_scopes=UNKNOWN), order=order)


def test_expanders_and_numa_nodes_are_said_not_to_be_there() -> None:
    from simkit.executors.lab.machine import express

    far = [replace(function, numa_node=1) for function in small().functions[:1]]
    far = [replace(far[0], address=Address.parse("40:01.0"), parent=RootBus(0, 0x40), bus_range=BusRange(0x41, 0x41))]
    host = Host("far", (*small().functions, *far), iommu=IommuKind.SMMU, kernel="7.3.0")
    acpi, tree = express(host), express(host, devicetree=True)
    assert "pxb-pcie" in " ".join(acpi.args)
    assert "pxb-pcie" not in " ".join(tree.args)
    assert any("no NUMA nodes" in said for said in acpi.inexpressible)
    assert any("devicetree has one root bus" in said for said in tree.inexpressible)
    assert "smmuv3" in " ".join(acpi.args)
