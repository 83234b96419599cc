"""Address space of a function beyond its BARs as they are: what they may be resized to, and what a bridge forwards."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.unknown import UNKNOWN, Unknown


@dataclass(frozen=True, slots=True)
class ResizableBar:
    """A BAR whose size can be chosen (PCIe 6.0 §7.8.6): the sizes that it supports, ascending, and the one that is set."""

    index: int
    sizes_bytes: tuple[int, ...]
    current_bytes: int | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses from `base` to `limit`, both in it."""

    base: int
    limit: int

    @property
    def size_bytes(self) -> int:
        """How many addresses."""
        return self.limit - self.base + 1


@dataclass(frozen=True, slots=True)
class BridgeWindows:
    """What a bridge forwards downwards (PCIe 6.0 §7.5.1.3.6 to .9): I/O, memory below 4 GiB, prefetchable memory; None for a closed window.

    `wide` is whether the prefetchable window takes addresses above 4 GiB.
    """

    io: AddressRange | None | Unknown = UNKNOWN
    memory: AddressRange | None | Unknown = UNKNOWN
    prefetchable: AddressRange | None | Unknown = UNKNOWN
    wide: bool | Unknown = UNKNOWN
