"""A guest of a plan booted with emulated devices in the place of the host's, and its kernel's tree held against the plan's.

    with lab.boot(guest_machine(plan, guest), modules=()) as session:
        agreement = guest_agrees(plan, guest, session)

What boots is what `simkit.formats.guest.qemu` renders, ports, NUMA nodes and vCPUs as they are; firmware numbers the buses, a stock kernel
enumerates, and `simkit.semantics.guest_view` must have said the same before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from simkit.executors.lab import standins
from simkit.executors.lab.agreement import Agreement
from simkit.executors.lab.machine import Machine
from simkit.executors.lab.session import Session
from simkit.formats.guest import parts as guest_parts
from simkit.formats.guest import qemu
from simkit.model.address import Address
from simkit.model.function import Function, Kind
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.host import Host
from simkit.model.numa import CpuSet
from simkit.model.plan import Plan
from simkit.model.unknown import is_known
from simkit.semantics.guest_view import guest_addresses, guest_view

_PLACED = re.compile(r"node(\d+)/cpu(\d+)")
_PRESENT = "sys/devices/system/cpu/present"


def guest_machine(plan: Plan, guest: GuestPlan) -> Machine:
    """What the lab boots for a guest: rendered with stand-ins, its host the view that is to be confirmed.

    One vCPU is started (`maxcpus=1`); the others are there, in their nodes, which is all that is asked of them.

    Raises:
        InputError: the guest's ports are no tree.
    """
    return Machine(guest_view(plan.host, guest), qemu.arguments(plan, guest, stand_ins=True), "maxcpus=1", guest_addresses(plan.host, guest))


def guest_agrees(plan: Plan, guest: GuestPlan, session: Session) -> Agreement:
    """The booted guest's tree against the plan's: each function's address, what it lies below and its NUMA node, ports' types and buses, vCPUs by node."""
    view, read = guest_view(plan.host, guest), session.host()
    placed = session.console.run("cd /sys/devices/system/node; ls -d node*/cpu[0-9]*")[1].decode().split()
    differences = (*_tree(view, read, _own(guest)), *_nodes(view, placed), *_count(guest, session.node.read(_PRESENT)))
    return Agreement(len(view.functions), 0, differences)


def _own(guest: GuestPlan) -> frozenset[Address]:
    """Where the virtual machine's own functions lie: the chipset's, its source of randomness, expanders as seen from the first root bus."""
    slots = [port.slot for port in guest.ports if port.kind is GuestPortKind.EXPANDER]
    random = guest_parts.free_root_slot(guest)
    slots += [random] if random is not None else []
    return frozenset((*(Address(0, 0, device, function) for device, function, _, _ in standins.CHIPSET), *(Address(0, 0, slot, 0) for slot in slots)))


def _tree(view: Host, read: Host, own: frozenset[Address]) -> Iterator[str]:
    for address in sorted({function.address for function in (*view.functions, *read.functions)} - own):
        if address not in read:
            yield f"{address} ({view[address].label}) is in the plan's tree, not in the booted guest's"
        elif address not in view:
            yield f"{address} is in the booted guest's tree ({read[address].label}), not in the plan's"
        else:
            yield from _facts(view[address], read[address])


def _facts(wanted: Function, found: Function) -> Iterator[str]:
    names = ("parent", "numa_node", *(("port_type", "bus_range", "class_code") if wanted.is_bridge else ()))
    for name in names:
        if getattr(wanted, name) != getattr(found, name):
            yield f"{wanted.address}: {name} is {getattr(found, name)} in the booted guest, {getattr(wanted, name)} in the plan's tree"
    if (wanted.kind is Kind.NIC) != (found.kind is Kind.NIC):
        yield f"{wanted.address}: a stand-in for {found.kind.value} lies where the plan's tree has {wanted.kind.value}"


def _nodes(view: Host, placed: Iterable[str]) -> Iterator[str]:
    """VCPUs by node: the links below each node, which the kernel makes for all that are present, started or not (`register_cpu_under_node`)."""
    found: dict[int, set[int]] = {}
    for match in filter(None, map(_PLACED.fullmatch, placed)):
        found.setdefault(int(match[1]), set()).add(int(match[2]))
    wanted = {node.id: node.cpus for node in view.numa_nodes if is_known(node.cpus)}
    for number in sorted({*found, *wanted}) if wanted else ():
        here, there = CpuSet.of(found.get(number, set())), wanted.get(number, CpuSet())
        if here != there:
            yield f"NUMA node {number} has vCPUs {here if here.cpus else 'none'} in the booted guest, {there if there.cpus else 'none'} in the plan's tree"


def _count(guest: GuestPlan, present: bytes | None) -> Iterator[str]:
    expected = f"0-{guest.cpus - 1}" if guest.cpus > 1 else "0"
    if present is None or present.decode().strip() != expected:
        yield f"the booted guest has vCPUs {(present or b'').decode().strip()}, the plan {expected}"
