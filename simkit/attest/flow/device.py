"""Devices: the session of SPDM and the interface of TDISP, each as a table of state, event, next state.

DMTF DSP0274 1.1 §10 (order of requests; a reset ends the session) and DSP0277 1.1 (secured messages); PCIe 6.1 §11 (TDISP 1.0). The reference device of
DMTF/spdm-emu@1a7ce3c:library/pci_tdisp_device_lib_sample refuses the same events in the same states.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Tdi(StrEnum):
    """State of a TEE Device Interface."""

    CONFIG_UNLOCKED = "CONFIG_UNLOCKED"
    CONFIG_LOCKED = "CONFIG_LOCKED"
    RUN = "RUN"
    ERROR = "ERROR"


class Spdm(StrEnum):
    """How far a requester and a device have come."""

    NONE = "NONE"
    VERSION = "VERSION"
    CAPABLE = "CAPABLE"
    NEGOTIATED = "NEGOTIATED"
    DIGESTS = "DIGESTS"
    IDENTIFIED = "IDENTIFIED"
    HANDSHAKE = "HANDSHAKE"
    SESSION = "SESSION"


TDI: Mapping[Tdi, Mapping[str, Tdi]] = MappingProxyType({
    Tdi.CONFIG_UNLOCKED: {"LOCK_INTERFACE": Tdi.CONFIG_LOCKED, "RESET": Tdi.CONFIG_UNLOCKED, "POWER": Tdi.CONFIG_UNLOCKED},
    Tdi.CONFIG_LOCKED: {"START_INTERFACE": Tdi.RUN, "STOP_INTERFACE": Tdi.CONFIG_UNLOCKED, "RESET": Tdi.ERROR, "POWER": Tdi.CONFIG_UNLOCKED,
                        "CHANGE": Tdi.ERROR, "IDE_LOST": Tdi.ERROR},
    Tdi.RUN: {"STOP_INTERFACE": Tdi.CONFIG_UNLOCKED, "RESET": Tdi.ERROR, "POWER": Tdi.CONFIG_UNLOCKED, "CHANGE": Tdi.ERROR, "IDE_LOST": Tdi.ERROR},
    Tdi.ERROR: {"STOP_INTERFACE": Tdi.CONFIG_UNLOCKED, "RESET": Tdi.ERROR, "POWER": Tdi.CONFIG_UNLOCKED},
})
"""RESET is a function level reset; POWER puts the device where it begins, with nothing kept; CHANGE is what it sees of its own configuration: a BAR, bus master
enable, a Requester ID."""

SPDM: Mapping[Spdm, Mapping[str, Spdm]] = MappingProxyType({
    Spdm.NONE: {"GET_VERSION": Spdm.VERSION},
    Spdm.VERSION: {"GET_CAPABILITIES": Spdm.CAPABLE, "GET_VERSION": Spdm.VERSION, "RESET": Spdm.NONE},
    Spdm.CAPABLE: {"NEGOTIATE_ALGORITHMS": Spdm.NEGOTIATED, "GET_VERSION": Spdm.VERSION, "RESET": Spdm.NONE},
    Spdm.NEGOTIATED: {"GET_DIGESTS": Spdm.DIGESTS, "GET_VERSION": Spdm.VERSION, "RESET": Spdm.NONE},
    Spdm.DIGESTS: {"GET_CERTIFICATE": Spdm.IDENTIFIED, "GET_VERSION": Spdm.VERSION, "RESET": Spdm.NONE},
    Spdm.IDENTIFIED: {"GET_MEASUREMENTS": Spdm.IDENTIFIED, "CHALLENGE": Spdm.IDENTIFIED, "KEY_EXCHANGE": Spdm.HANDSHAKE, "GET_VERSION": Spdm.VERSION,
                      "RESET": Spdm.NONE},
    Spdm.HANDSHAKE: {"FINISH": Spdm.SESSION, "RESET": Spdm.NONE},
    Spdm.SESSION: {"GET_MEASUREMENTS": Spdm.SESSION, "END_SESSION": Spdm.IDENTIFIED, "RESET": Spdm.NONE},
})


def way(begin: Spdm, end: Spdm) -> tuple[str, ...]:
    """The fewest events from one state to another, by the table.

    Raises:
        LookupError: the table knows no way.
    """
    ways: dict[Spdm, tuple[str, ...]] = {begin: ()}
    for state in (queue := [begin]):
        if state is end:
            return ways[state]
        for event, following in SPDM[state].items():
            if following not in ways:
                ways[following] = (*ways[state], event)
                queue.append(following)
    raise LookupError(f"no way from {begin} to {end}")


def on(event: str) -> tuple[str, ...]:
    """What an event makes of an interface: pairs of state and next state, as a rule's variables take them."""
    return tuple(f"{state} {following[event]}" for state, following in TDI.items() if event in following)
