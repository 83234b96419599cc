"""Stock kernels on emulated machines against the model: what they group, and what they do when devices are bound, reset, split, removed and found again.

The whole: `make lab COUNT=200`.
"""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import COUNT
from fabric_by_seed import fabric

from simkit.errors import ExecutorError, StepFailed, UnknownName
from simkit.executors.apply import Outcome, apply, rollback
from simkit.executors.lab import Lab
from simkit.executors.lab.agreement import groups_agree, machine_agrees
from simkit.executors.lab.errors import LabFailed
from simkit.executors.lab.rehearse import rehearsed
from simkit.formats.library import shipped
from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind, TeeKind
from simkit.model.workload import GuestRequest, Topology, Workload
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

pytestmark = [pytest.mark.lab, pytest.mark.slow]

PF_PORT, PF, DISK_PORT, DISK = (Address.parse(text) for text in ("00:01.0", "01:00.0", "00:02.0", "02:00.0"))
SET, NOTHING = AcsBits(0x1D), AcsBits(0)


def compared(lab: Lab, hosts: list[Host]) -> Counter[str]:
    """Boot each, compare, count; prints what was counted."""
    counted: Counter[str] = Counter()
    started = time.monotonic()
    for host in hosts:
        machine = lab.machine(host)
        assert machine.regrouped == () or not host.name.startswith("seed")
        read = lab.read(machine)
        for agreement in (groups_agree(read), machine_agrees(machine, read)):
            assert agreement, f"{host.name} on {read.kernel}:\n" + "\n".join(agreement.differences)
        counted += Counter({"machines": 1, "functions": agreement.functions, "groups": agreement.groups})
    print(f"\n{lab.find_kernel(iommu=hosts[0].iommu).release}: {dict(counted)} agree, {(time.monotonic() - started) / len(hosts):.1f} s a machine")
    return counted


def test_machines_by_seed_group_as_predicted(lab: Lab) -> None:
    """The kernel's groups are those predicted from config space and, before any boot, from the host; tree, ACS and NUMA nodes are as asked for."""
    counted = compared(lab, [fabric(seed) for seed in range(COUNT)])
    assert counted["machines"] == COUNT
    if COUNT == 3:
        assert (counted["functions"], counted["groups"]) == (119, 35)


