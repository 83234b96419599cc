"""Reading the public key of an ID block from PEM or DER (RFC 5280 SubjectPublicKeyInfo)."""

from __future__ import annotations

from simkit.errors import MalformedEvidence
from simkit.model.evidence.id_key import IdKey

MOST_BYTES = 1 << 16


def read_id_key(data: bytes, *, source: str) -> IdKey:
    """The key.

    Raises:
        MalformedEvidence: it is no public key, or not of P-384, which alone ID blocks take.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    remedy = "give the public half in PEM: openssl pkey -in id.key -pubout"
    if len(data) > MOST_BYTES:
        raise MalformedEvidence(f"more than {MOST_BYTES} bytes, which no public key has", where=source, remedy=remedy)
    try:
        key = load_pem_public_key(data) if b"-----BEGIN" in data else load_der_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedEvidence(f"no public key can be read: {str(error)[:200]}", where=source, remedy=remedy) from None
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != "secp384r1":
        raise MalformedEvidence("the key is not of P-384, and ID blocks take no other", where=source, remedy=remedy)
    numbers = key.public_numbers()
    return IdKey(source, numbers.x, numbers.y)
