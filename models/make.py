"""Writes `models/hosts/*.yaml`: machines described by what public sources say of them, expanded to every function.

Run `python models/make.py` after a change; a test holds the files equal to what this makes. A fact that no source tells is left
out, which is unknown; what is taken by convention stands in the host's `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from simkit.formats.native.host import dump_host
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, Link, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind, Partition, PeerKind, PeerLink, Tee, TeeKind
from simkit.model.scope import IdRange, IommuScope
from simkit.model.unknown import UNKNOWN, Unknown

MIB, GIB = 1 << 20, 1 << 30
KERNEL_ACS = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF
PORT_ACS = KERNEL_ACS | AcsBits.TB | AcsBits.DT
SWITCH_ACS = PORT_ACS | AcsBits.EC
ACS_ON = Acs(PORT_ACS, KERNEL_ACS)
SWITCH_ACS_ON = Acs(SWITCH_ACS, KERNEL_ACS)
BY_KERNEL = "ACS control of ports is what Linux sets at boot when an IOMMU is on (pci_enable_acs: SV, RR, CR, UF), not read from a machine"
BUSES = "bus numbers follow the platform's convention, not one machine's"
RESETS = "reset methods are what these devices commonly offer (flr, bus), not read from a machine"
BARS = "BARs and MSI-X vectors are those that public listings show of devices of the same kind, not read from this machine"
WINDOWS = Unknown("what firmware gives each bridge is one machine's own")
SIZES = Unknown("which sizes its BARs can be resized to was not found")
NO_LISTING = Unknown("no public listing was found")

CONNECTX_SOURCE = (
    "ConnectX: one BAR of 32 MiB, 64-bit and prefetchable, 64 MSI-X vectors, 16 virtual functions from offset 1, no resizable BAR: lspci of a ConnectX-7 (MCX75310AAS); "
    "2 MiB a virtual function: lspci of 15b3:101e in opiproject's and ovn-kubernetes' guides, and Linux commit 1a596ad00ffe (32 MiB for those of one function); the number of vectors is firmware's to set")
NVME_SOURCE = "144d:a80a: one BAR of 16 KiB: kernel logs on linux-pci; 130 MSI-X vectors: lspci of a 980 PRO, which has the PM9A3's id"
IVRS_SOURCE = (
    "what AMD's IOMMUs have in scope, all from device 1 of each root bus up to the next root bus: as IVRS of a ROG ZENITH II EXTREME ALPHA has it, linuxhw/ACPI @ d6d30c6, "
    "where 159 of 163 such tables leave out the host bridge beside the IOMMU"
)
AST_SOURCE = "ASPEED BMC graphics: BARs of 16 MiB and 128 KiB, 128 I/O ports: kernel logs on linux-pci"


@dataclass
class Board:
    """A host under construction."""

    name: str
    functions: list[Function] = field(default_factory=list)

    def add(self, address: str, parent: Parent | str, **facts: object) -> Address:
        where = Address.parse(address)
        above = parent if isinstance(parent, RootBus | Address) else RootBus.parse(parent) if parent.startswith("pci") else Address.parse(parent)
        defaults: dict[str, object] = {"multifunction": where.function > 0, "driver": None, "ats": None, "acs": None, "ari": False, "sriov": None, "windows": WINDOWS,
                                       "resizable_bars": SIZES, "msix_vectors": NO_LISTING}
        self.functions.append(Function(where, above, **{**defaults, **facts}))  # type: ignore[arg-type]
        return where

    def port(self, address: str, parent: Parent | str, buses: str, kind: PortType, ids: tuple[int, int], name: str, link: Link, node: int | None, acs: Acs | None,
             *, multifunction: bool = False) -> Address:
        first, last = (int(text, 16) for text in buses.split("-"))
        return self.add(address, parent, vendor_id=ids[0], device_id=ids[1], class_code=0x060400, name=name, port_type=kind, bus_range=BusRange(first, last), link=link,
                        numa_node=node, acs=acs, driver="pcieport", multifunction=multifunction, bars=(), reset_methods=("pm",) if kind is not PortType.ROOT_PORT else ())


def gen(speed: float, width: int = 16) -> Link:
    return Link(speed, width, speed, width)


def gpu_h100(board: Board, address: str, parent: Address, node: int) -> Address:
    return board.add(address, parent, vendor_id=0x10DE, device_id=0x2330, class_code=0x030200, revision=0xA1, subsystem=(0x10DE, 0x16C1), name="H100 SXM5 80GB",
                     port_type=PortType.ENDPOINT, link=gen(32), numa_node=node, driver="nvidia", reset_methods=("flr", "bus"), ats=UNKNOWN, sriov=UNKNOWN, ari=True,
                     bars=(Bar(0, BarKind.MEM64, 16 * MIB, prefetchable=True), Bar(2, BarKind.MEM64, 128 * GIB, prefetchable=True), Bar(4, BarKind.MEM64, 32 * MIB, prefetchable=True)),
                     msix_vectors=9)


def connectx(board: Board, address: str, parent: Address, node: int, *, device: int = 0x1021, name: str = "ConnectX-7", speed: float = 32, vf_device: int = 0x101E,
             usage: str | None = None, class_code: int = 0x020000) -> Address:
    return board.add(address, parent, vendor_id=0x15B3, device_id=device, class_code=class_code, name=name, port_type=PortType.ENDPOINT, link=gen(speed), numa_node=node,
                     driver="mlx5_core", reset_methods=("flr", "bus"), ats=UNKNOWN, ari=True, usage=usage,
                     sriov=Sriov(16, 16, 0, 1, 1, vf_device, enabled=False, ari_hierarchy=True, vf_bars=(Bar(0, BarKind.MEM64, 2 * MIB, prefetchable=True),)),
                     bars=(Bar(0, BarKind.MEM64, 32 * MIB, prefetchable=True),), msix_vectors=64, resizable_bars=())


def nvme(board: Board, address: str, parent: Address, node: int, *, usage: str | None = None) -> Address:
    return board.add(address, parent, vendor_id=0x144D, device_id=0xA80A, class_code=0x010802, name="PM9A3", port_type=PortType.ENDPOINT, link=gen(16, 4), numa_node=node,
                     driver="nvme", reset_methods=("flr", "bus"), usage=usage, sriov=UNKNOWN, ari=UNKNOWN, bars=(Bar(0, BarKind.MEM64, 16 << 10),), resizable_bars=(), msix_vectors=130)


def root_port(board: Board, bus: str, device: str, buses: str, node: int, ids: tuple[int, int], name: str, link: Link, acs: Acs | None = ACS_ON) -> Address:
    return board.port(f"0000:{bus}:{device}", f"pci0000:{bus}", buses, PortType.ROOT_PORT, ids, name, link, node, acs, multifunction=True)


def switch(board: Board, root: Address, first: int, last: int, node: int, ids: tuple[int, int], name: str, link: Link, downs: list[tuple[int, Link]], acs: Acs | None = SWITCH_ACS_ON,
           *, inner: int = 0) -> list[Address]:
    """Upstream port on bus `first`, a downstream port for each (bus, link) on the next; the first one's range goes on for `inner` more buses."""
    up = board.port(f"0000:{first:02x}:00.0", root, f"{first + 1:02x}-{last:02x}", PortType.UPSTREAM, ids, name, link, node, None)
    return [board.port(f"0000:{first + 1:02x}:{index:02x}.0", up, f"{bus:02x}-{bus + (inner if index == 0 else 0):02x}", PortType.DOWNSTREAM, ids, name, down, node, acs) for index, (bus, down) in enumerate(downs)]


