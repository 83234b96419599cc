"""Functions that get their IOMMU group with vfio-pci, on an SMMU before Linux 6.15: handed out in the groups that binding makes."""

from dataclasses import replace

import pytest

from simkit.formats.native.plan import dump_plan, load_plan
from simkit.formats.native.workload import load_workload
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

NONE, ON = Acs(AcsBits.NONE, AcsBits.NONE), Acs(AcsBits(0x5F), AcsBits(0x1D))
GPU, OTHER, DISK, FAR = (Address.parse(text) for text in ("01:00.0", "01:00.1", "02:00.0", "02:00.1"))


def node(kernel: str = "6.1.0", *, told: bool, driver: str | None = None) -> Host:
    """A card of two functions and a disk with an idle GPU beside it, each below a port; groups as the kernel told them, or by the rules."""
    def port(number: int) -> Function:
        return Function(Address(0, 0, number, 0), RootBus(0, 0), 0x1234, 1, 0x060400, port_type=PortType.ROOT_PORT, acs=ON, ats=None, sriov=None,
                        multifunction=False, bus_range=BusRange(number, number), driver="pcieport", bars=(), iommu_group=number if told else UNKNOWN)

    def on(address: Address, class_code: int, *, driver: str | None = driver, usage: str | None = None) -> Function:
        group = None if driver is None else 7
        return Function(address, Address(0, 0, address.bus, 0), 0x10DE, 2, class_code, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=None, bars=(),
                        multifunction=True, driver=driver, usage=usage, reset_methods=("flr",), iommu_group=group if told else UNKNOWN)

    disk = on(DISK, 0x010802, driver="nvme", usage="root disk")
    return Host("arm", (port(1), port(2), on(GPU, 0x030200), on(OTHER, 0x040300), disk, on(FAR, 0x030200)), iommu=IommuKind.SMMU, kernel=kernel, cmdline="")


def asked(pinned: Address) -> Workload:
    return load_workload(f'simkit: workload/1\nname: w\nguests:\n  a: {{devices: [{{kind: gpu, pinned: ["{pinned}"]}}]}}', source="w.yaml")


@pytest.mark.parametrize("told", [True, False])
def test_a_card_that_waits_is_handed_out_whole(told: bool) -> None:
    host = node(told=told)
    answer = solve(asked(GPU), host)
    assert isinstance(answer, Planned)
    (guest,) = answer.plan.guests
    assert [(device.address, device.group, device.companion_of) for device in guest.devices] == [(GPU, None, None), (OTHER, None, GPU)]
    said = f"vfio-pci makes the IOMMU groups of {GPU} and {OTHER} as planned: they have none before a driver is bound"
    assert said in answer.plan.assumptions
    assert check(answer.plan) == ()
    assert load_plan(dump_plan(answer.plan), source="plan.json") == answer.plan

    # the other half could stay behind unbound, without a group; what it cannot be is another guest's
    assert check(replace(answer.plan, guests=(replace(guest, devices=guest.devices[:1], mmio64_mib=0),))) == ()
    two = replace(answer.plan.workload, guests=(answer.plan.workload.guests[0], replace(answer.plan.workload.guests[0], name="b")))
    apart = (replace(guest, devices=guest.devices[:1]), replace(guest, name="b", devices=(replace(guest.devices[1], companion_of=None),)))
    assert any("is split between a and b" in fault for fault in check(replace(answer.plan, workload=two, guests=apart)))


@pytest.mark.parametrize("told", [True, False])
def test_one_whose_group_the_host_uses_is_refused(told: bool) -> None:
    answer = solve(asked(FAR), node(told=told))
    assert isinstance(answer, Infeasible)
    assert [reason.text for reason in answer.because] == [f"a asks for GPU {FAR}; {FAR} shares an IOMMU group with {DISK}, the host's root disk"]


def test_since_6_15_and_with_drivers_nothing_waits() -> None:
    for host in (node("7.3.0", told=False), node(told=False, driver="nvidia")):
        answer = solve(asked(GPU), host)
        assert isinstance(answer, Planned)
        assert not any("vfio-pci makes" in text for text in answer.plan.assumptions)
    gone = solve(asked(GPU), node("7.3.0", told=True))
    assert isinstance(gone, Infeasible)
    assert [reason.text for reason in gone.because] == [f"a asks for GPU {GPU}; {GPU} has no IOMMU group"]
