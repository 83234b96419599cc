"""The wishes of public issues, as the library answers them: each line of `models/README.md` is run, and says what it is to say."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from simkit.cli.main import cli
from simkit.formats.library import folder


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run`: commands one after another in one empty folder; the last one ends with `status` and says all of `says`, and none of `silent`."""

    run: tuple[str, ...]
    says: tuple[str, ...]
    status: int = 0
    silent: tuple[str, ...] = ()


SCENARIOS = {
    "companions are bound along, attached or not": Scenario(
        ("solve one-card --host rtx-pro-8 -o plan.json", "render plan.json --to script"),
        tuple(f"0000:03:00.{function}, in one IOMMU group with 0000:03:00.0, for vfio-pci (desk)" for function in (1, 2, 3)),
    ),
    "companions that are left stay out of the guest": Scenario(
        ("solve one-card --host rtx-pro-8 -o plan.json", "render plan.json --to qemu"), ("host=0000:03:00.0",), silent=("host=0000:03:00.1", "host=0000:03:00.2", "host=0000:03:00.3"),
    ),
    "what comes along is told": Scenario(
        ("solve one-card --host rtx-pro-8",),
        ("0000:03:00.1 (audio), 0000:03:00.2 (usb) and 0000:03:00.3 (other) come along with 0000:03:00.0: one IOMMU group, bound to vfio-pci and not attached",),
    ),
    "eight cards, their companions on one bridge": Scenario(
        ("solve eight-rtx --host rtx-pro-8",), ("bridge port pcibr0", "0000:87:00.1 (audio), 0000:87:00.2 (usb) and 0000:87:00.3 (other) come along with 0000:87:00.0: one IOMMU group"), silent=("bridge port pcibr1",),
    ),
    "a group that is not viable is refused before the guest starts": Scenario(
        ("solve spare-port --host hgx-h100",),
        ("0000:22:00.1 shares an IOMMU group with 0000:22:00.0, the host's session NIC, default route",),
        status=1,
    ),
    "the file gives a guest of root ports its GPUDirect RDMA back": Scenario(
        ("solve flat-nics --host hgx-h100-vm -o plan.json", "nccl plan.json"),
        ("The file changes 16 of 28 pairs", "0000:01:00.0 0000:02:00.0 PHB 48.0 no GDR PIX 48.0 GDR", "0000:01:00.0 0000:08:00.0 PHB 48.0 no GDR PXN 48.0 GDR"), silent=("is left out",),
    ),
    "the file has the host's switches and the guest's addresses": Scenario(
        ("solve flat-nics --host hgx-h100-vm -o plan.json", "render plan.json --to nccl"),
        ('<pci busid="ffff:ff:00.1" class="0x060400"', '<pci busid="ffff:ff:00.2" class="0x060400"', '<pci busid="0000:08:00.0" class="0x020000"'), silent=("is left out", "0000:43:00.0"),
    ),
    "the file promises nothing that ACS prevents": Scenario(
        ("solve flat-nics --host hgx-h100 -o plan.json", "render plan.json --to nccl"),
        ("switch 0000:01:00.0 is left out", "switch 0000:41:00.0 is left out", "ACS request redirect at 0000:02:00.0 sends it upstream"), silent=("ffff:ff:00",),
    ),
    "each of four guests has a GPU and a virtual function of one root": Scenario(
        ("solve aligned-vfs --host mi300x",), ("planned: 4 guests on mi300x", *(f"the GPU and 1 virtual function below switch 0000:{bus}:00.0" for bus in ("0b", "21", "37", "4d"))),
    ),
    "one GPU of four shares a root with a NIC": Scenario(
        ("solve aligned-vfs --host xe8640",), ("wants its 1 virtual function of NICs at most PXB from a GPU of its own; on xe8640 1 NIC is that near to one", "up to PHB from its GPU in place of PXB"), status=1,
    ),
    "guests are partitions of the NVSwitches": Scenario(
        ("solve nvlink-guests --host hgx-h100-vm",),
        ("planned: 3 guests on hgx-h100-vm", "its 4 GPUs reach each other over NVLink", "both GPUs below switch 0000:81:00.0", "both GPUs below switch 0000:c1:00.0"), silent=("the fabric manager has a partition of just",),
    ),
    "no partition has three": Scenario(
        ("solve nvlink-three --host hgx-h100-vm",),
        ("so they are one partition of the fabric manager; it has 8 of 1, 4 of 2, 2 of 4 and 1 of 8 GPUs", "three with 2 GPUs in place of 3", "three with GPUs up to PHB from each other in place of NVL"), status=1,
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_wish_is_answered(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = SCENARIOS[name]
    for number, command in enumerate(scenario.run, 1):
        ran = CliRunner().invoke(cli, shlex.split(command))
        assert ran.exit_code == (scenario.status if number == len(scenario.run) else 0), ran.output
    said = " ".join(ran.output.split())
    assert [sentence for sentence in scenario.says if sentence not in said] == [], ran.output
    assert [sentence for sentence in scenario.silent if sentence in said] == [], ran.output


def test_the_list_of_scenarios_is_what_is_tested() -> None:
    """Every command of the table in `models/README.md` is one of those above, and the other way round."""
    rows = (folder() / "README.md").read_text().partition("## Wishes")[2]
    listed = set(re.findall(r"`simkit ([^`]+)`", rows))
    assert listed == {command for scenario in SCENARIOS.values() for command in scenario.run}
