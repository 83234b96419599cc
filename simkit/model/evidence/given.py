"""What a verifier is given beside the evidence: endorsements, reference values, anchors, nonce, and the time that counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from simkit.model.evidence.certificate import Algorithm, Certificate, RevocationList

if TYPE_CHECKING:
    from simkit.model.evidence.collateral import Collateral
    from simkit.model.evidence.event_log import EventLog
    from simkit.model.evidence.hcl import TpmQuote
    from simkit.model.evidence.reference import ReferenceValues
    from simkit.model.evidence.rim import Rim


def moment(time: datetime | str) -> datetime:
    """A time that counts, in UTC: ISO 8601, or a datetime; UTC where no offset is stated.

    Raises:
        ValueError: the text is no time.
        OverflowError: in UTC the time is out of what a datetime holds.
    """
    found = datetime.fromisoformat(time) if isinstance(time, str) else time
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class Vendor(StrEnum):
    """Who vouches: an anchor of one vouches for nothing of another."""

    AMD = "AMD"
    INTEL = "Intel"
    NVIDIA_DEVICE = "NVIDIA device identity"
    NVIDIA_RIM = "NVIDIA reference measurements"

    @property
    def algorithms(self) -> frozenset[Algorithm]:
        """The only algorithms that this vendor's certificates are signed with."""
        return _ALGORITHMS[self]


_ALGORITHMS = {Vendor.AMD: frozenset({Algorithm.RSA_PSS_SHA384}), Vendor.INTEL: frozenset({Algorithm.ECDSA_P256_SHA256}),
               Vendor.NVIDIA_DEVICE: frozenset({Algorithm.ECDSA_P384_SHA384}), Vendor.NVIDIA_RIM: frozenset({Algorithm.ECDSA_P384_SHA384})}


@dataclass(frozen=True, slots=True)
class Anchor:
    """A root that is trusted for what `vendors` sign, and where it is from."""

    certificate: Certificate
    vendors: frozenset[Vendor]
    source: str


@dataclass(frozen=True, slots=True)
class Given:
    """The inputs of one appraisal. `at` is the time (UTC) at which everything must be valid; no clock is read.

    `certificates` may hold the links of any chain in any order; `anchors` alone are trusted. `nonce` and `report_data` are what the
    relying party expects, None where it said nothing. `tpm_quotes` and `loose_signatures` are parts of Azure's evidence that came in files of
    their own. `links` is this appraisal's memory of which certificate (its DER) was found to be signed
    by which key for a vendor, so that an intermediate that many devices share is verified once.
    """

    at: datetime
    anchors: tuple[Anchor, ...]
    certificates: tuple[Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    collateral: tuple[Collateral, ...] = ()
    rims: tuple[Rim, ...] = ()
    references: tuple[ReferenceValues, ...] = ()
    event_logs: tuple[EventLog, ...] = ()
    nonce: bytes | None = None
    report_data: bytes | None = None
    tpm_quotes: tuple[TpmQuote, ...] = ()
    loose_signatures: tuple[bytes, ...] = ()
    links: dict[tuple[bytes, bytes, Vendor], bool] = field(default_factory=dict, compare=False, repr=False)

    def roots(self, vendor: Vendor) -> Iterable[Anchor]:
        """The anchors that may vouch for `vendor`."""
        return (anchor for anchor in self.anchors if vendor in anchor.vendors)
