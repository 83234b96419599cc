"""Is a guest's tree one that can be built, and does it show each pair of devices as near as it is on the host?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.workload import Topology
from simkit.semantics.guest_space import guest_space
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.routes import tree_class

_ROOT_COMPLEX = None
_ABOVE: dict[GuestPortKind, set[GuestPortKind | None]] = {
    GuestPortKind.EXPANDER: {_ROOT_COMPLEX},
    GuestPortKind.ROOT: {_ROOT_COMPLEX, GuestPortKind.EXPANDER},
    GuestPortKind.UPSTREAM: {GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM},
    GuestPortKind.DOWNSTREAM: {GuestPortKind.UPSTREAM},
    GuestPortKind.BRIDGE: {_ROOT_COMPLEX, GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM},
}
"""What may be above what (QEMU docs/pcie.txt)."""


def check_tree(host: Host, guest: GuestPlan) -> tuple[str, ...]:
    """Every fault of a guest's tree: ports that do not fit each other, limits, and in a replicated tree pairs whose class differs from the host's."""
    faults = [*_ports(guest), *_expanders(guest), *_devices(guest), *_mirrors(host, guest)]
    if not faults:
        faults += [f"{guest.name}: {short}" for short in guest_space(host, guest).over]
        faults += [*_mirrored(host, guest)] if guest.topology is Topology.REPLICATE else [*_flat(guest)] if guest.topology is Topology.FLATTEN else []
    return tuple(faults)


def _ports(guest: GuestPlan) -> Iterator[str]:
    kinds: dict[str | None, GuestPortKind | None] = {None: None, **{port.id: port.kind for port in guest.ports}}
    for what, counted in (("id", Counter(port.id for port in guest.ports)), ("chassis", Counter(port.chassis for port in guest.ports)),
                          ("slot", Counter((port.parent, port.slot) for port in guest.ports))):
        for value, count in counted.items():
            if count > 1:
                yield f"{guest.name}: {count} ports have {what} {value}"
    for port in guest.ports:
        if port.parent not in kinds:
            yield f"{guest.name}: port {port.id} lies below {port.parent}, which is not there"
        elif kinds[port.parent] not in _ABOVE[port.kind]:
            yield f"{guest.name}: {port.kind} port {port.id} cannot lie below {port.parent or 'the root complex'}"
        if not 0 <= port.slot < 32 or (port.kind is GuestPortKind.UPSTREAM and port.slot):
            yield f"{guest.name}: port {port.id} has slot {port.slot}"
    for port in guest.ports:
        if port.kind is GuestPortKind.ROOT and sum(other.parent == port.id for other in guest.ports) > 1:
            yield f"{guest.name}: several ports on the bus of root port {port.id}"
        if _endless(guest, port):
            yield f"{guest.name}: port {port.id} lies below itself"


def _endless(guest: GuestPlan, port: GuestPort) -> bool:
    parents = {each.id: each.parent for each in guest.ports}
    here: str | None = port.id
    for _ in guest.ports:
        here = parents.get(here) if here is not None else None
    return here is not None


def _expanders(guest: GuestPlan) -> Iterator[str]:
    numbers = {node.id for node in guest.nodes}
    expanders = sorted((port for port in guest.ports if port.kind is GuestPortKind.EXPANDER), key=lambda port: port.bus_nr or 0)
    following = 1 + sum(_expander(guest, port) is None for port in guest.ports)
    for expander in expanders:
        if expander.bus_nr is None or not 0 < expander.bus_nr <= 0xFF:
            yield f"{guest.name}: expander {expander.id} has bus number {expander.bus_nr}"
        elif expander.bus_nr < following:
            yield f"{guest.name}: expander {expander.id} begins at bus {expander.bus_nr:#x}, which is taken"
        else:
            following = expander.bus_nr + 1 + sum(_expander(guest, port) == expander.id and port.id != expander.id for port in guest.ports)
        if expander.numa_node is not None and expander.numa_node not in numbers:
            yield f"{guest.name}: expander {expander.id} is on NUMA node {expander.numa_node}, which the guest does not have"
    if following > 0x100:
        yield f"{guest.name}: buses go up to {following - 1:#x}"


def _expander(guest: GuestPlan, port: GuestPort) -> str | None:
    by_id = {each.id: each for each in guest.ports}
    here: GuestPort | None = port
    for _ in range(len(guest.ports) + 1):
        if here is None or here.kind is GuestPortKind.EXPANDER:
            return here.id if here else None
        here = by_id.get(here.parent) if here.parent is not None else None
    return None


def _devices(guest: GuestPlan) -> Iterator[str]:
    kinds = {port.id: port.kind for port in guest.ports}
    for device in guest.devices:
        kind = kinds.get(device.port)
        if kind is GuestPortKind.BRIDGE:
            if not 1 <= device.slot < 32 or device.companion_of is None:
                yield f"{guest.name}: {device.address} in slot {device.slot} of bridge {device.port}"
        elif kind not in (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM) or device.slot:
            yield f"{guest.name}: {device.address} in slot {device.slot} of {device.port!r}, which takes no such device"
    for name, count in Counter(device.port for device in guest.devices).items():
        if kinds.get(name) is not GuestPortKind.BRIDGE and (count > 1 or any(port.parent == name for port in guest.ports)):
            yield f"{guest.name}: port {name} holds more than one thing"
    for (name, slot), count in Counter((device.port, device.slot) for device in guest.devices if kinds.get(device.port) is GuestPortKind.BRIDGE).items():
        if count > 1:
            yield f"{guest.name}: {count} devices in slot {slot} of bridge {name}"


def _mirrors(host: Host, guest: GuestPlan) -> Iterator[str]:
    """A port that stands for one of the host's has only what is below that one."""
    by_id = {port.id: port for port in guest.ports}
    for device in guest.devices:
        source = host[device.vf_of or device.address]
        above = {source.address, *(port.address for port in host.ancestors(source))}
        here = by_id.get(device.port)
        for _ in guest.ports:
            if here is None:
                break
            if here.mirrors is not None and here.mirrors not in above:
                yield f"{guest.name}: {device.address} is below port {here.id}, which stands for {here.mirrors}; the host's is not above it"
            here = by_id.get(here.parent) if here.parent is not None else None


