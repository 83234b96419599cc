"""Digests of the keys of an ID block, as a report holds them (AMD 56860: ID_AUTH of SNP_LAUNCH_FINISH; ID_KEY_DIGEST, AUTHOR_KEY_DIGEST)."""

from __future__ import annotations

import hashlib
import struct

from simkit.model.evidence.id_key import IdKey

_P384 = 2
_COORDINATE_BYTES = 72
_KEY = struct.Struct(f"<I{_COORDINATE_BYTES}s{_COORDINATE_BYTES}s880x")
"""1,028 bytes: curve, x and y as little-endian numbers, reserved."""


def key_digest(key: IdKey) -> bytes:
    """SHA-384 of the key as firmware takes it."""
    return hashlib.sha384(_KEY.pack(_P384, key.x.to_bytes(_COORDINATE_BYTES, "little"), key.y.to_bytes(_COORDINATE_BYTES, "little"))).digest()