def management(board: Board, bus: str, node: int, first: int, ids: tuple[int, int], name: str) -> None:
    """What every server has beside its accelerators: boot disk, management NIC of two ports, BMC graphics behind a PCI bridge."""
    disk = root_port(board, bus, "03.1", f"{first:02x}-{first:02x}", node, ids, name, gen(16, 4))
    nvme(board, f"0000:{first:02x}:00.0", disk, node, usage="root disk")
    lan = root_port(board, bus, "03.2", f"{first + 1:02x}-{first + 1:02x}", node, ids, name, gen(8, 8))
    for function in (0, 1):
        board.add(f"0000:{first + 1:02x}:00.{function}", lan, vendor_id=0x14E4, device_id=0x16D8, class_code=0x020000, name="BCM57416 10G", port_type=PortType.ENDPOINT,
                  link=gen(8, 8), numa_node=node, driver="bnxt_en", reset_methods=("flr",), multifunction=True, usage="session NIC, default route" if function == 0 else None,
                  sriov=UNKNOWN, ari=UNKNOWN, bars=NO_LISTING)
    bmc = root_port(board, bus, "05.1", f"{first + 2:02x}-{first + 3:02x}", node, ids, name, gen(5, 1))
    bridge = board.port(f"0000:{first + 2:02x}:00.0", bmc, f"{first + 3:02x}-{first + 3:02x}", PortType.PCIE_TO_PCI_BRIDGE, (0x1A03, 0x1150), "AST1150", gen(5, 1), node, None)
    board.add(f"0000:{first + 3:02x}:00.0", bridge, vendor_id=0x1A03, device_id=0x2000, class_code=0x030000, name="ASPEED BMC", port_type=None, link=None, numa_node=node,
              driver="ast", reset_methods=("pm",), usage="console", resizable_bars=(), msix_vectors=None,
              bars=(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM32, 128 << 10), Bar(2, BarKind.IO, 128)))


def host_bridges(board: Board, buses: list[tuple[str, int]], ids: tuple[int, int], name: str, iommu: tuple[int, int] | None) -> None:
    for bus, node in buses:
        board.add(f"0000:{bus}:00.0", f"pci0000:{bus}", vendor_id=ids[0], device_id=ids[1], class_code=0x060000, name=f"{name} host bridge", port_type=None, link=None, numa_node=node, bars=(), reset_methods=(),
                  multifunction=iommu is not None)
        if iommu:
            board.add(f"0000:{bus}:00.2", f"pci0000:{bus}", vendor_id=iommu[0], device_id=iommu[1], class_code=0x080600, name=f"{name} IOMMU", port_type=None, link=None, numa_node=node,
                      bars=(), reset_methods=(), multifunction=True)


def ivrs(host: Host) -> Host:
    """The host with one scope for each of AMD's IOMMUs."""
    buses = sorted(function.address.bus for function in host.functions if function.class_code == 0x080600)
    return replace(host, iommu_scopes=tuple(IommuScope(IommuKind.AMD, 0, ids=(IdRange(bus << 8 | 8, (after << 8) - 2),))
                                            for bus, after in zip(buses, [*buses[1:], 0x100], strict=True)))


