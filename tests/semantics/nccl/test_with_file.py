"""NCCL_TOPO_FILE on a machine: what the file decides, what is passed over, what the machine adds (NCCL src/graph/xml.cc)."""

from simkit.formats.source import open_host, shipped
from simkit.formats.xml import nccl_topology
from simkit.model.nccl_topology import NcclTopology
from simkit.model.route import PeerClass
from simkit.semantics.nccl.complete import complete
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.sysfs_view import sysfs_view
from simkit.semantics.nccl.with_file import with_file

FLAT = """<system version="1"><cpu numaid="0" arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="143">
<pci busid="0000:01:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="16"><gpu dev="0" sm="90" rank="0" gdr="1"/></pci>
<pci busid="0000:02:00.0" class="0x030200" link_speed="32.0 GT/s PCIe" link_width="16"><gpu dev="1" sm="90" rank="1" gdr="1"/></pci>
<pci busid="0000:03:00.0" class="0x020700" link_speed="32.0 GT/s PCIe" link_width="16"><nic><net name="mlx5_0" dev="0" speed="400000" gdr="1"/></nic></pci>
</cpu></system>"""
NEAR = """<system version="1"><cpu numaid="0"><pci busid="ffff:ff:01.0" class="0x060400" link_speed="32.0 GT/s PCIe" link_width="16">
<pci busid="{gpu}" class="0x030200"/><pci busid="0000:03:00.0" class="0x020700"/></pci></cpu></system>"""


def read(text: str) -> NcclTopology:
    return nccl_topology.read(text.encode(), source="topo.xml")


def test_a_file_that_says_nothing_changes_nothing() -> None:
    for name in shipped("hosts"):
        found = sysfs_view(open_host(name))
        assert with_file(NcclTopology("nothing", ()), found).cpus == found.cpus, name


def test_an_entry_stays_where_the_file_puts_it_and_the_rest_comes_from_sysfs() -> None:
    made = with_file(read(NEAR.format(gpu="0000:01:00.0")), read(FLAT))
    answer = conclude(complete(made))
    assert [str(gpu) for gpu in answer.gpus] == ["0000:01:00.0", "0000:02:00.0"]
    assert [row[0].nearness for row in answer.gpu_net] == [PeerClass.PIX, PeerClass.PHB]
    assert any(sentence.startswith("0000:02:00.0 is not in the file") for sentence in made.assumed)


def test_an_entry_with_a_wrong_busid_is_passed_over() -> None:
    """The GPU is then where sysfs has it: far from the port, though the file meant it near."""
    made = with_file(read(NEAR.format(gpu="0000:11:00.0")), read(FLAT))
    answer = conclude(complete(made))
    assert [row[0].nearness for row in answer.gpu_net] == [PeerClass.PHB, PeerClass.PHB]
    assert "0000:11:00.0 of the file is no GPU or network port of the machine: NCCL passes over it" in made.assumed


def test_ranks_in_the_file_do_not_count_but_speeds_do() -> None:
    stated = read(FLAT.replace('rank="0"', 'rank="7"').replace('speed="400000"', 'speed="100000"').replace('link_width="16"><nic', 'link_width="4"><nic'))
    made = with_file(stated, read(FLAT))
    assert {gpu.rank for child in made.cpus[0].children for gpu in child.gpus} == {0, 1}
    answer = conclude(complete(made))
    assert answer.gpu_net[0][0].bandwidth < conclude(complete(read(FLAT))).gpu_net[0][0].bandwidth


def test_the_class_is_the_machines() -> None:
    made = with_file(read(FLAT.replace("0x020700", "0x010802")), read(FLAT))
    assert [child.class_code for child in made.cpus[0].children] == ["0x030200", "0x020700", "0x030200"]
