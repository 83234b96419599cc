"""A public key of an SEV-SNP ID block: who vouches for a guest's launch digest, or for that key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdKey:
    """A point of P-384."""

    source: str
    x: int
    y: int