def memory_maps(board: Board, buses: list[tuple[str, int]]) -> None:
    """What is first on each root bus of Xeon processors since Ice Lake; Linux's list of host bridges that pass peer-to-peer requests knows it."""
    for bus, node in buses:
        board.add(f"0000:{bus}:00.0", f"pci0000:{bus}", vendor_id=0x8086, device_id=0x09A2, class_code=0x088000, name="Memory Map/VT-d", port_type=PortType.RC_ENDPOINT, link=None, acs=None, numa_node=node,
                  bars=(), reset_methods=(), multifunction=True)


def nodes(count: int, cores: int, memory_gib: int, *, threads: int = 2, remote: int = 32) -> tuple[NumaNode, ...]:
    total = count * cores
    made = []
    for index in range(count):
        cpus = [thread * total + core for thread in range(threads) for core in range(index * cores, (index + 1) * cores)]
        made.append(NumaNode(index, CpuSet.of(cpus), memory_gib * GIB, index, tuple(10 if other == index else remote for other in range(count))))
    return tuple(made)


def hgx_h100() -> tuple[Host, tuple[str, ...]]:
    board = Board("hgx-h100")
    genoa, gpp = (0x1022, 0x14AB), "EPYC 9004 GPP"
    host_bridges(board, [("00", 0), ("20", 0), ("40", 0), ("60", 0), ("80", 1), ("a0", 1), ("c0", 1), ("e0", 1)], (0x1022, 0x14A4), "EPYC 9004", (0x1022, 0x149E))
    gpus = []
    for bus, node in (("00", 0), ("40", 0), ("80", 1), ("c0", 1)):
        base = int(bus, 16)
        root = root_port(board, bus, "01.1", f"{base + 1:02x}-{base + 15:02x}", node, genoa, gpp, gen(32))
        downs = switch(board, root, base + 1, base + 15, node, (0x1000, 0xC030), "PEX89104", gen(32),
                       [(base + 3, gen(32)), (base + 4, gen(32)), (base + 5, gen(32)), (base + 6, gen(32)), (base + 7, gen(16, 4))])
        gpus.append(gpu_h100(board, f"0000:{base + 3:02x}:00.0", downs[0], node))
        connectx(board, f"0000:{base + 4:02x}:00.0", downs[1], node)
        gpus.append(gpu_h100(board, f"0000:{base + 5:02x}:00.0", downs[2], node))
        connectx(board, f"0000:{base + 6:02x}:00.0", downs[3], node)
        nvme(board, f"0000:{base + 7:02x}:00.0", downs[4], node)
    management(board, "20", 0, 0x21, genoa, gpp)
    root = root_port(board, "60", "01.1", "61-66", 0, genoa, gpp, gen(16, 4))
    downs = switch(board, root, 0x61, 0x66, 0, (0x1000, 0xC012), "PEX88024", gen(16, 4), [(0x63 + index, gen(5, 2)) for index in range(4)])
    switches = [board.add(f"0000:{0x63 + index:02x}:00.0", down, vendor_id=0x10DE, device_id=0x22A3, class_code=0x068000, revision=0xA1, name="3rd generation", port_type=PortType.ENDPOINT,
                          link=gen(5, 2), numa_node=0, driver="nvidia-nvswitch", reset_methods=("flr", "bus"), sriov=None, bars=(Bar(0, BarKind.MEM64, 32 * MIB),)) for index, down in enumerate(downs)]
    links = tuple(PeerLink(gpu, nvswitch, PeerKind.NVLINK, count) for gpu in gpus for nvswitch, count in zip(switches, (4, 5, 5, 4), strict=True))
    return ivrs(Host("hgx-h100", tuple(board.functions), nodes(2, 96, 1152), Cpu("x86_64", "AuthenticAMD", 25, 17, "AMD EPYC 9654", 2), IommuKind.AMD, (Tee(TeeKind.SEV_SNP, 1006),), links,
                kernel="6.8.0-45-generic", cmdline="amd_iommu=on iommu=pt",
                assumed=(BY_KERNEL, BUSES, RESETS, BARS, "four PCIe switches with two GPUs, two NICs and one disk each, as HGX H100 systems with AMD processors are laid out",
                         "ATS and SR-IOV of the GPUs are not known; ConnectX-7 has 16 virtual functions enabled in its firmware, the first right after the physical function"),
                )), (
        IVRS_SOURCE,
        "GPU ids, subsystem 10de:16c1, Gen5 links, NVLink counts 4+5+5+4 to four NVSwitches, one NIC beside each GPU below a switch: NCCL topology of an HGX H100 instance, "
        "ibm-cloud-docs, 'NVIDIA H100 cluster network profile' (virtual machine: its addresses are the guest's)",
        "H100's BARs of 16 MiB, 128 GiB (resizable, at its size) and 32 MiB, 9 MSI-X vectors: NVIDIA/nvtrust issue 128 (lspci of an H20, which is a GH100 too), chutesai/sek8s (profiles.py); "
        "kata-containers docs have the 128 GiB too. NVSwitch: one BAR of 32 MiB, not prefetchable: chutesai/sek8s, from lspci of an HGX H200",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "ids of EPYC 9004 (14a4, 149e, 14ab), PEX89104 c030, NVSwitch 22a3, ConnectX-7 1021 and its VF 101e: pci.ids",
        "1,006 encrypted guests: AMD EPYC 9004 product documentation (SEV ASIDs), of which the firmware's SEV-ES/SNP share may be smaller",
    )


