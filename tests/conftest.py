"""Hypothesis profiles, and the folder of real inputs."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder that SIMKIT_CORPUS names; tests that need it are skipped where it is not there."""
    named = os.environ.get("SIMKIT_CORPUS")
    if not named or not Path(named).is_dir():
        pytest.skip("SIMKIT_CORPUS names no folder: the real inputs are not part of the project")
    return Path(named)
