"""Workloads: `simkit: workload/1`."""

from __future__ import annotations

from functools import partial
from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, head, listed, parse
from simkit.formats.native.emit import to_yaml
from simkit.model.function import Kind
from simkit.model.place import Place
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload

KIND = "workload/1"


def load_workload(text: str, *, source: str) -> Workload:
    """Read a workload.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    return read_workload(parse(text, source=source), source=source)


def read_workload(node: Node, *, source: str, guestless: bool = False) -> Workload:
    """Read a workload that is already parsed; inside a plan that only sets ports it may be `guestless`."""
    context = Context(source)
    head(node, KIND, context)
    fields = Fields(node, "", context, "a workload")
    fields.take("simkit", values.text, "")
    fields.take("about", values.verbatim, "")
    name = fields.need("name", values.text, "?")
    guests = fields.need("guests", partial(_guests, guestless=guestless), ())
    fields.done()
    return Workload(name, guests, context.done("workload"))


def _guests(node: Node, path: str, context: Context, *, guestless: bool = False) -> tuple[GuestRequest, ...]:
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping by name", "write `train:` and its lines below")
    if not node.items and not guestless:
        raise Refused("names no guest", "name at least one")
    for key, line in node.repeated:
        context.fault(f"guest {key!r} is there twice, first in line {node.key_lines[key]}", line, "give each a name of its own")
    return tuple(_guest(name, item, f"{path}/{name}", context, node.key_lines[name]) for name, item in node.items.items())


def _guest(name: str, node: Node, path: str, context: Context, line: int) -> GuestRequest:
    context.places[path] = Place(context.source, line)
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 63 or not name.isascii():
        context.fault(f"guest name {name!r}", line, "use letters, digits, - and _, at most 63: it becomes a file and a pod name")
    fields = Fields(node, path, context, f"guest {name}", line=line)
    found = GuestRequest(
        name,
        fields.take("devices", listed(_device), ()),
        fields.take("tee", values.word(TeeKind), TeeKind.NONE),
        fields.take("topology", values.word(Topology), Topology.FLATTEN),
        fields.take("cpus", values.whole(1, 65535), 1),
        fields.take("memory", values.size, 8 << 30),
    )
    fields.done()
    if found.memory_bytes < 1 << 20:
        context.fault(f"guest {name} has {found.memory_bytes} bytes of memory", line, "write a unit: 64 GiB")
    return found


def _device(node: Node, path: str, context: Context) -> DeviceRequest:
    fields = Fields(node, path, context, "a device request")
    pinned = fields.take("pinned", listed(values.address), ())
    found = DeviceRequest(
        fields.need("kind", values.word(Kind), Kind.GPU),
        fields.take("count", values.whole(1, 4096), len(pinned) or 1),
        fields.take("share", values.word(Share), Share.PF),
        fields.take("model", values.text, None),
        fields.take("peers", values.name_of(PeerClass), None),
        fields.take("near", values.name_of(PeerClass), None),
        pinned,
    )
    fields.done()
    if pinned and len(pinned) != found.count:
        context.fault(f"count is {found.count}, {len(pinned)} are pinned", node.line, "pin all of them or none")
    for address in sorted({address for address in pinned if pinned.count(address) > 1}):
        context.fault(f"{address} is pinned twice", node.line, "name each device once")
    if found.kind is Kind.BRIDGE:
        context.fault("bridges are not handed out: a guest gets ports of its own", node.line, "ask for the devices below it")
    return found


def workload_document(workload: Workload) -> dict[str, Any]:
    """The workload as plain lists and mappings."""
    return {"simkit": KIND, "name": workload.name, "guests": {guest.name: _guest_document(guest) for guest in workload.guests}}


def _guest_document(guest: GuestRequest) -> dict[str, Any]:
    return {
        "tee": guest.tee.value,
        "topology": guest.topology.value,
        "cpus": guest.cpus,
        "memory": values.size_text(guest.memory_bytes),
        "devices": [_device_document(request) for request in guest.devices],
    }


def _device_document(request: DeviceRequest) -> dict[str, Any]:
    optional = {
        "model": request.model,
        "peers": request.peers and str(request.peers),
        "near": request.near and str(request.near),
        "pinned": [str(address) for address in request.pinned] or None,
    }
    return {"kind": request.kind.value, "count": request.count, "share": request.share.value} | {
        key: value for key, value in optional.items() if value is not None
    }


def dump_workload(workload: Workload) -> str:
    """Write a workload as YAML; loading it gives the same."""
    return to_yaml(workload_document(workload))
