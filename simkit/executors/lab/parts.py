"""The parts of an emulated machine as a tree, and what follows from the tree alone: bus numbers, addresses, QEMU's arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from simkit.executors.lab.errors import NotBuildable
from simkit.executors.lab.standins import PCI_BRIDGE, Standin
from simkit.model.address import Address
from simkit.model.capabilities import AcsBits

_BUSES, _PORTS_A_CHASSIS = 255, 255


@dataclass(slots=True)
class Part:
    """One device: its stand-in, where it sits on its bus, and whose place it takes. `bus` is what its own secondary bus gets to be."""

    standin: Standin
    devfn: int
    origin: Address | None = None
    multifunction: bool = False
    control: AcsBits | None = None
    children: list[Part] = field(default_factory=list)
    address: Address = Address(0, 0, 0, 0)
    bus: int = 0
    last: int = 0

    def all(self) -> Iterator[Part]:
        """Itself and all below, in the order in which firmware numbers buses."""
        yield self
        for child in sorted(self.children, key=lambda part: part.devfn):
            yield from child.all()


@dataclass(slots=True)
class Root:
    """One root bus: pcie.0 or an expander's. `wish` is the bus number that the host has there, `slot` the expander's own on pcie.0."""

    name: str
    wish: int
    numa_node: int | None = None
    parts: list[Part] = field(default_factory=list)
    bus: int = 0
    slot: int = 0

    def all(self) -> Iterator[Part]:
        """All parts, in the order in which firmware numbers buses."""
        for part in sorted(self.parts, key=lambda part: part.devfn):
            yield from part.all()


def number(roots: list[Root], *, name: str) -> None:
    """Give every part its address, as SeaBIOS numbers buses: depth first by device number, root buses in rising order (`pci_bios_init_bus`).

    Raises:
        NotBuildable: more buses than there are numbers.
    """
    following = 0
    for root in roots:
        bridges = sum(part.standin.is_bridge for part in root.all())
        root.bus = 0 if root is roots[0] else max(following, root.wish if root.wish + bridges <= _BUSES else following)
        following = _number(root.parts, root.bus, root.bus) + 1
        if following - 1 > _BUSES:
            raise NotBuildable(f"{name} needs {following} buses, and an emulated machine has {_BUSES + 1}", remedy="leave out a part of the host")


def _number(parts: list[Part], bus: int, last: int) -> int:
    for part in sorted(parts, key=lambda part: part.devfn):
        part.address = Address.from_routing_id(0, min(bus, _BUSES) << 8 | part.devfn)
        if part.standin.is_bridge:
            part.bus = last + 1
            last = part.last = _number(part.children, part.bus, part.bus)
    return last


def arguments(roots: list[Root]) -> Iterator[str]:
    """What QEMU is told, expanders first, then each root bus' parts from the top down."""
    for root in roots[1:]:
        node = f",numa_node={root.numa_node}" if root.numa_node is not None else ""
        yield from ("-device", f"pxb-pcie,id={root.name},bus=pcie.0,addr={root.slot:x},bus_nr={root.bus}{node}")
    serial = 0
    for root in roots:
        names = {id(part): root.name for part in root.parts}
        for part in root.all():
            serial += 1
            names |= {id(child): f"d{serial}" for child in part.children}
            yield from _device(part, names[id(part)], serial)


def _device(part: Part, bus: str, serial: int) -> Iterator[str]:
    standin = part.standin
    options = [standin.device, f"id=d{serial}", f"bus={bus}", f"addr={part.devfn >> 3:x}.{part.devfn & 7}"]
    if part.multifunction and part.devfn & 7 == 0:
        options.append("multifunction=on")
    if standin.has_slot:
        options += [f"chassis={1 + serial // _PORTS_A_CHASSIS}", f"slot={serial}"]
    if standin.device == PCI_BRIDGE.device:
        options.append(f"chassis_nr={serial % _PORTS_A_CHASSIS + 1}")
    if standin.device == "nvme":
        options.append(f"serial=n{serial}")
        if standin.vfs:
            yield from ("-device", f"nvme-subsys,id=s{serial}")
    yield from ("-device", ",".join([*options, *(option.replace("subsys=*", f"subsys=s{serial}") for option in standin.options)]))
