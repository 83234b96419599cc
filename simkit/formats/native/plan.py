"""Plans as JSON: `simkit: plan/1`; keys stand in the order of the model, so that the same plan is the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from simkit.errors import InputError
from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, Scalar, head, listed, or_none, parse, scalar
from simkit.formats.native.emit import json_text
from simkit.formats.native.host import host_document, read_host
from simkit.formats.native.workload import read_workload, workload_document
from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan, GuestPort, GuestPortKind
from simkit.model.numa import CpuSet, NodeName
from simkit.model.plan import Certificate, Plan
from simkit.model.platform import TeeKind
from simkit.model.step import Action, Expect, ExpectAcs, ExpectDeviceControl, ExpectLink, ExpectText, SetAcs, SetDeviceControl, Step, StepKind, Write
from simkit.model.workload import Topology

KIND = "plan/1"
_NOWHERE = Address(0, 0, 0, 0)
T = TypeVar("T")


def dump_plan(plan: Plan) -> str:
    """Canonical JSON of the whole plan; loading it gives the same plan."""
    document = {
        "simkit": KIND,
        "workload": workload_document(plan.workload),
        "host": host_document(plan.host),
        "fingerprint": plan.fingerprint,
        "guests": [_guest_document(guest) for guest in plan.guests],
        "steps": [_step_document(step) for step in plan.steps],
        "assumptions": list(plan.assumptions),
        "certificates": [{"by": each.by, "says": each.says, "figures": dict(each.figures)} for each in plan.certificates],
    }
    return json_text(document)


def load_plan(text: str, *, source: str) -> Plan:
    """Read a plan.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    node = parse(text, source=source)
    context = Context(source)
    head(node, KIND, context)
    fields = Fields(node, "", context, "a plan")
    fields.take("simkit", values.text, "")
    workload = fields.need("workload", _embedded(partial(read_workload, guestless=True)), None)
    host = fields.need("host", _embedded(read_host), None)
    fingerprint = fields.need("fingerprint", values.text, "")
    guests = fields.need("guests", listed(_guest), ())
    steps = fields.need("steps", listed(_step), ())
    assumptions = fields.take("assumptions", listed(values.text), ())
    certificates = fields.take("certificates", listed(_certificate), ())
    fields.done()
    if guests and workload is not None:
        asked = {guest.name for guest in workload.guests}
        for guest in guests:
            if guest.name not in asked:
                context.fault(f"guest {guest.name!r} is not in the workload", node.line, "was the plan edited by hand? solve again")
    context.done("plan")
    assert workload is not None
    assert host is not None
    return Plan(workload, host, fingerprint, guests, steps, assumptions, certificates)


def _embedded(read: Callable[..., T]) -> Callable[[Node, str, Context], T | None]:
    """A converter of a whole document inside; its faults are faults of the plan."""

    def convert(node: Node, _path: str, context: Context) -> T | None:
        try:
            return read(node, source=context.source)
        except InputError as error:
            context.faults.extend(error.faults)
            return None

    return convert


def _guest_document(guest: GuestPlan) -> dict[str, Any]:
    return {
        "name": guest.name,
        "tee": guest.tee.value,
        "topology": guest.topology.value,
        "cpus": guest.cpus,
        "memory": values.size_text(guest.memory_bytes),
        "ports": [
            _kept(
                id=port.id,
                kind=port.kind.value,
                parent=port.parent,
                slot=port.slot,
                chassis=port.chassis,
                numa_node=port.numa_node,
                bus_nr=port.bus_nr,
                mirrors=port.mirrors,
            )
            for port in guest.ports
        ],
        "devices": [_device_document(device) for device in guest.devices],
        "nodes": [{"id": node.id, "host_node": node.host_node, "cpus": str(node.cpus), "memory": values.size_text(node.memory_bytes)} for node in guest.nodes],
        "because": list(guest.because),
    } | ({"held": [_device_document(device) for device in guest.held]} if guest.held else {}) | _kept(
        hugepages=values.size_text(guest.hugepage_bytes) if guest.hugepage_bytes is not None else None, mmio64_mib=guest.mmio64_mib)


