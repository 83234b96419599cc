"""What a key broker asks of a guest before it releases a secret to it, and the document that the guest is started with."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.platform import TeeKind


@dataclass(frozen=True, slots=True)
class Pinned:
    """A value that the CPU's evidence must have: `name` as `model.evidence.reference` has it, alternatives in hexadecimal."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """One guest: `repository` is the first part of the paths of its resources, `init_data` the digest of its init-data as evidence shows it.

    `submodules` are the appraisals that its token has, no more and no fewer; `distinct` those of devices that must be different ones.
    """

    guest: str
    tee: TeeKind
    repository: str
    submodules: tuple[str, ...]
    distinct: tuple[str, ...]
    init_data: str
    pinned: tuple[Pinned, ...] = ()
