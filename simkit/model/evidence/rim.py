"""A Reference Integrity Manifest (TCG RIM information model 1.01) as NVIDIA signs it: a SWID tag (ISO/IEC 19770-2:2015) with measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from simkit.model.evidence.certificate import Certificate


class RimComponent(StrEnum):
    """Whose measurements a manifest holds; told from the form of its version, as the tag has no field for it."""

    DRIVER = "driver"
    VBIOS = "VBIOS"


@dataclass(frozen=True, slots=True)
class Golden:
    """Reference values of one measurement: any of `values` is right. `index` counts from 0; what is not `active` is not compared."""

    index: int
    name: str
    active: bool
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class XmlSignature:
    """An enveloped XML signature (W3C XMLDSig 1.1), cut into what a verifier needs.

    `digested` is the canonical document without the signature, whose SHA-384 must be `digest`; `signed` is the canonical SignedInfo, which holds
    `digest`; `signature` is r and s over it (RFC 6931 §2.3.6), 48 bytes each, big-endian.
    """

    digested: bytes = field(repr=False)
    digest: bytes
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rim:
    """One manifest. `version` is the tag's colloquialVersion: a driver's (550.144.03) or a VBIOS's (96.00.5E.00.01).

    `edition` is GPU or SWITCH, `product` the chip. `service_id` is the name under which NVIDIA's service gave it, empty for a bare file; it is
    not signed.
    """

    tag_id: str
    product: str
    edition: str
    version: str
    component: RimComponent
    manufacturer_id: str
    measurements: tuple[Golden, ...] = field(repr=False)
    signature: XmlSignature
    certificates: tuple[Certificate, ...] = field(repr=False)
    service_id: str = ""

    @property
    def active(self) -> tuple[Golden, ...]:
        """The measurements that count."""
        return tuple(each for each in self.measurements if each.active)

    @property
    def title(self) -> str:
        """Component and version, for a sentence."""
        return f"{self.component.value} RIM {self.version}"