def _device_document(device: GuestDevice) -> dict[str, Any]:
    return _kept(
        address=device.address,
        port=device.port,
        slot=device.slot,
        group=device.group,
        vf_of=device.vf_of,
        vf_index=device.vf_index,
        companion_of=device.companion_of,
        clique=device.clique,
        profile=device.profile,
        mig_start=device.mig_start,
    )


def _kept(**facts: Any) -> dict[str, Any]:
    """The facts that are there, addresses as text."""
    return {key: str(value) if isinstance(value, Address) else value for key, value in facts.items() if value is not None}


_number = values.whole()


def _guest(node: Node, path: str, context: Context) -> GuestPlan:
    fields = Fields(node, path, context, "a guest")
    found = GuestPlan(
        fields.need("name", values.text, ""),
        fields.need("tee", values.word(TeeKind), TeeKind.NONE),
        fields.need("topology", values.word(Topology), Topology.FLATTEN),
        fields.need("cpus", _number, 1),
        fields.need("memory", values.size, 0),
        fields.need("ports", listed(_port), ()),
        fields.need("devices", listed(_device), ()),
        fields.need("nodes", listed(_node), ()),
        fields.take("because", listed(values.text), ()),
        fields.take("held", listed(_device), ()),
        fields.take("hugepages", values.size, None),
        fields.take("mmio64_mib", _number, None),
    )
    fields.done()
    return found


def _port(node: Node, path: str, context: Context) -> GuestPort:
    fields = Fields(node, path, context, "a guest port")
    found = GuestPort(
        fields.need("id", values.text, ""),
        fields.need("kind", values.word(GuestPortKind), GuestPortKind.ROOT),
        fields.take("parent", _maybe(values.text), None),
        fields.need("slot", values.whole(0, 31), 0),
        fields.take("chassis", values.whole(0, 255), 0),
        fields.take("numa_node", or_none(_number), None),
        fields.take("bus_nr", or_none(values.whole(0, 255)), None),
        fields.take("mirrors", or_none(values.address), None),
    )
    fields.done()
    return found


def _device(node: Node, path: str, context: Context) -> GuestDevice:
    fields = Fields(node, path, context, "a guest device")
    found = GuestDevice(
        fields.need("address", values.address, _NOWHERE),
        fields.need("port", values.text, ""),
        fields.take("slot", values.whole(0, 31), 0),
        fields.take("group", or_none(_number), None),
        fields.take("vf_of", or_none(values.address), None),
        fields.take("vf_index", or_none(_number), None),
        fields.take("companion_of", or_none(values.address), None),
        fields.take("clique", or_none(_number), None),
        fields.take("profile", values.text, None),
        fields.take("mig_start", values.whole(0, 7), None),
    )
    fields.done()
    return found


def _node(node: Node, path: str, context: Context) -> GuestNode:
    fields = Fields(node, path, context, "a guest NUMA node")
    found = GuestNode(
        fields.need("id", _number, 0), fields.need("host_node", _number, 0), fields.need("cpus", values.cpus, CpuSet()), fields.need("memory", values.size, 0)
    )
    fields.done()
    return found


def _certificate(node: Node, path: str, context: Context) -> Certificate:
    fields = Fields(node, path, context, "a certificate")
    found = Certificate(fields.need("by", values.text, ""), fields.need("says", values.text, ""), fields.take("figures", _figures, ()))
    fields.done()
    return found


def _figures(node: Node, path: str, context: Context) -> tuple[tuple[str, int], ...]:
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping of names to numbers")
    return tuple((key, values.whole(-(1 << 63))(item, path, context)) for key, item in node.items.items())


def _step_document(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "kind": step.kind.value,
        "subject": str(step.subject),
        "summary": step.summary,
        "relies_on": step.relies_on,
        "before": [_expect_document(expect) for expect in step.before],
        "do": [_action_document(action) for action in step.do],
        "check": [_expect_document(expect) for expect in step.check],
        "undo": [_action_document(action) for action in step.undo],
    }


