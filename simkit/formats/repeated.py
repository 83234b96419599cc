"""An address of its own for a function whose address stands in a file before.

Files made by hand or merged from several machines repeat addresses (RCCL's models, hwloc's tests); to NCCL and hwloc each element is
a vertex of its own, whatever it is called, so none may be dropped.
"""

from __future__ import annotations

from collections.abc import Container

from simkit.model.address import Address


def free_address(address: Address, taken: Container[Address]) -> Address | None:
    """`address` itself if it is free, else the first free one on its bus, else None."""
    candidates = (Address(address.domain, address.bus, device, number) for device in range(32) for number in range(8))
    return address if address not in taken else next((candidate for candidate in candidates if candidate not in taken), None)
