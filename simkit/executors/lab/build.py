"""From a host to parts: which stand-in takes the place of each function, and in which slot. What is lost is said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby

from simkit.executors.lab import standins
from simkit.executors.lab.parts import Part, Root
from simkit.executors.lab.platforms import Platform
from simkit.executors.lab.said import Said
from simkit.executors.lab.standins import Standin
from simkit.model.address import Parent, RootBus
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, Ats, PortType, Sriov
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs import Isolation
from simkit.semantics.smmu import PROBED_WHEN_FOUND_SINCE

_REDIRECT_OFF = AcsBits.SV | AcsBits.UF
_SHOWN_VFS, _FEWEST_VFS = 16, 4
_LINKS = (PortType.ROOT_PORT, PortType.DOWNSTREAM)


@dataclass(slots=True)
class Builder:
    """One run over a host. `version` is the kernel's that the machine will boot, which decides what its command line can set."""

    host: Host
    version: tuple[int, int]
    has: Collection[str]
    platform: Platform
    said: Said = field(default_factory=Said)
    vfs: list[tuple[Part, int]] = field(default_factory=list)
    isolation: Isolation = field(init=False)
    below: dict[Parent, list[Function]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the functions by what they lie below; virtual ones come with their physical function."""
        self.isolation = Isolation(self.host, optimistic=True)
        for function in self.host.functions:
            if not function.is_vf:
                self.below.setdefault(function.parent, []).append(function)

    @property
    def requested(self) -> bool:
        """Whether the kernel asks for ACS before it looks for functions; their control stays firmware's otherwise, which leaves all off."""
        return self.host.iommu is not IommuKind.NONE and not (self.platform.acs_late and self.version < PROBED_WHEN_FOUND_SINCE)

    def roots(self) -> list[Root]:
        """All root buses. The host's first is pcie.0 where no NUMA node is known of it, else each is an expander's, which can have one.

        Expanders take bridges only (`pxb_pcie_dev_realize`, hw/pci-bridge): what else lies on their buses goes to pcie.0.
        """
        found = sorted({function.parent for function in self.host.functions if isinstance(function.parent, RootBus)})
        nodes = {bus: self._numa_node(bus) for bus in found}
        if not self.platform.numa and any(node is not None for node in nodes.values()):
            self.said.say("Arm's machine has no NUMA nodes in the lab")
            nodes = dict.fromkeys(found)
        pcie = Root("pcie.0", 0)
        expanders: list[Root] = []
        homeless: list[list[Function]] = []
        for bus in found:
            slots = self._by_slot(bus)
            if bus == found[0] and (nodes[bus] is None or not self.platform.numa):
                pcie.parts = self._bus(slots, self._chipset_leaves(), root=True, express=True)
                continue
            if not self.platform.expanders:
                homeless += slots
                continue
            bridges = [kept for members in slots if (kept := [member for member in members if self._is_bridge(member)])]
            homeless += [others for members in slots if (others := [member for member in members if not self._is_bridge(member)])]
            if bridges:
                expanders.append(Root(f"x{len(expanders)}", bus.bus, nodes[bus], self._bus(bridges, list(range(32)), root=True, express=True)))
        if len({bus.domain for bus in found}) > 1:
            self.said.say("an emulated machine has one PCI domain: the root buses of all the host's domains share it")
        free = sorted(set(self._chipset_leaves()) - {part.devfn >> 3 for part in pcie.parts})
        for root in expanders:
            root.slot = free.pop() if free else 0
            if not root.slot:
                self.said.say("pcie.0 has no slot left for an expander: left out", *(part.origin for part in root.all() if part.origin is not None))
        if homeless:
            self.said.say("QEMU's further root buses take bridges only: put on pcie.0, without a NUMA node" if self.platform.expanders else
                          "a machine described by a devicetree has one root bus: put on pcie.0, without a NUMA node",
                          *(member.address for slot in homeless for member in slot))
            pcie.parts += self._bus(homeless, free, root=True, express=True)
        return [pcie, *sorted((root for root in expanders if root.slot), key=lambda root: root.wish)]

    def _chipset_leaves(self) -> list[int]:
        """The slots of pcie.0 that the machine itself does not use."""
        return [slot for slot in range(32) if slot not in self.platform.taken]

    def _by_slot(self, parent: Parent) -> list[list[Function]]:
        return [list(members) for _, members in groupby(self.below.get(parent, []), key=lambda function: function.address.device)]

    def _is_bridge(self, function: Function) -> bool:
        return function.is_bridge or function.address in self.below

    def _numa_node(self, bus: RootBus) -> int | None:
        nodes = [function.numa_node for function in self.host.functions if function.parent == bus and isinstance(function.numa_node, int)]
        for below in self.host.below(bus):
            if nodes and is_known(below.numa_node) and below.numa_node != nodes[0] and below.numa_node is not None:
                self.said.say("below one root bus the lab knows one NUMA node; another one is said of", below.address)
        return nodes[0] if nodes else None

    def _bus(self, groups: list[list[Function]], slots: list[int], *, root: bool, express: bool) -> list[Part]:
        """What lies directly on a bus, slot by slot: in the host's where that is free, else in the next free one."""
        parts: list[Part] = []
        free = list(slots)
        wanted = {members[0].address.device for members in groups}
        for members in groups:
            device = members[0].address.device
            slot = device if device in free else next((other for other in free if other not in wanted), free[0] if free else None)
            if slot is None:
                self.said.say("no slot is left on the bus: left out",
                              *(gone.address for member in members for gone in (member, *self.host.below(member.address))))
                continue
            free.remove(slot)
            parts += self._slot(members, slot, root=root, express=express)
        return parts

    def _slot(self, members: list[Function], slot: int, *, root: bool, express: bool) -> list[Part]:
        shared = len(members) > 1 or members[0].multifunction is True or members[0].address.function > 0
        parts = []
        if members[0].address.function:
            self.said.say("no function 0 is known beside it, without which it is not found: one that does not isolate is put there", members[0].address)
            parts.append(Part(standins.BARE_ROOT_PORT if root and self._is_bridge(members[0]) else standins.CONVENTIONAL, slot << 3, multifunction=True))
        elif len(members) == 1 and isinstance(members[0].multifunction, Unknown):
            self.said.say("whether it is multifunction is unknown: taken as not", members[0].address)
        for member in members:
            part = self._part(member, slot << 3 | member.address.function, root=root, express=express, alone=len(members) == 1 and not parts)
            part.multifunction = shared
            parts.append(part)
        return parts

    def _part(self, function: Function, devfn: int, *, root: bool, express: bool, alone: bool) -> Part:
        if self._is_bridge(function):
            return self._bridge(function, devfn, root=root, express=express)
        isolates = self.isolation.enabled(function)
        standin = standins.endpoint(function, isolates=isolates, express=express, root=root, has=self.has)
        if isinstance(function.sriov, Sriov):
            standin = self._with_vfs(function, standin, root=root, express=express, alone=alone)
        built = standin.type_on(root=root, express=express)
        if is_known(function.port_type) and built is not function.port_type:
            self.said.say(f"{_type(function.port_type)} stands in as {_type(built)}", function.address)
        if isinstance(function.port_type, Unknown):
            self.said.say("its PCIe port type is unknown: taken from the bus it lies on", function.address)
        if function.multifunction is True and isolates and standin not in (standins.INTEL_NIC, standins.ISOLATED_NIC) and built is not None:
            self.said.say("QEMU's endpoints have no ACS: this part of a multifunction device isolates on the host, not in the lab", function.address)
        if isinstance(function.ats, Ats) and not standin.ats:
            self.said.say("its stand-in has no ATS", function.address)
        part = Part(standin, devfn, function.address)
        made = self.host.virtual_functions(function)
        if standin.vfs and made:
            self.vfs.append((part, min(len(made), standin.vfs)))
        if len(made) > standin.vfs:
            self.said.say("virtual functions that its stand-in cannot have", *(virtual.address for virtual in made[standin.vfs :]))
        return part

    def _with_vfs(self, function: Function, standin: Standin, *, root: bool, express: bool, alone: bool) -> Standin:
        """The stand-in with virtual functions: NVMe's, or for a network card that has some a network card, which needs vfio-pci to make them."""
        if not alone or not express or standin is standins.CONVENTIONAL:
            self.said.say("a stand-in with SR-IOV needs a slot of its own, and PCIe: no virtual functions", function.address)
            return standin
        assert isinstance(function.sriov, Sriov)
        made = len(self.host.virtual_functions(function))
        if made and made <= standins.SRIOV_NIC.vfs and function.kind is Kind.NIC and not root and standins.SRIOV_NIC.device in self.has:
            chosen = standins.SRIOV_NIC
        else:
            fewest = _FEWEST_VFS if function.sriov.total_vfs >= _FEWEST_VFS else 1
            chosen = standins.sriov_nvme(min(max(made, min(function.sriov.total_vfs, _SHOWN_VFS), fewest), standins.MOST_VFS))
        if chosen.vfs != function.sriov.total_vfs:
            self.said.say(f"its stand-in has {chosen.vfs} virtual functions of {function.sriov.total_vfs}", function.address)
        if (function.sriov.offset, function.sriov.stride) != (chosen.vf_offset, chosen.vf_stride):
            self.said.say(f"its stand-in's virtual functions lie at offset {chosen.vf_offset}, stride {chosen.vf_stride}", function.address)
        return chosen

    def _bridge(self, function: Function, devfn: int, *, root: bool, express: bool) -> Part:
        kind = function.port_type if is_known(function.port_type) else self._guessed(function, root=root, express=express)
        part = Part(self._bridge_standin(function, kind, root=root, express=express), devfn, function.address)
        if part.standin is standins.ROOT_PORT:
            part.control = self._control(function)
        port = part.standin.port_type
        slots = [0] if port in _LINKS else list(range(32)) if port is PortType.UPSTREAM else list(range(1, 32))
        part.children = self._bus(self._by_slot(function.address), slots, root=False, express=port in (*_LINKS, PortType.UPSTREAM))
        return part

    def _guessed(self, function: Function, *, root: bool, express: bool) -> PortType | None:
        above = self.host.parent(function)
        self.said.say("its PCIe port type is unknown: taken from where it lies", function.address)
        if root:
            return PortType.ROOT_PORT
        return None if not express else PortType.DOWNSTREAM if above is not None and above.port_type is PortType.UPSTREAM else PortType.UPSTREAM

    def _bridge_standin(self, function: Function, kind: PortType | None, *, root: bool, express: bool) -> Standin:
        match kind:
            case PortType.ROOT_PORT if root:
                return standins.ROOT_PORT if self._isolating_port(function) else standins.BARE_ROOT_PORT
            case PortType.UPSTREAM | PortType.DOWNSTREAM if express:
                if function.acs is not None and not isinstance(function.acs, Unknown):
                    self.said.say("QEMU's switches have no ACS: on the host it has", function.address)
                elif isinstance(function.acs, Unknown):
                    self.said.say("QEMU's switches have no ACS: on the host it is unknown", function.address)
                return standins.UPSTREAM if kind is PortType.UPSTREAM else standins.DOWNSTREAM
            case PortType.PCIE_TO_PCI_BRIDGE if express:
                return standins.PCIE_BRIDGE
            case None:
                return standins.PCI_BRIDGE
        self.said.say(f"{_type(kind)} cannot be there in the lab: a PCI bridge takes its place", function.address)
        return standins.PCI_BRIDGE

    def _isolating_port(self, function: Function) -> bool:
        """Whether the port gets ACS. One whose bits are off keeps it only where the kernel can be told so; without it, it isolates as little."""
        if function.acs is None and not self.isolation.enabled(function):
            return False
        if isinstance(function.acs, Unknown):
            self.said.say("its ACS is unknown: taken to be there, and set by the kernel", function.address)
        elif isinstance(function.acs, Acs) and is_known(function.acs.capability) and function.acs.capability != standins.PORT_ACS:
            self.said.say(f"its ACS can {standins.PORT_ACS:#04x} in the lab, {function.acs.capability:#04x} on the host", function.address)
        if self.isolation.enabled(function) or self.version >= kernels.CONFIG_ACS_SINCE or self._redirect_off(function):
            return True
        self.said.say("its ACS bits are off, which this kernel cannot be told: it stands in without ACS, which isolates as little", function.address)
        return False

    def _redirect_off(self, function: Function) -> bool:
        return isinstance(function.acs, Acs) and is_known(function.acs.control) and function.acs.control & REQUIRED_ACS == _REDIRECT_OFF

    def _control(self, function: Function) -> AcsBits:
        """What its ACS control shall read: as the kernel sets it, or as the host's where the command line can say so."""
        if not self.requested:
            return AcsBits.NONE
        acs = function.acs
        if not isinstance(acs, Acs) or not is_known(acs.control):
            return REQUIRED_ACS
        if not self.isolation.enabled(function):
            if self.version >= kernels.CONFIG_ACS_SINCE:
                return acs.control & standins.PORT_ACS
            if acs.control != _REDIRECT_OFF:
                self.said.say("this kernel can be told to leave RR and CR off, but not the port's other ACS bits: they are as the kernel sets them",
                              function.address)
            return _REDIRECT_OFF
        exact = acs.capability == standins.PORT_ACS and self.version >= kernels.CONFIG_ACS_SINCE
        return acs.control if exact else REQUIRED_ACS


def _type(kind: PortType | None) -> str:
    return "a conventional function" if kind is None else f"a {kind.name.lower().replace('_', ' ')}"
