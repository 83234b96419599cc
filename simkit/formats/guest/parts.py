"""What every renderer asks of a guest plan: which host function a device is, which vCPUs a node has, how much address space the BARs take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from simkit.errors import Fault, InputError
from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan, GuestPort, GuestPortKind
from simkit.model.guest_bars import are_sized, bars_of
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_ROOT_SLOTS = 31


def source(plan: Plan, device: GuestDevice) -> Function:
    """The host function a device is; for a virtual function its physical one, since it may not exist yet.

    Raises:
        UnknownName: the plan's host does not have it.
    """
    return plan.host[device.vf_of or device.address]


def describe(plan: Plan, device: GuestDevice) -> str:
    """A device for people, in one line: ``0000:05:00.0 H100 SXM5 80GB, IOMMU group 40``."""
    function = source(plan, device)
    what = f"virtual function {device.vf_index} of {device.vf_of} {function.label}" if device.vf_of is not None else function.label
    parts = [f"{device.address} {what}"]
    if device.group is not None:
        parts.append(f"IOMMU group {device.group}")
    if device.companion_of is not None:
        parts.append(f"comes along with {device.companion_of}")
    return one_line(", ".join(parts))


def mirrored(plan: Plan, port: GuestPort) -> str:
    """The host port that a guest port stands for, for people; empty where there is none."""
    if port.mirrors is None:
        return ""
    label = plan.host[port.mirrors].label if port.mirrors in plan.host else ""
    return one_line(f"stands for {port.mirrors} {label}".rstrip())


def one_line(text: str) -> str:
    """Text that can be a comment of any format: control characters and line breaks become spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def unchecked(guest: GuestPlan) -> str:
    """What nobody has checked of a rendered guest, as a sentence for its head."""
    parts = ["that the guest's physical address bits reach its 64-bit window", "that the host nodes have the memory free", "the firmware's path"]
    if guest.tee is not TeeKind.NONE:
        parts.insert(0, f"the {guest.tee} objects and IOMMUFD, which were read in documentation and not tried on a host that has them")
    return f"Not checked: {'; '.join(parts)}."


def identities(plan: Plan, guest: GuestPlan) -> dict[Address, str]:
    """A name for each device by host address, unique in the guest: ``gpu0``, ``nic1``, ``usb3``; QEMU ids, libvirt aliases and CDI names are made of it."""
    names: dict[Address, str] = {}
    taken = {port.id for port in guest.ports}
    for device in guest.devices:
        kind = source(plan, device).kind.value
        names[device.address] = next(name for number in count() if (name := f"{kind}{number}") not in taken)
        taken.add(names[device.address])
    return names


def guest_node(guest: GuestPlan, port: GuestPort) -> int | None:
    """The guest's NUMA node that a port is on; None where it has none, or one that the guest does not have."""
    return next((node.id for node in guest.nodes if node.id == port.numa_node), None)


@dataclass(frozen=True, slots=True)
class NodeCpus:
    """A guest node and its vCPUs `first` to `last`; `pins` are the host CPUs in the order of the vCPUs, fewer where they are not known."""

    node: GuestNode
    first: int
    last: int
    pins: tuple[int, ...]


def node_cpus(guest: GuestPlan) -> tuple[NodeCpus, ...]:
    """Which vCPUs each guest node has, in the order of the nodes; those that no node counts fall to the last one. Empty without nodes."""
    found, first = [], 0
    for index, node in enumerate(guest.nodes):
        rest = guest.cpus - first
        count = rest if index == len(guest.nodes) - 1 else min(len(node.cpus), rest)
        found.append(NodeCpus(node, first, first + count - 1, node.cpus.cpus[:count]))
        first += count
    return tuple(found)


def memory_bytes(guest: GuestPlan) -> int:
    """What the guest gets in all: its nodes' memory, or what was asked for where there are no nodes."""
    return sum(node.memory_bytes for node in guest.nodes) or guest.memory_bytes