def hgx_h100_vm() -> tuple[Host, tuple[str, ...]]:
    """The same board made ready for guests: translated requests turn around in the switches, and the fabric manager shares the NVSwitches."""
    host, sources = hgx_h100()
    gpus = sorted(function.address for function in host.functions if function.device_id == 0x2330)
    functions = tuple(
        replace(function, ats=Ats(enabled=True)) if function.device_id in (0x2330, 0x1021)
        else replace(function, acs=replace(function.acs, control=KERNEL_ACS | AcsBits.DT)) if function.port_type is PortType.DOWNSTREAM and function.acs and function.device_id == 0xC030
        else function for function in host.functions)
    sets = (range(8), range(4), range(4, 8), (0, 1), (2, 3), (4, 5), (6, 7), *((index,) for index in range(8)))
    partitions = tuple(Partition(number, tuple(gpus[index] for index in each)) for number, each in enumerate(sets))
    kept = tuple(sentence for sentence in host.assumed if not sentence.startswith("ATS and SR-IOV"))
    return replace(host, name="hgx-h100-vm", functions=functions, partitions=partitions, assumed=(
        *kept, "SR-IOV of the GPUs is not known; ConnectX-7 has 16 virtual functions enabled in its firmware, the first right after the physical function",
        "which GPU has which number with the fabric manager was not found: pairs are taken to be the two GPUs of one switch, fours those of one socket",
    )), (
        *sources,
        "ACS of the switches' downstream ports SrcValid, ReqRedir, CmpltRedir, UpstreamFwd and DirectTrans, ATS on: NVIDIA/nccl-tests issue 380, after NVIDIA's guide to virtual machines for AI inference",
        "partitions: all eight GPUs, two of four, four of two, eight of one: NVIDIA/kubevirt-gpu-device-plugin pull request 195",
    )


