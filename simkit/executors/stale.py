"""Is the node still the one that the plan was made for? Re-reading the facts that the plan rests on."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.errors import Fault, StalePlan
from simkit.executors.node import Node
from simkit.executors.observe import Mismatch, acs_control, holds, key, mismatches, missing
from simkit.model.address import Address
from simkit.model.capabilities import Acs
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import NodeName
from simkit.model.plan import Plan
from simkit.model.step import Expect, ExpectAcs, ExpectLink, ExpectText, Step, StepKind
from simkit.model.unknown import is_known
from simkit.plan import attributes
from simkit.semantics.fingerprint import fingerprint


def final(steps: tuple[Step, ...]) -> dict[str, Expect]:
    """What will be expected last of everything that the steps check, by `observe.key`."""
    return {key(expect): expect for step in steps for expect in step.check}


def first(steps: tuple[Step, ...]) -> dict[str, Expect]:
    """What was expected first of everything that the steps check: the state to come back to."""
    found: dict[str, Expect] = {}
    for step in steps:
        for expect in step.before:
            found.setdefault(key(expect), expect)
    return {name: found[name] for step in steps for expect in step.check if (name := key(expect)) in found}


def wanted_already(node: Node, step: Step, last: dict[str, Expect]) -> bool:
    """Whether a step has nothing to do: its own check holds, or all it checks is as the whole plan leaves it."""
    return holds(node, step.check) or holds(node, (last[key(expect)] for expect in step.check))


def another_device(node: Node, plan: Plan, address: Address | NodeName) -> bool:
    """Whether the ids at an address are not those that the planned host had there; of a virtual function that was to be made, its physical function's."""
    if isinstance(address, NodeName):
        return False
    physical = {device.address: device.vf_of for guest in plan.guests for device in guest.devices}
    known = address if address in plan.host else physical.get(address)
    return known is not None and known in plan.host and any(True for _ in _other_ids(node, plan.host[known]))


def require_fresh(plan: Plan, node: Node) -> None:
    """Refuse a plan whose host has changed.

    Compared are: the plan's own fingerprint with its host; of every device, companion and bridge above, that it is there, where
    it is, its ids, IOMMU group and the group's members; ACS of the ports above; and what each step finds before it, as far as
    no step before makes it so.

    Raises:
        StalePlan: with every difference.
    """
    faults = tuple(_faults(plan, node))
    if faults:
        raise StalePlan("the node is not as the plan found it", faults=faults)


def _faults(plan: Plan, node: Node) -> Iterator[Fault]:
    if fingerprint(plan.host) != plan.fingerprint:
        yield Fault("the fingerprint in the plan is not that of the host in it", remedy="make the plan anew: simkit solve")
    functions = _relied_on(plan)
    gone = False
    for function in functions:
        if missing(node, function.address):
            gone = True
            yield Fault(f"{function.address} ({function.label}) is not there any more", attributes.device(function.address), "capture the node and solve again")
    if not gone:
        for function in functions:
            yield from _changed(node, plan.host, function)
        yield from _preconditions(plan, node)
    if any(step.kind is StepKind.BIND for step in plan.steps) and attributes.VFIO not in node.listdir(attributes.DRIVERS):
        yield Fault(f"the driver {attributes.VFIO} is not loaded", attributes.DRIVERS, f"modprobe {attributes.VFIO}")
    for function in functions:
        if not is_known(function.driver) and not function.is_bridge:
            yield Fault(f"the plan does not know which driver holds {function.address}", attributes.bound(function.address),
                        "capture this node (simkit capture) and solve again")


def _remade(plan: Plan) -> set[Address]:
    """The virtual functions that steps make, although some of their addresses may be taken by those that go."""
    physical = {step.subject for step in plan.steps if step.kind is StepKind.SRIOV_NUMVFS}
    return {device.address for guest in plan.guests for device in guest.devices if device.address not in plan.host or device.vf_of in physical}


def _relied_on(plan: Plan) -> tuple[Function, ...]:
    """Of a virtual function that a step makes, its physical function: itself it is there at times only."""
    found: dict[Address, Function] = {}
    made = _remade(plan)
    for device in (device for guest in plan.guests for device in guest.devices):
        address = device.vf_of if device.address in made else device.address
        if address is not None and address in plan.host:
            function = plan.host[address]
            for each in (function, *plan.host.ancestors(function)):
                found[each.address] = each
    return tuple(found[address] for address in sorted(found))


def _changed(node: Node, host: Host, function: Function) -> Iterator[Fault]:
    folder, remedy = attributes.device(function.address), "capture the node and solve again"
    for found in _other_ids(node, function):
        yield Fault(f"{found}: another device is at {function.address}", found.path, remedy)
    parts = (node.readlink(folder) or "").split("/")
    if len(parts) > 2 and parts[-2] != str(function.parent) and not host.elided:
        yield Fault(f"{function.address} is below {parts[-2]}, not below {function.parent}", folder, remedy)
    if is_known(function.iommu_group):
        group = function.iommu_group
        for found in mismatches(node, (ExpectLink(f"{folder}/iommu_group", None if group is None else str(group)),)):
            yield Fault(str(found), found.path, remedy)
        others = {str(other.address) for other in host.functions if other.iommu_group == group}
        now = set(node.listdir(f"{folder}/iommu_group/devices"))
        if group is not None and now and now != others:
            yield Fault(f"IOMMU group {group} holds {', '.join(sorted(now))}, not {', '.join(sorted(others))}", f"{folder}/iommu_group/devices", remedy)


def _other_ids(node: Node, function: Function) -> Iterator[Mismatch]:
    folder = attributes.device(function.address)
    for name, value, digits in (("vendor", function.vendor_id, 4), ("device", function.device_id, 4), ("class", function.class_code, 6)):
        if isinstance(value, int):
            yield from mismatches(node, (ExpectText(f"{folder}/{name}", f"0x{value:0{digits}x}"),))


def _preconditions(plan: Plan, node: Node) -> Iterator[Fault]:
    last = final(plan.steps)
    made = _remade(plan)
    changed: set[str] = set()
    for step in plan.steps:
        if step.subject not in made and not wanted_already(node, step, last):
            for found in mismatches(node, (expect for expect in step.before if key(expect) not in changed)):
                yield Fault(f"step {step.id}: {found}", found.path, "bring it back, or capture the node and solve again")
        changed |= {key(expect) for expect in step.check}
    yield from _acs_changed(plan, node, changed)


def _acs_changed(plan: Plan, node: Node, changed: set[str]) -> Iterator[Fault]:
    for function in _relied_on(plan):
        acs = function.acs
        if function.is_bridge and isinstance(acs, Acs) and is_known(acs.control) and attributes.config(function.address) not in changed:
            value = int(acs.control)
            if acs_control(node, function.address) != value:
                for found in mismatches(node, (ExpectAcs(function.address, 0xFFFF, value),)):
                    yield Fault(f"{found}: isolation is not what the plan counted on", found.path, "capture the node and solve again")
