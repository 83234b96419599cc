"""Workloads: `simkit: workload/1`."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, head, listed, parse
from simkit.formats.native.emit import to_yaml
from simkit.model.function import Kind
from simkit.model.place import Place
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.workload import Apart, Companions, DeviceRequest, GuestRequest, NumaRule, Scope, Share, Spread, Topology, Workload

KIND = "workload/1"
HUGEPAGE_BYTES = (2 << 20, 1 << 30)
"""Sizes of huge pages on x86 (arch/x86/mm/hugetlbpage.c)."""


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
    keep_free = fields.take("keep_free", listed(_device), ())
    spread = fields.take("spread", listed(_spread), ())
    fields.done()
    names = {guest.name for guest in guests}
    for number, rule in enumerate(spread):
        for other in rule.guests:
            if other not in names:
                near = get_close_matches(other, names, 1)
                line = context.places[f"spread/{number}"].line
                context.fault(f"there is no guest {other!r} to spread", line, f"did you mean {near[0]}?" if near else f"guests are {', '.join(sorted(names))}")
    for number, request in enumerate(keep_free):
        if request.near is not None:
            context.fault("what is kept free is near to no guest's GPU", context.places[f"keep_free/{number}"].line, "leave `near` out, or say `peers`")
    return Workload(name, guests, keep_free, spread, context.done("workload"))


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
        fields.take("numa", values.word(NumaRule), NumaRule.PREFER),
        fields.take("hugepages", values.size, None),
        fields.take("companions", values.word(Companions), Companions.BRIDGE),
        tuple(dict.fromkeys(fields.take("isolation", listed(values.word(Apart)), ()))),
        fields.take("protected_pcie", values.truth, default=False),
    )
    fields.done()
    if found.protected_pcie and found.tee is TeeKind.NONE:
        context.fault(f"guest {name} wants protected PCIe and is not confidential", line, "say tee: sev-snp or tdx as well, or leave protected_pcie out")
    page = found.hugepage_bytes
    if page is not None and (page not in HUGEPAGE_BYTES or found.memory_bytes % page):
        context.fault(f"guest {name} has {values.size_text(found.memory_bytes)} in pages of {values.size_text(page)}", line,
                      f"pages are {' or '.join(values.size_text(size) for size in HUGEPAGE_BYTES)}, and memory is a whole number of them")
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
        fields.take("profile", values.text, None),
    )
    fields.done()
    context.places.setdefault(path, Place(context.source, node.line))
    if (found.profile is not None) is not (found.share in (Share.MIG, Share.VGPU)):
        context.fault(f"share {found.share} {'without' if found.profile is None else 'with'} a profile", node.line,
                      "write share: mig or vgpu together with profile: 3g.40gb or H100-20C")
    if found.share in (Share.MIG, Share.VGPU) and found.kind is not Kind.GPU:
        context.fault(f"a {found.kind} has no {found.share} profiles", node.line, "ask for kind: gpu")
    if pinned and len(pinned) != found.count:
        context.fault(f"count is {found.count}, {len(pinned)} are pinned", node.line, "pin all of them or none")
    for address in sorted({address for address in pinned if pinned.count(address) > 1}):
        context.fault(f"{address} is pinned twice", node.line, "name each device once")
    if found.near is not None and found.kind is Kind.GPU:
        context.fault("a GPU is always near to itself", node.line, "for GPUs near each other say `peers`; `near` is for what is to be beside them")
    if found.kind is Kind.BRIDGE:
        context.fault("bridges are not handed out: a guest gets ports of its own", node.line, "ask for the devices below it")
    return found


def _spread(node: Node, path: str, context: Context) -> Spread:
    context.places[path] = Place(context.source, node.line)
    fields = Fields(node, path, context, "a spread rule")
    guests = fields.need("guests", listed(values.text), ())
    found = Spread(guests, fields.need("by", values.word(Scope), Scope.HOST), fields.take("most", values.whole(1, 4096), 1))
    fields.done()
    if len(set(found.guests)) < len(found.guests):
        context.fault("a guest is named twice", node.line, "name each once")
    return found


def workload_document(workload: Workload) -> dict[str, Any]:
    """The workload as plain lists and mappings."""
    found: dict[str, Any] = {"simkit": KIND, "name": workload.name, "guests": {guest.name: _guest_document(guest) for guest in workload.guests}}
    if workload.keep_free:
        found["keep_free"] = [_device_document(request) for request in workload.keep_free]
    if workload.spread:
        found["spread"] = [{"guests": list(rule.guests), "by": rule.by.value, "most": rule.most} for rule in workload.spread]
    return found


def _guest_document(guest: GuestRequest) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tee": guest.tee.value,
        "topology": guest.topology.value,
        "cpus": guest.cpus,
        "memory": values.size_text(guest.memory_bytes),
        "devices": [_device_document(request) for request in guest.devices],
    }
    found |= {"numa": guest.numa.value} if guest.numa is not NumaRule.PREFER else {}
    found |= {"hugepages": values.size_text(guest.hugepage_bytes)} if guest.hugepage_bytes is not None else {}
    found |= {"companions": guest.companions.value} if guest.companions is not Companions.BRIDGE else {}
    found |= {"protected_pcie": True} if guest.protected_pcie else {}
    found |= {"isolation": [kind.value for kind in guest.isolation]} if guest.isolation else {}
    return found


def _device_document(request: DeviceRequest) -> dict[str, Any]:
    optional = {
        "model": request.model,
        "peers": request.peers and str(request.peers),
        "near": request.near and str(request.near),
        "pinned": [str(address) for address in request.pinned] or None,
        "profile": request.profile,
    }
    return {"kind": request.kind.value, "count": request.count, "share": request.share.value} | {
        key: value for key, value in optional.items() if value is not None
    }


def dump_workload(workload: Workload) -> str:
    """Write a workload as YAML; loading it gives the same."""
    return to_yaml(workload_document(workload))
