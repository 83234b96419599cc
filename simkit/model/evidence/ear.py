"""Attestation results: AR4SI's trustworthiness vector (draft-ietf-rats-ar4si §2.3) in the submodules of an EAR (draft-ietf-rats-ear §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Claim(StrEnum):
    """What a trustworthiness claim is about."""

    INSTANCE_IDENTITY = "instance-identity"
    CONFIGURATION = "configuration"
    EXECUTABLES = "executables"
    FILE_SYSTEM = "file-system"
    HARDWARE = "hardware"
    RUNTIME_OPAQUE = "runtime-opaque"
    STORAGE_OPAQUE = "storage-opaque"
    SOURCED_DATA = "sourced-data"


class Tier(StrEnum):
    """Trust tiers as EAR's JSON writes them; a vector is of the worst tier of its claims."""

    NONE = "none"
    AFFIRMING = "affirming"
    WARNING = "warning"
    CONTRAINDICATED = "contraindicated"


def tier(value: int) -> Tier:
    """The tier of a claim's value, -128 to 127 (AR4SI §2.3.1): 2 to 31 and -32 to -2 affirm, up to 95 (-96) warn, beyond contraindicate."""
    size = abs(value)
    if value in (-1, 0, 1):
        return Tier.NONE
    if value < 0:
        return Tier.AFFIRMING if size <= 32 else Tier.WARNING if size <= 96 else Tier.CONTRAINDICATED
    return Tier.AFFIRMING if size < 32 else Tier.WARNING if size < 96 else Tier.CONTRAINDICATED


@dataclass(frozen=True, slots=True)
class Submodule:
    """The appraisal of one device: `vector` has every claim, 0 where none is made."""

    name: str
    vector: Mapping[Claim, int]
    evidence: Mapping[str, Any]

    @property
    def status(self) -> Tier:
        """The worst tier of the vector."""
        order = tuple(Tier)
        return max((tier(value) for value in self.vector.values()), key=order.index)


@dataclass(frozen=True, slots=True)
class Ear:
    """One result: `issued` is the time of the appraisal (seconds since 1970, UTC), as it was stated."""

    issued: int
    policy: str
    submodules: tuple[Submodule, ...]
