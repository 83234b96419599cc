"""The host as it would be with ACS set otherwise: by hand, by firmware, by another kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, is_known


def with_control(host: Host, controls: Mapping[Address, AcsBits]) -> Host:
    """The host where ACS Control of each port holds exactly the bits stated. Where its ACS is unknown, stating the bits makes them known.

    Raises:
        UnknownName: there is no such function.
        InputError: the function has no ACS capability, or does not implement a bit (PCIe 6.0 §7.7.11.2), so that no write could set it.
    """
    for address, bits in controls.items():
        acs = host[address].acs
        where = str(host.places.of(host[address].path))
        if acs is None:
            raise InputError(f"{address} ({host[address].label}) has no ACS capability to set", where=where, remedy="name a port that has one")
        capability = acs.capability if isinstance(acs, Acs) else UNKNOWN
        lacking = int(bits) & ~int(capability) if is_known(capability) else 0
        if lacking:
            words = ",".join(bit.name or hex(bit) for bit in AcsBits if bit & lacking) or hex(lacking)
            raise InputError(f"{address} ({host[address].label}) does not implement ACS {words}", where=where, remedy="leave it out")
        host = host.with_functions(replace(host[address], acs=Acs(capability, bits)))
    return host
