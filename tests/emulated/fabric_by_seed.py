"""Random machines that an emulator can build, all facts known, by seed: the same seed is the same machine on every kernel."""

from random import Random

from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind

SET = AcsBits(0x1D)
FULL = AcsBits(0x5F)


class Fabric:
    """Builds one host; `budget` is about how many functions it gets."""

    def __init__(self, seed: int, iommu: IommuKind = IommuKind.INTEL) -> None:
        self.random = Random(seed)
        self.budget = self.random.choice([6, 15, 30, 30, 60])
        self.functions: list[Function] = []
        self.bus = 0
        self.iommu = iommu
        self.node: int | None = None

    def host(self, seed: int) -> Host:
        roots = self.random.choice([1, 1, 2, 3])
        numa = roots > 1 and self.random.random() < 0.7
        for index in range(roots):
            bus = 0 if index == 0 else max(self.bus + 1, self.random.choice([0x40, 0x60, 0x80]) + 0x20 * index)
            self.bus = bus
            self.node = self.random.randint(0, 1) if numa and index else None
            self.root_bus(RootBus(0, bus), bridges_only=index > 0)
        return Host(f"seed {seed}", tuple(self.functions), iommu=self.iommu, kernel="6.12.0")

    def add(self, address, parent, kind, class_code, *, vendor=0x1234, acs=None, ats=None, sriov=None, buses=None, mf=False, physfn=None):
        self.functions.append(Function(address, parent, vendor, 0x11, class_code, port_type=kind, acs=acs, ats=ats, sriov=sriov, bus_range=buses,
                                       multifunction=not physfn and (mf or address.function > 0), physfn=physfn, numa_node=self.node))

    def root_bus(self, root: RootBus, *, bridges_only: bool) -> None:
        random = self.random
        slots = random.sample(range(2, 0x18), random.randint(1, 4))
        for slot in sorted(slots):
            what = random.choice(["ports", "ports", "ports", "integrated", "conventional"]) if not bridges_only else "ports"
            count = random.choice([1, 1, 2, 3, 4])
            if what == "ports":
                for number in range(count):
                    self.port(Address(0, root.bus, slot, number), root, PortType.ROOT_PORT, 0, mf=count > 1)
            else:
                for number in range(count):
                    intel = random.random() < 0.4
                    kind = PortType.RC_ENDPOINT if what == "integrated" else None
                    self.add(Address(0, root.bus, slot, number), root, kind, random.choice([0x020000, 0x0C0330]), vendor=0x8086 if intel else 0x1234, mf=count > 1)

    def port(self, address: Address, parent, kind: PortType, depth: int, *, mf: bool) -> None:
        acs = None
        if kind is PortType.ROOT_PORT:
            acs = self.random.choice([Acs(FULL, SET), Acs(FULL, SET), Acs(FULL, SET), None, Acs(FULL, AcsBits(self.random.randrange(0x60) & FULL))])
        self.bus += 1
        at, secondary = len(self.functions), self.bus
        self.below(address, secondary, depth)
        self.add(address, parent, kind, 0x060400, acs=acs, buses=BusRange(secondary, self.bus), mf=mf)
        self.functions.insert(at, self.functions.pop())

    def below(self, parent: Address, bus: int, depth: int) -> None:
        if len(self.functions) > self.budget:
            return
        what = self.random.choice(["nothing", "endpoint", "endpoint", "card", "vfs", "bridge", *(["switch"] * 4 if depth < 3 else [])])
        if what in ("endpoint", "card"):
            count = 1 if what == "endpoint" else self.random.randint(2, 5)
            for number in range(count):
                ats = self.random.choice([None, Ats(enabled=False)])
                self.add(Address(0, bus, 0, number), parent, PortType.ENDPOINT, self.random.choice([0x030200, 0x020000, 0x010802, 0x0C0330]), ats=ats, mf=count > 1)
        elif what == "vfs":
            made = self.random.randint(0, 4)
            physical = Address(0, bus, 0, 0)
            self.add(physical, parent, PortType.ENDPOINT, 0x010802, sriov=Sriov(4, 4, made, 1, 1, 0x10, enabled=made > 0))
            for index in range(made):
                self.add(Address(0, bus, 0, 1 + index), parent, PortType.ENDPOINT, 0x010802, physfn=physical)
        elif what == "bridge":
            self.bridge(Address(0, bus, 0, 0), parent, PortType.PCIE_TO_PCI_BRIDGE, 0)
        elif what == "switch":
            self.switch(Address(0, bus, 0, 0), parent, depth)

    def switch(self, upstream: Address, parent: Address, depth: int) -> None:
        self.bus += 1
        at, inner = len(self.functions), self.bus
        for slot in sorted(self.random.sample(range(8), self.random.randint(1, 4))):
            packed = self.random.choice([1, 1, 1, 2, 3])
            for number in range(packed):
                self.port(Address(0, inner, slot, number), upstream, PortType.DOWNSTREAM, depth + 1, mf=packed > 1)
        self.add(upstream, parent, PortType.UPSTREAM, 0x060400, buses=BusRange(inner, self.bus))
        self.functions.insert(at, self.functions.pop())

    def bridge(self, address: Address, parent: Address, kind: PortType | None, depth: int) -> None:
        self.bus += 1
        at, inner = len(self.functions), self.bus
        for slot in sorted(self.random.sample(range(1, 16), self.random.randint(0, 3))):
            if depth < 2 and self.random.random() < 0.3:
                self.bridge(Address(0, inner, slot, 0), address, None, depth + 1)
            else:
                count = self.random.choice([1, 1, 2])
                for number in range(count):
                    self.add(Address(0, inner, slot, number), address, None, 0x020000, mf=count > 1)
        self.add(address, parent, kind, 0x060400, buses=BusRange(inner, self.bus))
        self.functions.insert(at, self.functions.pop())


def fabric(seed: int, iommu: IommuKind = IommuKind.INTEL) -> Host:
    """The machine of a seed."""
    return Fabric(seed, iommu).host(seed)
