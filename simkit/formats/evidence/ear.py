"""EAR as JSON, and as a JWT signed with ES256 or ES384 (draft-ietf-rats-ear §3, RFC 7519, RFC 7518 §3.4), by PyJWT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simkit import __version__
from simkit.errors import MalformedEvidence

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from simkit.model.evidence.ear import Ear

PROFILE = "tag:github.com,2023:veraison/ear"
DEVELOPER = "https://pypi.org/project/simkit-pcie/"


def claims(result: Ear) -> dict[str, Any]:
    """The claims of the token: profile, time, verifier, and a submodule for each device."""
    return {
        "eat_profile": PROFILE,
        "iat": result.issued,
        "ear.verifier-id": {"build": f"simkit {__version__}", "developer": DEVELOPER},
        "submods": {each.name: {
            "ear.status": each.status.value,
            "ear.trustworthiness-vector": {claim.value: value for claim, value in each.vector.items()},
            "ear.appraisal-policy-id": result.policy,
            "ear.veraison.annotated-evidence": dict(each.evidence),
        } for each in result.submodules},
    }


def encode(result: Ear, *, key: EllipticCurvePrivateKey | None) -> str:
    """A signed token, or the bare claims as JSON where there is no key: an unsigned JWT is never made (RFC 8725 §3.2)."""
    if key is None:
        return json.dumps(claims(result), ensure_ascii=False, sort_keys=True)
    import jwt

    return jwt.encode(claims(result), key, algorithm="ES256" if key.curve.name == "secp256r1" else "ES384")


def read_key(data: bytes, *, source: str) -> EllipticCurvePrivateKey:
    """A private key from PEM.

    Raises:
        MalformedEvidence: it is none, is encrypted, or is on another curve than P-256 and P-384.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedEvidence(f"no private key can be read: {error}", where=source, remedy="give an unencrypted PEM of an EC key") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in ("secp256r1", "secp384r1"):
        remedy = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
        raise MalformedEvidence("the key is not on P-256 or P-384", where=source, remedy=remedy)
    return key
