"""A plan with its steps, and the word of somebody else that they fit together."""

from __future__ import annotations

from dataclasses import replace

from simkit.errors import Fault, InputError
from simkit.model.plan import Certificate, Plan
from simkit.model.step import StepKind
from simkit.model.unknown import is_known
from simkit.plan.acs import unreadable_ports
from simkit.plan.hugepages import unknown_pools
from simkit.plan.replay import replay
from simkit.plan.steps import steps

_REPLAYED = "simkit.plan.replay"


def with_steps(plan: Plan) -> Plan:
    """`plan` with the steps that carry it out, what they assume, and the certificate of their replay; the same again for a plan that has them.

    Raises:
        InputError: a step cannot be made (`simkit.plan.steps.steps`), or the steps do not fit together.
    """
    found = replace(plan, steps=steps(plan.host, plan.guests))
    faults = replay(found)
    if faults:
        raise InputError("the steps of this plan do not fit together", faults=tuple(Fault(fault) for fault in faults))
    assumptions = (*plan.assumptions, *(text for text in _assumptions(found) if text not in plan.assumptions))
    writes = sum(len(step.do) for step in found.steps)
    undo = sum(len(step.undo) for step in found.steps)
    certificate = Certificate(_REPLAYED, "each step finds what the ones before it leave, and undone in reverse order every value is the first one again",
                              (("steps", len(found.steps)), ("undo_writes", undo), ("writes", writes)))
    others = tuple(other for other in plan.certificates if other.by != _REPLAYED)
    return replace(found, assumptions=assumptions, certificates=(*others, certificate))


def _assumptions(plan: Plan) -> tuple[str, ...]:
    texts = []
    unknown = [device.address for guest in plan.guests for device in guest.devices
               if device.address in plan.host and not is_known(plan.host[device.address].driver)]
    if unknown:
        texts.append(f"which driver holds {', '.join(map(str, unknown))} is unknown, so there is no step for it: capture the node itself before applying")
    ports = unreadable_ports(plan.host, plan.guests)
    if ports:
        texts.append(f"the ACS registers of {', '.join(map(str, ports))} are unknown and are left as they are")
    texts += [f"that many are free: {need}; how many there are is unknown, so there is no step for it" for need in unknown_pools(plan.host, plan.guests)]
    reserved = [str(step.subject) for step in plan.steps if step.kind is StepKind.HUGEPAGES]
    if reserved:
        texts.append(f"enough memory of {', '.join(dict.fromkeys(reserved))} is free and in one piece: Linux reserves as many huge pages as it can, "
                     "and apply takes all back where these are too few")
    if any(step.kind is StepKind.DRIVER_OVERRIDE for step in plan.steps):
        texts.append("no device has a driver_override of another driver yet: apply refuses the plan where one has")
    changed = [step.subject for step in plan.steps if step.kind is StepKind.ACS_CONTROL]
    if changed:
        texts.append(f"ACS written at run time on {', '.join(map(str, changed))} stays as it is: no rescan, hot-plug event or reboot in between")
    return tuple(texts)