def hgx_a100() -> tuple[Host, tuple[str, ...]]:
    board = Board("hgx-a100")
    rome, gpp = (0x1022, 0x1483), "EPYC 7002 GPP"
    buses = (("00", 3), ("40", 1), ("80", 7), ("c0", 5))
    host_bridges(board, [(bus, node) for bus, node in buses] + [("20", 2), ("a0", 6)], (0x1022, 0x1480), "EPYC 7002", (0x1022, 0x1481))
    gpus = []
    for bus, node in buses:
        base = int(bus, 16)
        root = root_port(board, bus, "01.1", f"{base + 1:02x}-{base + 15:02x}", node, rome, gpp, gen(16))
        downs = switch(board, root, base + 1, base + 15, node, (0x1000, 0xC010), "PEX88096", gen(16), [(base + 3 + index, gen(16)) for index in range(4)])
        for index, down in enumerate(downs):
            address = f"0000:{base + 3 + index:02x}:00.0"
            if index % 2:
                connectx(board, address, down, node, device=0x101B, name="ConnectX-6", speed=16, vf_device=0x101C, class_code=0x020700)
            else:
                gpus.append(board.add(address, down, vendor_id=0x10DE, device_id=0x20B0, class_code=0x030200, revision=0xA1, subsystem=(0x10DE, 0x134F), name="A100 SXM4 40GB",
                                      port_type=PortType.ENDPOINT, link=gen(16), numa_node=node, driver="nvidia", reset_methods=("flr", "bus"), ats=UNKNOWN, sriov=UNKNOWN, ari=True,
                                      bars=(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM64, 64 * GIB, prefetchable=True), Bar(3, BarKind.MEM64, 32 * MIB, prefetchable=True))))
    management(board, "20", 2, 0x21, rome, gpp)
    root = root_port(board, "a0", "01.1", "a1-a8", 6, rome, gpp, gen(8, 8))
    downs = switch(board, root, 0xA1, 0xA8, 6, (0x1000, 0xC010), "PEX88064", gen(8, 8), [(0xA3 + index, gen(8, 2)) for index in range(6)])
    switches = [board.add(f"0000:{0xA3 + index:02x}:00.0", down, vendor_id=0x10DE, device_id=0x1AF1, class_code=0x068000, revision=0xA1, name="2nd generation", port_type=PortType.ENDPOINT,
                          link=gen(8, 2), numa_node=6, driver="nvidia-nvswitch", reset_methods=("flr", "bus"), bars=(Bar(0, BarKind.MEM32, 32 * MIB),)) for index, down in enumerate(downs)]
    links = tuple(PeerLink(gpu, nvswitch, PeerKind.NVLINK, 2) for gpu in gpus for nvswitch in switches)
    numa = tuple(NumaNode(index, CpuSet.of([*range(16 * index, 16 * index + 16), *range(128 + 16 * index, 144 + 16 * index)]), 128 * GIB, index // 4,
                          tuple(10 if other == index else 12 if other // 4 == index // 4 else 32 for other in range(8))) for index in range(8))
    return ivrs(Host("hgx-a100", tuple(board.functions), numa, Cpu("x86_64", "AuthenticAMD", 23, 49, "AMD EPYC 7742", 2), IommuKind.AMD, (), links,
                kernel="5.15.0-1063-nvidia", cmdline="amd_iommu=on iommu=pt",
                assumed=(BY_KERNEL, BUSES, RESETS, BARS, "one level of switches with two GPUs and two NICs each; the DGX A100 has two levels of Broadcom switches"))), (
        IVRS_SOURCE,
        "ids, subsystem 10de:134f, Gen4 links, Broadcom switches 1000:c010, two NVLinks from each GPU to each of six NVSwitches: NVIDIA/nccl issue 1505 (topology of a DGX A100)",
        "GPUs on NUMA nodes 3, 1, 7, 5 of eight (NPS4): NVIDIA DGX A100 user guide, nvidia-smi topo -m",
        "EPYC 7002 has SEV and SEV-ES, not SEV-SNP: AMD",
        "A100's BARs of 16 MiB, 64 GiB and 32 MiB: kata-containers pull request 4358 (kernel log of an A100 PCIe 40GB)",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "ids of EPYC 7002 (1480, 1481, 1483), NVSwitch 1af1, ConnectX-6 101b and its VF 101c: pci.ids",
    )


def mi300x() -> tuple[Host, tuple[str, ...]]:
    board = Board("mi300x")
    root_ids, name = (0x8086, 0x352A), "Xeon Sapphire Rapids"
    gpus = []
    memory_maps(board, [(bus, index // 4) for index, bus in enumerate(("0a", "20", "36", "4c", "85", "9a", "b0", "c6"))])
    for index, bus in enumerate(("0a", "20", "36", "4c", "85", "9a", "b0", "c6")):
        node, base = index // 4, int(bus, 16)
        root = board.port(f"0000:{bus}:01.0", f"pci0000:{bus}", f"{base + 1:02x}-{base + 8:02x}", PortType.ROOT_PORT, root_ids, name, gen(32), node, ACS_ON)
        downs = switch(board, root, base + 1, base + 8, node, (0x1000, 0xC030), "PEX89104", gen(32), [(base + 3, gen(32)), (base + 6, gen(32))], inner=2)
        inner = switch(board, downs[0], base + 3, base + 5, node, (0x1002, 0x1500), "MI300X internal", gen(32), [(base + 5, gen(32))], acs=Acs(PORT_ACS, KERNEL_ACS))
        gpus.append(board.add(f"0000:{base + 5:02x}:00.0", inner[0], vendor_id=0x1002, device_id=0x74A1, class_code=0x120000, subsystem=(0x1002, 0x74A1), name="MI300X", port_type=PortType.ENDPOINT,
                              link=gen(32), numa_node=node, driver="amdgpu", reset_methods=("flr", "bus"), ats=Ats(enabled=True), ari=True,
                              sriov=Sriov(8, 8, 0, 1, 1, 0x74B5, enabled=False, ari_hierarchy=True),
                              bars=(Bar(0, BarKind.MEM64, 256 * GIB, prefetchable=True), Bar(2, BarKind.MEM64, 2 * MIB, prefetchable=True), Bar(5, BarKind.MEM32, 512 << 10))))
        connectx(board, f"0000:{base + 6:02x}:00.0", downs[1], node)
    management(board, "e2", 1, 0xE3, root_ids, name)
    links = tuple(PeerLink(a, b, PeerKind.XGMI, 1) for index, a in enumerate(gpus) for b in gpus[index + 1:])
    return Host("mi300x", tuple(board.functions), nodes(2, 48, 1024, remote=21), Cpu("x86_64", "GenuineIntel", 6, 143, "Intel Xeon Platinum 8468", 2), IommuKind.INTEL, (), links,
                kernel="6.8.0-45-generic", cmdline="intel_iommu=on iommu=pt",
                assumed=(BY_KERNEL, BUSES, RESETS, BARS, "one PCIe switch with a GPU and a NIC below each root port, the GPU behind an internal switch of its own")), (
        "eight GPUs, one xGMI link between each two, Gen5 x16, two sockets Intel family 6 model 143, VF device 74b5: ROCm/rccl tools/topo_expl/models/topo_8p_940vm.xml (virtual machine)",
        "MI300X 1002:74a1, 192 GB HBM behind a 256 GiB BAR, up to 8 virtual functions: AMD Instinct MI300X documentation and amdgpu's SR-IOV guide",
        "whether this processor model offers TDX depends on its SKU: taken as not",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "8086:09a2 first on each root bus: pci.ids, drivers/pci/p2pdma.c",
    )


def rtx_pro_8() -> tuple[Host, tuple[str, ...]]:
    board = Board("rtx-pro-8")
    turin, gpp = (0x1022, 0x153B), "EPYC 9005 GPP"
    host_bridges(board, [("00", 0), ("20", 0), ("80", 1), ("c0", 1)], (0x1022, 0x153A), "EPYC 9005", (0x1022, 0x153E))
    for bus, node in (("00", 0), ("80", 1)):
        base = int(bus, 16)
        root = root_port(board, bus, "01.1", f"{base + 1:02x}-{base + 15:02x}", node, turin, gpp, gen(32))
        downs = switch(board, root, base + 1, base + 15, node, (0x1000, 0xC030), "PEX89144", gen(32), [(base + 3 + index, gen(32)) for index in range(6)])
        for index, down in enumerate(downs):
            slot = f"0000:{base + 3 + index:02x}:00"
            if index in (2, 5):
                connectx(board, f"{slot}.0", down, node)
                continue
            parts = ((0x2BB5, 0x030200, "RTX PRO 6000 Blackwell Server", "nvidia",
                      (Bar(0, BarKind.MEM64, 64 * MIB, prefetchable=True), Bar(2, BarKind.MEM64, 128 * GIB, prefetchable=True), Bar(4, BarKind.MEM64, 32 * MIB, prefetchable=True))),
                     (0x22E8, 0x040300, "RTX PRO 6000 audio", "snd_hda_intel", (Bar(0, BarKind.MEM32, 16 << 10),)),
                     (UNKNOWN, 0x0C0330, "RTX PRO 6000 USB controller", "xhci_hcd", UNKNOWN),
                     (UNKNOWN, 0x0C8000, "RTX PRO 6000 USB-C controller", None, UNKNOWN))
            for function, (device, class_code, name, driver, bars) in enumerate(parts):
                board.add(f"{slot}.{function}", down, vendor_id=0x10DE, device_id=device, class_code=class_code, name=name, port_type=PortType.ENDPOINT, link=gen(32), numa_node=node,
                          driver=driver, reset_methods=("flr",) if function == 0 else ("pm",), multifunction=True, ats=UNKNOWN if function == 0 else None,
                          sriov=UNKNOWN if function == 0 else None, bars=NO_LISTING if bars is UNKNOWN else bars)
    management(board, "20", 0, 0x21, turin, gpp)
    return ivrs(Host("rtx-pro-8", tuple(board.functions), nodes(2, 64, 768), Cpu("x86_64", "AuthenticAMD", 26, 2, "AMD EPYC 9555", 2), IommuKind.AMD, (Tee(TeeKind.SEV_SNP, 1006),),
                kernel="6.12.95", cmdline="amd_iommu=on iommu=pt",
                assumed=(BY_KERNEL, BUSES, RESETS, BARS, "a card's four functions have no ACS of their own, so that they share one IOMMU group",
                         "two switches with four cards and two NICs each"))), (
        IVRS_SOURCE,
        "eight cards of four functions (GPU, audio, two USB), one IOMMU group a card, 32 ports if each function took one: kata-containers docs/design/kata-vra.md",
        "PCIe Gen5 x16, passive server edition: NVIDIA RTX PRO 6000 Blackwell Server Edition datasheet",
        "3D controller with BARs of 64 MiB, 128 GiB (resizable, at its size) and 32 MiB, all of them 64-bit and prefetchable: chutesai/sek8s (profiles.py, from lspci of 10de:2bb5)",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "ids 10de:2bb5 and 10de:22e8: pci.ids; those of the USB functions were not found",
    )


def r760xa() -> tuple[Host, tuple[str, ...]]:
    board = Board("split-roots")
    ids, name = (0x8086, 0x352A), "Xeon Sapphire Rapids"
    memory_maps(board, [("16", 0), ("27", 0), ("38", 0), ("96", 1), ("a7", 1), ("b8", 1)])
    for bus, node, what in (("16", 0, "gpu"), ("27", 0, "nic"), ("38", 0, "gpu"), ("96", 1, "gpu"), ("a7", 1, "nic"), ("b8", 1, "gpu")):
        base = int(bus, 16)
        root = board.port(f"0000:{bus}:01.0", f"pci0000:{bus}", f"{base + 1:02x}-{base + 1:02x}", PortType.ROOT_PORT, ids, name, gen(32), node, ACS_ON)
        if what == "gpu":
            board.add(f"0000:{base + 1:02x}:00.0", root, vendor_id=0x10DE, device_id=0x26B9, class_code=0x030200, name="L40S", port_type=PortType.ENDPOINT, link=Link(16, 16, 16, 16), numa_node=node,
                      driver="nvidia", reset_methods=("flr", "bus"), ats=UNKNOWN, ari=True, sriov=Sriov(32, 32, 0, 4, 1, UNKNOWN, enabled=False),
                      bars=(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM64, 64 * GIB, prefetchable=True), Bar(3, BarKind.MEM64, 32 * MIB, prefetchable=True)))
        else:
            connectx(board, f"0000:{base + 1:02x}:00.0", root, node, device=0x101D, name="ConnectX-6 Dx", speed=16, vf_device=0x101E)
    management(board, "d0", 1, 0xD1, ids, name)
    return Host("split-roots", tuple(board.functions), nodes(2, 32, 512, remote=21), Cpu("x86_64", "GenuineIntel", 6, 207, "Intel Xeon Gold 6548Y+", 2), IommuKind.INTEL, (Tee(TeeKind.TDX, UNKNOWN),),
                kernel="6.12.95", cmdline="intel_iommu=on iommu=pt", assumed=(BY_KERNEL, BUSES, RESETS, BARS, "one root port with one device on each root bus")), (
        "a two-socket server of which no GPU shares a root with a NIC: kubernetes/enhancements KEP-6072 on the Dell R760xa",
        "L40S 10de:26b9, PCIe Gen4 x16, 32 virtual functions: NVIDIA L40S datasheet and vGPU documentation",
        "TDX on 5th generation Xeon (family 6 model 207): Intel; the number of its key ids is set in the firmware",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "8086:09a2 first on each root bus: pci.ids, drivers/pci/p2pdma.c",
    )


def edge_single() -> tuple[Host, tuple[str, ...]]:
    board = Board("edge-single")
    ids, name = (0x8086, 0xA70D), "Core 13th generation"
    board.add("0000:00:00.0", "pci0000:00", vendor_id=0x8086, device_id=0xA703, class_code=0x060000, name="Core host bridge", port_type=None, link=None, numa_node=None, bars=(), reset_methods=())
    peg = board.port("0000:00:01.0", "pci0000:00", "01-01", PortType.ROOT_PORT, ids, name, gen(16), None, None)
    for function, (device, class_code, what, driver) in enumerate(((0x27B8, 0x030000, "L4", "nvidia"),)):
        board.add(f"0000:01:00.{function}", peg, vendor_id=0x10DE, device_id=device, class_code=class_code, name=what, port_type=PortType.ENDPOINT, link=Link(16, 16, 16, 16), numa_node=None,
                  driver=driver, reset_methods=("flr", "bus"), ats=UNKNOWN, sriov=UNKNOWN, ari=UNKNOWN, bars=(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM64, 32 * GIB, prefetchable=True)))
    m2 = board.port("0000:00:06.0", "pci0000:00", "02-02", PortType.ROOT_PORT, (0x8086, 0xA74D), "Core 13th generation x4", gen(16, 4), None, None)
    nvme(board, "0000:02:00.0", m2, 0, usage="root disk")
    for function, first in ((0, 3), (4, 4)):
        root = board.port(f"0000:00:1c.{function}", "pci0000:00", f"{first:02x}-{first:02x}", PortType.ROOT_PORT, (0x8086, 0x7AB8 + function), "600 series chipset", gen(8, 1), None,
                          Acs(KERNEL_ACS | AcsBits.TB, KERNEL_ACS), multifunction=True)
        board.add(f"0000:{first:02x}:00.0", root, vendor_id=0x8086, device_id=0x15F3, class_code=0x020000, name="I225-V 2.5G", port_type=PortType.ENDPOINT, link=gen(5, 1), numa_node=None,
                  driver="igc", reset_methods=("flr", "bus"), usage="session NIC, default route" if function == 0 else None, bars=(Bar(0, BarKind.MEM32, MIB), Bar(3, BarKind.MEM32, 16 << 10)))
    functions = tuple(function if function.address.bus != 2 else Function(**{name: getattr(function, name) for name in function.__slots__} | {"numa_node": None}) for function in board.functions)
    return Host("edge-single", functions, (NumaNode(0, CpuSet.of(range(24)), 64 * GIB, 0, (10,)),), Cpu("x86_64", "GenuineIntel", 6, 183, "Intel Core i7-13700E", 2), IommuKind.INTEL, (),
                kernel="6.12.95", cmdline="intel_iommu=on",
                assumed=(BY_KERNEL, RESETS, BARS, "the processor's own ports have no ACS capability, the chipset's do", "firmware states no NUMA nodes for devices")), (
        "processor root ports of client parts without ACS, so that all below one is one group: drivers/pci/quirks.c and Alex Williamson, 'IOMMU Groups, inside and out'",
        "ids of 13th generation Core (a703, a70d, a74d), 600/700 series chipset (7ab8), I225-V 15f3, L4 27b8: pci.ids",
        NVME_SOURCE,
        "I225-V: BARs of 1 MiB and 16 KiB: kernel logs on linux-pci",
    )


def xe8640() -> tuple[Host, tuple[str, ...]]:
    board = Board("xe8640")
    ids, name = (0x8086, 0x352A), "Xeon Sapphire Rapids"
    buses = [("26", 0), ("48", 0), ("59", 0), ("a7", 1), ("ca", 1)]
    memory_maps(board, buses)
    roots = {}
    for bus, node in buses:
        base = int(bus, 16)
        roots[bus] = board.port(f"0000:{bus}:01.0", f"pci0000:{bus}", f"{base + 1:02x}-{base + 8:02x}", PortType.ROOT_PORT, ids, name, gen(32), node, ACS_ON)
    board.add("0000:27:00.0", roots["26"], vendor_id=0x8086, device_id=0x1592, class_code=0x020000, name="E810-C", port_type=PortType.ENDPOINT, link=gen(16), numa_node=0, driver="ice",
              reset_methods=("flr", "bus"), sriov=UNKNOWN, ari=UNKNOWN, bars=NO_LISTING)
    downs = switch(board, roots["48"], 0x49, 0x50, 0, (0x1000, 0xC030), "PEX89000", gen(32), [(0x4B, gen(32)), (0x4C, gen(16))])
    gpus = [gpu_h100(board, "0000:4b:00.0", downs[0], 0)]
    connectx(board, "0000:4c:00.0", downs[1], 0, device=0x101D, name="ConnectX-6 Dx", speed=16, vf_device=0x101E)
    gpus += [gpu_h100(board, f"0000:{bus}:00.0", roots[root], node) for bus, root, node in (("5a", "59", 0), ("a8", "a7", 1), ("cb", "ca", 1))]
    management(board, "e2", 1, 0xE3, ids, name)
    links = tuple(PeerLink(a, b, PeerKind.NVLINK, 6) for index, a in enumerate(gpus) for b in gpus[index + 1:])
    return Host("xe8640", tuple(board.functions), nodes(2, 48, 1024, remote=21), Cpu("x86_64", "GenuineIntel", 6, 143, "Intel Xeon Platinum 8468", 2), IommuKind.INTEL, (), links,
                kernel="6.12.95", cmdline="intel_iommu=on iommu=pt",
                assumed=(BY_KERNEL, BUSES, RESETS, BARS, "which GPU has the NIC beside it, and below which switch; the second socket's root buses", "six NVLinks between each two of the four GPUs")), (
        "H100 GPUs, an Intel E810 and a ConnectX-6 Dx on NUMA node 0 below root buses 26, 48 and 59 of a Dell XE8640: kubevirt/kubevirt issue 19103",
        "one GPU of four shares a root with a NIC: kubernetes/enhancements KEP-6072",
        "four H100 joined by NVLink without switches: NVIDIA HGX H100 4-GPU",
        "whether this processor model offers TDX depends on its SKU: taken as not",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        AST_SOURCE,
        "8086:1592 E810-C, 15b3:101d, 8086:352a: pci.ids; 8086:09a2 first on each root bus: pci.ids, drivers/pci/p2pdma.c",
    )


def gb200() -> tuple[Host, tuple[str, ...]]:
    board = Board("gb200")
    grace = "Grace root port"
    gpus = []

    def root(domain: str, node: int) -> Address:
        return board.port(f"{domain}:00:00.0", f"pci{domain}:00", "01-02", PortType.ROOT_PORT, (UNKNOWN, UNKNOWN), grace, gen(32), node, ACS_ON)

    for domain, node in (("0008", 0), ("0009", 0), ("0018", 1), ("0019", 1)):
        gpus.append(board.add(f"{domain}:01:00.0", root(domain, node), vendor_id=0x10DE, device_id=0x2941, class_code=0x030200, subsystem=(0x10DE, 0x2046), name="GB200", port_type=PortType.ENDPOINT, link=gen(32), numa_node=node,
                              driver="nvidia", reset_methods=("flr", "bus"), ats=UNKNOWN, sriov=UNKNOWN, ari=UNKNOWN, bars=NO_LISTING))
    for domain, node in (("0000", 0), ("0002", 0), ("0010", 1), ("0012", 1)):
        connectx(board, f"{domain}:01:00.0", root(domain, node), node)
    nvme(board, "0004:01:00.0", root("0004", 0), 0, usage="root disk")
    lan = root("0005", 0)
    board.add("0005:01:00.0", lan, vendor_id=0x14E4, device_id=0x16D8, class_code=0x020000, name="BCM57416 10G", port_type=PortType.ENDPOINT, link=gen(8, 8), numa_node=0, driver="bnxt_en",
              reset_methods=("flr",), usage="session NIC, default route", sriov=UNKNOWN, ari=UNKNOWN, bars=NO_LISTING)
    cores = tuple(NumaNode(node, CpuSet.of(range(72 * node, 72 * node + 72)), 480 * GIB, node) for node in (0, 1))
    of_gpus = tuple(NumaNode(number, CpuSet.of(()), UNKNOWN, UNKNOWN) for number in range(2, 34))
    return Host("gb200", tuple(board.functions), (*cores, *of_gpus), Cpu("aarch64", "ARM", UNKNOWN, UNKNOWN, "Neoverse V2", 1), IommuKind.SMMU, (), (),
                kernel="6.8.0-1021-nvidia-64k", cmdline="iommu.passthrough=1",
                assumed=(BY_KERNEL, BUSES, RESETS, "one root port and one PCI domain for each device, without switches", "GPUs are on the NUMA node of their processor",
                         "NVLink of GPUs leaves the tray: not drawn")), (
        "34 NUMA nodes of which two have CPUs: kubernetes/kubernetes pull request 135581; 32 of them are memory of GPUs",
        "two Grace processors of 72 cores and 480 GB each, four GPUs: NVIDIA GB200 NVL72 datasheet",
        CONNECTX_SOURCE,
        NVME_SOURCE,
        "GPUs 10de:2941, subsystem 10de:2046, each on bus 1 of a PCI domain of its own from 0008 on, NUMA node of its processor: NVIDIA/mig-parted issue 227, "
        "NVIDIA/kubevirt-gpu-device-plugin pull request 154 (lspci of a GB200 tray)",
        "the root ports' ids were not found",
    )


MACHINES = (hgx_h100, hgx_h100_vm, hgx_a100, mi300x, rtx_pro_8, r760xa, edge_single, xe8640, gb200)


def text(host: Host, sources: tuple[str, ...]) -> str:
    """The file's text: sources as comments, then the snapshot."""
    comments = "".join(f"# - {source}\n" for source in sources)
    return f"# {host.name}: made by models/make.py from public sources; `assumed` below says what was not found.\n# Sources:\n{comments}{dump_host(host)}"


if __name__ == "__main__":
    for machine in MACHINES:
        host, sources = machine()
        (Path(__file__).parent / "hosts" / f"{host.name}.yaml").write_text(text(host, sources), encoding="utf-8")
