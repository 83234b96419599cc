"""What a GPU or an NVSwitch of NVIDIA says of itself: an SPDM 1.1 MEASUREMENTS response with the request that it answers (DMTF DSP0274 1.1.1 §10.11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from simkit.model.evidence.certificate import Certificate


class NvidiaDevice(StrEnum):
    """What kind of device speaks, decided from the fields of its report."""

    GPU = "gpu"
    SWITCH = "switch"


class Mode(StrEnum):
    """How a GPU is given to guests: alone, several with encrypted NVLink, or eight with four switches in protected PCIe."""

    SPT = "SPT"
    MPT = "MPT"
    PPCIE = "PPCIE"


@dataclass(frozen=True, slots=True)
class MeasurementBlock:
    """One measurement (DSP0274 1.1.1 table 45): `index` counts from 1, `value_type` is DMTFSpecMeasurementValueType."""

    index: int
    value_type: int
    value: bytes


@dataclass(frozen=True, slots=True)
class OpaqueField:
    """One of NVIDIA's fields in OpaqueData: its number, the name that NVIDIA's verifiers give it, and its bytes as they stand."""

    number: int
    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SpdmReport:
    """Request and response. `signed` is everything before the signature; `signature` is r and s, 48 bytes each, big-endian.

    `nonce` is the requester's, `responder_nonce` the device's own. `trailing` stands after the signature and is vouched for by nobody.
    """

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    nonce: bytes
    slot: int
    responder_nonce: bytes
    blocks: tuple[MeasurementBlock, ...] = field(repr=False)
    opaque: tuple[OpaqueField, ...] = field(repr=False)
    trailing: bytes = b""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the opaque fields mean. Versions as NVIDIA prints them; empty text or None where a report has no such field.

    PDIs (per-device identifiers) are in lower-case hex in the byte order that a device itself uses, so that one PDI is one text wherever it
    stands: `own_pdi` a switch's, `peer_pdis` the switches that a GPU's links end at or the GPUs that a switch serves, each once, in the
    order of the report; `links` counts the links that are up. `fwid` is the SHA-384 of the first mutable code (TCG DICE).
    """

    driver_version: str = ""
    vbios_version: str = ""
    project: str = ""
    project_sku: str = ""
    chip_sku: str = ""
    chip: str = ""
    mode: Mode | None = None
    protected_pcie: bool | None = None
    nvdec0: bool | None = None
    fwid: bytes | None = None
    own_pdi: str = ""
    peer_pdis: tuple[str, ...] = ()
    links: int = 0
    opaque_version: int = 0
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NvidiaClaim:
    """What the file says beside the report, signed by nobody: to be compared, never to be believed. Empty where it says nothing."""

    arch: str = ""
    nonce: bytes | None = None
    driver_version: str = ""
    vbios_version: str = ""


@dataclass(frozen=True, slots=True)
class NvidiaEvidence:
    """One device's report, what its fields mean, and the certificates that came with it, in any order."""

    device: NvidiaDevice
    report: SpdmReport
    facts: DeviceFacts
    certificates: tuple[Certificate, ...] = ()
    claim: NvidiaClaim = field(default_factory=NvidiaClaim)