def test_machines_with_amd_iommu_group_as_predicted(amd_lab: Lab) -> None:
    counted = compared(amd_lab, [fabric(seed, IommuKind.AMD) for seed in range(max(1, COUNT // 3))])
    assert counted["functions"]


@pytest.mark.parametrize("name", [name for name in shipped("hosts") if COUNT > 3 or name in ("edge-single", "split-roots")])
def test_a_shipped_machine_groups_as_predicted(lab: Lab, name: str) -> None:
    """With Intel's IOMMU for all, whose driver every kernel here has."""
    compared(lab, [replace(open_host(name), iommu=IommuKind.INTEL)])


def test_a_plan_is_rehearsed_on_a_copy_of_its_host(lab: Lab, tmp_path: Path) -> None:
    """From a shipped workload to a kernel that has carried it out, and undone it."""
    host = open_host("split-roots")
    answer = solve(open_workload("one-gpu-each"), host)
    assert isinstance(answer, Planned)
    machine = lab.machine(host)
    with lab.boot(machine) as session:
        start = session.host()
        made = rehearsed(answer.plan, machine, start)
        given = {machine.addresses[device.address] for guest in answer.plan.guests for device in guest.devices}
        assert {device.address for guest in made.guests for device in guest.devices} == given
        assert apply(made, session.node, tmp_path / "journal").outcome is Outcome.APPLIED
        applied = session.host()
        assert {function.address for function in applied.functions if function.driver == "vfio-pci"} == given
        assert set(session.vfio_groups()) == {applied[address].iommu_group for address in given}
        rollback(tmp_path / "journal", session.node)
        assert [function.driver for function in session.host().functions] == [function.driver for function in start.functions]


def small() -> Host:
    """Two root ports with ACS: an NVMe with virtual functions below the one, a plain one below the other."""
    def port(address: Address, bus: int) -> Function:
        return Function(address, RootBus(0, 0), 0x1234, 1, 0x060400, port_type=PortType.ROOT_PORT, acs=Acs(AcsBits(0x5F), SET), ats=None, sriov=None,
                        multifunction=False, bus_range=BusRange(bus, bus))

    def disk(address: Address, parent: Address, sriov: Sriov | None) -> Function:
        return Function(address, parent, 0x1234, 2, 0x010802, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=sriov, multifunction=False)

    return Host("small", (port(PF_PORT, 1), disk(PF, PF_PORT, Sriov(4, 4, 0, 1, 1)), port(DISK_PORT, 2), disk(DISK, DISK_PORT, None)), iommu=IommuKind.INTEL)


def numbers(host: Host) -> dict[Address, int | None]:
    return {function.address: function.iommu_group for function in host.functions}


def test_a_session_step_by_step(lab: Lab) -> None:
    machine = lab.machine(small())
    assert all(host == there for host, there in machine.addresses.items())
    with lab.boot(machine) as session:
        assert session.await_driver(DISK) == session.await_driver(PF) == "nvme"
        start = session.host()
        assert groups_agree(start)
        group = start[DISK].iommu_group
        assert any(f"{DISK}: Adding to iommu group {group}" in line for line in session.dmesg())

        # bind and back: the group is offered while the function is bound
        assert session.vfio_groups() == ()
        assert session.bind(DISK, "vfio-pci") == "vfio-pci"
        assert session.vfio_groups() == (group,)
        assert session.host()[DISK].driver == "vfio-pci"
        assert "flr" in session.host()[DISK].reset_methods
        session.reset(DISK)
        assert session.bind(DISK, None) == "nvme"
        assert session.vfio_groups() == ()

        # virtual functions: each a group of its own, at the addresses that offset and stride give; 0 before any other number
        session.set_vfs(PF, 2)
        two = session.host()
        assert [function.address for function in two.virtual_functions(two[PF])] == [Address.parse("01:00.1"), Address.parse("01:00.2")]
        assert groups_agree(two)
        with pytest.raises(ExecutorError) as caught:
            session.set_vfs(PF, 3)
        assert caught.value.errno == 16
        session.set_vfs(PF, 0)
        session.set_vfs(PF, 4)
        assert groups_agree(session.host())
        session.set_vfs(PF, 0)

        # ACS written at run time: the hardware changes, the groups do not, and the rules say that they have gone stale
        assert session.acs(DISK_PORT) == SET
        assert session.set_acs(DISK_PORT, NOTHING) == NOTHING
        stale = session.host()
        assert numbers(stale) == numbers(start)
        assert len(groups_agree(stale).differences) == 2
        assert stale[DISK_PORT].acs == Acs(AcsBits(0x5F), NOTHING)

        # the endpoint removed and found again joins its port; the port found again has its ACS back, and they are apart
        session.remove(DISK)
        assert DISK not in session.host()
        session.rescan()
        joined = session.host()
        assert joined[DISK].iommu_group == joined[DISK_PORT].iommu_group
        assert groups_agree(joined, probed=[DISK])
        session.remove(DISK_PORT)
        session.rescan()
        apart = session.host()
        assert session.acs(DISK_PORT) == SET
        assert apart[DISK].iommu_group != apart[DISK_PORT].iommu_group
        assert groups_agree(apart)

        with pytest.raises(UnknownName, match="no ACS"):
            session.acs(DISK)


def plan(host: Host) -> Plan:
    """A guest with the disk, and one with two virtual functions."""
    ports = tuple(GuestPort(f"rp{number}", GuestPortKind.ROOT, None, number, number) for number in (1, 2))
    whole = GuestPlan("whole", TeeKind.NONE, Topology.FLATTEN, 1, 1 << 30, ports, (GuestDevice(DISK, "rp1", group=host[DISK].iommu_group),), ())
    parts = tuple(GuestDevice(Address(0, 1, 0, 1 + index), f"rp{index + 1}", vf_of=PF, vf_index=index) for index in range(2))
    split = GuestPlan("split", TeeKind.NONE, Topology.FLATTEN, 1, 1 << 30, ports, parts, ())
    workload = Workload("lab", tuple(GuestRequest(guest.name, topology=guest.topology, cpus=guest.cpus, memory_bytes=guest.memory_bytes) for guest in (whole, split)))
    return with_steps(Plan(workload, host, fingerprint(host), (whole, split)))


def test_a_plan_is_applied_failed_and_undone_on_a_real_kernel(lab: Lab, tmp_path: Path) -> None:
    with lab.boot(lab.machine(small())) as session:
        session.await_driver(DISK)
        session.await_driver(PF)
        start = session.host()
        made = plan(start)
        with pytest.raises(StepFailed, match="made to fail"):
            apply(made, session.node, tmp_path / "journal", fail_at=made.steps[-1].id)
        assert {address: function.driver for address, function in zip(numbers(start), session.host().functions, strict=True)} == {
            function.address: function.driver for function in start.functions}
        assert apply(made, session.node, tmp_path / "journal").outcome is Outcome.APPLIED
        applied = session.host()
        assert {applied[address].driver for address in (DISK, Address.parse("01:00.1"), Address.parse("01:00.2"))} == {"vfio-pci"}
        assert set(session.vfio_groups()) == {applied[address].iommu_group for address in (DISK, Address.parse("01:00.1"), Address.parse("01:00.2"))}
        rollback(tmp_path / "journal", session.node)
        back = session.host()
        assert numbers(back) == numbers(start)
        assert [function.driver for function in back.functions] == [function.driver for function in start.functions]


def test_kernel_parameters_act_as_predicted(lab: Lab) -> None:
    """Redirection off for one port: it and what is below it become one group."""
    machine = lab.machine(small())
    with lab.boot(machine, cmdline=f"pci=disable_acs_redir={DISK_PORT}") as session:
        read = session.host()
    assert read[DISK].iommu_group == read[DISK_PORT].iommu_group
    assert read[PF].iommu_group != read[PF_PORT].iommu_group
    assert groups_agree(read)


def test_a_machine_that_does_not_come_up(lab: Lab) -> None:
    machine = lab.machine(small())
    with pytest.raises(LabFailed, match=r"no answer for 0.1 s; (.*last line|it printed nothing)"), replace(lab, limit_s=0.1).boot(machine):
        pass
    with pytest.raises(LabFailed, match=r"exit status 1\); its last lines: .*no-such-device"), lab.boot(replace(machine, args=(*machine.args, "-device", "no-such-device"))):
        pass
