"""Signatures as vendors of evidence make them; the algorithm is the caller's, never the message's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkit.model.evidence.certificate import Algorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def verifies(algorithm: Algorithm, public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` over `message` was made by the holder of `public_key`.

    Args:
        algorithm: the one that the caller accepts; a key of another kind or curve verifies nothing.
        public_key: SubjectPublicKeyInfo, DER.
        signature: as in X.509: a DER ECDSA-Sig-Value (RFC 3279 §2.2.3), or the RSA octets (RFC 8017 §8.1).
        message: the bytes that were signed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    key = _loaded(public_key)
    try:
        match algorithm, key:
            case Algorithm.ECDSA_P256_SHA256, ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1):
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            case Algorithm.ECDSA_P384_SHA384, ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP384R1):
                key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
            case Algorithm.RSA_PSS_SHA384, rsa.RSAPublicKey() if key.key_size >= 2048:
                key.verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384())
            case Algorithm.RSA_PKCS1_SHA256, rsa.RSAPublicKey() if key.key_size >= 2048:
                key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            case _:
                return False
    except (InvalidSignature, ValueError):
        return False
    return True


def der_of(r: int, s: int) -> bytes:
    """The two numbers of an ECDSA signature as the DER that `verifies` takes."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    return encode_dss_signature(r, s)


def key_of_point(algorithm: Algorithm, x: bytes, y: bytes) -> bytes | None:
    """SubjectPublicKeyInfo of a curve point given by its big-endian coordinates, None where it is not on the algorithm's curve (SEC 1 §2.3.3)."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = ec.SECP256R1() if algorithm is Algorithm.ECDSA_P256_SHA256 else ec.SECP384R1()
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
    except ValueError:
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _loaded(public_key: bytes) -> PublicKeyTypes | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