def distances(plan: Plan, guest: GuestPlan) -> Iterator[tuple[int, int, int]]:
    """Guest node, other guest node and their distance as the host's SLIT says, both ways; nothing where the host's table is not known."""
    order = [node.id for node in plan.host.numa_nodes]
    rows = {node.id: node.distances for node in plan.host.numa_nodes}
    for here in guest.nodes:
        row = rows.get(here.host_node)
        for there in guest.nodes:
            if here.id != there.id and isinstance(row, tuple) and there.host_node in order and order.index(there.host_node) < len(row):
                yield here.id, there.id, row[order.index(there.host_node)]


def ordered_ports(guest: GuestPlan) -> tuple[GuestPort, ...]:
    """Ports so that each comes after the one it lies below, otherwise in the plan's order.

    Raises:
        InputError: with every port whose parent, or device whose port, is not there; with ports in a cycle; with an id that is twice, or that QEMU
            would not take (`id_wellformed`: a letter, then letters, digits, ``-``, ``.``, ``_``).
    """
    ids = [port.id for port in guest.ports]
    faults = [Fault(f"port {port.id} of {guest.name} lies below {port.parent}, which is not there") for port in guest.ports
              if port.parent is not None and port.parent not in ids]
    faults += [Fault(f"{device.address} of {guest.name} is on port {device.port}, which is not there") for device in guest.devices if device.port not in ids]
    faults += [Fault(f"port {name} of {guest.name} is there {ids.count(name)} times") for name in dict.fromkeys(ids) if ids.count(name) > 1]
    faults += [Fault(f"{name!r} of {guest.name} is no id for a port", remedy="use a letter, then letters, digits, -, . and _")
               for name in ids if not _ID.fullmatch(name)]
    placed: dict[str | None, None] = {None: None}
    found: list[GuestPort] = []
    while not faults:
        ready = [port for port in guest.ports if port.id not in placed and port.parent in placed]
        if not ready:
            break
        found.extend(ready)
        placed.update((port.id, None) for port in ready)
    if not faults and len(found) != len(guest.ports):
        faults.append(Fault(f"ports of {guest.name} lie below each other in a cycle: {', '.join(name for name in ids if name not in placed)}"))
    if faults:
        raise InputError(f"the tree of {guest.name} cannot be built", faults=tuple(faults))
    return tuple(found)


def free_root_slot(guest: GuestPlan) -> int | None:
    """The lowest free device number of the guest's root bus, 0 and 31 being the chipset's; None where all are taken."""
    taken = {port.slot for port in guest.ports if port.parent is None}
    return next((slot for slot in range(1, _ROOT_SLOTS) if slot not in taken), None)


def unsized(plan: Plan, guest: GuestPlan) -> tuple[Address, ...]:
    """The devices of which it is not known how large their BARs are: the plan's 64-bit window leaves them out."""
    return tuple(device.address for device in guest.devices if not are_sized(bars_of(plan.host, device)[1]))


def window_note(plan: Plan, guest: GuestPlan) -> str:
    """What is to be said of the plan's 64-bit window, as a sentence without its end; empty where there is none and none is missed."""
    left_out = unsized(plan, guest)
    names = ", ".join(map(str, left_out))
    if guest.mmio64_mib is None:
        why = f"the BARs of {names} are not known" if left_out else "the plan was made without it"
        return f"how large the guest's 64-bit window must be is not known: {why}; firmware's own may be too small"
    without = f"; without {names}, whose BARs are not known" if left_out else ""
    if not guest.mmio64_mib:
        return f"the 64-bit window that firmware makes by itself will do{without}" if without else ""
    size = f"{guest.mmio64_mib >> 10} GiB" if guest.mmio64_mib % 1024 == 0 else f"{guest.mmio64_mib} MiB"
    return f"64-bit window for the devices' BARs ({size}{without}); the guest's physical address bits must reach it"


def on_bridge(guest: GuestPlan, device: GuestDevice) -> bool:
    """Whether a device is handed over as a conventional one, on a PCIe-to-PCI bridge."""
    return any(port.id == device.port and port.kind is GuestPortKind.BRIDGE for port in guest.ports)
