"""NCCL's XML as NCCL takes it: every element in its order, faults with their lines, and nothing breaks the reader or the answer."""

import gzip
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.xml.nccl_topology import read
from simkit.model.nccl_topology import NcclNic, NcclPci
from simkit.model.unknown import UNKNOWN
from simkit.semantics.nccl.predict import predict

WHOLE = b"""<system version="1">
  <cpu numaid="1" host_hash="0xa1b2" affinity="f" arch="x86_64" vendor="AuthenticAMD" familyid="25" modelid="17">
    <pci busid="0000:01:00.0" class="0x060400" vendor="0x1000" device="0xc030" subsystem_vendor="010" subsystem_device="9" link_speed="32.0 GT/s PCIe" link_width="">
      <pci busid="0000:03:00.0" class="0x030200" link_speed="" link_width="0">
        <gpu dev="0" sm="90" rank="3" gdr="0" mlopart="-1"><nvlink target="0000:f3:00.0" count="4" tclass="0x068000"/><c2c bw="44712" count="10"/><what/></gpu>
      </pci>
      <pcilink target="0000:05:00.0"/>
      <pci busid="0000:04:00.0" class="0x020700"><nic><net name="mlx5_0" dev="2" speed="-1" gdr="1" net="0"/><net name="x"/></nic></pci>
    </pci>
    <nic><net name="bond0" dev="3" coll="0"/></nic>
  </cpu>
</system>"""


def test_every_element_and_attribute() -> None:
    topology = read(WHOLE, source="whole.xml")
    (cpu,) = topology.cpus
    assert (cpu.numa_id, cpu.machine, cpu.arch, cpu.vendor, cpu.family, cpu.model) == (1, 0xA1B2, "x86_64", "AuthenticAMD", 25, 17)
    switch, bare = cpu.children
    assert isinstance(switch, NcclPci)
    assert isinstance(bare, NcclNic)
    assert (switch.ids, switch.link_speed, switch.link_width, [str(peer) for peer in switch.peers]) == (
        (0x1000, 0xC030, 8, 9), "32.0 GT/s PCIe", 0, ["0000:05:00.0"])
    card, nic = switch.children
    (gpu,) = card.gpus
    assert (gpu.rank, gpu.dev, gpu.sm, gpu.gdr, gpu.mlopart) == (3, 0, 90, False, None)
    assert [(str(link.target), link.count, link.target_class) for link in gpu.nvlinks] == [("0000:f3:00.0", 4, "0x068000")]
    assert [(link.bandwidth_mbps, link.count) for link in gpu.c2c] == [(44712, 10)]
    assert nic.nic is not None
    first, second = nic.nic.nets
    assert (first.name, first.dev, first.speed_mbps, first.gdr, first.net) == ("mlx5_0", 2, -1, True, False)
    assert (second.dev, second.speed_mbps, second.gdr, nic.link_width) == (None, UNKNOWN, UNKNOWN, UNKNOWN)
    assert topology.assumed == ()


@pytest.mark.corpus
def test_nothing_of_the_corpus_is_lost(corpus: Path) -> None:
    """Elements are counted by a reading with the standard library."""
    count = {"pci": 0, "gpu": 0, "net": 0, "nvlink": 0, "c2c": 0}
    for line in gzip.open(corpus / "nccl" / "truth.jsonl.gz", "rt"):
        case = json.loads(line)
        found = dict.fromkeys(count, 0)
        stack = [child for cpu in read(case["xml"].encode(), source=case["id"]).cpus for child in cpu.children]
        while stack:
            pci = stack.pop()
            nic = pci if isinstance(pci, NcclNic) else pci.nic
            found["net"] += len(nic.nets) if nic else 0
            if isinstance(pci, NcclPci):
                found["pci"] += 1
                found["gpu"] += len(pci.gpus)
                found["nvlink"] += sum(len(gpu.nvlinks) for gpu in pci.gpus)
                found["c2c"] += sum(len(gpu.c2c) for gpu in pci.gpus)
                stack.extend(pci.children)
        root = ET.fromstring(case["xml"])
        assert found == {tag: sum(1 for _ in root.iter(tag)) for tag in count}
        count = {tag: count[tag] + found[tag] for tag in count}
    print(count)
    assert count == {"pci": 5493, "gpu": 1891, "net": 1623, "nvlink": 4814, "c2c": 19}


