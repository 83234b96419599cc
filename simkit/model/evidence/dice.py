"""What a certificate of a layer says of the code that holds its key (TCG DICE Attestation Architecture 1.1 §6.1, and the composite device id before it)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Operational(StrEnum):
    """OperationalFlags: how the layer ran when its key was made."""

    NOT_CONFIGURED = "not configured"
    NOT_SECURE = "not secure"
    RECOVERY = "recovery"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Dice:
    """`fwids` are SHA-384 digests, the layer's own code first; `flags` is None where the form has no place for flags, so that nothing is known."""

    fwids: tuple[bytes, ...]
    model: str = ""
    flags: frozenset[Operational] | None = None
