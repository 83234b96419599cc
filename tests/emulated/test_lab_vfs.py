"""Virtual functions of network cards: QEMU's igb has them far from their physical function, by ARI, where QEMU is new enough."""

from dataclasses import replace
from pathlib import Path

import pytest

from simkit.executors.lab import Lab
from simkit.executors.lab.agreement import groups_agree, machine_agrees
from simkit.executors.lab.kernel import newer_qemu
from simkit.executors.lab.machine import Machine, express
from simkit.executors.lab.standins import ALWAYS
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind

PORT, PF = Address.parse("00:02.0"), Address.parse("01:00.0")
NEW = ALWAYS | {"igb"}


def card(made: int, port_control: int = 0x1D) -> Host:
    """A network card with `made` of eight virtual functions, at offset 1, below a root port."""
    port = Function(PORT, RootBus(0, 0), 0x1234, 1, 0x060400, port_type=PortType.ROOT_PORT, acs=Acs(AcsBits(0x5F), AcsBits(port_control)), ats=None, sriov=None,
                    multifunction=False, bus_range=BusRange(1, 1))
    physical = Function(PF, PORT, 0x15B3, 2, 0x020000, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=Sriov(8, 8, made, 1, 1, enabled=made > 0), multifunction=False)
    virtual = tuple(replace(physical, address=Address(0, 1, 0, 1 + index), sriov=None, physfn=PF) for index in range(made))
    return Host("card", (port, physical, *virtual), iommu=IommuKind.INTEL, kernel="6.12.0")


def virtual(machine: Machine) -> list[str]:
    there = machine.host[machine.addresses[PF]]
    return [str(function.address) for function in machine.host.virtual_functions(there)]


@pytest.mark.parametrize(("has", "made", "device", "where"), [
    (NEW, 3, 0x10C9, ["0000:01:10.0", "0000:01:10.2", "0000:01:10.4"]),
    (ALWAYS, 3, 0x0010, ["0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]),
    (NEW, 0, 0x0010, []),
])
def test_the_stand_in_has_its_virtual_functions_where_its_registers_say(has: frozenset[str], made: int, device: int, where: list[str]) -> None:
    """Without any on the host it is one whose own driver can make them: igb's needs vfio-pci."""
    machine = express(card(made), kernel="6.12.0", has=has)
    assert machine.host[machine.addresses[PF]].device_id == device
    assert virtual(machine) == where
    assert any("offset 128, stride 2" in text for text in machine.inexpressible) == (device == 0x10C9)


def test_the_newest_qemu_beside_the_kernels_is_found(tmp_path: Path) -> None:
    assert newer_qemu(tmp_path) is None
    for version in ("9.2.0", "10.0.2"):
        (tmp_path / f"qemu-{version}").mkdir()
        (tmp_path / f"qemu-{version}" / "qemu-system-x86_64").touch()
    assert newer_qemu(tmp_path) == tmp_path / "qemu-10.0.2" / "qemu-system-x86_64"


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("control", [0x1D, 0x00])
def test_a_kernel_finds_them_there_and_groups_them_as_predicted(lab: Lab, control: int) -> None:
    program = newer_qemu()
    if program is None:
        pytest.skip("no QEMU with igb beside the kernels: run scripts/lab-kernels")
    newer = replace(lab, qemu=str(program))
    machine = newer.machine(card(3, control))
    with newer.boot(machine) as session:
        read = session.host()
    assert groups_agree(read)
    assert machine_agrees(machine, read)
    physical = read[machine.addresses[PF]]
    assert isinstance(physical.sriov, Sriov)
    assert (physical.sriov.offset, physical.sriov.stride, physical.sriov.num_vfs, physical.sriov.ari_hierarchy) == (0x80, 2, 3, True)
    assert [str(function.address) for function in read.virtual_functions(physical)] == virtual(machine)
    assert len({function.iommu_group for function in (physical, *read.virtual_functions(physical))}) == (4 if control else 1)
