"""Init-data: a document that the host hands to a guest, and whose digest the guest's evidence holds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InitData:
    """`digest` is of the document's bytes as they stand, by the `algorithm` that it names; `keys` are the names in its data."""

    source: str
    text: str = field(repr=False)
    algorithm: str
    digest: bytes
    keys: tuple[str, ...] = ()
