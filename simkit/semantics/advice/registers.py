"""ACS bits that could be set or cleared at a port, and what makes a change of them last (`pci_enable_acs`, `__pci_config_acs`)."""

from __future__ import annotations

from simkit.model.address import Address
from simkit.model.advice import Lasts
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs_boot import rebooted

PORTS = (PortType.ROOT_PORT, PortType.DOWNSTREAM)
_NAMED = AcsBits(0x7F)
WRITE = "until then it can be written at run time, which changes the hardware at once and the groups only once the functions below are removed and rescanned"
RUN_TIME = (
    "a run-time write changes the hardware and not the groups, until the functions below are removed and rescanned; a rescan of the port itself, a hot-plug "
    "event or a reboot undoes it"
)


def readable(function: Function) -> Acs | None:
    """Its ACS where both registers are known, else None."""
    acs = function.acs
    return acs if isinstance(acs, Acs) and is_known(acs.capability) and is_known(acs.control) else None


def capability(acs: Acs) -> AcsBits:
    """The bits it implements."""
    assert is_known(acs.capability)
    return acs.capability & _NAMED


def control(acs: Acs) -> AcsBits:
    """The bits that are on."""
    assert is_known(acs.control)
    return acs.control & _NAMED


def missing(function: Function) -> AcsBits:
    """Of what Linux asks for (`REQ_ACS_FLAGS`), what is implemented and off."""
    acs = readable(function)
    return REQUIRED_ACS & capability(acs) & ~control(acs) if acs is not None else AcsBits.NONE


def names(bits: AcsBits) -> str:
    """Bits in the words of PCIe: ``RR, CR``."""
    return ", ".join(bit.name or "" for bit in AcsBits if bit & bits)


def config_acs(function: Function, bits: AcsBits) -> str:
    """The entry of `pci=config_acs=` that leaves just these bits on; every implemented bit is stated, for x means firmware's value and not the kernel's."""
    acs = readable(function)
    assert acs is not None
    flags = "".join("x" if not capability(acs) & bit else "1" if bits & bit else "0" for bit in reversed(AcsBits))
    return f"{flags.lstrip('x') or 'x'}@{function.address}"


def has_config_acs(host: Host) -> bool | None:
    """Whether the kernel knows `pci=config_acs=` (6.11 and later); None where the release is unknown."""
    release = kernels.release(host.kernel)
    return None if release is None else release >= kernels.CONFIG_ACS_SINCE


def lasting(host: Host, changes: dict[Address, AcsBits]) -> dict[Address, tuple[Lasts, str, tuple[str, ...]]]:
    """To each port whose control is to hold these bits: what makes it last, a sentence on it, and the words for the command line.

    Where a boot as things stand sets them anyway nothing need be written down (`pci_enable_acs`).
    """
    anew = rebooted(host, kernel=host.kernel, cmdline=host.cmdline)
    unless = "" if isinstance(host.cmdline, str) else ", unless the command line, which is not known, says otherwise"
    found: dict[Address, tuple[Lasts, str, tuple[str, ...]]] = {}
    for address, bits in changes.items():
        made = anew.get(address)
        if made is not None and is_known(made.control) and control(made) == bits and not made.unsure:
            found[address] = (Lasts.BOOT, f"Linux sets this itself at the next boot, for an IOMMU is on (pci_enable_acs){unless}; {WRITE}", ())
            continue
        entry = f"pci=config_acs={config_acs(host[address], bits)}"
        known = has_config_acs(host)
        if known is False:
            found[address] = (Lasts.RUN_TIME, f"this kernel has no parameter for it (Linux 6.11 and later has pci=config_acs=): {RUN_TIME}", ())
        else:
            since = "" if known else " (Linux 6.11 and later)"
            found[address] = (Lasts.COMMAND_LINE, f"by pci=config_acs={since}, for every boot; {RUN_TIME}", (entry,))
    return found
