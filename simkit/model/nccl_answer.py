"""What NCCL concludes of a topology: the paths between its GPUs and to its network ports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.route import PeerClass


class GdrMode(StrEnum):
    """Whether a NIC reaches a GPU's memory itself, and whether it must do so by PCIe's mapping (`ncclTopoGdrMode`)."""

    OFF = "off"
    DEFAULT = "default"
    PCI = "pci"


@dataclass(frozen=True, slots=True)
class GpuPath:
    """From one GPU to another: bandwidth in GB/s as NCCL counts it (its slowest link), links on the way, whether P2P is used."""

    nearness: PeerClass
    bandwidth: float
    hops: int
    p2p: bool


@dataclass(frozen=True, slots=True)
class NetPath:
    """From a GPU to a network port; bandwidth and hops as in `GpuPath`."""

    nearness: PeerClass
    bandwidth: float
    hops: int
    gdr: GdrMode


@dataclass(frozen=True, slots=True)
class NcclAnswer:
    """GPUs and network ports in NCCL's order, and both matrices, a row for each GPU.

    A GPU stands as often as ranks run on it, a NIC as often as it has ports; None is a port of a card that is no PCI device. `net_names` are the
    ports' names, `assumed` sentences.
    """

    version: str
    gpus: tuple[Address, ...]
    nets: tuple[Address | None, ...]
    gpu_gpu: tuple[tuple[GpuPath, ...], ...]
    gpu_net: tuple[tuple[NetPath, ...], ...]
    net_names: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
