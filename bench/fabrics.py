"""Large fabrics to measure on."""

from __future__ import annotations

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import REQUIRED_ACS, Acs, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind
from simkit.model.unknown import UNKNOWN, Unknown

_ON = Acs(REQUIRED_ACS, REQUIRED_ACS)
_BRIDGE, _GPU = 0x060400, 0x030000


def one_domain_after_another(count: int) -> Host:
    """At least `count` functions: in each domain eight root ports, a switch of 20 ports below each, a card of four functions below each of these."""
    functions: list[Function] = []
    domain = 0
    while len(functions) < count:
        for device in range(8):
            _tree(functions, domain, device)
        domain += 1
    return Host("large", tuple(functions), iommu=IommuKind.INTEL, kernel="6.12")


def _tree(functions: list[Function], domain: int, device: int) -> None:
    first, last = device * 30 + 1, device * 30 + 30
    root, upstream = Address(domain, 0, device, 0), Address(domain, first, 0, 0)
    functions.append(_port(root, RootBus(domain, 0), PortType.ROOT_PORT, BusRange(first, last), _ON))
    functions.append(_port(upstream, root, PortType.UPSTREAM, BusRange(first + 1, last), None))
    for slot in range(20):
        down, below = Address(domain, first + 1, slot, 0), first + 2 + slot
        functions.append(_port(down, upstream, PortType.DOWNSTREAM, BusRange(below, below), _ON))
        functions += [
            Function(Address(domain, below, 0, number), down, 0x10DE, 1, _GPU, port_type=PortType.ENDPOINT, acs=None, multifunction=True, numa_node=device // 4)
            for number in range(4)
        ]


def unknown_ports(count: int) -> Host:
    """A switch with `count` ports, a device below each, and nothing known of the ACS of any port."""
    root, upstream = Address(0, 0, 1, 0), Address(0, 1, 0, 0)
    functions = [
        _port(root, RootBus(0, 0), PortType.ROOT_PORT, BusRange(1, 255), UNKNOWN),
        _port(upstream, root, PortType.UPSTREAM, BusRange(2, 255), None),
    ]
    for number in range(count - 1):
        down = Address(0, 2, number % 32, number // 32)
        functions.append(_port(down, upstream, PortType.DOWNSTREAM, BusRange(3 + number, 3 + number), UNKNOWN))
        functions.append(Function(Address(0, 3 + number, 0, 0), down, 0x10DE, 1, _GPU, port_type=PortType.ENDPOINT, acs=None, multifunction=False))
    return Host("unknown", tuple(functions), iommu=IommuKind.INTEL, kernel="6.12")


def _port(address: Address, parent: Address | RootBus, kind: PortType, buses: BusRange, acs: Acs | None | Unknown) -> Function:
    return Function(address, parent, 0x1000, 1, _BRIDGE, port_type=kind, acs=acs, multifunction=False, bus_range=buses)


def switched(switches: int) -> Host:
    """Switches with four GPUs each, half of them on either of two NUMA nodes."""
    functions: list[Function] = []
    for number in range(switches):
        node, base = number * 2 // switches, number * 0x10
        root, upstream = Address(0, base, 1, 0), Address(0, base + 1, 0, 0)
        functions.append(_port(root, RootBus(0, base), PortType.ROOT_PORT, BusRange(base + 1, base + 9), _ON))
        functions.append(_port(upstream, root, PortType.UPSTREAM, BusRange(base + 2, base + 9), None))
        for slot in range(4):
            down, bus = Address(0, base + 2, slot, 0), base + 3 + slot
            functions.append(_port(down, upstream, PortType.DOWNSTREAM, BusRange(bus, bus), _ON))
            functions.append(Function(Address(0, bus, 0, 0), down, 0x10DE, 0x2330, 0x030200, port_type=PortType.ENDPOINT, multifunction=False, acs=None,
                                      sriov=None, numa_node=node, driver=None))
    nodes = tuple(NumaNode(number, CpuSet.of(range(number * 64, number * 64 + 64)), 1 << 40) for number in range(2))
    return Host("switched", tuple(functions), nodes, Cpu(threads_per_core=1), IommuKind.AMD, (), kernel="6.12")


def numa_nodes(count: int) -> Host:
    """NUMA nodes with eight cores and one GPU each, as a board of many small sockets would be."""
    functions: list[Function] = []
    for number in range(count):
        root = Address(number, 0, 1, 0)
        functions.append(_port(root, RootBus(number, 0), PortType.ROOT_PORT, BusRange(1, 1), _ON))
        functions.append(Function(Address(number, 1, 0, 0), root, 0x10DE, 0x2330, 0x030200, port_type=PortType.ENDPOINT, multifunction=False, acs=None, sriov=None,
                                  numa_node=number, driver=None))
    nodes = tuple(NumaNode(number, CpuSet.of(range(number * 8, number * 8 + 8)), 1 << 38) for number in range(count))
    return Host("nodes", tuple(functions), nodes, Cpu(threads_per_core=1), IommuKind.SMMU, (), kernel="7.0")
