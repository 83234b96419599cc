"""What a function can do, as its capabilities say: port type, link, ACS, ATS, SR-IOV, BARs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum

from simkit.model.unknown import UNKNOWN, Unknown


class PortType(IntEnum):
    """Device/Port Type of the PCI Express Capabilities Register (PCIe 6.0 §7.5.3.2)."""

    ENDPOINT = 0
    LEGACY_ENDPOINT = 1
    ROOT_PORT = 4
    UPSTREAM = 5
    DOWNSTREAM = 6
    PCIE_TO_PCI_BRIDGE = 7
    PCI_TO_PCIE_BRIDGE = 8
    RC_ENDPOINT = 9
    RC_EVENT_COLLECTOR = 10


class AcsBits(IntFlag):
    """ACS Capability and Control bits (PCIe 6.0 §7.7.11.2 and .3); bits that nobody named survive."""

    NONE = 0
    SV = 0x01
    TB = 0x02
    RR = 0x04
    CR = 0x08
    UF = 0x10
    EC = 0x20
    DT = 0x40


REQUIRED_ACS = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF
"""What Linux asks for before it takes a port as isolating (`REQ_ACS_FLAGS`, drivers/iommu/iommu.c)."""


@dataclass(frozen=True, slots=True)
class Egress:
    """The Egress Control Vector of a port (PCIe 6.0 §7.7.11.4): bit n of `blocked` is set for what a peer-to-peer request may not reach.

    Bits are port numbers below a root port or switch, function numbers in a multi-function device; `size` is how many there are.
    """

    size: int
    blocked: int


@dataclass(frozen=True, slots=True)
class Acs:
    """Access Control Services of one function (PCIe 6.0 §7.7.11).

    `unsure` are bits of a known `control` that may hold either value, and are 0 in `control`: what firmware left there before Linux wrote, say.
    `egress` counts only where `capability` has EC.
    """

    capability: AcsBits | Unknown = UNKNOWN
    control: AcsBits | Unknown = UNKNOWN
    unsure: AcsBits = AcsBits.NONE
    egress: Egress | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class Ats:
    """Address Translation Services of one function (PCIe 6.0 §10.5.1): whether translated requests are enabled."""

    enabled: bool | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class DeviceControl:
    """What a function may send, as its Device Control Register says (PCIe 6.0 §7.5.3.4).

    `max_payload_bytes` and `max_read_request_bytes` are powers of two from 128 to 4096; `relaxed_ordering`, `extended_tags` and `no_snoop`
    are the enable bits. A virtual function has none of its own: its physical function's hold for it (§9.3.5.4).
    """

    max_payload_bytes: int | Unknown = UNKNOWN
    max_read_request_bytes: int | Unknown = UNKNOWN
    relaxed_ordering: bool | Unknown = UNKNOWN
    extended_tags: bool | Unknown = UNKNOWN
    no_snoop: bool | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class Link:
    """A function's PCIe link; speeds in GT/s (2.5, 5, 8, 16, 32, 64), widths in lanes.

    `stated_gbps` is the bandwidth in Gb/s after line coding where the source states only that (hwloc: the product of speed and width).
    """

    speed_gtps: float | Unknown = UNKNOWN
    width: int | Unknown = UNKNOWN
    max_speed_gtps: float | Unknown = UNKNOWN
    max_width: int | Unknown = UNKNOWN
    stated_gbps: float | Unknown = UNKNOWN


class BarKind(StrEnum):
    """Address space that a BAR decodes (PCIe 6.0 §7.5.1.2.1)."""

    IO = "io"
    MEM32 = "mem32"
    MEM64 = "mem64"


@dataclass(frozen=True, slots=True)
class Bar:
    """One base address register: its index (0 to 5; 6 is the expansion ROM) and how much space it decodes."""

    index: int
    kind: BarKind
    size_bytes: int | Unknown = UNKNOWN
    prefetchable: bool = False
    base: int | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class Sriov:
    """SR-IOV of a physical function (PCIe 6.0 §9.3.3). `offset` and `stride` may change with `num_vfs` and ARI.

    `vf_bars` are those of each virtual function: `size_bytes` is what one of them takes, `base` is where the first one's begins.
    """

    total_vfs: int
    initial_vfs: int | Unknown = UNKNOWN
    num_vfs: int | Unknown = UNKNOWN
    offset: int | Unknown = UNKNOWN
    stride: int | Unknown = UNKNOWN
    vf_device_id: int | Unknown = UNKNOWN
    enabled: bool | Unknown = UNKNOWN
    ari_hierarchy: bool | Unknown = UNKNOWN
    vf_bars: tuple[Bar, ...] | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class BusRange:
    """Secondary and subordinate bus of a bridge: what lies below it (PCIe 6.0 §7.5.1.3)."""

    secondary: int
    subordinate: int
