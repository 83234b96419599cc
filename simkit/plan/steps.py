"""The steps that bring a host to what guests need: current state against wanted state, and only what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.errors import Fault, InputError
from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.step import ExpectAcs, ExpectLink, ExpectText, SetAcs, Step, StepKind, Write
from simkit.model.unknown import Unknown, is_known, known_or
from simkit.plan import attributes
from simkit.plan.acs import AcsChange, acs_changes, lasting
from simkit.plan.hugepages import hugepage_steps

_RUN_TIME = "a run-time write, gone after a reboot"
_WORD = {
    StepKind.DRIVER_OVERRIDE: "override", StepKind.UNBIND: "unbind", StepKind.BIND: "bind",
    StepKind.SRIOV_NUMVFS: "numvfs", StepKind.SRIOV_AUTOPROBE: "autoprobe", StepKind.ACS_CONTROL: "acs",
    StepKind.HUGEPAGES: "hugepages",
}


def steps(host: Host, guests: tuple[GuestPlan, ...]) -> tuple[Step, ...]:
    """Ordered changes: huge pages, which may not be had, then virtual functions, ACS bits, then for every device and companion its driver.

    A bridge is never touched, `new_id` never written (it would bind every device of that id). A device whose driver is
    unknown gets no step: `simkit.plan.plan.with_steps` says so among the assumptions. Undone in reverse order, the steps
    leave the node as it was.

    Raises:
        InputError: a virtual function cannot be made: no SR-IOV, more than TotalVFs, no driver on the physical function, or there
            are others already that a guest may be using; or huge pages cannot be had (`simkit.plan.hugepages`).
        UnknownName: a device is not in the host, and no virtual function that is to be made.
    """
    found = [*hugepage_steps(host, guests), *_virtual_functions(host, guests), *_acs(host, guests), *_drivers(host, guests)]
    return tuple(replace(step, id=f"{number:03}-{_WORD[step.kind]}-{step.subject}") for number, step in enumerate(found, start=1))


def _virtual_functions(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Step]:
    for device in (device for guest in guests for device in guest.devices):
        if device.vf_of is None or device.vf_index is None:
            host[device.address]
    wanted = _missing(host, guests)
    faults = tuple(fault for physical, devices in wanted.items() if (fault := _cannot(host, host[physical], max(devices) + 1)))
    faults += tuple(_handed_over(host, guests))
    if faults:
        raise InputError("virtual functions that cannot be made", faults=faults)
    for physical in sorted(wanted):
        yield from _enable(host[physical], wanted[physical])


def _handed_over(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Fault]:
    """Physical functions that go to a guest although a guest has virtual functions of theirs."""
    owners = {device.address: guest.name for guest in guests for device in guest.bound}
    users = {device.vf_of or host[device.address].physfn: guest.name for guest in guests for device in guest.devices if device.vf_of or device.address in host}
    for physical, user in users.items():
        if physical in owners:
            yield Fault(f"{physical} goes to {owners[physical]}, and virtual functions of it to {user}: they go with its driver",
                        str(host.where(f"functions/{physical}")), "give its virtual functions, or the whole of it")


def _missing(host: Host, guests: tuple[GuestPlan, ...]) -> dict[Address, dict[int, GuestDevice]]:
    """By physical function that must make virtual functions: all that are wanted of it, by index."""
    wanted: dict[Address, dict[int, GuestDevice]] = {}
    for device in (device for guest in guests for device in guest.devices):
        if device.vf_of is not None and device.vf_index is not None:
            wanted.setdefault(device.vf_of, {})[device.vf_index] = device
    return {physical: devices for physical, devices in wanted.items() if any(device.address not in host for device in devices.values())}


def _cannot(host: Host, physical: Function, count: int) -> Fault | None:
    where = str(host.where(f"{physical.path}/sriov"))
    if not isinstance(physical.sriov, Sriov):
        return Fault(f"{physical.address} has no SR-IOV that is known of", where, "choose another device, or capture the node as root")
    if count > physical.sriov.total_vfs:
        return Fault(f"{physical.address} can have {physical.sriov.total_vfs} virtual functions, {count} are needed", where, "ask for fewer")
    if physical.driver is None:
        return Fault(f"{physical.address} has no driver, which Linux wants before it makes virtual functions (sriov_numvfs_store)",
                     str(host.where(f"{physical.path}/driver")), "bind the physical function's driver")
    if isinstance(physical.driver, str) and attributes.is_vfio(physical.driver):
        return Fault(f"{physical.address} is bound to {physical.driver}, which makes no virtual functions unless it is told to, and then keeps them for itself "
                     "(vfio_pci_core_sriov_configure)", str(host.where(f"{physical.path}/driver")), "bind the physical function's own driver")
    for virtual in host.virtual_functions(physical):
        if isinstance(virtual.driver, str) and attributes.is_vfio(virtual.driver):
            return Fault(f"{virtual.address} is bound to {virtual.driver} and would have to go: Linux makes all virtual functions of {physical.address} anew, "
                         "without their driver_override, so that it could not be undone", str(host.where(f"{virtual.path}/driver")), "free it first")
    return None


def _enable(physical: Function, devices: dict[int, GuestDevice]) -> Iterator[Step]:
    """0 first where there are some already; drivers are kept off the new ones in between, so that undoing gives the old ones theirs back."""
    assert isinstance(physical.sriov, Sriov)
    address, path, count = physical.address, attributes.numvfs(physical.address), max(devices) + 1
    now = known_or(physical.sriov.num_vfs, 0)
    held = (ExpectLink(attributes.bound(address), physical.driver),) if isinstance(physical.driver, str) else ()
    if now:
        yield Step("", StepKind.SRIOV_NUMVFS, address, f"remove the {now} virtual functions of {address}: Linux takes another number only from 0",
                   (ExpectText(path, str(now)), *held), (Write(path, "0"),), (ExpectText(path, "0"),), (Write(path, str(now)),), _RUN_TIME)
    switch = attributes.autoprobe(address)
    yield Step("", StepKind.SRIOV_AUTOPROBE, address, f"keep host drivers off the new virtual functions of {address}",
               (ExpectText(switch, "1"),), (Write(switch, "0"),), (ExpectText(switch, "0"),), (Write(switch, "1"),), _RUN_TIME)
    links = tuple(ExpectLink(attributes.virtfn(address, index), str(devices[index].address)) for index in sorted(devices))
    yield Step("", StepKind.SRIOV_NUMVFS, address, f"make {count} virtual function{'s' * (count > 1)} of {address} ({physical.label})",
               (ExpectText(path, "0"), *held), (Write(path, str(count)),), (ExpectText(path, str(count)), *links), (Write(path, "0"),), _RUN_TIME)


def _acs(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Step]:
    for change in acs_changes(host, guests):
        yield _acs_step(host, change)


def _acs_step(host: Host, change: AcsChange) -> Step:
    port, bits = change.port, int(change.bits)
    names = ",".join(bit.name or "" for bit in change.bits)
    return Step("", StepKind.ACS_CONTROL, port, f"set ACS {names} on {port}: {change.why}",
                (ExpectAcs(port, bits, int(change.control) & bits),), (SetAcs(port, bits, bits),), (ExpectAcs(port, bits, bits),),
                (SetAcs(port, bits, int(change.control) & bits),), lasting(host, change))


def _drivers(host: Host, guests: tuple[GuestPlan, ...]) -> Iterator[Step]:
    seen: set[Address] = set()
    remade = _missing(host, guests)
    for guest in guests:
        for device in guest.bound:
            if device.address not in seen:
                seen.add(device.address)
                function = host[device.address] if device.address in host and device.vf_of not in remade else None
                yield from _hand_over(guest, device, function)


def _hand_over(guest: GuestPlan, device: GuestDevice, function: Function | None) -> Iterator[Step]:
    """`function` None: a virtual function that a step before makes, without a driver.

    Override first, so that nothing else can bind in between; undoing the unbind clears it first, or the old driver would not match (`pci_match_device`).
    """
    address = device.address
    driver: str | Unknown | None = function.driver if function is not None else None
    if not is_known(driver) or attributes.is_vfio(driver) or (function is not None and function.is_bridge):
        return
    label = function.label if function is not None else "virtual function"
    what = f"{label} {address}" + (f", in one IOMMU group with {device.companion_of}," if device.companion_of else "")
    override, bound = attributes.override(address), attributes.bound(address)
    clear = Write(override, "\n")
    yield Step("", StepKind.DRIVER_OVERRIDE, address, f"reserve {what} for {attributes.VFIO} ({guest.name})",
               (ExpectText(override, attributes.NO_OVERRIDE),), (Write(override, attributes.VFIO),),
               (ExpectText(override, attributes.VFIO),), (clear,), _RUN_TIME)
    if driver is not None:
        yield Step("", StepKind.UNBIND, address, f"take {what} from {driver}",
                   (ExpectLink(bound, driver),), (Write(attributes.unbind(driver), str(address)),), (ExpectLink(bound, None),),
                   (clear, Write(attributes.bind(driver), str(address))), _RUN_TIME)
    yield Step("", StepKind.BIND, address, f"bind {what} to {attributes.VFIO} for {guest.name}",
               (ExpectLink(bound, None), ExpectText(override, attributes.VFIO)), (Write(attributes.PROBE, str(address)),),
               (ExpectLink(bound, attributes.VFIO),), (Write(attributes.unbind(attributes.VFIO), str(address)),), _RUN_TIME)
