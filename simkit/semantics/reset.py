"""What a reset of one function takes with it (`pci_reset_fn_methods`, drivers/pci/pci.c; `vfio_pci_dev_set`, drivers/vfio/pci)."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import is_known

_OTHERS_TOO = frozenset({"bus", "cxl_bus"})


@dataclass(frozen=True, slots=True)
class ResetSet:
    """The functions that lose their state, `method` None where it is unknown; the first is the one asked for."""

    functions: tuple[Address, ...]
    method: str | None
    why: str


def reset_set(host: Host, function: Function) -> ResetSet:
    """Which functions a reset hits: the function alone, or by a bus reset everything below the port above it.

    The method is the first that is offered: the kernel tries them in the order in which `reset_method` lists them, which is its own
    (device_specific, acpi, flr, af_flr, pm, bus, cxl_bus) unless somebody wrote another (`reset_method_store`).
    """
    if not is_known(function.reset_methods):
        return ResetSet((function.address,), None, f"reset methods of {function.address} are unknown: {function.reset_methods.why}")
    if not function.reset_methods:
        return ResetSet((function.address,), "none", f"{function.address} offers no reset: it keeps its state from one guest to the next")
    method = function.reset_methods[0]
    if method not in _OTHERS_TOO:
        return ResetSet((function.address,), method, f"{method} resets {function.address} alone")
    bridge = host.parent(function)
    hit = [other.address for other in host.below(bridge.address if bridge else function.parent) if other.address != function.address]
    return ResetSet((function.address, *hit), method, f"a {method} reset takes everything on the bus of {function.address}")
