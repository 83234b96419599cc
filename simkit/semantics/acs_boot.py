"""What Linux makes of ACS control at boot: `pci_enable_acs` (drivers/pci/pci.c), which every function goes through when it is found.

Before 6.11 (read in 6.1): SV, RR, CR and UF are added if an IOMMU asked for it, then `pci=disable_acs_redir=` clears RR, CR and EC.
Since 6.11 (read in 6.12 and 7.3): either parameter starts from what firmware left, so that SV and UF which the kernel itself
had added are lost; `pci=config_acs=` is new. Not modelled: TB of ports that firmware marks as external.
"""

from __future__ import annotations

from dataclasses import replace

from simkit.model.address import Address
from simkit.model.boot import AcsRequest, BootParameters, ByIds
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.acs_quirks import enabled_elsewhere
from simkit.semantics.iommu import active


def boot_control(host: Host, function: Function, firmware: AcsBits, *, parameters: BootParameters, kernel: tuple[int, int], requested: bool) -> AcsBits:
    """ACS control of `function` once Linux has found it, from what firmware left there.

    Args:
        host: where the function lies, for the paths of parameters.
        function: one whose ACS capability is known.
        firmware: control before Linux.
        parameters: the command line.
        kernel: major and minor release.
        requested: whether an IOMMU driver asked for ACS (`pci_request_acs`).
    """
    assert isinstance(function.acs, Acs)
    assert is_known(function.acs.capability)
    elsewhere = enabled_elsewhere(function)
    control = firmware
    if requested and not elsewhere:
        control |= REQUIRED_ACS & function.acs.capability
        if parameters.noats:
            control |= AcsBits.TB & function.acs.capability
    redirect = _first(host, function, parameters.disable_acs_redir)
    if kernel < kernels.CONFIG_ACS_SINCE:
        return control & ~redirect.mask if redirect and not elsewhere else control
    for wish in (redirect, _first(host, function, parameters.config_acs)):
        if wish is not None and not elsewhere:
            control = (firmware & ~wish.mask | wish.flags & wish.mask) & function.acs.capability
    return control


def _first(host: Host, function: Function, requests: tuple[AcsRequest, ...]) -> AcsRequest | None:
    return next((request for request in requests if _matches(host, function, request)), None)


def _matches(host: Host, function: Function, request: AcsRequest) -> bool:
    """`pci_dev_str_match`: by ids (unknown ones never match), or by the way down from a bus that firmware numbered."""
    wanted = request.match
    if isinstance(wanted, ByIds):
        sub = function.subsystem if isinstance(function.subsystem, tuple) else (None, None)
        pairs = zip((wanted.vendor, wanted.device, wanted.subvendor, wanted.subdevice), (function.vendor_id, function.device_id, *sub), strict=True)
        return all(not number or number == own for number, own in pairs)
    here: Function | None = function
    for devfn in reversed(wanted.below):
        if here is None or here.address.devfn != devfn:
            return False
        here = host.parent(here)
    return here is not None and (here.address.domain, here.address.bus, here.address.devfn) == (wanted.domain, wanted.bus, wanted.devfn)


def rebooted(host: Host, *, kernel: str | Unknown, cmdline: str | Unknown) -> dict[Address, Acs]:
    """ACS control of every function after a reboot into `kernel` with `cmdline`, as far as it can be told from what the registers hold now.

    Firmware's bits are those of now, except where Linux writes: what the running kernel added, or its command line named, may have
    been either way before. Such bits that decide are `Acs.unsure`. With an unknown release the rules of 6.1 and of 7.3 must agree.
    """
    parameters, running = BootParameters.of(cmdline), BootParameters.of(host.cmdline)
    found = kernels.release(kernel)
    releases = [found] if found else [kernels.OLDEST, kernels.NEWEST]
    driven = active(replace(host, cmdline=cmdline))
    requested = [driven] if is_known(driven) else [True, False]
    asked_before = active(host) is not False
    made = {}
    for function in host.functions:
        acs = function.acs
        if not isinstance(acs, Acs) or not is_known(acs.capability) or not is_known(acs.control):
            continue
        written = _written(host, function, acs, running, requested=asked_before)
        ends = [
            boot_control(host, function, firmware, parameters=parameters, kernel=release, requested=asked)
            for firmware in (acs.control & ~written, acs.control | written)
            for release in releases
            for asked in requested
        ]
        surely, perhaps = ends[0], ends[0]
        for end in ends[1:]:
            surely, perhaps = surely & end, perhaps | end
        made[function.address] = Acs(acs.capability, surely, unsure=perhaps & ~surely)
    return made


def _written(host: Host, function: Function, acs: Acs, parameters: BootParameters, *, requested: bool) -> AcsBits:
    """The bits of control that the running kernel may have changed, so that firmware's are not known."""
    assert is_known(acs.capability)
    written = acs.unsure
    if requested and not enabled_elsewhere(function):
        written |= REQUIRED_ACS | (AcsBits.TB if parameters.noats else AcsBits.NONE)
    for wish in (_first(host, function, parameters.disable_acs_redir), _first(host, function, parameters.config_acs)):
        written |= wish.mask if wish else AcsBits.NONE
    return written & acs.capability
