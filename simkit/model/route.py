"""The answer to: how does a request get from one function to another?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from simkit.model.address import Address
from simkit.model.group import Assumption


class PeerClass(IntEnum):
    """How near two functions are, NCCL's words, near to far (NCCL src/graph/topo.h, PATH_*)."""

    LOC = 0
    NVL = 1
    NVB = 2
    C2C = 3
    PIX = 4
    PXB = 5
    P2C = 6
    PXN = 7
    PHB = 8
    SYS = 9
    DIS = 11

    def __str__(self) -> str:
        """The word."""
        return self.name


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a memory request from `source` to `target`'s memory over PCIe.

    `nearness` is the class of the pair by the tree; `direct` whether the request stays below the host bridge with the bits as
    they are (`translated_only`: just for requests that carry ATS-translated addresses); `redirected_by` the port whose ACS
    control sends it upstream; `via` the bridges it passes, in order, up to and down again. `bandwidth_gbps` is the slowest link
    on the way in gigabits a second after line coding, one direction, as the kernel prints it (`pcie_bandwidth_available`). With
    `assumptions`, `direct` says what may happen, not what does.
    """

    source: Address
    target: Address
    nearness: PeerClass
    direct: bool
    via: tuple[Address, ...]
    redirected_by: Address | None = None
    blocked_by: Address | None = None
    translated_only: bool = False
    bandwidth_gbps: float | None = None
    why: str = ""
    assumptions: tuple[Assumption, ...] = ()
