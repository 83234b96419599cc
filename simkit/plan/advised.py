"""Advice as a plan: the ACS bits that can be written at run time, without guests."""

from __future__ import annotations

from simkit.errors import Fault, InputError
from simkit.model.address import Address
from simkit.model.advice import Advised, Call
from simkit.model.capabilities import Acs, AcsBits
from simkit.model.host import Host
from simkit.model.plan import Certificate, Plan
from simkit.model.step import ExpectAcs, SetAcs, Step, StepKind
from simkit.model.unknown import is_known
from simkit.model.workload import Workload
from simkit.plan.replay import replay
from simkit.semantics.fingerprint import fingerprint

NAME = "advice"
_NOT_GROUPS = "it changes what the hardware does, not the IOMMU groups, which were made at probe; a rescan of the port, a hot-plug event or a reboot undoes it"


def plan_of(host: Host, advised: Advised) -> Plan | None:
    """A plan of what is advised to be set and can be written now: a step for each port, in address order. None where there is nothing to write.

    What only opens, rests on the unknown, or lies on the command line, in the firmware or in other registers than ACS Control is not in it.

    Raises:
        InputError: the steps do not fit together.
    """
    wanted: dict[Address, AcsBits] = {}
    why: dict[Address, list[str]] = {}
    for piece in advised.pieces:
        for address, bits in piece.controls if piece.call is Call.SET else ():
            wanted[address] = bits
            why.setdefault(address, []).append(piece.do)
    steps = tuple(_step(host, number, address, wanted[address], why[address]) for number, address in enumerate(sorted(wanted), 1))
    if not steps:
        return None
    ports = ", ".join(str(step.subject) for step in steps)
    kept = f"ACS written at run time on {ports} stays as it is: no rescan, hot-plug event or reboot in between"
    groups = "IOMMU groups are as they were until the functions below are removed and rescanned"
    plan = Plan(Workload(NAME, ()), host, fingerprint(host), (), steps, (kept, groups))
    faults = replay(plan)
    if faults:
        raise InputError("the steps of this advice do not fit together", faults=tuple(Fault(fault) for fault in faults))
    says = "each step finds what the ones before it leave, and undone in reverse order every value is the first one again"
    figures = (("steps", len(steps)), ("undo_writes", len(steps)), ("writes", len(steps)))
    return Plan(plan.workload, host, plan.fingerprint, (), steps, plan.assumptions, (Certificate("simkit.plan.replay", says, figures),))


def _step(host: Host, number: int, port: Address, after: AcsBits, why: list[str]) -> Step:
    acs = host[port].acs
    assert isinstance(acs, Acs)
    assert is_known(acs.control)
    mask = int(acs.control ^ after) & 0x7F
    now, then = int(acs.control) & mask, int(after) & mask
    return Step(
        f"{number:03}-acs-{port}",
        StepKind.ACS_CONTROL,
        port,
        f"{'; '.join(dict.fromkeys(why))} on {port}",
        (ExpectAcs(port, mask, now),),
        (SetAcs(port, mask, then),),
        (ExpectAcs(port, mask, then),),
        (SetAcs(port, mask, now),),
        f"a run-time write: {_NOT_GROUPS}",
    )
