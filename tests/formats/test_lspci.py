"""lspci: what each line means, what is not printed, what is refused, and the fuzz."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.pci.config_encode import encode
from simkit.formats.text.lspci import read
from simkit.formats.text.lspci_names import ids
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, Link, PortType, Sriov
from simkit.model.function import Function, Kind
from simkit.model.unknown import UNKNOWN, Unknown, is_known

GPU = """\
17:00.0 3D controller [0302]: NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330] (rev a1)
\tSubsystem: NVIDIA Corporation Device [10de:16c1]
\tPhysical Slot: 3
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
\tInterrupt: pin A routed to IRQ 16
\tNUMA node: 0
\tIOMMU group: 12
\tRegion 0: Memory at 24042000000 (64-bit, prefetchable) [size=16M]
\tRegion 2: Memory at 22000000000 (64-bit, prefetchable) [disabled] [size=128G]
\tRegion 4: Memory at <unassigned> (64-bit, prefetchable) [virtual] [size=32M]
\tExpansion ROM at <ignored> [disabled] [size=512K]
\tCapabilities: [40] Power Management version 3
\t\tStatus: D0 NoSoftRst+ PME-Enable- DSel=0 DScale=0 PME-
\tCapabilities: [60] Express (v2) Endpoint, IntMsgNum 0
\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0, Latency L0s unlimited, L1 <64us
\t\tLnkCap:\tPort #0, Speed 32GT/s, Width x16, ASPM not supported
\t\tLnkSta:\tSpeed 16GT/s (downgraded), Width x8 (downgraded)
\t\t\tTrErr- Train- SlotClk+ DLActive- BWMgmt- ABWMgmt-
\t\tLnkCap2: Supported Link Speeds: 2.5-32GT/s, Crosslink- Retimer+ 2Retimers+ DRS-
\tCapabilities: [100 v1] Access Control Services
\t\tACSCap:\tSrcValid- TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd- EgressCtrl- DirectTrans+
\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir+ CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-
\tCapabilities: [200 v1] Address Translation Service (ATS)
\t\tATSCap:\tInvalidate Queue Depth: 00
\t\tATSCtl:\tEnable+, Smallest Translation Unit: 00
\tCapabilities: [2cc v1] Lane Margining at the Receiver <?>
\tCapabilities: [300 v1] Single Root I/O Virtualization (SR-IOV)
\t\tIOVCap:\tMigration- 10BitTagReq+ IntMsgNum 0
\t\tIOVCtl:\tEnable- Migration- Interrupt- MSE- ARIHierarchy+ 10BitTagReq-
\t\tIOVSta:\tMigration-
\t\tInitial VFs: 32, Total VFs: 32, Number of VFs: 0, Function Dependency Link: 00
\t\tVF offset: 2, stride: 1, Device ID: 2331
\t\tSupported Page Size: 00000573, System Page Size: 00000001
\t\tRegion 0: Memory at 0000024044000000 (64-bit, prefetchable)
\t\tVF Migration: offset: 00000000, BIR: 0
\tCapabilities: [340 v1] Alternative Routing-ID Interpretation (ARI)
\t\tARICap:\tMFVC- ACS-, Next Function: 0
\tKernel driver in use: nvidia
\tKernel modules: nouveau, nvidia_drm, nvidia
"""
PORT = """\
16:01.0 PCI bridge [0604]: Intel Corporation Device [8086:352a] (rev 30) (prog-if 00 [Normal decode])
\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
\tBus: primary=16, secondary=17, subordinate=1a, sec-latency=0
\tMemory behind bridge: 9f000000-9f0fffff [size=1M] [32-bit]
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\t\tLnkCap:\tPort #9, Speed 32GT/s, Width x16, ASPM L1, Exit Latency L1 <16us
\t\tLnkSta:\tSpeed 32GT/s (ok), Width x16 (ok)
\tCapabilities: [90] Subsystem: Intel Corporation Device [8086:0000]
\tCapabilities: [220 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
"""
NVME = """\
18:00.0 Non-Volatile memory controller: Samsung Electronics Co Ltd NVMe SSD Controller PM9A1/PM9A3/980PRO (prog-if 02 [NVM Express])
\tSubsystem: Samsung Electronics Co Ltd Device a801
\tFlags: bus master, fast devsel, latency 0, IRQ 16, NUMA node 1, IOMMU group 7
\tMemory at 9f000000 (64-bit, non-prefetchable) [size=16K]
\tCapabilities: <access denied>
\tKernel driver in use: nvme
"""
REQUIRED = AcsBits.SV | AcsBits.RR | AcsBits.CR | AcsBits.UF


def parse(text, source="x.txt"):
    return read(text.encode() if isinstance(text, str) else text, source=source)


def at(host, address):
    return host[Address.parse(address)]


def dump(config):
    return "".join(f"{offset:02x}: {config[offset : offset + 16].hex(' ')}\n" for offset in range(0, len(config), 16))


# ---- what is printed


def test_every_fact_of_a_function():
    host = parse(PORT + "\n" + GPU)
    gpu = at(host, "17:00.0")
    assert (gpu.vendor_id, gpu.device_id, gpu.class_code, gpu.revision, gpu.subsystem) == (0x10DE, 0x2330, 0x030200, 0xA1, (0x10DE, 0x16C1))
    assert gpu.name == "NVIDIA Corporation GH100 [H100 SXM5 80GB]" and gpu.kind is Kind.GPU
    assert gpu.port_type is PortType.ENDPOINT and gpu.link == Link(16.0, 8, 32.0, 16)
    assert gpu.acs == Acs(AcsBits.RR | AcsBits.CR | AcsBits.DT, AcsBits.RR) and gpu.ats == Ats(True) and gpu.ari is True
    assert gpu.sriov == Sriov(32, 32, 0, 2, 1, 0x2331, False, True, (Bar(0, BarKind.MEM64, UNKNOWN, True, 2475042013184),))
    assert gpu.numa_node == 0 and gpu.iommu_group == 12 and gpu.driver == "nvidia" and gpu.parent == Address.parse("16:01.0")
    assert gpu.bars == (Bar(0, BarKind.MEM64, 16 << 20, True, 0x24042000000), Bar(2, BarKind.MEM64, 128 << 30, True, 0x22000000000),
                        Bar(4, BarKind.MEM64, 32 << 20, True), Bar(6, BarKind.MEM32, 512 << 10, True))
    port = at(host, "16:01.0")
    assert port.bus_range == BusRange(0x17, 0x1A) and port.port_type is PortType.ROOT_PORT and port.parent == RootBus(0, 0x16)
    assert port.acs == Acs(REQUIRED | AcsBits.TB, REQUIRED) and port.subsystem == (0x8086, 0) and port.name is None
    assert not host.elided and host.assumed == ()
    assert str(host.where(f"{gpu.path}/acs/control")) == "x.txt:35" and str(host.where(f"{gpu.path}/name")) == "x.txt:13"
    assert str(host.where(f"{gpu.path}/iommu_group")) == "x.txt:20"


def test_what_is_not_printed_follows_from_what_is():
    """The port has no node, no group, no driver: lspci prints those of the GPU. Its link is known, its ATS is not there."""
    port = at(parse(PORT + "\n" + GPU), "16:01.0")
    assert port.numa_node is None and port.iommu_group is None and port.driver is None and port.ats is None and port.ari is False and port.sriov is None
    assert port.bars == () and isinstance(port.multifunction, Unknown)
    alone = at(parse(PORT), "16:01.0")
    for fact in (alone.numa_node, alone.iommu_group, alone.driver, alone.bars):
        assert isinstance(fact, Unknown) and "no function of the text" in fact.why
    assert alone.ats is None


def test_extended_capabilities_that_nobody_has_are_unknown():
    text = PORT[: PORT.index("\tCapabilities: [220")]
    port = at(parse(text), "16:01.0")
    for fact in (port.acs, port.ats, port.ari, port.sriov):
        assert isinstance(fact, Unknown) and "beyond byte 256" in fact.why


def test_without_root_the_reason_is_told():
    disk = at(parse(NVME), "18:00.0")
    assert disk.class_code == 0x010802 and disk.vendor_id == 0x144D and isinstance(disk.device_id, Unknown) and "-nn" in disk.device_id.why
    assert disk.numa_node == 1 and disk.iommu_group == 7 and disk.driver == "nvme" and disk.subsystem == (0x144D, 0xA801)
    for fact in (disk.port_type, disk.link, disk.acs, disk.ats, disk.ari, disk.sriov):
        assert isinstance(fact, Unknown) and "run lspci as root" in fact.why
    assert isinstance(disk.bars, Unknown) and "-vvv" in disk.bars.why


def test_one_line_a_function():
    host = parse("00:00.0 Host bridge [0600]: Intel Corporation Device [8086:09a2] (rev 20)\n"
                 "0000:01:00.0 0300: 10de:1f08 (rev a1)\n10000:e0:06.0 Class 0604: Device 8086:352a\n")
    assert [str(function.address) for function in host.functions] == ["0000:00:00.0", "0000:01:00.0", "10000:e0:06.0"]
    gpu = at(host, "01:00.0")
    assert (gpu.vendor_id, gpu.device_id, gpu.class_code, gpu.revision, gpu.name) == (0x10DE, 0x1F08, 0x030000, 0xA1, None)
    for fact in (gpu.port_type, gpu.acs, gpu.bars, gpu.subsystem, gpu.iommu_group):
        assert isinstance(fact, Unknown)
    assert at(host, "00:00.0").revision == 0x20 and at(host, "10000:e0:06.0").revision == 0
    assert host.assumed == ("programming interface 00 in the class of 3 functions: lspci prints it with -v",)


def test_the_tree_is_unknown_where_bridges_do_not_tell_their_buses():
    host = parse("00:01.0 0604: 8086:352a\n01:00.0 0302: 10de:2330\n")
    assert host.elided and at(host, "01:00.0").parent == RootBus(0, 1) and "0000:01" in host.assumed[-1]


@pytest.mark.parametrize(("words", "kind"), [
    ("Express (v2) Endpoint, MSI 00", PortType.ENDPOINT), ("Express Endpoint, MSI 00", PortType.ENDPOINT), ("Express (v1) Legacy Endpoint, MSI 00", PortType.LEGACY_ENDPOINT),
    ("Express (v2) Upstream Port, IntMsgNum 0, FLIT Mode Supported", PortType.UPSTREAM), ("Express (v2) Downstream Port (Slot-), MSI 00", PortType.DOWNSTREAM),
    ("Express (v1) PCI-Express to PCI/PCI-X Bridge, MSI 00", PortType.PCIE_TO_PCI_BRIDGE), ("Express (v1) PCI/PCI-X to PCI-Express Bridge (Slot-), MSI 00", PortType.PCI_TO_PCIE_BRIDGE),
    ("Express (v1) PCI/PCI-X to PCI-Express Bridge, MSI 00", PortType.PCI_TO_PCIE_BRIDGE), ("Express (v2) Root Complex Integrated Endpoint, MSI 00", PortType.RC_ENDPOINT),
    ("Express (v2) Root Complex Event Collector, IntMsgNum 0", PortType.RC_EVENT_COLLECTOR), ("Express (v2) Unknown type 13, MSI 00", UNKNOWN),
])
def test_port_types(words, kind):
    found = at(parse(f"00:01.0 0604: 8086:352a\n\tControl: I/O-\n\tCapabilities: [40] {words}\n"), "00:01.0")
    assert found.port_type == kind


@pytest.mark.parametrize(("line", "bar"), [
    ("Region 0: Memory at f0000000 (32-bit, non-prefetchable) [size=4K]", Bar(0, BarKind.MEM32, 4096, False, 0xF0000000)),
    ("Region 5: I/O ports at e000 [disabled] [size=256]", Bar(5, BarKind.IO, 256, False, 0xE000)),
    ("Region 1: I/O ports at <unassigned> [disabled]", Bar(1, BarKind.IO)),
    ("Region 0: [virtual] Memory at 843000000000 (32-bit, non-prefetchable) [size=1G]", Bar(0, BarKind.MEM32, 1 << 30, False, 0x843000000000)),
    ("Region 4: Memory at 843060000000 (64-bit, non-prefetchable) [enhanced] [size=1M]", Bar(4, BarKind.MEM64, 1 << 20, False, 0x843060000000)),
    ("Region 2: Memory at <ignored> (low-1M, prefetchable) [disabled]", Bar(2, BarKind.MEM32, UNKNOWN, True)),
    ("Region 5: Memory at <broken-64-bit-slot> (64-bit, non-prefetchable)", Bar(5, BarKind.MEM32)),
    ("Region 3: Memory at 80000000 (type 3, non-prefetchable)", Bar(3, BarKind.MEM32, UNKNOWN, False, 0x80000000)),
    ("Expansion ROM at f7f00000 [virtual] [disabled] [size=64K]", Bar(6, BarKind.MEM32, 65536, True, 0xF7F00000)),
    ("[virtual] Expansion ROM at f7f00000 [disabled] [size=2M]", Bar(6, BarKind.MEM32, 2 << 20, True, 0xF7F00000)),
])
def test_regions(line, bar):
    assert at(parse(f"00:01.0 0200: 8086:1572\n\tControl: I/O-\n\t{line}\n"), "00:01.0").bars == (bar,)


@pytest.mark.parametrize(("most", "now", "link"), [
    ("Speed 8GT/s, Width x1, ASPM L1, Exit Latency L0s <1us, L1 <16us", "Speed 2.5GT/s, Width x1, TrErr- Train- SlotClk+ DLActive- BWMgmt- ABWMgmt-", Link(2.5, 1, 8.0, 1)),
    ("Speed 64GT/s, Width x16, ASPM not supported", "Speed 64GT/s (overdriven), Width x16 (ok)", Link(64.0, 16, 64.0, 16)),
    ("Speed 16GT/s, Width x16, ASPM L0s L1", "Speed 2.5GT/s (strange), Width x0 (downgraded)", Link(2.5, UNKNOWN, 16.0, 16)),
    ("Speed unknown, Width x0, ASPM not supported", "Speed unknown, Width x0", UNKNOWN),
])
def test_links(most, now, link):
    text = f"00:01.0 0604: 8086:352a\n\tControl: I/O-\n\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00\n\t\tLnkCap:\tPort #1, {most}\n\t\tLnkSta:\t{now}\n"
    assert at(parse(text), "00:01.0").link == link


def test_of_two_capabilities_of_a_kind_the_first_counts():
    text = ("00:06.1 0200: 8086:1572\n\tControl: I/O-\n\tRegion 5: Memory at <unassigned> (64-bit, prefetchable)\n\tCapabilities: [a0] Express (v2) Endpoint, MSI 00\n"
            "\t\tLnkCap:\tPort #0, Speed 8GT/s, Width x8, ASPM L0s\n\tCapabilities: [b0] Express (v2) Root Port (Slot+), MSI 00\n\t\tLnkCap:\tPort #0, Speed 2.5GT/s, Width x1, ASPM L0s\n"
            "\tCapabilities: [c0] Subsystem: Device [1af4:1100]\n")
    found = at(parse(text), "00:06.1")
    assert found.port_type is PortType.ENDPOINT and found.link.max_width == 8
    assert isinstance(found.subsystem, Unknown), "only a bridge has its subsystem there"
    assert found.bars == (Bar(5, BarKind.MEM32, UNKNOWN, True),), "no register is left for the upper half"


@pytest.mark.parametrize("words", ["[50] Null", "[50] <chain broken>", "<access denied>"])
def test_a_list_without_a_name_tells_nothing(words):
    found = at(parse(f"00:06.1 0200: 8086:1572\n\tControl: I/O-\n\tCapabilities: {words}\n"), "00:06.1")
    for fact in (found.port_type, found.link, found.acs, found.ats, found.ari, found.sriov):
        assert isinstance(fact, Unknown) and "root" in fact.why


def test_what_is_integrated_has_no_link():
    text = "00:06.1 0200: 8086:1572\n\tControl: I/O-\n\tCapabilities: [a0] Express (v2) Root Complex Integrated Endpoint, MSI 00\n\t\tLnkCap:\tPort #0, Speed 2.5GT/s, Width x1, ASPM L0s\n"
    assert at(parse(text), "00:06.1").link is None


@pytest.mark.parametrize(("text", "found"), [
    ("Intel Corporation Device 9d10", (0x8086, 0x9D10, None)), ("Device 8086:6f00", (0x8086, 0x6F00, None)), ("10de:2330", (0x10DE, 0x2330, None)),
    ("NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330]", (0x10DE, 0x2330, "NVIDIA Corporation GH100 [H100 SXM5 80GB]")), ("Device [1e0f:0013]", (0x1E0F, 0x13, None)),
    ("IBM: Unknown device 00e0", (UNKNOWN, 0xE0, "IBM: Unknown device 00e0")), ("Illegal Vendor ID Device [ffff:ffff]", (0xFFFF, 0xFFFF, None)),
    ("Advanced Micro Devices, Inc. [AMD/ATI] Navi 21", (0x1002, UNKNOWN, "Advanced Micro Devices, Inc. [AMD/ATI] Navi 21")), ("", (UNKNOWN, UNKNOWN, None)),
])
def test_names(text, found):
    assert ids(text) == found


def test_records_for_programs():
    host = parse("Slot:\t17:00.0\nClass:\t3D controller [0302]\nVendor:\tNVIDIA Corporation [10de]\nDevice:\tGH100 [H100 SXM5 80GB] [2330]\nSVendor:\tNVIDIA Corporation [10de]\n"
                 "SDevice:\tDevice [16c1]\nPhySlot:\t3\nRev:\ta1\nProgIf:\t00\nDriver:\tnvidia\nModule:\tnouveau\nNUMANode:\t0\nIOMMUGroup:\t12\n\n"
                 "Slot:\t18:00.0\nClass:\t0108\nVendor:\t144d\nDevice:\ta80a\nProgIf:\t02\n")
    gpu, disk = host.functions
    assert (gpu.vendor_id, gpu.device_id, gpu.class_code, gpu.revision, gpu.subsystem, gpu.driver) == (0x10DE, 0x2330, 0x030200, 0xA1, (0x10DE, 0x16C1), "nvidia")
    assert gpu.numa_node == 0 and gpu.iommu_group == 12 and gpu.name == "NVIDIA Corporation GH100 [H100 SXM5 80GB]"
    assert (disk.class_code, disk.vendor_id, disk.device_id, disk.name, disk.numa_node, disk.driver) == (0x010802, 0x144D, 0xA80A, None, None, None)
    assert isinstance(disk.acs, Unknown) and isinstance(disk.subsystem, Unknown)


# ---- bytes, and bytes beside text


def machine():
    """A root port, a physical function with three virtual ones, the last of them on a bus of its own."""
    port = Function(Address.parse("16:01.0"), RootBus(0, 0x16), 0x8086, 0x352A, 0x060400, 0x30, port_type=PortType.ROOT_PORT, multifunction=False,
                    bus_range=BusRange(0x17, 0x18), acs=Acs(REQUIRED, REQUIRED), ats=None, ari=False, sriov=None)
    physical = Function(Address.parse("17:00.0"), port.address, 0x15B3, 0x1021, 0x020000, 0, port_type=PortType.ENDPOINT, multifunction=True,
                        acs=None, ats=Ats(True), ari=True, sriov=Sriov(8, 8, 3, 0x80, 0x40, 0x101E, True, True))
    virtual = [Function(address, port.address, 0x15B3, 0x101E, 0x020000, 0, port_type=PortType.ENDPOINT, physfn=physical.address, acs=None, ats=None, ari=True, sriov=None)
               for address in map(Address.parse, ("17:10.0", "17:18.0", "18:00.0"))]
    other = Function(Address.parse("17:00.1"), port.address, 0x15B3, 0x1021, 0x020000, 0, port_type=PortType.ENDPOINT, acs=None, ats=None, ari=True, sriov=None)
    return [port, physical, other, *virtual]


def dumped(functions):
    return "\n".join(f"{function.address} Device\n{dump(encode(function))}" for function in functions)


def test_bytes_alone_give_tree_and_virtual_functions():
    host = parse(dumped(machine()))
    for function in machine():
        found = host[function.address]
        for name in ("parent", "physfn", "vendor_id", "device_id", "class_code", "port_type", "acs", "ats", "ari", "sriov", "bus_range"):
            assert getattr(found, name) == getattr(function, name), (function.address, name)
    assert [at(host, text).multifunction for text in ("17:00.0", "17:00.1", "17:10.0", "18:00.0")] == [True, True, False, False]
    assert not host.elided


def test_a_virtual_function_without_its_physical_one_has_no_ids():
    host = parse(dumped(machine()[3:4]))
    assert isinstance(at(host, "17:10.0").vendor_id, Unknown) and at(host, "17:10.0").physfn is None and host.elided


def test_bytes_win_and_text_adds():
    """The dump says that the GPU has no ACS; the text that it has: the bytes are taken, and it is said."""
    function = Function(Address.parse("17:00.0"), RootBus(0, 0x17), 0x10DE, 0x2330, 0x030200, 0xA1, port_type=PortType.ENDPOINT, multifunction=True,
                        link=Link(32.0, 16, 32.0, 16), bars=(Bar(0, BarKind.MEM64, UNKNOWN, True, 0x24042000000),), acs=None, ats=None, ari=False, sriov=None)
    host = parse(GPU + dump(encode(function)))
    gpu = at(host, "17:00.0")
    assert gpu.acs is None and gpu.multifunction is True and gpu.link == Link(32.0, 16, 32.0, 16)
    assert gpu.iommu_group == 12 and gpu.driver == "nvidia" and gpu.name is not None and gpu.bars[0] == Bar(0, BarKind.MEM64, 16 << 20, True, 0x24042000000)
    assert "told in two ways" in host.assumed[0] and str(host.where(f"{gpu.path}/acs")) == "x.txt:41"


def test_64_bytes_leave_the_rest_to_the_text():
    function = Function(Address.parse("17:00.0"), RootBus(0, 0x17), 0x10DE, 0x2330, 0x030200, 0xA1, multifunction=False)
    gpu = at(parse(GPU + dump(encode(function))), "17:00.0")
    assert gpu.port_type is PortType.ENDPOINT and gpu.acs == Acs(AcsBits.RR | AcsBits.CR | AcsBits.DT, AcsBits.RR) and gpu.multifunction is False
    bare = at(parse("17:00.0 Device\n" + dump(encode(function))), "17:00.0")
    assert isinstance(bare.port_type, Unknown) and "root" in bare.port_type.why


def test_text_and_dump_one_after_the_other_are_put_together():
    function = machine()[0]
    host = parse(PORT + "\n" + GPU + "\n" + dumped([function]))
    assert len(host.functions) == 2 and at(host, "16:01.0").multifunction is False and at(host, "16:01.0").link == Link(32.0, 16, 32.0, 16)
    with pytest.raises(MalformedDocument, match="twice, as different devices"):
        parse(PORT + "\n" + PORT.replace("8086:352a", "8086:352b"))


def test_missing_bridges_are_said():
    """lspci -d 10de: prints the GPU without the ports above."""
    host = parse(GPU)
    assert host.elided and at(host, "17:00.0").parent == RootBus(0, 0x17) and "0000:17" in host.assumed[0]
    between = parse("00:01.0 0604: 8086:352a\n\tControl: I/O-\n\tBus: primary=00, secondary=10, subordinate=20, sec-latency=0\n\tCapabilities: [40] Express (v2) Root Port (Slot+)\n"
                    "\t\tLnkCap:\tPort #1, Speed 8GT/s, Width x4, ASPM L1\n\t\tLnkSta:\tSpeed 8GT/s, Width x4\n" + GPU)
    assert between.elided and at(between, "17:00.0").parent == Address.parse("00:01.0")


def test_strange_lines_are_not_passed_over_in_silence():
    host = parse("root@node:~# lspci -nn\npcilib: sysfs_read_vpd: read failed: No such device\n" + GPU)
    assert any("2 lines that lspci does not print" in text and "line 1" in text for text in host.assumed)


def test_other_encodings():
    assert len(parse(GPU.replace("\n", "\r\n")).functions) == 1
    assert len(parse(GPU.encode("utf-16")).functions) == 1
    assert len(parse(b"\xef\xbb\xbf" + GPU.encode()).functions) == 1
    assert len(parse(GPU.encode().replace(b"H100", b"H\xff00")).functions) == 1


# ---- what is refused, with every fault and its line


@pytest.mark.parametrize(("text", "words"), [
    ("", "no function is in it"),
    ("hello\nworld\n", "no function is in it"),
    ("-[0000:00]-+-00.0\n           +-01.0-[01]----00.0\n", "x.txt:1: `lspci -t` draws a tree"),
    ('00:00.0 "Host bridge" "Intel Corporation" "Device 09a2" -r20 "" ""\n', "x.txt:1: `lspci -m` prints names only"),
    ("00:01.0/00.0 3D controller: NVIDIA\n", "x.txt:1: `lspci -P` leaves out bus numbers"),
    ("00:1g.0 VGA compatible controller: x\n", "x.txt:1: no function's heading"),
    (GPU + "00: de 10 30 23\n10: 00\n", "goes on at offset 0x10, not 0x4"),
    (GPU + "00: de 10 30 zz\n", "x.txt:41: not a row of a hex dump"),
    (GPU + "00: de 10 30 23\n", "has 4 bytes, not 64, 256 or 4096"),
    (PORT.replace("secondary=17", "secondary=?"), "x.txt:3: lspci prints no such line"),
    (GPU.replace("Width x8 ", "Width "), "x.txt:18: lspci prints no such line"),
    (GPU.replace("ReqRedir+ CmpltRedir-", "ReqRedir"), "x.txt:23: lspci prints no such line"),
    (GPU.replace("64-bit, prefetchable) [size=16M]", "64-bit"), "x.txt:9: lspci prints no such line"),
    (GPU.replace("Total VFs: 32", "Total VFs: lots"), "x.txt:32: lspci prints no such line"),
    (GPU.replace("Endpoint,", "Endpint,"), "x.txt:15: lspci prints no such line"),
    (GPU.replace("NUMA node: 0", "NUMA node: zero"), "x.txt:7: lspci prints no such line"),
    ("Slot:\t17:00.0\nClass:\t0302\nRev:\tlots\n\nSlot:\tnowhere\n", "2 faults"),
    ("a\0b\n", "NUL"),
    ("00:00.0 " + "x" * 70000, "over 65536 characters"),
])
def test_refused(text, words):
    with pytest.raises(MalformedDocument) as caught:
        parse(text)
    assert words in str(caught.value)
    assert all(fault.remedy for fault in caught.value.faults)


def test_all_faults_at_once():
    text = GPU.replace("Width x8 ", "Width ").replace("NUMA node: 0", "NUMA node: zero") + "\n" + PORT.replace("secondary=17", "secondary=?")
    with pytest.raises(MalformedDocument) as caught:
        parse(text)
    assert [fault.where for fault in caught.value.faults] == ["x.txt:7", "x.txt:18", "x.txt:44"]


# ---- fuzz

PIECES = [*GPU.splitlines(keepends=True), *PORT.splitlines(keepends=True), *NVME.splitlines(keepends=True), "\n", *dump(encode(machine()[1])).splitlines(keepends=True)[:20]]


def survives(data):
    try:
        host = read(data, source="x")
    except SimkitError as error:
        assert str(error) and error.exit_status == 2
        return None
    for function in host.functions:
        assert function.vendor_id is not None and function.bars is not None and function.multifunction is not None
    return host


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
@example("00:00.0 x\n")
@example("00:00.0 x\n00: ff\n")
def test_no_text_breaks_the_reader(text):
    survives(text.encode("utf-8", "surrogatepass"))


@example(["17:00.0 3D controller [0302]: NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330] (rev a1)\n", "\tBus: primary=16, secondary=17, subordinate=1a, sec-latency=0\n"])
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_order_of_lines_breaks_the_reader(pieces):
    survives("".join(pieces).encode())


@given(st.data())
def test_damage_does_not_break_the_reader(data):
    """A good file with a piece cut out, doubled or overwritten: refused, or read with nothing that is None for "could not parse"."""
    text = (PORT + "\n" + GPU + "\n" + dumped(machine()[2:3])).encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    survives(text[:start] + data.draw(st.sampled_from([b"", text[start:end] * 2, b"?", b"\n", b"\xff", b"0"])) + text[end:])


@given(st.integers(0, len(GPU)))
def test_a_text_cut_short_never_says_more(length):
    """What a whole text says is what a part of it says, or unknown: but for what follows from silence (None), never another value."""
    whole = at(parse(PORT + "\n" + GPU), "17:00.0")
    host = survives((PORT + "\n" + GPU[:length]).encode())
    if host is not None and Address.parse("17:00.0") in host:
        part = at(host, "17:00.0")
        for name in ("vendor_id", "device_id", "iommu_group", "numa_node", "driver", "port_type"):
            value = getattr(part, name)
            assert value is None or not is_known(value) or value == getattr(whole, name) or str(getattr(whole, name)).startswith(str(value)) or name in ("vendor_id", "device_id")
