"""`simkit nccl`: JSON that keeps its schema, text, guests of a plan, and what is refused."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from simkit.cli.main import cli, main
from simkit.formats.schema import schema

XML = """<system version="1"><cpu numaid="0" affinity="f" arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="143">
<pci busid="0000:01:00.0" class="0x060400" link_speed="16.0 GT/s PCIe" link_width="16">
<pci busid="0000:02:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16"><gpu dev="0" sm="90" rank="0" gdr="1"/></pci>
<pci busid="0000:03:00.0" class="0x020700" link_speed="16.0 GT/s PCIe" link_width="16"><nic><net name="mlx5_0" dev="0" speed="200000" gdr="1"/></nic></pci>
</pci></cpu></system>"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["nccl", *arguments])


def documents(result: Result) -> list[dict]:
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.output.splitlines()]
    for document in found:
        jsonschema.validate(document, schema("nccl"))
    return found


@pytest.fixture
def topo(tmp_path: Path) -> str:
    (tmp_path / "topo.xml").write_text(XML)
    return str(tmp_path / "topo.xml")


def test_a_file_is_answered_in_the_stated_form(topo: str) -> None:
    assert documents(run(topo, "--format", "json")) == [{
        "nccl": "2.30.7", "gpus": ["0000:02:00.0"], "nets": ["0000:03:00.0"],
        "gpu_gpu": [[{"type": "LOC", "bw": 5000.0, "hops": 0, "p2p": True}]],
        "gpu_net": [[{"type": "PIX", "bw": 24.0, "hops": 4, "gdr": "default"}]]}]
    (changed,) = documents(run(topo, "--format", "json", "--env", "NCCL_NET_GDR_LEVEL=LOC"))
    assert changed["gpu_net"] == [[{"type": "PHB", "bw": 24.0, "hops": 6, "gdr": "off"}]]


def test_a_host_says_what_it_assumes(topo: str) -> None:
    (found,) = documents(run("hgx-h100", "--format", "json"))
    assert len(found["gpus"]) == len(found["nets"]) == 8
    assert any("400 Gb/s" in sentence for sentence in found["assumptions"])
    text = run("hgx-h100", "--env", "NCCL_PXN_DISABLE=1").output
    assert text.startswith("NCCL 2.30.7 on hgx-h100 with NCCL_PXN_DISABLE=1: 8 GPUs, 8 network ports\n")
    assert "NVL 370.8 p2p" in text
    assert "\nSYS  the link between CPUs\n" in text


def test_as_standard_input(topo: str) -> None:
    found = CliRunner().invoke(cli, ["nccl", "-", "--format", "json"], input=XML)
    assert documents(found) == documents(run(topo, "--format", "json"))


def test_guests_of_a_plan(tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert CliRunner().invoke(cli, ["solve", "two-guests", "--host", "hgx-h100", "-o", plan]).exit_code == 0
    assert [found["guest"] for found in documents(run(plan, "--format", "json"))] == ["train", "infer"]
    (train,) = documents(run(plan, "--guest", "train", "--format", "json"))
    assert [path["type"] for path in train["gpu_net"][0]] == ["PIX", "PIX", "PXN", "PXN"]
    assert "NCCL 2.30.7 on infer: 1 GPU, 1 network port" in run(plan).output


def test_a_file_of_ones_own(topo: str, tmp_path: Path) -> None:
    """Entries of the file that the machine has not are passed over and told; the table says what changes."""
    (tmp_path / "flat.xml").write_text(XML.replace('<pci busid="0000:01:00.0" class="0x060400" link_speed="16.0 GT/s PCIe" link_width="16">', "").replace("</pci>\n</pci>", "</pci>"))
    flat = str(tmp_path / "flat.xml")
    (found,) = documents(run(flat, "--topo-file", topo, "--format", "json"))
    assert found["gpu_net"][0][0]["type"] == "PHB"
    assert found["with_file"]["gpu_net"] == [[{"type": "PIX", "bw": 24.0, "hops": 4, "gdr": "default"}]]
    text = run(flat, "--topo-file", topo).output
    assert "The file changes 1 of 1 pairs:" in text
    assert "0000:02:00.0  0000:03:00.0  PHB 24.0 no GDR   PIX 24.0 GDR" in text
    assert "The file changes nothing: 1 pairs" in run(topo, "--topo-file", topo).output
    (tmp_path / "wrong.xml").write_text(XML.replace("0000:02:00.0", "0000:12:00.0"))
    (wrong,) = documents(run(flat, "--topo-file", str(tmp_path / "wrong.xml"), "--format", "json"))
    assert wrong["with_file"]["gpu_net"][0][0]["type"] == "PHB"
    assert any(sentence.startswith("0000:12:00.0 of the file is no GPU") for sentence in wrong["with_file"]["assumptions"])


@pytest.mark.parametrize(("arguments", "words"), [
    (("edge-single", "--topo-file", "edge-single"), "edge-single"),
    (("edge-single", "--topo-file", "/nowhere.xml"), "/nowhere.xml"),
    (("edge-single", "--guest", "a"), "--guest is for plans"),
    (("hgx-h100", "--env", "NCCL_P2P_LVEL=SYS"), "did you mean NCCL_P2P_LEVEL"),
    (("hgx-h100", "--env", "NCCL_P2P_LEVEL=far"), "knows no such level"),
    (("hgx-h200",), "hgx-h100"),
    (("{topo}", "--reader", "lspci"), "simkit: "),
])
def test_what_is_refused(arguments: tuple[str, ...], words: str, topo: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nccl", *(argument.format(topo=topo) for argument in arguments)])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
