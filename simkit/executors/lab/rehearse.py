"""A plan tried on the lab's copy of its host: the same guests, with the lab's addresses and the lab's own steps; applied, looked at and undone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from simkit.executors.apply import Applied, Outcome, Progress, apply, rollback
from simkit.executors.lab.agreement import Agreement, groups_agree
from simkit.executors.lab.errors import NotBuildable
from simkit.executors.lab.lab import Lab
from simkit.executors.lab.machine import Machine
from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan
from simkit.model.host import Host
from simkit.model.numa import CpuSet, HugePages, NodeName
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind
from simkit.plan.plan import with_steps
from simkit.semantics.diff import diff
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.smmu import grouped_when_bound
from simkit.semantics.sriov import vf_address

_PAGES, _PAGE_BYTES = 4, 2 << 20


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a real kernel did with a plan.

    `plan` is the plan as it was for the copy, `groups` whether the kernel groups as the rules say, `handed` the guests' functions that did
    not end at vfio-pci, `left` what differs from the start after all was undone. Groups that only came with vfio-pci (on an SMMU before 6.15)
    are no part of that: no kernel takes them back; `groups` has them as that made them.
    """

    kernel: str
    machine: Machine
    plan: Plan
    groups: Agreement
    applied: Applied
    handed: tuple[Address, ...]
    left: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether all went as planned."""
        return bool(self.groups) and self.applied.outcome is Outcome.APPLIED and not self.handed and not self.left


def rehearse(plan: Plan, lab: Lab, *, iommu: IommuKind | None = None, progress: Callable[[Progress], None] | None = None) -> Rehearsal:
    """Boot a copy of the plan's host, apply the plan there, look, and undo it; `iommu` takes the place of the host's.

    Raises:
        LabUnavailable: kernel, QEMU or busybox is missing.
        LabFailed: the machine does not boot.
        NotBuildable: the host is too large, or a function that the plan hands out is not in the lab.
        StepFailed: a step failed; all before it were undone.
    """
    machine = lab.machine(plan.host, iommu=iommu)
    with lab.boot(machine) as session, tempfile.TemporaryDirectory(prefix="simkit-rehearsal-") as folder:
        start = session.host()
        agreed = groups_agree(start, order=session.probe_order() if start.iommu is IommuKind.SMMU else ())
        made = rehearsed(plan, machine, start)
        journal = Path(folder) / "journal"
        applied = apply(made, session.node, journal, progress=progress)
        after = session.host()
        taken = [device.address for guest in made.guests for device in guest.bound]
        late = [address for address in taken if address in start and grouped_when_bound(start, start[address])]
        if late:
            bound = groups_agree(after, probed=late)
            agreed = Agreement(agreed.functions, bound.groups, (*agreed.differences, *bound.differences))
        given = [device.address for guest in made.guests for device in guest.devices]
        handed = tuple(address for address in given if address not in after or after[address].driver != "vfio-pci")
        rollback(journal, session.node, progress=progress)
        left = tuple(f"{change.subject} {change.field}".strip() for change in diff(start, session.host())
                     if change.field != "iommu_group" or change.subject not in map(str, late))
    return Rehearsal(str(start.kernel), machine, made, agreed, applied, handed, left)


def rehearsed(plan: Plan, machine: Machine, read: Host) -> Plan:
    """The plan to apply to a booted `machine`, of whose kernel `read` was read; its steps are made anew for it.

    ACS steps for switch ports fall away, for QEMU's switches have no ACS; drivers are those of the stand-ins. Of guests' huge pages a few small
    ones are reserved, for the machine has little memory.

    Raises:
        NotBuildable: a function that the plan hands out is not in the lab.
        InputError: no steps lead there on the lab's machine, as on any other node.
    """
    pages = _pages(read)
    guests = tuple(_guest(guest, machine, read, pages) for guest in plan.guests)
    asked = [guest.name for guest in plan.guests if guest.hugepage_bytes is not None]
    instead = f"{_PAGES} of 2 MiB on {pages[0]} each" if pages is not None else "none: the kernel has no pages of 2 MiB"
    little = (f"huge pages of {', '.join(asked)} are rehearsed as {instead}",) if asked else ()
    return with_steps(Plan(plan.workload, read, fingerprint(read), guests, assumptions=(f"rehearsed on {read.name}", *little, *machine.inexpressible)))


def _pages(read: Host) -> tuple[NodeName, HugePages] | None:
    """Where a few huge pages can be had on the lab's machine: its first node, in pages of 2 MiB."""
    found = ((NodeName(node.id), node.pool(_PAGE_BYTES)) for node in read.numa_nodes)
    return next(((name, pool) for name, pool in found if isinstance(pool, HugePages)), None)


def _guest(guest: GuestPlan, machine: Machine, read: Host, pages: tuple[NodeName, HugePages] | None) -> GuestPlan:
    ports = tuple(replace(port, mirrors=machine.addresses.get(port.mirrors) if port.mirrors is not None else None) for port in guest.ports)
    if guest.hugepage_bytes is not None:
        nodes = (GuestNode(0, pages[0].id, CpuSet(), _PAGES * _PAGE_BYTES),) if pages is not None else ()
        guest = replace(guest, nodes=nodes, memory_bytes=_PAGES * _PAGE_BYTES, hugepage_bytes=_PAGE_BYTES if pages is not None else None)
    return replace(guest, ports=ports, devices=tuple(_device(device, machine, read) for device in guest.devices))


def _device(device: GuestDevice, machine: Machine, read: Host) -> GuestDevice:
    physical = _place(device.vf_of, machine) if device.vf_of is not None else None
    if device.address in machine.addresses or physical is None or device.vf_index is None:
        address = _place(device.address, machine)
    else:
        found = vf_address(read, read[physical], device.vf_index)
        if not isinstance(found, Address):
            raise NotBuildable(f"virtual function {device.vf_index} of {device.vf_of} is not in the lab: {found.why}", where=machine.host.name)
        address = found
    group = read[address].iommu_group if address in read else None
    companion = _place(device.companion_of, machine) if device.companion_of is not None else None
    return replace(device, address=address, group=group if isinstance(group, int) else None, vf_of=physical, companion_of=companion)


def _place(address: Address, machine: Machine) -> Address:
    if address not in machine.addresses:
        raise NotBuildable(f"{address} is not in the lab", where=machine.host.name, remedy="`Machine.inexpressible` says why it was left out")
    return machine.addresses[address]
