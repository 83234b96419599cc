"""Guests of plans, booted with stand-ins: their kernel sees the tree, the buses, the NUMA nodes and the vCPUs that the plan says it will.

The whole: `make lab-guests COUNT=40`.
"""

import time
from collections import Counter
from dataclasses import replace

import plans_by_seed
import pytest
from conftest import COUNT

from simkit.executors.lab import Lab
from simkit.executors.lab.guest import guest_agrees, guest_machine
from simkit.formats.source import open_host, open_workload
from simkit.model.guest import GuestNode, GuestPlan, GuestPort, GuestPortKind
from simkit.model.numa import CpuSet
from simkit.model.plan import Plan
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def planned(workload: str, host: str) -> Plan:
    answer = solve(open_workload(workload), open_host(host))
    assert isinstance(answer, Planned)
    return answer.plan


def compared(lab: Lab, plans: list[Plan]) -> Counter[str]:
    """Boot every guest, compare, count; prints what was counted."""
    counted: Counter[str] = Counter()
    started = time.monotonic()
    for plan in plans:
        for guest in plan.guests:
            with lab.boot(guest_machine(plan, guest), modules=()) as session:
                agreement = guest_agrees(plan, guest, session)
            assert agreement, f"{guest.name} of {plan.workload.name} on {plan.host.name}:\n" + "\n".join(agreement.differences)
            kinds = {f"guests with {port.kind.value}" for port in guest.ports}
            counted += Counter({"guests": 1, "functions": agreement.functions, **dict.fromkeys(kinds, 1)})
        counted["plans"] += 1
    print(f"\n{lab.find_kernel().release}: {dict(counted)} agree, {(time.monotonic() - started) / counted['guests']:.1f} s a guest")
    return counted


@pytest.mark.parametrize(("workload", "host"), [("two-guests", "hgx-h100"), ("eight-rtx", "rtx-pro-8"), ("one-gpu-each", "split-roots")])
def test_a_shipped_plans_guests_boot_to_the_tree_of_the_plan(lab: Lab, workload: str, host: str) -> None:
    plan = planned(workload, host)
    assert compared(lab, [plan])["guests"] == len(plan.guests)


def test_plans_by_seed_boot_to_their_trees(lab: Lab) -> None:
    counted = compared(lab, [plans_by_seed.plan(seed) for seed in range(COUNT)])
    assert counted["plans"] == COUNT


def spread(guest: GuestPlan) -> GuestPlan:
    """A port on each of two expanders, numbered against the order of their slots; the guest has memory on host nodes 1 and 3 only, three vCPUs each."""
    expanders = (GuestPort("late", GuestPortKind.EXPANDER, None, 7, numa_node=0, bus_nr=0x40), GuestPort("early", GuestPortKind.EXPANDER, None, 8, numa_node=1, bus_nr=0x20))
    ports = tuple(replace(port, parent=above.id, slot=3 - number, numa_node=None)
                  for number, (above, port) in enumerate(zip(expanders, guest.ports, strict=False)))
    devices = tuple(replace(device, port=port.id) for device, port in zip(guest.devices, ports, strict=False))
    nodes = tuple(GuestNode(number, host, CpuSet.of(range(10 * host, 10 * host + 3)), 1 << 30) for number, host in enumerate((1, 3)))
    return replace(guest, cpus=7, ports=(*expanders, *ports), devices=devices, nodes=nodes)


def test_expanders_carry_the_guests_own_nodes(lab: Lab) -> None:
    """An expander's buses begin at its `bus_nr`, whatever its slot; nodes are the guest's numbers; the vCPU that no node counts is the last node's."""
    plan = planned("two-guests", "hgx-h100")
    guest = spread(plan.guests[1])
    with lab.boot(guest_machine(plan, guest), modules=()) as session:
        assert guest_agrees(plan, guest, session)
        read = session.host()
        assert [read[function.address].numa_node for function in guest_machine(plan, guest).host.functions] == [1, 1, 0, 0]

        # what is compared can differ: a port elsewhere, a node fewer, a vCPU more
        moved = replace(guest, ports=(*guest.ports[:-1], replace(guest.ports[-1], slot=9)))
        assert guest_agrees(plan, moved, session).differences
        assert any("NUMA node 1" in text for text in guest_agrees(plan, replace(guest, nodes=guest.nodes[:1]), session).differences)
        assert any("vCPUs 0-6" in text for text in guest_agrees(plan, replace(guest, cpus=8), session).differences)
