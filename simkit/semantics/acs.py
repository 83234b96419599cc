"""Does a function isolate? `pci_acs_enabled` and `pci_acs_path_enabled` (drivers/pci/pci.c), the same in 6.1 and 7.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simkit.model.address import Address
from simkit.model.boot import BootParameters
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs_quirks import Taken, quirk_answer

_NEVER = (PortType.PCIE_TO_PCI_BRIDGE, PortType.PCI_TO_PCIE_BRIDGE, PortType.RC_EVENT_COLLECTOR)
_ELIDED = Unknown("NCCL's XML shows one function a switch and no root ports")
_FIRMWARE = Unknown("it depends on what firmware left there, which Linux has written over; pci=config_acs= would settle it")
_BY_REGISTERS = (PortType.ROOT_PORT, PortType.DOWNSTREAM)


@dataclass(slots=True)
class Isolation:
    """The kernel's ACS questions about one host, with every unknown fact taken as `optimistic` says.

    `settled` holds unknown facts, by path, that are taken as stated: in favour of isolation or against it.
    `consulted` collects the paths of unknown facts that an answer rested on, `taken` what no register can show.
    Each test is monotone: optimistic answers isolate wherever pessimistic ones do, so the two ends enclose the truth.
    """

    host: Host
    optimistic: bool
    settled: Mapping[str, bool] = field(default_factory=dict)
    consulted: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    _paths: dict[Address, bool] = field(default_factory=dict)
    _enabled: dict[Address, bool] = field(default_factory=dict)
    _parameters: BootParameters = BootParameters()

    def __post_init__(self) -> None:
        """Read the command line once."""
        self._parameters = BootParameters.of(self.host.cmdline)

    def enabled(self, function: Function) -> bool:
        """`pci_acs_enabled` for what grouping requires (`REQ_ACS_FLAGS`): quirk, then port type, then registers."""
        known = self._enabled.get(function.address)
        if known is None:
            known = self._enabled[function.address] = self._ask(function, REQUIRED_ACS)
        return known

    def _ask(self, function: Function, flags: AcsBits) -> bool:
        quirk = quirk_answer(function, flags, self.host.iommu)
        match quirk:
            case bool():
                return quirk
            case Taken():
                self.taken[function.path] = quirk.text
                return True
            case Unknown() if self.guess(f"{function.path}/quirk", f"whether a quirk speaks for {function.address}", quirk):
                return True
        if self._parameters.acs_override and self._overridden(function):
            return True
        kind = function.port_type
        if isinstance(kind, Unknown):
            return self.guess(f"{function.path}/port_type", f"the PCIe port type of {function.address}", kind)
        if kind is None or kind in _NEVER:
            return False
        if kind not in _BY_REGISTERS and not self.multifunction(function):
            return True
        return self._by_registers(function, flags)

    def _overridden(self, function: Function) -> bool:
        """`pcie_acs_overrides` of the out-of-tree patch, the last row of the quirks: functions without ACS are declared isolating, nothing makes them so."""
        if not self._named(function) or isinstance(function.acs, Acs):
            return False
        if kernels.is_variant(self.host.kernel, kernels.ACS_OVERRIDE) and function.acs is None:
            self.taken[function.path] = f"{function.address} is declared isolating by pcie_acs_override=, which changes nothing in the hardware"
            return True
        why = Unknown("Linux has no such parameter; kernels with the out-of-tree patch have (name yours with +acs_override)")
        return self.guess(f"{function.path}/acs_override", f"whether this kernel knows pcie_acs_override=, which speaks for {function.address},", why)

    def _named(self, function: Function) -> bool:
        pieces = self._parameters.acs_override
        if not isinstance(function.port_type, PortType):
            return False
        if is_known(function.vendor_id) and is_known(function.device_id) and f"id:{function.vendor_id:04x}:{function.device_id:04x}" in map(str.lower, pieces):
            return True
        if function.port_type in _BY_REGISTERS:
            return "downstream" in pieces
        return "multifunction" in pieces and function.port_type not in _NEVER and self.multifunction(function)

    def multifunction(self, function: Function) -> bool:
        """The kernel's `dev->multifunction`; false for virtual functions."""
        if function.is_vf:
            return False
        if isinstance(function.multifunction, Unknown):
            return not self.guess(f"{function.path}/multifunction", f"whether {function.address} is multifunction", function.multifunction)
        return function.multifunction

    def path_enabled(self, bridge: Function) -> bool:
        """`pci_acs_path_enabled(bridge, NULL, flags)`: this port and every one above it isolate."""
        known = self._paths.get(bridge.address)
        if known is None:
            above = self.host.parent(bridge)
            known = self._ports_between(bridge) and self.enabled(bridge) and (above is None or self.path_enabled(above))
            self._paths[bridge.address] = known
        return known

    def lacking(self, bridge: Function) -> Function:
        """The port for which `path_enabled(bridge)` is false: the first on the way up that does not isolate."""
        here: Function | None = bridge
        while here is not None and self.enabled(here) and self._ports_between(here):
            here = self.host.parent(here)
        return here or bridge

    def _ports_between(self, bridge: Function) -> bool:
        """Where the source leaves ports out (`Host.elided`), nothing is known of those above and below `bridge`."""
        return not self.host.elided or self.guess(f"{bridge.path}/acs", f"ACS of the ports around {bridge.address}, which the source leaves out,", _ELIDED)

    def _by_registers(self, function: Function, flags: AcsBits) -> bool:
        """`pci_acs_flags_enabled`: flags that the capability does not implement count as hard-wired on, except egress control."""
        acs = function.acs
        if isinstance(acs, Unknown):
            return self.guess(f"{function.path}/acs", f"ACS of {function.address}", acs)
        if acs is None:
            return False
        return self._flags_set(function, acs, flags)

    def _flags_set(self, function: Function, acs: Acs, flags: AcsBits) -> bool:
        if not is_known(acs.capability):
            if is_known(acs.control) and not flags & ~acs.control:
                return True
            return self.guess(f"{function.path}/acs/capability", f"ACS capability of {function.address}", acs.capability)
        needed = flags & (acs.capability | AcsBits.EC)
        if not is_known(acs.control):
            return not needed or self.guess(f"{function.path}/acs/control", f"ACS control of {function.address}", acs.control)
        lacking = needed & ~acs.control
        if lacking and not lacking & ~acs.unsure:
            return self.guess(f"{function.path}/acs/control", f"ACS control of {function.address}", _FIRMWARE)
        return not lacking

    def guess(self, path: str, what: str, unknown: Unknown) -> bool:
        """What an unknown fact is taken for: as it is `settled`, else isolating or not as this end of the answer goes. Remembers what was asked."""
        if path in self.settled:
            return self.settled[path]
        self.consulted.setdefault(path, f"{what} is unknown: {unknown.why}")
        return self.optimistic


