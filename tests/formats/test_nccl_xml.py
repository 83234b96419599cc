"""NCCL's XML: every file of the corpus against a reading with the standard library, and what is refused."""

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.nccl_xml import read
from simkit.model.address import Address
from simkit.model.capabilities import Link
from simkit.model.function import Kind
from simkit.model.unknown import UNKNOWN, is_known


def elements(root: ET.Element):
    """Every <pci> in document order with its parent's busid and its cpu's number."""

    def walk(element: ET.Element, parent: str | None, node: str | None):
        for child in element:
            if child.tag == "pci":
                yield child, parent, node
                yield from walk(child, child.get("busid"), node)

    for cpu in root.iter("cpu"):
        yield from walk(cpu, None, cpu.get("numaid"))


def compare(data: bytes, source: str) -> dict[str, int]:
    """Count what agrees; functions whose busid comes again are kept under another address and compared as a multiset."""
    host = read(data, source=source)
    stated = list(elements(ET.fromstring(data)))
    counts = dict.fromkeys(("functions", "switches", "classes", "speeds", "widths", "nodes", "parents", "repeated"), 0)
    assert len(host.functions) == len(stated)
    counts["functions"] = len(stated)
    seen: set[str] = set()
    for element, parent, node in stated:
        name = element.get("busid").lower()
        if name in seen or (parent and parent.lower() not in seen):
            counts["repeated"] += 1
            seen.add(name)
            continue
        seen.add(name)
        function = host[Address.parse(name)]
        if element.get("class"):
            counts["classes"] += 1
            assert function.class_code == int(element.get("class"), 16)
            if element.get("class") == "0x060400":
                counts["switches"] += 1
                assert function.is_bridge
        speed = element.get("link_speed", "")
        if "GT/s" in speed:
            counts["speeds"] += 1
            assert isinstance(function.link, Link)
            assert function.link.speed_gtps == float(speed.split()[0])
        if element.get("link_width", "0") not in ("", "0"):
            counts["widths"] += 1
            assert isinstance(function.link, Link)
            assert function.link.width == int(element.get("link_width"))
        if node is not None and node != "-1":
            counts["nodes"] += 1
            assert function.numa_node == int(node)
        if parent is not None:
            counts["parents"] += 1
            assert host.parent(function) is not None
    return counts


@pytest.mark.corpus
def test_every_topology_of_the_corpus(corpus: Path) -> None:
    total: dict[str, int] = {}
    files = [file for file in sorted((corpus / "nccl").glob("*.xml")) if "graph" not in file.name]
    for file in files:
        for key, count in compare(file.read_bytes(), str(file)).items():
            total[key] = total.get(key, 0) + count
    print(f"{len(files)} files: {total}")
    assert len(files) == 52
    assert total == {"functions": 1053, "switches": 461, "classes": 1029, "speeds": 1025, "widths": 1025, "nodes": 1038, "parents": 681, "repeated": 15}


@pytest.mark.corpus
def test_every_topology_of_the_truth(corpus: Path) -> None:
    count = functions = gpus = 0
    for line in gzip.open(corpus / "nccl" / "truth.jsonl.gz", "rt"):
        case = json.loads(line)
        host = read(case["xml"].encode(), source=case["id"])
        count += 1
        functions += compare(case["xml"].encode(), case["id"])["functions"]
        for address in case["expected"]["default"]["gpus"]:
            gpus += 1
            assert host[Address.parse(address)].kind is Kind.GPU
    print(f"{count} topologies, {functions} functions, {gpus} GPUs")
    assert (count, functions, gpus) == (316, 5493, 1891)


SMALL = b"""<system version="1">
  <cpu numaid="1" affinity="00000000,0000000f" arch="x86_64" vendor="AuthenticAMD" familyid="25" modelid="17">
    <pci busid="0000:01:00.0" class="0x060400" link_speed="32.0 GT/s PCIe" link_width="16">
      <pci busid="0000:03:00.0" class="0x030200" vendor="0x10de" device="0x2330"><gpu dev="0" sm="90"><nvlink target="0000:f3:00.0" count="4" tclass="0x068000"/></gpu></pci>
      <pci busid="0000:04:00.0"><nic><net name="mlx5_0"/></nic></pci>
    </pci>
  </cpu>
</system>"""


def test_what_nccl_says_and_what_it_does_not() -> None:
    host = read(SMALL, source="small.xml")
    assert host.elided
    assert str(host.numa_nodes[0].cpus) == "0-3"
    switch, gpu, nic = host.functions
    assert (gpu.kind, nic.kind) == (Kind.GPU, Kind.NIC)
    assert host.parent(gpu) is switch
    assert gpu.acs == UNKNOWN
    assert not is_known(gpu.iommu_group)
    assert str(host.where(gpu.path)) == "small.xml:4"
    assert [(link.source, link.target, link.count) for link in host.peer_links] == [(gpu.address, None, 4)]


BOMB = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><system><cpu numaid="0">&b;</cpu></system>'


@pytest.mark.parametrize(("data", "words"), [
    (BOMB, "entities"),
    (b"<system>" + b"<cpu>" * 500 + b"</cpu>" * 500 + b"</system>", "deeper|depth"),
    (b"<system></system>", "no <cpu>"),
    (b"<graphs/>", "<graphs>"),
    (b"<system><cpu", "not well-formed"),
    (b'<system><cpu><pci busid="nonsense"/></cpu></system>', "x.xml:1: busid: not a PCI address"),
    (b'<system><cpu affinity="zz"><pci busid="0000:01:00.0" class="x" link_width="y"/></cpu></system>', "2 faults|3 faults|link|class"),
    (b"", "not well-formed|not XML"),
])
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words):
        read(data, source="x.xml")


def test_an_outside_entity_is_not_fetched() -> None:
    host = read(b'<!DOCTYPE s SYSTEM "file:///etc/hostname"><system><cpu numaid="0">&x;</cpu></system>', source="x.xml")
    assert host.functions == ()


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(SimkitError):
        read(data, source="fuzz")


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 12), st.binary(max_size=8))
def test_no_damage_breaks_the_reader(at: int, cut: int, noise: bytes) -> None:
    try:
        read(SMALL[:at] + noise + SMALL[at + cut :], source="fuzz")
    except SimkitError as error:
        assert str(error)
