"""X.509 certificates and revocation lists (RFC 5280), as far as chains of devices need them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from simkit.model.evidence.dice import Dice
from simkit.model.evidence.pck import PckExtension
from simkit.model.evidence.vek import VekExtensions


class Algorithm(StrEnum):
    """The signature algorithms that vendors of evidence use; nothing else is ever accepted. PKCS#1 v1.5 is for TPM quotes, of no certificate."""

    ECDSA_P256_SHA256 = "ECDSA P-256 with SHA-256"
    ECDSA_P384_SHA384 = "ECDSA P-384 with SHA-384"
    RSA_PSS_SHA384 = "RSASSA-PSS with SHA-384"
    RSA_PKCS1_SHA256 = "RSASSA-PKCS1-v1_5 with SHA-256"
    OTHER = "another algorithm"


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: dotted object identifier, whether a reader must understand it, and the DER inside its OCTET STRING."""

    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate; `signed` is its TBSCertificate, `public_key` its SubjectPublicKeyInfo, both DER as they stand in the file.

    `algorithm` is what the signature claims to be: a verifier pins what it accepts. Times are UTC, both ends inclusive (RFC 5280 §4.1.2.5).
    `dice` is None where no extension of DICE is there, or where it could not be read.
    `sgx` is there for Intel's PCK certificates, `amd` for AMD's VCEK and VLEK.
    """

    der: bytes = field(repr=False)
    subject: str
    issuer: str
    subject_name: bytes = field(repr=False)
    issuer_name: bytes = field(repr=False)
    serial: int
    not_before: datetime
    not_after: datetime
    public_key: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    algorithm: Algorithm
    ca: bool
    path_length: int | None
    may_sign_certificates: bool
    may_sign_lists: bool
    extensions: tuple[Extension, ...] = field(repr=False)
    sgx: PckExtension | None = field(repr=False, default=None)
    dice: Dice | None = field(repr=False, default=None)
    amd: VekExtensions | None = field(repr=False, default=None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def self_issued(self) -> bool:
        """Whether issuer and subject are one name."""
        return self.subject_name == self.issuer_name

    def extension(self, oid: str) -> bytes | None:
        """The value of an extension, or None where the certificate has none of this identifier."""
        return next((each.value for each in self.extensions if each.oid == oid), None)


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """Certificates handed in as evidence by themselves: the one that is appraised, one that issued none of the others, and those beside it."""

    leaf: Certificate
    others: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A certificate revocation list (RFC 5280 §5); `next_update` is None where the list names none."""

    der: bytes = field(repr=False)
    issuer: str
    issuer_name: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime | None
    serials: frozenset[int] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    algorithm: Algorithm
