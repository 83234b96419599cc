"""What a host would be after a reboot: into another kernel, with another command line, with firmware switches set otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from simkit.errors import UnknownName
from simkit.model.capabilities import Ats, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.semantics import kernel as kernels
from simkit.semantics.acs_boot import rebooted
from simkit.semantics.iommu_scope import to_group_anew

BIOS = {
    "ats": "devices offer Address Translation Services and Linux enables them",
    "acs": 'root ports offer ACS ("ACS Control", "PCIe ACS Support")',
    "iommu": 'the IOMMU is described to the kernel ("VT-d", "AMD IOMMU", "SMMU")',
    "sriov": "devices offer SR-IOV",
}
"""Firmware switches that can be asked about, and what each decides."""


def reboot(host: Host, *, kernel: str | Unknown, cmdline: str | Unknown) -> Host:
    """ACS control as `pci_enable_acs` would set it, and no groups reported yet."""
    found = rebooted(host, kernel=kernel, cmdline=cmdline)
    anew = to_group_anew(host)
    functions = (replace(function, acs=found.get(function.address, function.acs)) for function in anew.functions)
    return replace(anew, functions=tuple(functions), kernel=kernel, cmdline=cmdline)


def with_bios(host: Host, switches: Mapping[str, bool]) -> Host:
    """The host with firmware switches set, by name (`BIOS`). What is switched on and was not there before is unknown.

    Raises:
        UnknownName: a switch that is not known.
    """
    for name in switches:
        if name not in BIOS:
            near = get_close_matches(name, BIOS, 1)
            raise UnknownName(f"no firmware switch is called {name!r}", remedy=f"did you mean {near[0]}?" if near else f"there are {', '.join(BIOS)}")
    functions = tuple(_switched(function, switches) for function in host.functions if switches.get("sriov", True) or not function.is_vf)
    iommu: IommuKind | Unknown = host.iommu
    scopes = host.iommu_scopes
    if "iommu" in switches:
        iommu = IommuKind.NONE if not switches["iommu"] else UNKNOWN if host.iommu is IommuKind.NONE else host.iommu
        scopes = () if not switches["iommu"] else UNKNOWN if scopes == () else scopes
    return replace(host, functions=functions, iommu=iommu, iommu_scopes=scopes)


def _switched(function: Function, switches: Mapping[str, bool]) -> Function:
    if "ats" in switches and isinstance(function.ats, Ats):
        function = replace(function, ats=Ats(enabled=switches["ats"]))
    if "acs" in switches and function.port_type is PortType.ROOT_PORT:
        function = replace(function, acs=None if not switches["acs"] else UNKNOWN if function.acs is None else function.acs)
    if "sriov" in switches and not function.is_vf:
        function = replace(function, sriov=None if not switches["sriov"] else UNKNOWN if function.sriov is None else function.sriov)
    return function


def is_reboot(host: Host, *, kernel: str | None = None, cmdline: str | None = None) -> bool:
    """Whether a stated kernel or command line contradicts what the source tells: then it is a what-if, and not a fact supplied."""
    other_kernel = kernel is not None and isinstance(host.kernel, str) and not kernels.same(kernel, host.kernel)
    return other_kernel or (cmdline is not None and isinstance(host.cmdline, str) and cmdline.split() != host.cmdline.split())
