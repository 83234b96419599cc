"""What a certificate of a layer says of the code that holds its key (TCG DICE Attestation Architecture 1.1 §6.1, and the composite device id before it)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Operational(StrEnum):
    """OperationalFlags: how the layer ran when its key was made."""

    NOT_CONFIGURED = "not configured"
    NOT_SECURE = "not secure"
    RECOVERY = "recovery"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Dice:
    """`fwids` are SHA-384 digests, the layer's own code first. `device_id` is the SubjectPublicKeyInfo of the layer below, where it is named.

    `flags` is None where the form has no place for flags, so that nothing is known.
    """

    fwids: tuple[bytes, ...]
    device_id: bytes | None = field(default=None, repr=False)
    model: str = ""
    flags: frozenset[Operational] | None = None