def _action_document(action: Action) -> dict[str, Any]:
    match action:
        case Write():
            return {"write": action.path, "text": action.text}
        case SetAcs():
            return {"set_acs": str(action.function), "mask": action.mask, "value": action.value}
        case SetDeviceControl():
            return {"set_device_control": str(action.function), "mask": action.mask, "value": action.value}


def _expect_document(expect: Expect) -> dict[str, Any]:
    match expect:
        case ExpectText():
            return {"read": expect.path, "text": expect.text}
        case ExpectLink():
            return {"link": expect.path, "target": expect.target}
        case ExpectAcs():
            return {"acs": str(expect.function), "mask": expect.mask, "value": expect.value}
        case ExpectDeviceControl():
            return {"device_control": str(expect.function), "mask": expect.mask, "value": expect.value}


def _step(node: Node, path: str, context: Context) -> Step:
    fields = Fields(node, path, context, "a step")
    found = Step(
        fields.need("id", values.text, ""),
        fields.need("kind", values.word(StepKind), StepKind.BIND),
        fields.need("subject", _subject, _NOWHERE),
        fields.need("summary", values.text, ""),
        fields.need("before", listed(_expect), ()),
        fields.need("do", listed(_action), ()),
        fields.need("check", listed(_expect), ()),
        fields.need("undo", listed(_action), ()),
        fields.take("relies_on", values.text, ""),
    )
    fields.done()
    return found


def _subject(node: Node, path: str, context: Context) -> Address | NodeName:
    """A function, or a NUMA node."""
    if not scalar(node).startswith("node"):
        return values.address(node, path, context)
    try:
        return NodeName.parse(scalar(node))
    except InputError as error:
        raise Refused(error.what, error.faults[0].remedy) from None


_short = values.whole(0, 0xFFFF)
_POOL = re.compile(r"sys/devices/system/node/node\d{1,5}/hugepages/hugepages-\d{1,12}kB/(?:nr|free)_hugepages", re.ASCII)


def _action(node: Node, path: str, context: Context) -> Action:
    fields = Fields(node, path, context, "an action")
    if "set_acs" in fields.items:
        action: Action = SetAcs(fields.need("set_acs", values.address, _NOWHERE), fields.need("mask", _short, 0), fields.need("value", _short, 0))
    elif "set_device_control" in fields.items:
        named = fields.need("set_device_control", values.address, _NOWHERE)
        action = SetDeviceControl(named, fields.need("mask", _short, 0), fields.need("value", _short, 0))
    else:
        action = Write(fields.need("write", _path, ""), fields.need("text", values.verbatim, ""))
    fields.done()
    return action


def _expect(node: Node, path: str, context: Context) -> Expect:
    fields = Fields(node, path, context, "an expectation")
    if "acs" in fields.items:
        expect: Expect = ExpectAcs(fields.need("acs", values.address, _NOWHERE), fields.need("mask", _short, 0), fields.need("value", _short, 0))
    elif "device_control" in fields.items:
        named = fields.need("device_control", values.address, _NOWHERE)
        expect = ExpectDeviceControl(named, fields.need("mask", _short, 0), fields.need("value", _short, 0))
    elif "link" in fields.items:
        expect = ExpectLink(fields.need("link", _path, ""), fields.need("target", _maybe(values.text), None))
    else:
        expect = ExpectText(fields.need("read", _path, ""), fields.need("text", _maybe(values.verbatim), None))
    fields.done()
    return expect


def _maybe(convert: Callable[[Node, str, Context], T]) -> Callable[[Node, str, Context], T | None]:
    """A converter that takes an unquoted null for None; the text "none" stays what it is."""
    return lambda node, path, context: None if isinstance(node, Scalar) and node.plain and node.text in ("null", "~", "") else convert(node, path, context)


def _path(node: Node, _where: str, _context: Context) -> str:
    """A path below the node's root; a plan may not write elsewhere."""
    given = scalar(node)
    if _POOL.fullmatch(given) is None and (not given.startswith("sys/bus/pci/") or ".." in given.split("/") or len(given) > 200):
        raise Refused(f"{given[:80]!r} is not below sys/bus/pci, nor a pool of huge pages", "a plan touches PCI devices, their drivers and huge pages only")
    return given
