"""An address of its own for a function whose address stands in a file before.

Files made by hand or merged from several machines repeat addresses (RCCL's models, hwloc's tests); to NCCL and hwloc each element is
a vertex of its own, whatever it is called, so none may be dropped.
"""

from __future__ import annotations

from collections.abc import Container

from simkit.model.address import Address

_ON_A_BUS = 256


class FreeAddresses:
    """Gives out addresses; it remembers how far each bus is taken, so that a file that repeats one address again and again is read in its length."""

    def __init__(self) -> None:
        """Nothing is given out yet."""
        self._tried: dict[tuple[int, int], int] = {}

    def of(self, address: Address, taken: Container[Address]) -> Address | None:
        """`address` itself if it is free, else the first free one on its bus, else None; `taken` only grows from call to call."""
        if address not in taken:
            return address
        bus = (address.domain, address.bus)
        for devfn in range(self._tried.get(bus, 0), _ON_A_BUS):
            self._tried[bus] = devfn
            candidate = Address(*bus, devfn >> 3, devfn & 7)
            if candidate not in taken:
                return candidate
        self._tried[bus] = _ON_A_BUS
        return None
