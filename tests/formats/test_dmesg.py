"""Kernel logs: what each line says, prefixes, several boots, what is refused, the fuzz, and what 256 booted kernels logged."""

import gzip
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.text.dmesg import read
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import AcsBits, Bar, BarKind, BusRange, Link, PortType
from simkit.model.platform import Cpu, IommuKind
from simkit.model.scope import MadeBus
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.semantics.groups import groups

LOG = """\
Linux version 6.12.9-amd64 (debian-kernel@lists.debian.org) (gcc-14 (Debian 14.2.0-12) 14.2.0) #1 SMP PREEMPT_DYNAMIC
Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on iommu=pt
DMAR: IOMMU enabled
Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on iommu=pt
smpboot: CPU0: Intel(R) Xeon(R) Platinum 8480C (family: 0x6, model: 0x8f, stepping: 0x8)
PCI host bridge to bus 0000:00
pci_bus 0000:00: root bus resource [bus 00-15]
pci 0000:00:00.0: [8086:09a2] type 00 class 0x088000 conventional PCI endpoint
PCI host bridge to bus 0000:16
pci_bus 0000:16: root bus resource [bus 16-1f]
pci 0000:16:01.0: [8086:352a] type 01 class 0x060400 PCIe Root Port
pci 0000:16:01.0: BAR 0 [mem 0x9f000000-0x9f01ffff 64bit]
pci 0000:16:01.0: PCI bridge to [bus 17-1a]
pci 0000:16:01.0:   bridge window [mem 0x9f000000-0x9f0fffff]
pci 0000:16:01.0: enabling Extended Tags
pci 0000:17:00.0: [10de:2330] type 00 class 0x030200 PCIe Endpoint
pci 0000:17:00.0: BAR 0 [mem 0x00000000-0x00ffffff 64bit pref]
pci 0000:17:00.0: BAR 2 [mem 0x22000000000-0x23fffffffff 64bit pref]
pci 0000:17:00.0: VF BAR 0 [mem 0x24044000000-0x24044ffffff 64bit pref]
pci 0000:17:00.0: ROM [mem 0xfff80000-0xffffffff pref]
pci 0000:17:00.0: 126.028 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x16 link at 0000:16:01.0 (capable of 504.112 Gb/s with 32.0 GT/s PCIe x16 link)
pci_bus 0000:16: on NUMA node 0
pci 0000:17:00.0: BAR 0 [mem 0x24042000000-0x24042ffffff 64bit pref]: assigned
pci 0000:17:00.0: ROM [mem size 0x00080000 pref]: can't assign; no space
pci 0000:16:01.0: Configured ACS to 0x001d
DMAR: dmar0: Using Queued invalidation
pci 0000:00:00.0: Adding to iommu group 0
pci 0000:16:01.0: Adding to iommu group 1
pci 0000:17:00.0: Adding to iommu group 12
DMAR: Intel(R) Virtualization Technology for Directed I/O
pcieport 0000:16:01.0: PME: Signaling with IRQ 26
nvidia 0000:17:00.0: enabling device (0140 -> 0142)
usb 1-1: new high-speed USB device number 2 using xhci_hcd
"""
OLD = """\
Linux version 4.4.0-21-generic (buildd@lgw01-21) #37-Ubuntu SMP
Kernel command line: ro
pci 0000:3b:00.0: [15b3:1013] type 00 class 0x020700
pci 0000:3b:00.0: reg 0x10: [mem 0xc6000000-0xc7ffffff 64bit pref]
pci 0000:3b:00.0: reg 0x30: [mem 0xc8000000-0xc80fffff pref]
pci 0000:3b:00.0: reg 0x1a4: [mem 0xc8100000-0xc81fffff 64bit pref]
pci 0000:3b:00.0: reg 0x18: [io  0xe000-0xe07f]
pci 0000:3b:00.0: BAR 0: assigned [mem 0xd6000000-0xd7ffffff 64bit pref]
pci 0000:3b:00.0: BAR 2: no space for [io  size 0x0080]
AMD-Vi: Found IOMMU at 0000:00:00.2 cap 0x40
iommu: Adding device 0000:3b:00.0 to group 3
iommu: Adding device 0000:3b:00.1 to group 3
iommu: Removing device 0000:3b:00.1 from group 3
"""
PREFIXES = ["", "[    0.638798] ", "[Tue Nov 25 03:09:33 2026] ", "<6>[    0.638798] ", "kern  :info  : [    0.638798] ", "[    0.638798] [    T1] ",
            "Nov 25 03:09:33 node7 kernel: ", "Nov 25 03:09:33 node7 kernel: [    0.638798] ", "2026-11-25T03:09:33+0000 node7 kernel: ", "2026-11-25T03:09:33,5+00:00 "]


