"""Is there an IOMMU driver? Without one no function has a group, and nothing translates."""

from __future__ import annotations

from simkit.model.boot import BootParameters
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.unknown import Unknown, is_known

_X86 = ("x86_64", "i686")


def active(host: Host) -> bool | Unknown:
    """Whether functions get IOMMU groups: by the IOMMU that the host has, or none in firmware's tables, unless its command line turns that one off.

    `no_iommu` (`iommu=off`, x86), `dmar_disabled` (`intel_iommu=off`), `amd_iommu_disabled` (`amd_iommu=off`). Not modelled: platforms
    that insist on it (`dmar_platform_optin`), and kernels built without `INTEL_IOMMU_DEFAULT_ON`, which want `intel_iommu=on`.
    """
    if host.iommu is IommuKind.NONE:
        return False
    if host.iommu_scopes == () and not is_known(host.iommu):
        return False
    if _off(host, BootParameters.of(host.cmdline)):
        return False
    return True if is_known(host.iommu) else Unknown(host.iommu.why)


def _off(host: Host, parameters: BootParameters) -> bool:
    match host.iommu:
        case IommuKind.INTEL:
            return parameters.iommu_off or parameters.intel_off
        case IommuKind.AMD:
            return parameters.iommu_off or parameters.amd_off
        case Unknown():
            return host.cpu.arch in _X86 and (parameters.iommu_off or (parameters.intel_off and parameters.amd_off))
    return False
