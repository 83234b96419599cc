"""What the machine around the PCIe tree can do: CPU, IOMMU, TEE, and links between devices beside PCIe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.unknown import UNKNOWN, Unknown


class IommuKind(StrEnum):
    """Whose IOMMU translates."""

    INTEL = "intel"
    AMD = "amd"
    SMMU = "smmu"
    NONE = "none"


class TeeKind(StrEnum):
    """A confidential VM's technology."""

    SEV_SNP = "sev-snp"
    TDX = "tdx"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tee:
    """What the platform offers confidential guests. `max_guests`: ASIDs for SEV-SNP, key ids for TDX."""

    kind: TeeKind
    max_guests: int | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor: `vendor` as CPUID leaf 0 says it (``AuthenticAMD``), `family` and `model` as in /proc/cpuinfo."""

    arch: str | Unknown = UNKNOWN
    vendor: str | Unknown = UNKNOWN
    family: int | Unknown = UNKNOWN
    model: int | Unknown = UNKNOWN
    name: str | Unknown = UNKNOWN
    threads_per_core: int | Unknown = UNKNOWN


class PeerKind(StrEnum):
    """A link between accelerators that is not PCIe."""

    NVLINK = "nvlink"
    XGMI = "xgmi"
    C2C = "c2c"


@dataclass(frozen=True, slots=True)
class Partition:
    """GPUs that NVIDIA's fabric manager can join over NVSwitches for one guest, without any other; `id` is the fabric manager's number."""

    id: int
    gpus: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PeerLink:
    """`count` links of one kind between two functions, or from a function to an NVSwitch; known in both directions.

    `target` None is the CPU of the source's NUMA node (C2C) or an NVSwitch fabric whose functions the source does not name.
    """

    source: Address
    target: Address | None
    kind: PeerKind
    count: int = 1
