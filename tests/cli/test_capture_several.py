"""`simkit capture --from a --from b`: partial accounts of one machine put together."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.errors import InconsistentHost

LSPCI = """\
16:01.0 PCI bridge [0604]: Intel Corporation Device [8086:352a] (rev 30) (prog-if 00 [Normal decode])
\tControl: I/O- Mem+ BusMaster+
\tBus: primary=16, secondary=17, subordinate=1a, sec-latency=0
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\t\tLnkCap:\tPort #9, Speed 32GT/s, Width x16, ASPM L1, Exit Latency L1 <16us
\t\tLnkSta:\tSpeed 32GT/s (ok), Width x16 (ok)
17:00.0 3D controller [0302]: NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330] (rev a1)
\tControl: I/O- Mem+ BusMaster+
\tCapabilities: [60] Express (v2) Endpoint, IntMsgNum 0
\t\tLnkCap:\tPort #0, Speed 32GT/s, Width x16, ASPM not supported
\t\tLnkSta:\tSpeed 32GT/s, Width x16
"""
LOG = """\
[    0.000000] Linux version 6.1.0-13-amd64 (debian)
[    0.000000] Command line: root=/dev/sda1 intel_iommu=on
[    0.500000] pci 0000:16:01.0: Adding to iommu group 1
[    0.500000] pci 0000:17:00.0: Adding to iommu group 12
[    0.600000] DMAR: Intel(R) Virtualization Technology for Directed I/O
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lspci.txt").write_text(LSPCI)
    Path("slower.txt").write_text(LSPCI.replace("LnkSta:\tSpeed 32GT/s, Width x16", "LnkSta:\tSpeed 16GT/s (downgraded), Width x16"))
    Path("dmesg.txt").write_text(LOG)
    Path("other.txt").write_text(LSPCI.replace("10de:2330", "10de:0001").replace("8086:352a", "8086:0001"))
    return tmp_path


def simkit(*words):
    return CliRunner().invoke(cli, list(words))


def test_what_one_source_lacks_the_other_gives(files):
    result = simkit("capture", "--from", "lspci.txt", "--from", "dmesg.txt", "-o", "host.yaml")
    assert result.exit_code == 0, result.output
    groups = json.loads(simkit("groups", "host.yaml", "--format", "json").output)
    assert groups["status"] == "exact" and [(group["id"], group["functions"]) for group in groups["groups"]] == [(1, ["0000:16:01.0"]), (12, ["0000:17:00.0"])]
    shown = simkit("show", "host.yaml", "--all").output
    assert "6.1.0-13-amd64" in shown and "H100" in shown and "sources differ" not in shown


def test_differences_are_told_with_both_places(files):
    result = simkit("capture", "--from", "lspci.txt", "--from", "slower.txt", "-o", "host.yaml")
    assert "sources differ: functions/0000:17:00.0/link/speed_gtps: 32.0 (lspci.txt:10) is kept, 16.0 (slower.txt:10) is not" in result.output
    assert "sources differ" in Path("host.yaml").read_text() and "sources differ" in simkit("show", "host.yaml").output
    turned = simkit("capture", "--from", "slower.txt", "--from", "lspci.txt", "-o", "turned.yaml")
    assert "16.0 (slower.txt:10) is kept, 32.0 (lspci.txt:10) is not" in turned.output


def test_two_machines_are_refused(files):
    result = simkit("capture", "--from", "lspci.txt", "--from", "other.txt")
    assert isinstance(result.exception, InconsistentHost)
    assert "lspci.txt and other.txt are not of one machine" in str(result.exception)


def test_a_reader_goes_with_one_source(files):
    assert simkit("capture", "--from", "lspci.txt", "--from", "dmesg.txt", "--reader", "lspci").exit_code == 2
    assert simkit("capture", "--from", "lspci.txt", "--reader", "lspci").exit_code == 0