@pytest.mark.corpus
def test_every_file_that_clouds_and_rccl_ship_has_an_answer(corpus: Path) -> None:
    files = [file for file in sorted((corpus / "nccl").glob("*.xml")) if "graph" not in file.name]
    gpus = nets = told = 0
    for file in files:
        found = predict(read(file.read_bytes(), source=str(file)))
        gpus, nets, told = gpus + len(found.gpus), nets + len(found.nets), told + bool(found.assumed)
    print(f"{len(files)} files: {gpus} GPUs, {nets} ports, {told} with assumptions")
    assert (len(files), gpus, nets, told) == (52, 410, 164, 51)


def test_what_rccl_states_is_read_as_nccl_would_have_it() -> None:
    data = WHOLE.replace(b'version="1"', b'version="2"').replace(b"<what/>", b'<xgmi target="0000:09:00.0" count="1" tclass="0x038000"/>')
    assert [sentence[:45] for sentence in read(data, source="x.xml").assumed] == [
        "the file states version 2, as RCCL's files do", "links of AMD's (<xgmi>) are left out, as NCCL"]


@pytest.mark.parametrize(("data", "words"), [
    (b"<graphs/>", "<graphs>"),
    (b"<system></system>", "no <cpu>"),
    (b"<system>" + b"<cpu/>" * 5000 + b"</system>", "5000 <cpu> elements"),
    (b'<system version="1"><cpu numaid="one"/></system>', "x.xml:1: numaid='one' is no number"),
    (b'<system version="1"><cpu host_hash="zz"/></system>', "host_hash='zz' is no number"),
    (b'<system version="1"><cpu><pci busid="nonsense"/></cpu></system>', "x.xml:1: busid: not a PCI address"),
    (b'<system version="1"><cpu><pci busid="0:1:0.0" link_width="x16" vendor="10de"/></cpu></system>', "2 faults"),
    (b'<system version="1"><cpu><pci busid="0:1:0.0" link_width="-16"/></cpu></system>', "link_width='-16' is no number from 0"),
    (b'<system version="1"><cpu><pci busid="0:1:0.0"><gpu dev="-1"/></pci></cpu></system>', "dev='-1' is no number from 0"),
    (b'<system version="1"><cpu><pci busid="0:1:0.0"><gpu><nvlink target="1" count="2" tclass="0x030200"/></gpu></pci></cpu></system>', "target: not a PCI"),
    (b'<system version="1"><cpu><pci busid="0:1:0.0"><gpu><c2c bw="1"/></gpu></pci></cpu></system>', "<c2c> has no count"),
    (b'<system version="1"><cpu modelid="08"/></system>', "modelid='08' is no number"),
    (b"", "not well-formed|not XML"),
])
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words):
        read(data, source="x.xml")


def test_an_error_shows_the_beginning_of_a_long_value() -> None:
    with pytest.raises(MalformedDocument) as caught:
        read(f'<system version="1"><cpu numaid="{"9" * 100_000}" host_hash="{"f" * 100_000}"/></system>'.encode(), source="x.xml")
    assert len(str(caught.value)) < 500


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(SimkitError):
        read(data, source="fuzz")


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 40), st.one_of(st.binary(max_size=8), st.sampled_from([b'"0"', b'"', b"<gpu/>", b"<pci>", b"</pci>"])))
@example(0, 0, b"")
def test_no_damage_breaks_reader_or_answer(at: int, cut: int, noise: bytes) -> None:
    try:
        found = predict(read(WHOLE[:at] + noise + WHOLE[at + cut :], source="fuzz"))
    except SimkitError as error:
        assert str(error)
    else:
        assert len(found.gpu_net) == len(found.gpus)
