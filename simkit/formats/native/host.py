"""simkit's own snapshot of a host, as YAML or JSON: `simkit: host/1`.

`none` says that a thing is not there, a key that is left out that it is unknown, `unknown` why. Loading records the line of every fact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from simkit.errors import InconsistentHost
from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, Scalar, head, listed, or_none, parse, scalar
from simkit.formats.native.emit import Hex, json_text, to_yaml
from simkit.formats.native.hugepages import pool_document, pools
from simkit.formats.native.peer_link import link_document, partition, partition_document, peer_link
from simkit.formats.native.scope import iommu_scope, made_bus, made_document, scope_document
from simkit.formats.native.space import bar, bar_document, egress, egress_document, resizable_bar, resizable_document, windows, windows_document
from simkit.formats.native.unknown import explained, explained_functions, read_reasons, reasons
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, DeviceControl, Link, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import NumaNode
from simkit.model.place import Place
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known

KIND = "host/1"
T = TypeVar("T")


def load_host(text: str, *, source: str) -> Host:
    """Read a snapshot.

    Raises:
        MalformedDocument: with every fault and its line.
        InconsistentHost: the functions cannot be one machine.
    """
    return read_host(parse(text, source=source), source=source)


def read_host(node: Node, *, source: str) -> Host:
    """Read a snapshot that is already parsed, such as the one inside a plan."""
    context = Context(source)
    head(node, KIND, context)
    fields = Fields(node, "", context, "a host")
    fields.take("simkit", values.text, "")
    fields.take("sources", listed(values.verbatim), ())
    name = fields.need("name", values.text, "?")
    facts: dict[str, Any] = {
        "assumed": fields.take("assumed", listed(values.text), ()),
        "kernel": fields.take("kernel", values.text, UNKNOWN),
        "cmdline": fields.take("cmdline", values.text, UNKNOWN),
        "iommu": fields.take("iommu", values.word(IommuKind), UNKNOWN),
        "cpu": fields.take("cpu", _cpu, Cpu()),
        "tees": fields.take("tees", listed(_tee), UNKNOWN),
        "elided": fields.take("elided", values.truth, default=False),
        "numa_nodes": fields.take("numa_nodes", _numa_nodes, ()),
        "peer_links": fields.take("peer_links", listed(peer_link), ()),
        "iommu_scopes": fields.take("iommu_scopes", listed(iommu_scope), UNKNOWN),
        "made_buses": fields.take("made_buses", listed(made_bus), ()),
        "partitions": fields.take("partitions", listed(partition), UNKNOWN),
    }
    why = fields.take("unknown", read_reasons, {})
    functions = fields.need("functions", _functions, ())
    fields.done()
    places = context.done("host")
    try:
        return Host(name, explained_functions(functions, why), places=places, **explained(facts, why))
    except InconsistentHost as error:
        raise InconsistentHost(f"{source} cannot be one machine", faults=error.faults) from None


def _cpu(node: Node, path: str, context: Context) -> Cpu:
    fields = Fields(node, path, context, "a cpu")
    found = Cpu(
        fields.take("arch", values.text, UNKNOWN),
        fields.take("vendor", values.text, UNKNOWN),
        fields.take("family", values.whole(), UNKNOWN),
        fields.take("model", values.whole(), UNKNOWN),
        fields.take("name", values.text, UNKNOWN),
        fields.take("threads_per_core", values.whole(1, 64), UNKNOWN),
    )
    fields.done()
    return found


def _tee(node: Node, path: str, context: Context) -> Tee:
    fields = Fields(node, path, context, "a TEE")
    found = Tee(fields.need("kind", values.word(TeeKind), TeeKind.NONE), fields.take("max_guests", values.whole(), UNKNOWN))
    fields.done()
    return found


def _numa_nodes(node: Node, path: str, context: Context) -> tuple[NumaNode, ...]:
    found = listed(_numa_node)(node, path, context)
    first: dict[int, int] = {}
    for index, each in enumerate(found):
        line = context.places.get(f"{path}/{index}/id", context.places[path]).line
        if each.id in first:
            context.fault(f"NUMA node {each.id} is there twice, first in line {first[each.id]}", line, "give each an id of its own")
        first.setdefault(each.id, line)
    return found


def _numa_node(node: Node, path: str, context: Context) -> NumaNode:
    fields = Fields(node, path, context, "a NUMA node")
    found = NumaNode(
        fields.need("id", values.whole(0, 65535), 0),
        fields.take("cpus", values.cpus, UNKNOWN),
        fields.take("memory", values.size, UNKNOWN),
        fields.take("socket", values.whole(0, 65535), UNKNOWN),
        fields.take("distances", listed(values.whole(0, 65535)), UNKNOWN),
        fields.take("hugepages", pools, UNKNOWN),
    )
    fields.done()
    return found


def _functions(node: Node, path: str, context: Context) -> tuple[Function, ...]:
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping by address", "write `0000:3b:00.0: {parent: …}` lines")
    for key, line in node.repeated:
        context.fault(f"address {key} is there twice, first in line {node.key_lines[key]}", line, "keep one of them")
    found = []
    for key, item in node.items.items():
        try:
            where = values.address(_key(key, node.key_lines[key]))
        except Refused as refused:
            context.fault(refused.what, node.key_lines[key], refused.remedy)
            continue
        found.append(_function(where, item, f"{path}/{where}", context, node.key_lines[key]))
    return tuple(found)


def _key(text: str, line: int) -> Node:
    return Scalar(text, line)


def _function(where: Address, node: Node, path: str, context: Context, line: int) -> Function:
    context.places[path] = Place(context.source, line)
    fields = Fields(node, path, context, f"function {where}", line=line)
    found = Function(
        where,
        fields.need("parent", values.parent, RootBus(where.domain, where.bus)),
        vendor_id=fields.take("vendor", values.whole(0, 0xFFFF), UNKNOWN),
        device_id=fields.take("device", values.whole(0, 0xFFFF), UNKNOWN),
        class_code=fields.take("class", values.whole(0, 0xFFFFFF), UNKNOWN),
        revision=fields.take("revision", values.whole(0, 0xFF), UNKNOWN),
        subsystem=fields.take("subsystem", or_none(_subsystem), UNKNOWN),
        name=fields.take("name", values.text, None),
        port_type=fields.take("port", or_none(values.port), UNKNOWN),
        multifunction=fields.take("multifunction", values.truth, UNKNOWN),
        bus_range=fields.take("buses", or_none(values.buses), None),
        link=fields.take("link", or_none(_link), UNKNOWN),
        acs=fields.take("acs", or_none(_acs), UNKNOWN),
        ats=fields.take("ats", or_none(_ats), UNKNOWN),
        ari=fields.take("ari", values.truth, UNKNOWN),
        sriov=fields.take("sriov", or_none(_sriov), UNKNOWN),
        physfn=fields.take("physfn", values.address, None),
        bars=fields.take("bars", listed(bar), UNKNOWN),
        numa_node=fields.take("numa_node", or_none(values.whole(0, 65535)), UNKNOWN),
        iommu_group=fields.take("iommu_group", or_none(values.whole()), UNKNOWN),
        driver=fields.take("driver", or_none(values.text), UNKNOWN),
        reset_methods=fields.take("reset_methods", listed(values.text), UNKNOWN),
        usage=fields.take("usage", values.text, None),
        device_control=fields.take("device_control", or_none(_device_control), UNKNOWN),
        resizable_bars=fields.take("resizable_bars", listed(resizable_bar), UNKNOWN),
        windows=fields.take("windows", or_none(windows), UNKNOWN),
        msix_vectors=fields.take("msix_vectors", or_none(values.whole(1, 2048)), UNKNOWN),
    )
    fields.done()
    return found


def _subsystem(node: Node, _path: str, _context: Context) -> tuple[int, int]:
    given = scalar(node)
    vendor, colon, device = given.partition(":")
    try:
        pair = int(vendor, 16), int(device, 16)
    except ValueError:
        pair = (-1, -1)
    if not colon or not all(0 <= number <= 0xFFFF for number in pair):
        raise Refused(f"{given!r} is no subsystem id", "write vendor and device in hexadecimal: 10de:16c1")
    return pair


def _link(node: Node, path: str, context: Context) -> Link:
    fields = Fields(node, path, context, "a link")
    found = Link(
        fields.take("speed", values.speed, UNKNOWN),
        fields.take("width", values.whole(1, 64), UNKNOWN),
        fields.take("max_speed", values.speed, UNKNOWN),
        fields.take("max_width", values.whole(1, 64), UNKNOWN),
        fields.take("gbps", values.decimal, UNKNOWN),
    )
    fields.done()
    return found


def _acs(node: Node, path: str, context: Context) -> Acs:
    fields = Fields(node, path, context, "ACS")
    found = Acs(
        fields.take("capability", values.acs_bits, UNKNOWN),
        fields.take("control", values.acs_bits, UNKNOWN),
        fields.take("unsure", values.acs_bits, AcsBits.NONE),
        fields.take("egress", egress, UNKNOWN),
    )
    fields.done()
    return found


def _ats(node: Node, path: str, context: Context) -> Ats:
    fields = Fields(node, path, context, "ATS")
    found = Ats(fields.take("enabled", values.truth, UNKNOWN))
    fields.done()
    return found


def _device_control(node: Node, path: str, context: Context) -> DeviceControl:
    fields = Fields(node, path, context, "device control")
    found = DeviceControl(
        fields.take("max_payload_bytes", values.transfer, UNKNOWN),
        fields.take("max_read_request_bytes", values.transfer, UNKNOWN),
        fields.take("relaxed_ordering", values.truth, UNKNOWN),
        fields.take("extended_tags", values.truth, UNKNOWN),
        fields.take("no_snoop", values.truth, UNKNOWN),
    )
    fields.done()
    return found


def _sriov(node: Node, path: str, context: Context) -> Sriov:
    short = values.whole(0, 0xFFFF)
    fields = Fields(node, path, context, "SR-IOV")
    found = Sriov(
        fields.need("total_vfs", short, 0),
        fields.take("initial_vfs", short, UNKNOWN),
        fields.take("num_vfs", short, UNKNOWN),
        fields.take("offset", short, UNKNOWN),
        fields.take("stride", short, UNKNOWN),
        fields.take("vf_device", short, UNKNOWN),
        fields.take("enabled", values.truth, UNKNOWN),
        fields.take("ari_hierarchy", values.truth, UNKNOWN),
        fields.take("vf_bars", listed(bar), UNKNOWN),
    )
    fields.done()
    return found


def dump_host(host: Host, *, style: str = "yaml") -> str:
    """Write a snapshot; `style` is yaml or json. Loading it gives the same host."""
    document = host_document(host)
    return to_yaml(document) if style == "yaml" else json_text(document)


def _acs_document(acs: Acs) -> dict[str, Any]:
    return _kept(
        capability=_as(acs.capability, values.acs_text),
        control=_as(acs.control, values.acs_text),
        unsure=values.acs_text(acs.unsure) if acs.unsure else UNKNOWN,
        egress=_as(acs.egress, egress_document),
    )


def host_document(host: Host) -> dict[str, Any]:
    """The snapshot as plain lists and mappings, what is unknown left out."""
    cpu = _kept(
        arch=host.cpu.arch, vendor=host.cpu.vendor, family=host.cpu.family, model=host.cpu.model, name=host.cpu.name, threads_per_core=host.cpu.threads_per_core
    )
    return _kept(
        simkit=KIND,
        name=host.name,
        assumed=list(host.assumed) or UNKNOWN,
        kernel=host.kernel,
        cmdline=host.cmdline,
        iommu=_as(host.iommu, lambda kind: kind.value),
        cpu=cpu or UNKNOWN,
        tees=_as(host.tees, lambda tees: [_kept(kind=tee.kind.value, max_guests=tee.max_guests) for tee in tees]),
        elided=host.elided or UNKNOWN,
        unknown=reasons(host) or UNKNOWN,
        numa_nodes=[
            _kept(
                id=node.id,
                cpus=_as(node.cpus, str),
                memory=_as(node.memory_bytes, values.size_text),
                socket=node.socket,
                distances=_as(node.distances, list),
                hugepages=_as(node.hugepages, lambda found: [pool_document(pool) for pool in found]),
            )
            for node in host.numa_nodes
        ],
        functions={str(function.address): _function_document(function) for function in host.functions},
        peer_links=[link_document(link) for link in host.peer_links] or UNKNOWN,
        iommu_scopes=_as(host.iommu_scopes, lambda scopes: [scope_document(scope) for scope in scopes]),
        made_buses=[made_document(made) for made in host.made_buses] or UNKNOWN,
        partitions=[partition_document(each) for each in host.partitions] if is_known(host.partitions) else host.partitions,
    )


def _function_document(function: Function) -> dict[str, Any]:
    word_of = {kind: word for word, kind in values.PORT_WORDS.items()}
    return _kept(
        parent=str(function.parent),
        name=function.name if function.name is not None else UNKNOWN,
        **{"class": _as(function.class_code, lambda code: Hex(code, 6))},
        vendor=_as(function.vendor_id, lambda number: Hex(number, 4)),
        device=_as(function.device_id, lambda number: Hex(number, 4)),
        revision=_as(function.revision, lambda number: Hex(number, 2)),
        subsystem=_as(function.subsystem, lambda pair: f"{pair[0]:04x}:{pair[1]:04x}"),
        port=_as(function.port_type, lambda kind: word_of[kind]),
        multifunction=function.multifunction,
        buses=UNKNOWN if function.bus_range is None else f"{function.bus_range.secondary:02x}-{function.bus_range.subordinate:02x}",
        link=_as(
            function.link,
            lambda link: _kept(
                speed=_as(link.speed_gtps, _speed_text),
                width=link.width,
                max_speed=_as(link.max_speed_gtps, _speed_text),
                max_width=link.max_width,
                gbps=link.stated_gbps,
            ),
        ),
        acs=_as(function.acs, _acs_document),
        ats=_as(function.ats, lambda ats: _kept(enabled=ats.enabled)),
        ari=function.ari,
        device_control=_as(function.device_control, _device_control_document),
        sriov=_as(function.sriov, _sriov_document),
        physfn=UNKNOWN if function.physfn is None else str(function.physfn),
        bars=_as(function.bars, lambda bars: [bar_document(bar) for bar in bars]),
        resizable_bars=_as(function.resizable_bars, lambda bars: [resizable_document(bar) for bar in bars]),
        windows=_as(function.windows, windows_document),
        msix_vectors=_as(function.msix_vectors, int),
        numa_node=_as(function.numa_node, int),
        iommu_group=_as(function.iommu_group, int),
        driver=_as(function.driver, str),
        reset_methods=_as(function.reset_methods, list),
        usage=function.usage if function.usage is not None else UNKNOWN,
    )


def _device_control_document(control: DeviceControl) -> dict[str, Any]:
    return _kept(
        max_payload_bytes=control.max_payload_bytes,
        max_read_request_bytes=control.max_read_request_bytes,
        relaxed_ordering=control.relaxed_ordering,
        extended_tags=control.extended_tags,
        no_snoop=control.no_snoop,
    )


def _sriov_document(sriov: Sriov) -> dict[str, Any]:
    return _kept(
        total_vfs=sriov.total_vfs,
        initial_vfs=sriov.initial_vfs,
        num_vfs=sriov.num_vfs,
        offset=sriov.offset,
        stride=sriov.stride,
        vf_device=_as(sriov.vf_device_id, lambda number: Hex(number, 4)),
        enabled=sriov.enabled,
        ari_hierarchy=sriov.ari_hierarchy,
        vf_bars=_as(sriov.vf_bars, lambda bars: [bar_document(bar) for bar in bars]),
    )


def _speed_text(speed_gtps: float) -> str:
    return f"{speed_gtps:g} GT/s"


def _as(value: T | None | Unknown, write: Callable[[T], Any]) -> Any:
    """`none` for what is not there, Unknown as it is, the rest written."""
    if isinstance(value, Unknown):
        return value
    return "none" if value is None else write(value)


def _kept(**facts: Any) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if is_known(value)}
