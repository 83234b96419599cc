"""NCCL's XML: every file of the corpus against a reading with the standard library, and what is refused."""

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.xml.nccl import read
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


def one_gpu(links: str, *, cpu: str = 'numaid="0"') -> str:
    return f'<cpu {cpu}><pci busid="0000:01:00.0" class="0x030200"><gpu dev="0" sm="90" rank="0">{links}</gpu></pci></cpu>'


def ends(*cpus: str) -> list[tuple[str, str, str, int]]:
    host = read(f"<system>{''.join(cpus)}</system>".encode(), source="x.xml")
    return [(str(link.source), str(link.target), str(link.kind), link.count) for link in host.peer_links]


def test_the_class_of_a_target_tells_what_it_is() -> None:
    """As kvDictPciClass of NCCL: a hidden switch, switches that are not in the file, the CPU of a POWER9, a GPU that the file leaves out."""
    one, none = "0000:01:00.0", "None"
    assert ends(one_gpu('<nvlink target="fffffff:ffff:ff" count="18" tclass="0x068000"/>')) == [(one, none, "nvlink", 18)]
    assert ends(one_gpu('<nvlink target="0000:05:00.0" count="5" tclass="0x068000"/><nvlink target="0000:06:00.0" count="4" tclass="0x068000"/>')) == [
        (one, none, "nvlink", 9)]
    assert ends(one_gpu('<nvlink target="0004:00:00.0" count="3" tclass="0x068001"/>')) == [(one, none, "c2c", 3)]
    assert ends(one_gpu('<xgmi target="0000:02:00.0" count="1" tclass="0x038000"/>')) == []
    with pytest.raises(MalformedDocument, match="target: not a PCI address"):
        ends(one_gpu('<nvlink target="1" count="18" tclass="0x030200"/>'))


def test_several_ranks_on_a_gpu_have_its_links_once() -> None:
    rank = '<gpu dev="0" rank="{}"><nvlink target="fffffff:ffff:ff" count="18" tclass="0x068000"/></gpu>'
    assert ends(f'<cpu><pci busid="0000:01:00.0">{rank.format(0)}{rank.format(1)}</pci></cpu>') == [("0000:01:00.0", "None", "nvlink", 18)]


def test_several_machines_in_one_file_keep_apart() -> None:
    """Dumps that NCCL fuses repeat busids and NUMA numbers, told apart by host_hash; a link's target is one of its own machine."""
    second = '<pci busid="0000:02:00.0" class="0x030200"><gpu dev="1"/></pci></cpu>'
    link = '<nvlink target="0000:02:00.0" count="4" tclass="0x030200"/>'
    text = "".join(one_gpu(link, cpu=f'host_hash="{name}" numaid="1" affinity="f"').replace("</cpu>", second) for name in ("0xa", "0xb"))
    host = read(f"<system>{text}</system>".encode(), source="x.xml")
    assert [(str(function.address), function.numa_node) for function in host.functions] == [
        ("0000:01:00.0", 1), ("0000:01:00.1", 2), ("0000:02:00.0", 1), ("0000:02:00.1", 2)]
    assert [node.id for node in host.numa_nodes] == [1, 2]
    assert [(str(link.source), str(link.target)) for link in host.peer_links] == [("0000:01:00.0", "0000:02:00.0"), ("0000:01:00.1", "0000:02:00.1")]
    assert len(host.assumed) == 3


def test_two_elements_of_one_numa_node_are_put_together() -> None:
    host = read(b'<system><cpu numaid="0" affinity="3"/><cpu numaid="0" affinity="c"/><cpu numaid="-1"/></system>', source="x.xml")
    assert [(node.id, str(node.cpus)) for node in host.numa_nodes] == [(0, "0-3")]


def test_comments_end_as_nccl_ends_them() -> None:
    host = read(b"<!------ by hand\n -- a list\n ------>\n" + SMALL, source="x.xml")
    assert str(host.where(host.functions[0].path)) == "x.xml:6"
    with pytest.raises(MalformedDocument, match="not well-formed"):
        read(b"<!--" * 100_000, source="x.xml")


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
    (b'<system><cpu numaid="one"/></system>', "x.xml:1: numaid='one' is no number"),
    (b'<system><cpu><pci busid="0000:01:00.0" link_speed="inf GT/s" link_width="9e9"/></cpu></system>', "is no link"),
    (b'<system><cpu><pci busid="0000:01:00.0" vendor="0x10de0"/></cpu></system>', "vendor='0x10de0' is no number"),
    (b"<system>" + b"<cpu/>" * 5000 + b"</system>", "5000 <cpu> elements"),
])
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words):
        read(data, source="x.xml")


@pytest.mark.parametrize(("data", "words"), [
    (b"<system><cpu>" + b'<pci busid="0000:01:00.0"/>' * 30_000 + b"</cpu></system>", "29744 faults"),
    (b"<system>" + b'<cpu><pci busid="0000:01:00.0"/></cpu>' * 4000 + b"</system>", "3744 faults"),
    (b"<system><cpu>" + b"<a/>" * 1_000_000 + b"</cpu></system>", "over 1,000,000 tags"),
])
def test_what_repeats_itself_is_read_in_its_length(data: bytes, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words):
        read(data, source="x.xml")


@pytest.mark.parametrize("name", ["busid", "class", "vendor", "link_speed", "link_width"])
def test_an_error_shows_the_beginning_of_a_long_value(name: str) -> None:
    with pytest.raises(MalformedDocument) as caught:
        read(f'<system><cpu numaid="0"><pci busid="0000:01:00.0" {name}="GT/s {"9" * 100_000}"/></cpu></system>'.replace(
            'busid="0000:01:00.0" busid', "busid").encode(), source="x.xml")
    assert len(str(caught.value)) < 400


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
