"""`simkit rehearse`: a plan on a real kernel, from the command line."""

from pathlib import Path

import pytest

from simkit.executors.lab import Lab
from simkit.executors.lab.errors import LabUnavailable
from simkit.model.platform import IommuKind
from tests.cli.test_cli import document, run, status


def planned(folder: Path) -> str:
    plan = str(folder / "plan.json")
    assert run("solve", "one-gpu-each", "--host", "split-roots", "-o", plan).exit_code == 0
    return plan


def test_without_a_kernel_it_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, error = status("rehearse", planned(tmp_path), "--kernels", str(tmp_path), capsys=capsys)
    assert (code, printed) == (2, "")
    assert "no kernel" in error or "no QEMU" in error or "busybox" in error
    assert "Traceback" not in error


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("iommu", ["intel", "smmu"])
def test_a_plan_is_applied_and_undone_on_a_booted_kernel(tmp_path: Path, iommu: str) -> None:
    try:
        Lab().check(iommu=IommuKind(iommu))
    except LabUnavailable as error:
        pytest.skip(str(error))
    found = document("rehearse", run("rehearse", planned(tmp_path), "--iommu", iommu, "--format", "json"))
    assert ("arm64" in found["kernel"]) is (iommu == "smmu")
    assert found["succeeded"]
    assert (found["outcome"], len(found["steps"]), found["left_behind"]) == ("applied", 12, [])
    assert any("small BARs" in text for text in found["not_as_on_the_node"])
