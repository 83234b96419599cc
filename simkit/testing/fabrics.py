"""Hypothesis strategies of PCIe fabrics: trees that a machine could have, with every fact known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind

Draw = Callable[[st.SearchStrategy[Any]], Any]
_ENDPOINT_CLASSES = (0x030200, 0x020000, 0x010802)
_AS_LINUX_SETS = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF


def acs_settings() -> st.SearchStrategy[Acs | None]:
    """No capability, all that matters on, all off, or any bits under any capability; shrinks to none."""
    full = AcsBits(0x5F)
    free = st.builds(lambda capability, control: Acs(AcsBits(capability), AcsBits(control & capability)), st.integers(0, 0x7F), st.integers(0, 0x7F))
    return st.none() | st.just(Acs(full, _AS_LINUX_SETS)) | st.just(Acs(full, AcsBits.NONE)) | free


@st.composite
def fabrics(draw: Draw, *, max_root_ports: int = 3, max_depth: int = 2) -> Host:
    """A host with root ports, switches, PCI bridges, endpoints of one or several functions and integrated endpoints.

    Buses are numbered depth first as firmware does; at most `max_root_ports` root ports, at most `max_depth` switches below each
    other. Shrinks to a single root port without ACS.

        @given(fabrics())
        def test_law(host): assert groups(host).status == "exact"
    """
    builder = _Builder(draw, max_depth)
    packed = draw(st.booleans())
    for index in range(draw(st.integers(1, max_root_ports))):
        device, function = (1, index) if packed else (1 + index, 0)
        builder.root_port(Address(0, 0, device, function), many=packed and max_root_ports > 1)
    for function in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from([PortType.RC_ENDPOINT, None]))
        builder.add(Address(0, 0, 20, function), RootBus(0, 0), kind, 0x020000, draw(acs_settings()) if kind else None, many=True)
    return Host("fabric", tuple(builder.functions), iommu=draw(st.sampled_from([IommuKind.INTEL, IommuKind.AMD])), kernel="6.12.0")


class _Builder:
    def __init__(self, draw: Draw, max_depth: int) -> None:
        self.draw, self.max_depth = draw, max_depth
        self.functions: list[Function] = []
        self.next_bus = 1

    def add(
        self, address: Address, parent: Parent, kind: PortType | None, class_code: int, acs: Acs | None, *, many: bool, buses: BusRange | None = None
    ) -> None:
        vendor = self.draw(st.sampled_from([0x1234, 0x8086])) if kind is PortType.RC_ENDPOINT else 0x1234
        self.functions.append(
            Function(
                address,
                parent,
                vendor,
                0x11,
                class_code,
                port_type=kind,
                acs=acs,
                ats=None,
                sriov=None,
                bus_range=buses,
                multifunction=many or address.function > 0,
            )
        )

    def root_port(self, address: Address, *, many: bool) -> None:
        self._port(address, RootBus(0, 0), PortType.ROOT_PORT, 0, many=many)

    def _port(self, address: Address, parent: Parent, kind: PortType, depth: int, *, many: bool) -> None:
        acs = self.draw(acs_settings())
        at, secondary = len(self.functions), self.next_bus
        self.next_bus += 1
        self._below(address, secondary, depth)
        placed = Function(
            address,
            parent,
            0x1234,
            0x10,
            0x060400,
            port_type=kind,
            acs=acs,
            ats=None,
            sriov=None,
            bus_range=BusRange(secondary, self.next_bus - 1),
            multifunction=many or address.function > 0,
        )
        self.functions.insert(at, placed)

    def _below(self, parent: Address, bus: int, depth: int) -> None:
        choices = ["nothing", "endpoint", "card", "bridge"] + (["switch"] if depth < self.max_depth else [])
        what = self.draw(st.sampled_from(choices))
        if what == "endpoint":
            self._endpoint(parent, bus, 1)
        elif what == "card":
            self._endpoint(parent, bus, self.draw(st.integers(2, 3)))
        elif what == "bridge":
            self._bridge(parent, bus)
        elif what == "switch":
            self._switch(parent, bus, depth)

    def _endpoint(self, parent: Address, bus: int, count: int) -> None:
        for function in range(count):
            acs = self.draw(acs_settings()) if count > 1 else None
            self.add(Address(0, bus, 0, function), parent, PortType.ENDPOINT, self.draw(st.sampled_from(_ENDPOINT_CLASSES)), acs, many=count > 1)

    def _bridge(self, parent: Address, bus: int) -> None:
        bridge, secondary = Address(0, bus, 0, 0), self.next_bus
        self.next_bus += 1
        self.add(bridge, parent, PortType.PCIE_TO_PCI_BRIDGE, 0x060400, None, many=False, buses=BusRange(secondary, secondary))
        for device in range(self.draw(st.integers(1, 2))):
            self.add(Address(0, secondary, device, 0), bridge, None, 0x020000, None, many=False)

    def _switch(self, parent: Address, bus: int, depth: int) -> None:
        upstream, inner, at = Address(0, bus, 0, 0), self.next_bus, len(self.functions)
        self.next_bus += 1
        packed = self.draw(st.booleans())
        count = self.draw(st.integers(1, 3))
        for index in range(count):
            device, function = (0, index) if packed else (index, 0)
            self._port(Address(0, inner, device, function), upstream, PortType.DOWNSTREAM, depth + 1, many=packed and count > 1)
        self.functions.insert(
            at,
            Function(
                upstream,
                parent,
                0x1234,
                0x12,
                0x060400,
                port_type=PortType.UPSTREAM,
                acs=None,
                ats=None,
                sriov=None,
                bus_range=BusRange(inner, self.next_bus - 1),
                multifunction=False,
            ),
        )
