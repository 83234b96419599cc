"""NCCL's figures and thresholds, by version: data, not code."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.route import PeerClass

ANY = 1 << 30


@dataclass(frozen=True, slots=True)
class SocketLink:
    """Bandwidth between the CPUs of a kind: how architecture and vendor begin, family (None: any), first and last model."""

    arch: str
    vendor: str
    bw: float
    family: int | None = None
    models: tuple[int, int] = (0, ANY)

    def fits(self, arch: str, vendor: str, family: int, model: int) -> bool:
        """Whether this row is that CPU's."""
        known = self.family is None or (family == self.family and self.models[0] <= model <= self.models[1])
        return known and arch.startswith(self.arch) and vendor.startswith(self.vendor)


@dataclass(frozen=True, slots=True)
class Rules:
    """One version's figures. Bandwidths are in GB/s (src/graph/topo.h), each table is tried from its first row."""

    version: str
    local_bw: float
    """Inside a device, and between a CPU and a card that is no PCI device (`LOC_BW`)."""
    partition_bw: float
    """Between the partitions of one GPU (`MLOPART_LOC_BW`)."""
    nvlink_bw: tuple[tuple[int, int, float], ...]
    """Lowest and highest compute capability (times ten), and the bandwidth of one NVLink (`ncclTopoNVLinkBw`)."""
    nvlink_bw_else: float
    lane_speeds: tuple[tuple[str, int], ...]
    """How a link_speed begins, and 100 Mb/s a lane (`kvDictPciGen`)."""
    lane_speed_else: int
    classes: tuple[tuple[str, str], ...]
    """How a PCI class begins, and what it makes of a function (`kvDictPciClass`)."""
    sockets: tuple[SocketLink, ...]
    """Between CPUs (`ncclTopoGetInterCpuBw`); `local_bw` where no row fits."""
    p2p_level: PeerClass
    """The farthest P2P by default (`ncclTopoCheckP2p`)."""
    p2p_level_amd_pair: PeerClass
    """The same with at most two GPUs under AMD CPUs."""
    gdr_level: PeerClass
    gdr_level_c2c: PeerClass
    """The farthest GPUDirect RDMA by default, without and with NCCL_NET_GDR_C2C (`ncclTopoCheckGdr`)."""
    gdr_read_sm: int
    """From this compute capability on NICs may read GPU memory whatever else uses PCIe."""
    most_channels: int
    """`MAXCHANNELS`."""


    def nvlink(self, sm: int) -> float:
        """GB/s of one NVLink of a GPU of that compute capability."""
        return next((bw for low, high, bw in self.nvlink_bw if low <= sm <= high), self.nvlink_bw_else)

    def link(self, speed: str, width: int) -> float:
        """GB/s of a PCIe link; width 0 is what sysfs says where it does not know, and counts as 16."""
        lane = next((lane for begins, lane in self.lane_speeds if speed.startswith(begins)), self.lane_speed_else)
        return (width or 16) * lane / 80

    def kind(self, class_code: str) -> str:
        """What a PCI class makes of a function; what is not in the table counts as a switch."""
        return next((kind for begins, kind in self.classes if class_code.startswith(begins)), "pci")

    def between_cpus(self, cpu: tuple[str, str, int, int]) -> float:
        """GB/s between this CPU (architecture, vendor, family, model) and others."""
        return next((row.bw for row in self.sockets if row.fits(*cpu)), self.local_bw)


RULES = {
    "2.30.7": Rules(
        version="2.30.7",
        local_bw=5000.0,
        partition_bw=2618.0,
        nvlink_bw=((100, 1 << 30, 40.1), (90, 99, 20.6), (86, 86, 12.0), (80, 89, 20.0), (70, 79, 20.0), (60, 69, 18.0)),
        nvlink_bw_else=20.0,
        lane_speeds=(
            ("2.5 GT/s", 15), ("5 GT/s", 30), ("8 GT/s", 60), ("16 GT/s", 120), ("32 GT/s", 240),
            ("5.0 GT/s PCIe", 30), ("8.0 GT/s PCIe", 60), ("16.0 GT/s PCIe", 120), ("32.0 GT/s PCIe", 240), ("64.0 GT/s PCIe", 480),
        ),
        lane_speed_else=60,
        classes=(("0x060400", "pci"), ("0x080100", "pci"), ("0x068000", "nvs"), ("0x068001", "cpu"), ("0x03", "gpu"), ("0x02", "nic")),
        sockets=(
            SocketLink("x86_64", "GenuineIntel", 40.0, family=6, models=(0xCF, ANY)),
            SocketLink("x86_64", "GenuineIntel", 22.0, family=6, models=(0x8F, 0xCE)),
            SocketLink("x86_64", "GenuineIntel", 10.0, family=6, models=(0x55, 0x8E)),
            SocketLink("x86_64", "GenuineIntel", 6.0),
            SocketLink("x86_64", "AuthenticAMD", 16.0),
            SocketLink("x86_64", "CentaurHauls", 9.0, family=7, models=(0x5B, 0x5B)),
            SocketLink("x86_64", "  Shanghai  ", 9.0, family=7, models=(0x5B, 0x5B)),
            SocketLink("x86_64", "CentaurHauls", 6.0),
            SocketLink("x86_64", "  Shanghai  ", 6.0),
            SocketLink("arm64", "", 6.0),
            SocketLink("ppc64", "", 32.0),
        ),
        p2p_level=PeerClass.PXB,
        p2p_level_amd_pair=PeerClass.SYS,
        gdr_level=PeerClass.PXB,
        gdr_level_c2c=PeerClass.P2C,
        gdr_read_sm=80,
        most_channels=64,
    )
}
LATEST = RULES["2.30.7"]
