"""A machine as NCCL's topology XML describes it, element by element (NCCL src/graph/xml.h, `struct ncclXml`).

It is not a `Host`: it holds what NCCL reads and nothing else, in the order of the file, on which NCCL's numbering rests. What the file
leaves out is `UNKNOWN`, where NCCL itself has a meaning for what is left out it is `None`.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.unknown import UNKNOWN, Unknown


@dataclass(frozen=True, slots=True)
class NcclNvlink:
    """`<nvlink>`: `count` links of a GPU to `target`; `target_class` tells what that is. `target` None is a busid that is none (fffffff:ffff:ff)."""

    target: Address | None
    count: int
    target_class: str | Unknown = UNKNOWN


@dataclass(frozen=True, slots=True)
class NcclC2c:
    """`<c2c>`: coherent links of a GPU to its CPU, `bandwidth_mbps` megabytes a second each."""

    bandwidth_mbps: int
    count: int


@dataclass(frozen=True, slots=True)
class NcclGpu:
    """`<gpu>`: one rank on a device. `rank` None: the GPU is not part of the communicator.

    `dev` is the NVML index, `sm` the compute capability times ten (90 for Hopper), `gdr` whether it allows GPUDirect RDMA, `mlopart` the index of
    its partition, None where it is whole.
    """

    rank: int | None
    dev: int | Unknown = UNKNOWN
    sm: int | Unknown = UNKNOWN
    gdr: bool | Unknown = UNKNOWN
    mlopart: int | None = None
    nvlinks: tuple[NcclNvlink, ...] = ()
    c2c: tuple[NcclC2c, ...] = ()


@dataclass(frozen=True, slots=True)
class NcclNet:
    """`<net>`: one port that a network plugin offers. `dev` None: NCCL passes it over. `speed_mbps` is in megabits a second, as ibverbs says it."""

    name: str
    dev: int | None
    speed_mbps: int | Unknown = UNKNOWN
    gdr: bool | Unknown = UNKNOWN
    net: bool = True


@dataclass(frozen=True, slots=True)
class NcclNic:
    """`<nic>`: the ports of one network card; directly below a `<cpu>` it is a card that is no PCI device."""

    nets: tuple[NcclNet, ...] = ()


@dataclass(frozen=True, slots=True)
class NcclPci:
    """`<pci>`: a switch, a GPU or a NIC. `class_code`, `link_speed` are text, as NCCL compares the beginning of text.

    `ids` are vendor, device, subsystem vendor and subsystem device, each 0 where the file has none. `link_width` 0 means that sysfs did not say.
    `peers` are switches that Broadcom's driver links this one with (`<pcilink>`).
    """

    busid: Address
    class_code: str | Unknown = UNKNOWN
    ids: tuple[int, int, int, int] = (0, 0, 0, 0)
    link_speed: str | Unknown = UNKNOWN
    link_width: int | Unknown = UNKNOWN
    gpus: tuple[NcclGpu, ...] = ()
    nic: NcclNic | None = None
    children: tuple[NcclPci, ...] = ()
    peers: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class NcclCpu:
    """`<cpu>`: one NUMA node of one machine; -1 is how Linux says that there is none. `children` are `<pci>` and `<nic>` as they stand."""

    numa_id: int
    machine: int = 0
    arch: str | Unknown = UNKNOWN
    vendor: str | Unknown = UNKNOWN
    family: int | Unknown = UNKNOWN
    model: int | Unknown = UNKNOWN
    children: tuple[NcclPci | NcclNic, ...] = ()


@dataclass(frozen=True, slots=True)
class NcclTopology:
    """`<system>`. `assumed` are sentences: what the source or whoever made the description took for granted."""

    name: str
    cpus: tuple[NcclCpu, ...]
    assumed: tuple[str, ...] = ()
