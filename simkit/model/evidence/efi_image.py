"""An EFI application (a kernel with EFI stub), as far as firmware measures it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EfiImage:
    """`hashed` are the ranges (begin, end) of `data` that an Authenticode digest covers, in its order: all but checksum and signatures."""

    source: str
    data: bytes = field(repr=False)
    hashed: tuple[tuple[int, int], ...]
