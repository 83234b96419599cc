"""hwloc's XML: every file of the corpus against a reading with the standard library."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.xml.hwloc import read
from simkit.model.address import Address
from simkit.model.capabilities import BusRange, Link
from simkit.model.unknown import is_known


def walk(element: ET.Element, nodeset: int | None = None):
    for child in element:
        if child.tag == "object":
            mine = int(child.get("nodeset").split(",")[-1], 16) if child.get("nodeset") else nodeset
            yield child, mine
            yield from walk(child, mine)


@pytest.mark.corpus
def test_every_topology_of_the_corpus(corpus: Path) -> None:
    files = sorted((corpus / "hwloc").glob("*.xml"))
    functions = bridges = speeds = local = numa = repeated = 0
    for file in files:
        host = read(file.read_bytes(), source=str(file))
        seen = set()
        for element, nodes in walk(ET.parse(file).getroot()):
            if element.get("type") == "NUMANode":
                numa += 1
                assert int(element.get("os_index")) in {node.id for node in host.numa_nodes}
            if element.get("pci_busid") is None:
                continue
            functions += 1
            if element.get("pci_busid") in seen:
                repeated += 1
                continue
            seen.add(element.get("pci_busid"))
            function = host[Address.parse(element.get("pci_busid"))]
            class_text, ids, _, revision, interface = element.get("pci_type").split(" ")
            assert function.class_code == int(class_text + interface, 16)
            assert f"[{function.vendor_id:04x}:{function.device_id:04x}]" == ids
            assert function.revision == int(revision, 16)
            if element.get("bridge_pci"):
                bridges += 1
                low, high = element.get("bridge_pci").split("[")[1].rstrip("]").split("-")
                assert function.bus_range == BusRange(int(low, 16), int(high, 16))
            if float(element.get("pci_link_speed", "0")):
                speeds += 1
                assert isinstance(function.link, Link)
                assert function.link.stated_gbps == pytest.approx(float(element.get("pci_link_speed")) * 8, abs=1e-3)
            if nodes and nodes & (nodes - 1) == 0:
                local += 1
                assert function.numa_node == nodes.bit_length() - 1
            else:
                assert not is_known(function.numa_node)
        assert len(host.functions) == sum(1 for element, _ in walk(ET.parse(file).getroot()) if element.get("pci_busid"))
    print(f"{len(files)} files: functions {functions}, bridges {bridges}, links {speeds}, local {local}, NUMA nodes {numa}, repeated {repeated}")
    assert (len(files), functions, bridges, speeds, local, numa, repeated) == (5, 155, 85, 107, 154, 10, 1)


SMALL = b"""<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0"><object type="Machine" os_index="0" nodeset="0x1">
 <object type="NUMANode" os_index="0" cpuset="0x3" nodeset="0x1" local_memory="1024"/>
 <object type="Bridge" bridge_type="0-1" bridge_pci="0000:[00-02]">
  <object type="PCIDev" pci_busid="0000:00:02.0" pci_type="0302 [10de:1db8] [0000:0000] a1 00" pci_link_speed="15.753846"/>
 </object></object></topology>"""


def test_a_small_one() -> None:
    host = read(SMALL, source="s.xml")
    assert host.functions[0].numa_node == 0
    assert str(host.root_buses[0]) == "pci0000:00"
    assert host.functions[0].subsystem is None


def test_before_version_3_the_interface_is_not_stated_and_after_it_is() -> None:
    assert read(SMALL.replace(b" a1 00", b" a1"), source="s.xml").functions[0].class_code == 0x030200
    assert read(SMALL.replace(b"0302", b"0c03").replace(b" a1 00", b" a1 30"), source="s.xml").functions[0].class_code == 0x0C0330


def test_early_versions_wrote_the_decimal_sign_of_the_locale_and_another_root() -> None:
    old = SMALL.replace(b"15.753846", b"15,753846").replace(b"<!DOCTYPE topology", b"<!DOCTYPE root").replace(b"<topology", b"<root").replace(b"</topology", b"</root")
    assert read(old, source="s.xml").functions[0].link == read(SMALL, source="s.xml").functions[0].link


@pytest.mark.parametrize(("old", "new"), [(b"0000:00:02.0", b"0000:00:99.0"), (b"[10de:1db8]", b"10de"), (b"[00-02]", b"[00]"), (b'cpuset="0x3"', b'cpuset="0xz"'), (b"15.75", b"abc")])
def test_faults_have_lines(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedDocument, match=r"s.xml:[345]: "):
        read(SMALL.replace(old, new), source="s.xml")


@given(st.integers(0, len(SMALL) - 1), st.integers(0, 12), st.binary(max_size=8))
def test_no_damage_breaks_the_reader(at: int, cut: int, noise: bytes) -> None:
    try:
        read(SMALL[:at] + noise + SMALL[at + cut :], source="fuzz")
    except SimkitError as error:
        assert str(error)
