"""What the lab's tests need from outside: kernels, QEMU, busybox. Where one is missing they are skipped, with the reason."""

import os

import pytest

from simkit.errors import SimkitError
from simkit.executors.lab import Lab
from simkit.executors.lab.kernel import kernels
from simkit.executors.lab.platforms import X86
from simkit.model.platform import IommuKind

KERNELS = kernels()
COUNT = int(os.environ.get("LAB_COUNT") or 3)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run a kernel without AMD's driver (they boot faster), old to new; one that is skipped where there is none."""
    if "lab" in metafunc.fixturenames:
        chosen = [kernel for kernel in KERNELS if kernel.architecture is X86 and not kernel.knows_amd]
        metafunc.parametrize("kernel", chosen or [None], ids=lambda kernel: kernel.release if kernel else "no-kernel")


@pytest.fixture
def lab(kernel) -> Lab:
    """A lab with one kernel."""
    try:
        made = Lab(kernel, limit_s=120)
        made.check()
    except SimkitError as error:
        pytest.skip(str(error))
    return made


@pytest.fixture
def amd_lab() -> Lab:
    """A lab with a kernel for AMD's IOMMU."""
    try:
        made = Lab(limit_s=120)
        made.check(iommu=IommuKind.AMD)
    except SimkitError as error:
        pytest.skip(str(error))
    return made
