"""The digest of init-data in the field that a TEE has for it.

Algorithms and fields: confidential-containers/trustee@78962cd:kbs/docs/initdata.md, deps/verifier/src/lib.rs `regularize_data`; Kata fits the digest in
the same way (kata-containers@7c6ba40:src/runtime/pkg/govmm/qemu/qemu.go `adjustProperLength`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType

from simkit.model.platform import TeeKind


@dataclass(frozen=True, slots=True)
class Field:
    """Where a TEE's evidence has the digest: AMD 56860 HOST_DATA, Intel TDX MRCONFIGID."""

    name: str
    size: int
    algorithm: str


FIELDS = MappingProxyType({TeeKind.SEV_SNP: Field("HOSTDATA", 32, "sha256"), TeeKind.TDX: Field("MRCONFIGID", 48, "sha384")})
"""The algorithm is the one whose digest is of the field's own size, so that nothing is cut off or filled up."""


def fitted(document: bytes, algorithm: str, size: int) -> bytes:
    """The digest of the document's bytes as they stand, cut off at the end or filled up with zeros to the field's size."""
    return hashlib.new(algorithm, document).digest()[:size].ljust(size, b"\0")
