"""The host as it would be with ACS set otherwise: by hand, by firmware, by another kernel or command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simkit.errors import InputError
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, is_known
from simkit.semantics.iommu_scope import to_group_anew
from simkit.semantics.reboot import is_reboot, reboot, with_bios


def what_if(
    host: Host,
    *,
    acs: Mapping[Address, AcsBits] | None = None,
    kernel: str | None = None,
    cmdline: str | None = None,
    bios: Mapping[str, bool] | None = None,
) -> Host:
    """The host under other circumstances, its groups made anew: what the kernel reported holds no longer.

    Args:
        host: as it is now.
        acs: ACS Control of some functions, as if it had held just these bits when the functions were probed.
        kernel: the release it runs; another one than now is a reboot.
        cmdline: the kernel command line; another one than now is a reboot. Where the source does not tell either, they are taken for now's.
        bios: firmware switches, by the names in `simkit.semantics.reboot.BIOS`; always a reboot.

    Raises:
        UnknownName: a function that is not there, or a switch that is not known.
        InputError: bits that a function cannot hold.
    """
    release, words = kernel if kernel is not None else host.kernel, cmdline if cmdline is not None else host.cmdline
    changed = with_bios(host, bios or {})
    if bios or is_reboot(host, kernel=kernel, cmdline=cmdline):
        changed = reboot(changed, kernel=release, cmdline=words)
    changed = replace(changed, kernel=release, cmdline=words)
    if acs:
        changed = with_control(changed, acs)
        changed = to_group_anew(changed)
    return changed


def with_control(host: Host, controls: Mapping[Address, AcsBits]) -> Host:
    """The host where ACS Control of each port holds exactly the bits stated. Where its ACS is unknown, stating the bits makes them known.

    Raises:
        UnknownName: there is no such function.
        InputError: the function has no ACS capability, or does not implement a bit (PCIe 6.0 §7.7.11.2), so that no write could set it.
    """
    changed = []
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
        changed.append(replace(host[address], acs=Acs(capability, bits)))
    return host.with_functions(*changed) if changed else host
