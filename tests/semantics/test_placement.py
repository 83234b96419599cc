"""The independent checker: a sound plan passes, and each way of spoiling it is found."""

from dataclasses import replace

import pytest

from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import PortType
from simkit.model.function import Function
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.numa import CpuSet
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.semantics.acs import Isolation
from simkit.semantics.placement import check
from simkit.solve.answer import Planned
from simkit.solve.solve import solve


def solved(workload: str, host: str) -> Plan:
    answer = solve(open_workload(workload), open_host(host))
    assert isinstance(answer, Planned)
    return answer.plan


SOUND = solved("two-guests", "hgx-h100")
CARDS = solved("eight-rtx", "rtx-pro-8")


def with_guest(plan: Plan, index: int, **changes) -> Plan:
    guests = list(plan.guests)
    guests[index] = replace(guests[index], **changes)
    return replace(plan, guests=tuple(guests))


def device(guest: GuestPlan, index: int, **changes):
    return tuple(replace(each, **changes) if number == index else each for number, each in enumerate(guest.devices))


def test_sound_plans_pass() -> None:
    assert check(SOUND) == ()
    assert check(CARDS) == ()


TRAIN, INFER = SOUND.guests
SPOILED = {
    "a guest is missing": replace(SOUND, guests=SOUND.guests[:1]),
    "a device twice": with_guest(SOUND, 1, devices=device(INFER, 0, address=TRAIN.devices[0].address)),
    "a device too few": with_guest(SOUND, 0, devices=TRAIN.devices[1:]),
    "a NIC in the place of a GPU": with_guest(SOUND, 1, devices=device(INFER, 0, address=Address.parse("86:00.0"))),
    "a NIC that is far from the GPUs": with_guest(SOUND, 0, devices=device(TRAIN, 1, address=Address.parse("c4:00.0"))),
    "the host's own NIC": with_guest(SOUND, 0, devices=device(TRAIN, 1, address=Address.parse("22:00.0"))),
    "a virtual function that is another's": with_guest(SOUND, 1, devices=device(INFER, 1, vf_index=3)),
    "a physical function beside its virtual one": with_guest(SOUND, 0, devices=device(TRAIN, 1, address=INFER.devices[1].vf_of)),
    "a port that is not there": with_guest(SOUND, 1, devices=device(INFER, 0, port="rp9")),
    "a 64-bit window that is too small": with_guest(SOUND, 0, mmio64_mib=(TRAIN.mmio64_mib or 0) // 2),
    "no 64-bit window": with_guest(SOUND, 1, mmio64_mib=None),
    "another TEE": with_guest(SOUND, 1, tee=TeeKind.NONE),
    "less memory": with_guest(SOUND, 1, nodes=tuple(replace(node, memory_bytes=1 << 30) for node in INFER.nodes)),
    "CPUs of another guest": with_guest(SOUND, 1, nodes=tuple(replace(node, cpus=TRAIN.nodes[0].cpus, host_node=0) for node in INFER.nodes)),
    "CPUs of another node": with_guest(SOUND, 1, nodes=tuple(replace(node, cpus=CpuSet.of(range(300, 316)), host_node=0) for node in INFER.nodes)),
    "two devices in one slot of a bridge": with_guest(CARDS, 0, devices=tuple(replace(each, slot=1) if each.companion_of else each for each in CARDS.guests[0].devices)),
    "two devices that changed places below one switch": with_guest(SOUND, 0, devices=(
        replace(TRAIN.devices[0], port=TRAIN.devices[1].port), replace(TRAIN.devices[1], port=TRAIN.devices[0].port), *TRAIN.devices[2:])),
    "a card without its audio": with_guest(CARDS, 0, devices=tuple(each for each in CARDS.guests[0].devices if str(each.address) != "0000:03:00.1")),
}


@pytest.mark.parametrize("name", SPOILED)
def test_each_way_of_spoiling_it_is_found(name: str) -> None:
    assert check(SPOILED[name])


def test_a_bridge_to_conventional_pci_never_isolates() -> None:
    bridge = Function(Address(0, 1, 0, 0), RootBus(0, 1), 0x1234, 1, 0x060400, port_type=PortType.PCIE_TO_PCI_BRIDGE, multifunction=False, acs=None)
    assert not Isolation(Host("h", (bridge,)), optimistic=True).enabled(bridge)
    assert Isolation(Host("h", (bridge,)), optimistic=False).enabled(replace(bridge, port_type=PortType.ENDPOINT))
