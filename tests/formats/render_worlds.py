"""Guest plans made by hand, for the renderers: no solver is asked, so that what they should look like is plain to see here."""

from __future__ import annotations

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Bar, BarKind, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.guest import GuestDevice, GuestNode, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.plan import Plan
from simkit.model.platform import Cpu, IommuKind, Tee, TeeKind
from simkit.model.step import ExpectAcs, ExpectLink, ExpectText, SetAcs, Step, StepKind, Write
from simkit.model.workload import GuestRequest, Topology, Workload

GIB = 1 << 30
_ISOLATING = Acs(AcsBits.SV | AcsBits.TB | AcsBits.RR | AcsBits.CR | AcsBits.UF | AcsBits.DT, AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF)


def at(text: str) -> Address:
    return Address.parse(text)


def _bridge(address: str, parent: str, kind: PortType, buses: tuple[int, int], node: int, name: str) -> Function:
    above = RootBus.parse(parent) if parent.startswith("pci") else at(parent)
    return Function(at(address), above, 0x1000, 0xC030, 0x060400, name=name, port_type=kind, bus_range=BusRange(*buses), acs=_ISOLATING, ats=None,
                    sriov=None, bars=(), numa_node=node, iommu_group=None, driver="pcieport")


def _endpoint(address: str, parent: str, ids: tuple[int, int, int], name: str, node: int, group: int, *,
              bars: tuple[Bar, ...] = (), sriov: Sriov | None = None) -> Function:
    vendor, device, class_code = ids
    return Function(at(address), at(parent), vendor, device, class_code, name=name, port_type=PortType.ENDPOINT, acs=None, ats=None, sriov=sriov,
                    bars=bars, numa_node=node, iommu_group=group, driver=None)


H100 = (0x10DE, 0x2330, 0x030200)
CX7 = (0x15B3, 0x1021, 0x020000)
H100_BARS = (Bar(0, BarKind.MEM64, 16 << 20, prefetchable=True), Bar(2, BarKind.MEM64, 128 * GIB, prefetchable=True),
             Bar(4, BarKind.MEM64, 32 << 20, prefetchable=True))
CX7_BARS = (Bar(0, BarKind.MEM64, 32 << 20, prefetchable=True),)


def hgx() -> Host:
    """Two sockets, a switch each, with three GPUs and three NICs below each switch."""
    functions = []
    for node in (0, 1):
        top = 0x40 * node
        functions.append(_bridge(f"{node:04x}:{top:02x}:01.0", f"pci{node:04x}:{top:02x}", PortType.ROOT_PORT, (top + 1, top + 15), node, "root port"))
        functions.append(_bridge(f"{node:04x}:{top + 1:02x}:00.0", f"{node:04x}:{top:02x}:01.0", PortType.UPSTREAM, (top + 2, top + 15), node,
                                 "PEX89144 switch"))
        for slot in range(6):
            below, bus = f"{node:04x}:{top + 2:02x}:{slot:02x}.0", top + 3 + slot
            functions.append(_bridge(below, f"{node:04x}:{top + 1:02x}:00.0", PortType.DOWNSTREAM, (bus, bus), node, "PEX89144 switch"))
            group = 40 + 10 * node + slot
            if slot % 2 == 0:
                functions.append(_endpoint(f"{node:04x}:{bus:02x}:00.0", below, H100, "H100 SXM5 80GB", node, group, bars=H100_BARS))
            else:
                functions.append(_endpoint(f"{node:04x}:{bus:02x}:00.0", below, CX7, "ConnectX-7", node, group, bars=CX7_BARS,
                                           sriov=Sriov(16, num_vfs=0, offset=1, stride=1)))
    nodes = tuple(NumaNode(node, CpuSet.of(range(48 * node, 48 * node + 48)), 512 * GIB, node, (10, 32) if node == 0 else (32, 10)) for node in (0, 1))
    return Host("hgx", tuple(functions), nodes, Cpu("x86_64", "AuthenticAMD", 25, 17, "AMD EPYC 9654", 2), IommuKind.AMD, (Tee(TeeKind.SEV_SNP, 509),),
                kernel="6.8.0-45-generic")


