"""The certificate of the key that signs a device's reports, and what it says of the device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from simkit.attest.signature import der_of, verifies
from simkit.model.evidence.certificate import Algorithm, Certificate
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaEvidence, SpdmReport

P384 = bytes.fromhex("3076301006072a8648ce3d020106052b81040022")
"""How a SubjectPublicKeyInfo on P-384 begins (RFC 5480 §2): no other key signs reports."""
_SERIAL = re.compile(r"(?:^|,)(?:2\.5\.4\.5|serialNumber)=([0-9A-Fa-f]{2})([0-9A-Fa-f]{16})(?:,|$)")
_NAME = re.compile(r"(?:^|,)CN=((?:[^,\\]|\\.)*)")


def signed_by(report: SpdmReport, certificate: Certificate) -> bool:
    """Whether a certificate's key made the report's signature: ECDSA P-384 over the SHA-384 of request and response (DSP0274 1.1.1 §10.11.1)."""
    r, s = (int.from_bytes(half, "big") for half in (report.signature[:48], report.signature[48:]))
    return verifies(Algorithm.ECDSA_P384_SHA384, certificate.public_key, der_of(r, s), report.signed)


def leaf_of(evidence: NvidiaEvidence, given: Given) -> Certificate | None:
    """The leaf among the certificates that came with the evidence, or, where it is not there, among those given beside it; None where there is none.

    Files hold the leaf first or last. It is one that issued none of the others, and no authority where there is a choice; among several, as
    where one file holds the chains of many devices, the one whose key made this report's signature.
    """
    found = candidates(evidence.certificates)
    if not found or found[0].ca:
        found = candidates((*evidence.certificates, *given.certificates))
    if len(found) > 1:
        return next((each for each in found if signed_by(evidence.report, each)), found[0])
    return found[0] if found else None


def with_leaf(evidence: NvidiaEvidence, given: Given) -> NvidiaEvidence:
    """The evidence with its leaf alone, wherever that lay: what names the device."""
    leaf = leaf_of(evidence, given)
    return replace(evidence, certificates=(leaf,)) if leaf is not None else evidence


def candidates(certificates: Sequence[Certificate]) -> list[Certificate]:
    """Those that could be leaves, in order; the chains of other vendors may lie among them."""
    issuers = {each.issuer_name for each in certificates if not each.self_issued}
    lowest = [each for each in certificates if each.subject_name not in issuers and each.public_key.startswith(P384)]
    return [each for each in lowest if not each.ca] or lowest


def pdi_of(leaf: Certificate | None) -> str:
    """The device's own identifier (PDI), in lower-case hex; empty where the certificate is none of NVIDIA's devices.

    The layer below the leaf, boot ROM, is certified for one device under a serial number of nine octets, of which the last eight are the PDI:
    the same eight that switches list as their GPUs and that switches report as their own.
    """
    found = _SERIAL.search(leaf.issuer) if leaf is not None and not leaf.ca else None
    return found[2].lower() if found else ""


def chip_of(leaf: Certificate | None) -> str:
    """The chip as certificates name it: GH100, GB100, LS10; empty where there is no name."""
    return model_of(leaf).partition(" ")[0].replace("_", "")


def model_of(leaf: Certificate | None) -> str:
    """NVIDIA's hwmodel: the common name of the leaf's issuer, as "GH100 A01 GSP BROM"; empty where the leaf is missing."""
    found = _NAME.search(leaf.issuer) if leaf is not None and not leaf.ca else None
    return found[1] if found else ""
