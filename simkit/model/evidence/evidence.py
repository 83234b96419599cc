"""A piece of evidence as it was handed in: one statement a device, of one of the kinds that simkit verifies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.evidence.certificate import CertificateFile
from simkit.model.evidence.hcl import HclEvidence
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.rim import Rim
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import QuoteEvidence


class Kind(StrEnum):
    """What a piece of evidence speaks of."""

    SNP = "snp"
    TDX = "tdx"
    SGX = "sgx"
    NVIDIA_GPU = "nvidia-gpu"
    NVIDIA_SWITCH = "nvidia-switch"
    RIM = "rim"
    CERTIFICATE = "certificate"
    COMPOSITE = "composite"


Statement = SnpEvidence | QuoteEvidence | HclEvidence | NvidiaEvidence | Rim | CertificateFile
"""What one device says; a RIM or a file of certificates alone may be appraised too."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What one session of Trustee's protocol ties together: `nonce` as the relying party gave it, and the two challenges that follow from it.

    `report_data` is what the CPU's report must carry, `device_nonce` what GPUs and switches must answer; `tee_key` is the JWK's own digest.
    """

    nonce: str
    tee_key: str
    report_data: bytes
    device_nonce: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Statements in the order of the file; `notes` are oddities that a reader tolerated and that a person should know (trailing bytes).

    `binding` is there where the statements came in one message of an attestation protocol.
    """

    source: str
    statements: tuple[Statement, ...]
    notes: tuple[str, ...] = ()
    binding: Binding | None = None
