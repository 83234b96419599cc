"""Hypothesis profiles, the folder of real inputs, and where temporary files lie."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30


def pytest_configure() -> None:
    """Nodes are made and compared by the thousand: in memory where there is room and programs may run from it, unless TMPDIR says otherwise."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    about = os.statvfs(MEMORY)
    if about.f_bavail * about.f_frsize >= ROOM_BYTES and not about.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder that SIMKIT_CORPUS names; tests that need it are skipped where it is not there."""
    named = os.environ.get("SIMKIT_CORPUS")
    if not named or not Path(named).is_dir():
        pytest.skip("SIMKIT_CORPUS names no folder: the real inputs are not part of the project")
    return Path(named)
