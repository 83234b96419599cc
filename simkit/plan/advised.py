"""Advice as a plan: what can be written at run time (ACS and Device Control bits, huge pages), without guests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.errors import Fault, InputError
from simkit.model.address import Address
from simkit.model.advice import Advised, Call
from simkit.model.capabilities import Acs, AcsBits, DeviceControl
from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.plan import Certificate, Plan
from simkit.model.step import ExpectAcs, ExpectDeviceControl, SetAcs, SetDeviceControl, Step, StepKind
from simkit.model.unknown import is_known
from simkit.model.workload import Workload
from simkit.plan.hugepages import hugepage_steps
from simkit.plan.replay import replay
from simkit.semantics.fingerprint import fingerprint

NAME = "advice"
_NOT_GROUPS = "it changes what the hardware does, not the IOMMU groups, which were made at probe; a rescan of the port, a hot-plug event or a reboot undoes it"
_RESET = "a run-time write: a reset of the device or a reboot undoes it, and its driver may when it is bound (pcie_set_readrq)"
_READ, _RELAXED = 0x7000, 0x0010
_WORD = {StepKind.ACS_CONTROL: "acs", StepKind.DEVICE_CONTROL: "sends", StepKind.HUGEPAGES: "hugepages"}


def plan_of(host: Host, advised: Advised, guests: tuple[GuestPlan, ...] = ()) -> Plan | None:
    """A plan of what is advised to be set and can be written now: huge pages for `guests`, then ACS, then Device Control, each in address order.

    None where there is nothing to write. What only opens, rests on the unknown, or lies on the command line, in the firmware or elsewhere
    than in these is not in it.

    Raises:
        InputError: the steps do not fit together, or huge pages cannot be had.
    """
    steps = tuple(_numbered((*hugepage_steps(host, guests), *_acs_steps(host, advised), *_device_control_steps(host, advised))))
    if not steps:
        return None
    plan = Plan(Workload(NAME, ()), host, fingerprint(host), (), steps, tuple(_assumptions(steps)))
    faults = replay(plan)
    if faults:
        raise InputError("the steps of this advice do not fit together", faults=tuple(Fault(fault) for fault in faults))
    says = "each step finds what the ones before it leave, and undone in reverse order every value is the first one again"
    figures = (("steps", len(steps)), ("undo_writes", len(steps)), ("writes", len(steps)))
    return replace(plan, certificates=(Certificate("simkit.plan.replay", says, figures),))


def _numbered(steps: tuple[Step, ...]) -> Iterator[Step]:
    for number, step in enumerate(steps, 1):
        yield replace(step, id=f"{number:03}-{_WORD[step.kind]}-{step.subject}")


def _assumptions(steps: tuple[Step, ...]) -> Iterator[str]:
    ports = ", ".join(str(step.subject) for step in steps if step.kind is StepKind.ACS_CONTROL)
    if ports:
        yield f"ACS written at run time on {ports} stays as it is: no rescan, hot-plug event or reboot in between"
        yield "IOMMU groups are as they were until the functions below are removed and rescanned"
    devices = ", ".join(str(step.subject) for step in steps if step.kind is StepKind.DEVICE_CONTROL)
    if devices:
        yield f"Device Control written at run time on {devices} stays as it is: no reset, no driver bound anew and no reboot in between"


def _acs_steps(host: Host, advised: Advised) -> Iterator[Step]:
    wanted: dict[Address, AcsBits] = {}
    why: dict[Address, list[str]] = {}
    for piece in advised.pieces:
        for address, bits in piece.controls if piece.call is Call.SET else ():
            wanted[address] = bits
            why.setdefault(address, []).append(piece.do)
    for address in sorted(wanted):
        yield _acs_step(host, address, wanted[address], why[address])


def _acs_step(host: Host, port: Address, after: AcsBits, why: list[str]) -> Step:
    acs = host[port].acs
    assert isinstance(acs, Acs)
    assert is_known(acs.control)
    mask = int(acs.control ^ after) & 0x7F
    now, then = int(acs.control) & mask, int(after) & mask
    return Step("", StepKind.ACS_CONTROL, port, f"{'; '.join(dict.fromkeys(why))} on {port}", (ExpectAcs(port, mask, now),), (SetAcs(port, mask, then),),
                (ExpectAcs(port, mask, then),), (SetAcs(port, mask, now),), f"a run-time write: {_NOT_GROUPS}")


def _device_control_steps(host: Host, advised: Advised) -> Iterator[Step]:
    """One step for all that is to be set in a function."""
    wanted: dict[Address, tuple[int, int]] = {}
    why: dict[Address, list[str]] = {}
    for piece in advised.pieces:
        if piece.call is Call.SET and piece.device_control is not None and piece.subject is not None:
            mask, value = wanted.get(piece.subject, (0, 0))
            wanted[piece.subject] = mask | piece.device_control[0], value | piece.device_control[1]
            why.setdefault(piece.subject, []).append(piece.do.partition(" (`")[0])
    for address in sorted(wanted):
        mask, then = wanted[address]
        now = _sends(host, address) & mask
        yield Step("", StepKind.DEVICE_CONTROL, address, f"{'; '.join(why[address])} on {address}", (ExpectDeviceControl(address, mask, now),),
                   (SetDeviceControl(address, mask, then),), (ExpectDeviceControl(address, mask, then),), (SetDeviceControl(address, mask, now),), _RESET)


def _sends(host: Host, address: Address) -> int:
    """What Device Control holds of the bits that advice is about: known, for it says from what to what."""
    control = host[address].device_control
    assert isinstance(control, DeviceControl)
    size = control.max_read_request_bytes
    return ((size.bit_length() - 8 << 12) & _READ if is_known(size) else 0) | (_RELAXED if control.relaxed_ordering is True else 0)