def train() -> GuestPlan:
    """Four GPUs and four NICs below two mirrored switches, one on each NUMA node, confidential."""
    ports, devices, chassis = [], [], 1
    for node in (0, 1):
        top = 0x40 * node
        ports.append(GuestPort(f"pxb{node}", GuestPortKind.EXPANDER, None, 7 + node, 0, node, 0x20 * (node + 1)))
        ports.append(GuestPort(f"rp{node}", GuestPortKind.ROOT, f"pxb{node}", 0, chassis, node, None, at(f"{node:04x}:{top:02x}:01.0")))
        ports.append(GuestPort(f"up{node}", GuestPortKind.UPSTREAM, f"rp{node}", 0, 0, node, None, at(f"{node:04x}:{top + 1:02x}:00.0")))
        chassis += 1
        for slot in range(4):
            ports.append(GuestPort(f"dn{4 * node + slot}", GuestPortKind.DOWNSTREAM, f"up{node}", slot, chassis, node, None,
                                   at(f"{node:04x}:{top + 2:02x}:{slot:02x}.0")))
            devices.append(GuestDevice(at(f"{node:04x}:{top + 3 + slot:02x}:00.0"), f"dn{4 * node + slot}", 0, 40 + 10 * node + slot))
            chassis += 1
    nodes = tuple(GuestNode(node, node, CpuSet.of(range(48 * node, 48 * node + 16)), 128 * GIB) for node in (0, 1))
    return GuestPlan("train", TeeKind.SEV_SNP, Topology.REPLICATE, 32, 256 * GIB, tuple(ports), tuple(devices), nodes,
                     ("every two of its GPUs are PXB or nearer",), mmio64_mib=1 << 20)


def infer() -> GuestPlan:
    """One GPU and one virtual function of a NIC, each on a root port, on the host's second NUMA node only."""
    ports = (GuestPort("rp0", GuestPortKind.ROOT, None, 7, 1, 1, None, at("0001:40:01.0")),
             GuestPort("rp1", GuestPortKind.ROOT, None, 8, 2, 1, None, at("0001:40:01.0")))
    devices = (GuestDevice(at("0001:47:00.0"), "rp0", 0, 54), GuestDevice(at("0001:48:00.1"), "rp1", 0, None, at("0001:48:00.0"), 0))
    return GuestPlan("infer", TeeKind.NONE, Topology.FLATTEN, 8, 64 * GIB, ports, devices, (GuestNode(0, 1, CpuSet.of(range(64, 72)), 64 * GIB),), mmio64_mib=256 << 10)


_RUN_TIME = "a run-time write, gone after a reboot"


def steps() -> tuple[Step, ...]:
    """One of each sort: attribute, driver, virtual functions, ACS."""
    override, bound = "sys/bus/pci/devices/0001:47:00.0/driver_override", "sys/bus/pci/devices/0001:47:00.0/driver"
    numvfs = "sys/bus/pci/devices/0001:48:00.0/sriov_numvfs"
    gpu, nic, port = at("0001:47:00.0"), at("0001:48:00.0"), at("0001:42:04.0")
    return (
        Step("001-numvfs-0001:48:00.0", StepKind.SRIOV_NUMVFS, nic, "make 1 virtual function of 0001:48:00.0 (ConnectX-7)",
             (ExpectText(numvfs, "0"),), (Write(numvfs, "1"),), (ExpectText(numvfs, "1"),), (Write(numvfs, "0"),), _RUN_TIME),
        Step("002-acs-0001:42:04.0", StepKind.ACS_CONTROL, port, "set ACS RR,CR on 0001:42:04.0: else peers reach each other",
             (ExpectAcs(port, 0x0C, 0),), (SetAcs(port, 0x0C, 0x0C),), (ExpectAcs(port, 0x0C, 0x0C),), (SetAcs(port, 0x0C, 0),), _RUN_TIME),
        Step("003-override-0001:47:00.0", StepKind.DRIVER_OVERRIDE, gpu, "reserve H100 SXM5 80GB 0001:47:00.0 for vfio-pci (infer)",
             (ExpectText(override, "(null)"),), (Write(override, "vfio-pci"),), (ExpectText(override, "vfio-pci"),), (Write(override, "\n"),), _RUN_TIME),
        Step("004-unbind-0001:47:00.0", StepKind.UNBIND, gpu, "take H100 SXM5 80GB 0001:47:00.0 from nvidia",
             (ExpectLink(bound, "nvidia"),), (Write("sys/bus/pci/drivers/nvidia/unbind", "0001:47:00.0"),), (ExpectLink(bound, None),),
             (Write("sys/bus/pci/drivers/nvidia/bind", "0001:47:00.0"),), _RUN_TIME),
    )