def parse(text, source="x.log"):
    return read(text.encode(), source=source)


def at(host, address):
    return host[Address.parse(address)]


def test_every_fact_of_a_log():
    host = parse(LOG)
    assert host.kernel == "6.12.9-amd64" and host.cmdline == "BOOT_IMAGE=/vmlinuz root=/dev/sda1 intel_iommu=on iommu=pt" and host.iommu is IommuKind.INTEL
    assert host.cpu == Cpu("x86_64", "GenuineIntel", 6, 0x8F, "Intel(R) Xeon(R) Platinum 8480C")
    gpu, port, system = at(host, "17:00.0"), at(host, "16:01.0"), at(host, "00:00.0")
    assert (gpu.vendor_id, gpu.device_id, gpu.class_code, gpu.port_type, gpu.iommu_group) == (0x10DE, 0x2330, 0x030200, PortType.ENDPOINT, 12)
    assert gpu.parent == port.address and gpu.numa_node == 0 and port.numa_node == 0 and isinstance(system.numa_node, Unknown)
    assert gpu.bars == (Bar(0, BarKind.MEM64, 16 << 20, True, 0x24042000000), Bar(2, BarKind.MEM64, 128 << 30, True, 0x22000000000), Bar(6, BarKind.MEM32, 512 << 10, True))
    assert gpu.link == Link(UNKNOWN, UNKNOWN, 32.0, 16) and port.link == Link(8.0, 16, UNKNOWN, UNKNOWN)
    assert port.bus_range == BusRange(0x17, 0x1A) and port.parent == RootBus(0, 0x16) and port.acs.control == AcsBits(0x1D) and isinstance(port.acs.capability, Unknown)
    assert system.port_type is None and system.acs is None and system.sriov is None and system.ari is False and system.parent == RootBus(0, 0)
    assert not host.elided and isinstance(gpu.driver, Unknown) and isinstance(gpu.multifunction, Unknown)
    assert str(host.where(f"{gpu.path}/iommu_group")) == "x.log:29" and str(host.where(gpu.path)) == "x.log:16" and str(host.where("kernel")) == "x.log:1"


def test_old_kernels():
    host = parse(OLD)
    (nic,) = host.functions
    assert nic.iommu_group == 3 and host.iommu is IommuKind.AMD and host.cmdline == "ro" and isinstance(nic.port_type, Unknown) and "6.8" in nic.port_type.why
    assert nic.bars == (Bar(0, BarKind.MEM64, 32 << 20, True, 0xD6000000), Bar(2, BarKind.IO, 128), Bar(6, BarKind.MEM32, 1 << 20, True, 0xC8000000))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes(prefix):
    plain, prefixed = parse(LOG), parse("".join(f"{prefix}{line}\n" for line in LOG.splitlines()))
    assert prefixed == plain


def test_the_last_boot_counts():
    host = parse(OLD + LOG)
    assert host.kernel == "6.12.9-amd64" and Address.parse("3b:00.0") not in host and "2 boots" in host.assumed[0]


def test_a_log_without_its_beginning_leaves_groups_open():
    host = parse("pci 0000:00:02.0: [8086:0001] type 00 class 0x030000\npci 0000:00:03.0: Adding to iommu group 1\n")
    assert isinstance(at(host, "00:02.0").iommu_group, Unknown) and at(host, "00:03.0").iommu_group == 1 and isinstance(host.kernel, Unknown)
    whole = parse("Linux version 6.1.0 (x)\npci 0000:00:02.0: [8086:0001] type 00 class 0x030000\npci 0000:00:03.0: Adding to iommu group 1\n")
    assert at(whole, "00:02.0").iommu_group is None
    without = parse("Linux version 6.1.0 (x)\npci 0000:00:02.0: [8086:0001] type 00 class 0x030000\n")
    assert isinstance(at(without, "00:02.0").iommu_group, Unknown) and isinstance(without.iommu, Unknown)


@pytest.mark.parametrize(("lines", "kind"), [
    ("arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x00001fff)", IommuKind.SMMU),
    ("AMD-Vi: AMD IOMMUv2 functionality not available on this system", UNKNOWN),
    ("pci 0000:00:00.2: AMD-Vi: IOMMU performance counters supported", IommuKind.AMD),
    ("DMAR: IOMMU enabled\nAMD-Vi: Extended features (0x58f77ef22294a5a, 0x0): PPR NX GT", IommuKind.AMD),
    ("DMAR: IOMMU disabled", IommuKind.NONE), ("DMAR: Host address width 46", UNKNOWN), ("DMAR: IOMMU enabled", UNKNOWN),
])
def test_whose_iommu_translates(lines, kind):
    assert parse(f"Linux version 6.1.0 (x)\n{lines}\npci 0000:00:02.0: [8086:0001] type 00 class 0x030000\n").iommu == kind


