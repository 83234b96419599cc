"""A plan as it would be on the lab's copy of its host: the same guests, with the lab's addresses and the lab's own steps."""

from __future__ import annotations

from dataclasses import replace

from simkit.executors.lab_errors import NotBuildable
from simkit.executors.lab_machine import Machine
from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint
from simkit.semantics.sriov import vf_address


def rehearsed(plan: Plan, machine: Machine, read: Host) -> Plan:
    """The plan to apply to a booted `machine`, of whose kernel `read` was read; its steps are made anew for it.

    ACS steps for switch ports fall away, for QEMU's switches have no ACS; drivers are those of the stand-ins.

    Raises:
        NotBuildable: a function that the plan hands out is not in the lab.
        InputError: no steps lead there on the lab's machine, as on any other node.
    """
    guests = tuple(_guest(guest, machine, read) for guest in plan.guests)
    return with_steps(Plan(plan.workload, read, fingerprint(read), guests, assumptions=(f"rehearsed on {read.name}", *machine.inexpressible)))


def _guest(guest: GuestPlan, machine: Machine, read: Host) -> GuestPlan:
    ports = tuple(replace(port, mirrors=machine.addresses.get(port.mirrors) if port.mirrors is not None else None) for port in guest.ports)
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
