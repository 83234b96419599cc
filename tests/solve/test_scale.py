"""Racks of equal GPUs: an answer within bounds of counted work, and what it says of itself is so."""

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Workload
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

LINUX = Acs(AcsBits(0x5F), AcsBits(0x1D))


def rack(switches: int) -> Host:
    """Switches with four GPUs each, half of them on either NUMA node."""
    functions = []
    for number in range(switches):
        node, base = number * 2 // switches, number % 4 * 0x40
        root, up = Address(number // 4, base, 1, 0), Address(number // 4, base + 1, 0, 0)
        ports = [(root, RootBus(number // 4, base), PortType.ROOT_PORT, base + 1, LINUX), (up, root, PortType.UPSTREAM, base + 2, None)]
        ports += [(Address(number // 4, base + 2, slot, 0), up, PortType.DOWNSTREAM, base + 3 + slot, LINUX) for slot in range(4)]
        for address, parent, kind, low, acs in ports:
            high = low if kind is PortType.DOWNSTREAM else base + 9
            functions.append(Function(address, parent, 1, 1, 0x060400, port_type=kind, multifunction=False, bus_range=BusRange(low, high), acs=acs, sriov=None, numa_node=node))
        functions += [Function(Address(number // 4, base + 3 + slot, 0, 0), Address(number // 4, base + 2, slot, 0), 0x10DE, 0x2330, 0x030200, port_type=PortType.ENDPOINT,
                               multifunction=False, acs=None, sriov=None, numa_node=node, driver=None) for slot in range(4)]
    nodes = tuple(NumaNode(number, CpuSet.of(range(number * 64, number * 64 + 64)), 1 << 40) for number in range(2))
    return Host("rack", tuple(functions), nodes, Cpu(threads_per_core=1), IommuKind.AMD, (), kernel="6.12.0")


def fours(count: int, *more: GuestRequest) -> Workload:
    four = DeviceRequest(Kind.GPU, 4, peers=PeerClass.PIX)
    return Workload("fours", (*(GuestRequest(f"g{number}", (four,), cpus=2, memory_bytes=1 << 30) for number in range(count)), *more))


def test_a_full_rack_has_no_switch_left_partly_used() -> None:
    """All GPUs are given away, so none can be left: the figure is exact even where the objective was not proven."""
    answer = solve(fours(8), rack(8))
    assert isinstance(answer, Planned)
    assert "no switch is left partly used" in answer.because


def test_one_too_many_is_told_by_counting() -> None:
    answer = solve(fours(16, GuestRequest("extra", (DeviceRequest(Kind.GPU, 1),))), rack(16))
    assert isinstance(answer, Infeasible)
    assert len(answer.because) == 17
    assert answer.relaxations