@pytest.mark.parametrize(("text", "words"), [
    ("", "no line tells of a PCI function"), ("usb 1-1: new device\n", "no line tells"),
    (LOG.replace("[bus 17-1a]", "[bus 1a-17]"), "x.log:13: bus numbers fall"),
    (LOG.replace("0x22000000000-0x23fffffffff", "0x22000000000-0x1ffffffffff"), "x.log:18: addresses fall"),
    (LOG.replace("limited by 8.0", "limited by 8.0.0"), "x.log:21: no link speed"),
])
def test_refused(text, words):
    with pytest.raises(MalformedDocument) as caught:
        parse(text)
    assert words in str(caught.value)


def survives(data):
    try:
        host = read(data, source="x")
    except SimkitError as error:
        assert str(error) and error.exit_status == 2
        return
    assert all(function.bars is not None for function in host.functions)


@given(st.text(max_size=300) | st.lists(st.sampled_from([*LOG.splitlines(), *OLD.splitlines()])).map("\n".join))
def test_no_text_breaks_the_reader(text):
    survives(text.encode("utf-8", "surrogatepass"))


@given(st.data())
def test_damage_does_not_break_the_reader(data):
    text = LOG.encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 100)))
    survives(text[:start] + data.draw(st.sampled_from([b"", text[start:end] * 2, b"f", b"\n", b"\xff", b"9" * 30])) + text[end:])


@pytest.mark.corpus
def test_what_booted_kernels_logged(corpus):
    counts = Counter()
    for path in sorted((corpus / "kernel").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for case in map(json.loads, lines):
                host = parse("\n".join(case["dmesg"]), case["id"])
                assert host.iommu is IommuKind(case["iommu"]) and set(case["cmdline"].split()) <= set(host.cmdline.split())
                logged = {str(function.address): function.iommu_group for function in host.functions}
                assert logged == {function["bdf"]: function["iommu_group"] for function in case["functions"] if function["iommu_group"] is not None}
                counts["cases"] += 1
                counts["functions"] += len(logged)
    print(counts)
    assert counts == {"cases": 256, "functions": 4524}


VMD = """\
Linux version 6.8.0 (x) #1 SMP
DMAR: IOMMU enabled
PCI host bridge to bus 0000:00
pci 0000:00:0e.0: [8086:a77f] type 00 class 0x010400 PCIe Root Complex Integrated Endpoint
pci 0000:00:14.0: [8086:51ed] type 00 class 0x0c0330 conventional PCI endpoint
pci 0000:00:0e.0: Adding to iommu group 7
pci 0000:00:14.0: Adding to iommu group 9
DMAR: Intel(R) Virtualization Technology for Directed I/O
vmd 0000:00:0e.0: PCI host bridge to bus 10000:e0
pci_bus 10000:e0: root bus resource [bus e0-ff]
pci 10000:e0:06.0: [8086:a74d] type 01 class 0x060400 PCIe Root Port
pci 10000:e0:06.0: PCI bridge to [bus e1]
pci 10000:e0:06.0: Adding to iommu group 7
pci 10000:e1:00.0: [15b7:5015] type 00 class 0x010802 PCIe Endpoint
pci 10000:e1:00.0: Adding to iommu group 7
"""
"""The functions and groups of a laptop whose owner published them (ids and groups; the lines are put together here)."""


def test_the_kernel_groups_all_below_a_vmd_with_it() -> None:
    host = read(VMD.encode(), source="vmd.log")
    assert host.made_buses == (MadeBus(RootBus(0x10000, 0xE0), Address.parse("00:0e.0")),)
    answer = groups(host)
    assert answer.reported
    assert answer.differences == ()
    assert [[str(address) for address in group.functions] for group in answer.groups] == [["0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0"], ["0000:00:14.0"]]
    apart = groups(read(VMD.replace("10000:e1:00.0: Adding to iommu group 7", "10000:e1:00.0: Adding to iommu group 8").encode(), source="vmd.log"))
    assert [str(difference.function) for difference in apart.differences] == ["0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0"]


def test_a_maker_that_the_log_does_not_find_makes_nothing() -> None:
    lines = [line for line in VMD.splitlines() if not line.startswith("pci 0000:00:0e.0")]
    assert read("\n".join(lines).encode(), source="x").made_buses == ()