def _asked(*guests: GuestPlan) -> tuple[GuestRequest, ...]:
    return tuple(GuestRequest(guest.name, (), guest.tee, guest.topology, guest.cpus, guest.memory_bytes) for guest in guests)


def two_guests() -> Plan:
    return Plan(Workload("two-guests", _asked(train(), infer())), hgx(), "sha256:00", (train(), infer()), steps())


CARD = ((0x2BB5, 0x030000, "RTX PRO 6000"), (0x22E8, 0x040300, "HD audio"), (0x1, 0x0C0330, "USB"), (0x2, 0x0C8000, "USB-C"))


def cards() -> Host:
    """One socket, eight cards of four functions, each in one IOMMU group, on root ports."""
    functions = []
    for card in range(8):
        bus = 0x10 + card
        port = f"0000:00:{card + 1:02x}.0"
        functions.append(_bridge(port, "pci0000:00", PortType.ROOT_PORT, (bus, bus), 0, "root port"))
        for number, (device, class_code, name) in enumerate(CARD):
            bars = (Bar(1, BarKind.MEM64, 128 * GIB, prefetchable=True),) if number == 0 else (Bar(0, BarKind.MEM32, 16384),)
            functions.append(_endpoint(f"0000:{bus:02x}:00.{number}", port, (0x10DE, device, class_code), name, 0, 20 + card, bars=bars))
    return Host("cards", tuple(functions), (NumaNode(0, CpuSet.of(range(64)), 768 * GIB, 0, (10,)),), iommu=IommuKind.AMD)


def rendering() -> GuestPlan:
    """Eight GPUs on root ports, with cliques, their 24 companions on one bridge."""
    ports = [GuestPort(f"rp{card}", GuestPortKind.ROOT, None, 7 + card, card + 1, 0, None, at(f"0000:00:{card + 1:02x}.0")) for card in range(8)]
    ports += [GuestPort("rp8", GuestPortKind.ROOT, None, 15, 9), GuestPort("br0", GuestPortKind.BRIDGE, "rp8", 0)]
    devices = [GuestDevice(at(f"0000:{0x10 + card:02x}:00.0"), f"rp{card}", 0, 20 + card, clique=card // 4) for card in range(8)]
    companions = [(card, number) for card in range(8) for number in (1, 2, 3)]
    devices += [GuestDevice(at(f"0000:{0x10 + card:02x}:00.{number}"), "br0", 1 + index, 20 + card, companion_of=at(f"0000:{0x10 + card:02x}:00.0"))
                for index, (card, number) in enumerate(companions)]
    return GuestPlan("render", TeeKind.SEV_SNP, Topology.FLATTEN, 16, 64 * GIB, tuple(ports), tuple(sorted(devices, key=lambda device: device.address)),
                     (GuestNode(0, 0, CpuSet.of(range(16)), 64 * GIB),), mmio64_mib=2 << 20)


def eight_cards() -> Plan:
    return Plan(Workload("eight-rtx", _asked(rendering())), cards(), "sha256:01", (rendering(),))


PLANS = {"two-guests": two_guests, "eight-cards": eight_cards}
