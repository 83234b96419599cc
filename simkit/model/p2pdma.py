"""The answer to: would Linux let one function reach the memory of another?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.group import Assumption


class MapType(StrEnum):
    """How Linux maps peer memory for a client (`enum pci_p2pdma_map_type`, include/linux/pci-p2pdma.h)."""

    BUS_ADDRESS = "bus-address"
    THROUGH_HOST_BRIDGE = "through-host-bridge"
    NOT_SUPPORTED = "not-supported"


@dataclass(frozen=True, slots=True)
class P2pdma:
    """What the kernel's P2PDMA makes of memory of `provider` and the DMA of `client`.

    `possible` holds one map type where the facts suffice, else every one that they leave open. `distance` counts the links
    as the kernel does: 2 between functions of one device, 4 below one switch. `redirects` are the functions whose ACS control sends
    requests upstream. This is Linux's own peer-to-peer DMA (NVMe, RDMA over dma-buf); NVIDIA's drivers among themselves do not ask it.
    """

    provider: Address
    client: Address
    possible: tuple[MapType, ...]
    distance: int
    redirects: tuple[Address, ...]
    why: str
    assumptions: tuple[Assumption, ...] = ()