def _flat(guest: GuestPlan) -> Iterator[str]:
    kinds = {port.id: port.kind for port in guest.ports}
    for device in guest.devices:
        if device.companion_of is None and kinds[device.port] is not GuestPortKind.ROOT:
            yield f"{guest.name}: {device.address} is not on a root port of its own"


def _mirrored(host: Host, guest: GuestPlan) -> Iterator[str]:
    view, addresses = guest_view(host, guest), guest_addresses(host, guest)
    for a, b in combinations([device for device in guest.devices if device.companion_of is None], 2):
        real, seen = _host_class(host, a, b), tree_class(view, view[addresses[a.address]], view[addresses[b.address]])
        if not _same(host, guest, a, b, real, seen):
            yield f"{guest.name}: {a.address} and {b.address} are {real} in the host's tree and {seen} in the guest's"


def _host_class(host: Host, a: GuestDevice, b: GuestDevice) -> PeerClass:
    one, two = host[a.vf_of or a.address], host[b.vf_of or b.address]
    return PeerClass.PIX if one.address == two.address else tree_class(host, one, two)


def _same(host: Host, guest: GuestPlan, a: GuestDevice, b: GuestDevice, real: PeerClass, seen: PeerClass) -> bool:
    """PHB and SYS differ by NUMA nodes, which the guest can only show where it has both and the host's firmware tells them."""
    if real == seen:
        return True
    nodes = {host[device.vf_of or device.address].numa_node for device in (a, b)}
    told = nodes <= {node.host_node for node in guest.nodes}
    return {real, seen} == {PeerClass.PHB, PeerClass.SYS} and not told
