"""What every renderer asks of a guest plan: which host function a device is, which vCPUs a node has, how much address space the BARs take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from simkit.errors import Fault, InputError
from simkit.model.address import Address
from simkit.model.capabilities import BarKind
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan, GuestPort, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.unknown import Unknown, is_known

MIB = 1 << 20
OWN_DEVICES_BYTES = 2 << 30
"""Set aside in the 64-bit window for what is not known or not counted: the guest's virtio devices, virtual functions' BARs."""

_BRIDGE_STEP = 1 << 20
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


@dataclass(frozen=True, slots=True)
class Window:
    """64-bit address space that a guest's devices take: `size_bytes` is a power of two; `unsized` are those whose BARs are not known."""

    size_bytes: int
    unsized: tuple[Address, ...]


def window(plan: Plan, guest: GuestPlan) -> Window | Unknown:
    """How large the guest's 64-bit window must be for the BARs that are known.

    Every BAR is aligned to its size (PCIe 6.0 §7.5.1.2.1), a bridge's window to its largest BAR and to 1 MiB (§7.5.1.3.10); the larger
    go first, as firmware does. `OWN_DEVICES_BYTES` are added and the whole is rounded up to a power of two.
    """
    unsized = tuple(device.address for device in guest.devices if device.vf_of is None and not _sized(source(plan, device)))
    direct = [device for device in guest.devices if device.vf_of is None and _sized(source(plan, device))]
    if not direct:
        return Unknown("the size of no device's BARs is known")
    ordered_ports(guest)
    size, _ = _below(plan, guest, None)
    return Window(1 << (size + OWN_DEVICES_BYTES - 1).bit_length(), unsized)


def _sized(function: Function) -> bool:
    return is_known(function.bars) and all(is_known(bar.size_bytes) for bar in function.bars)


def _below(plan: Plan, guest: GuestPlan, port: str | None) -> tuple[int, int]:
    """Size and alignment of what lies below a port, None being the root complex."""
    parts = [_below(plan, guest, below.id) for below in guest.ports if below.parent == port]
    for device in guest.devices:
        bars = source(plan, device).bars
        if device.port == port and device.vf_of is None and is_known(bars):
            sizes = [bar.size_bytes for bar in bars if bar.kind is BarKind.MEM64]
            parts.extend((size, size) for size in sizes if is_known(size) and size)
    end = 0
    for size, alignment in sorted(parts, key=lambda part: (part[1], part[0]), reverse=True):
        end = _up(end, alignment) + size
    return _up(end, _BRIDGE_STEP), max((alignment for _, alignment in parts), default=1)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def on_bridge(guest: GuestPlan, device: GuestDevice) -> bool:
    """Whether a device is handed over as a conventional one, on a PCIe-to-PCI bridge."""
    return any(port.id == device.port and port.kind is GuestPortKind.BRIDGE for port in guest.ports)
