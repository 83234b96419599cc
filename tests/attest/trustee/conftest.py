"""Policies are evaluated by regopy, which is an extra: without it these tests are skipped, and say so."""

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def _engine() -> None:
    if find_spec("regopy") is None:
        pytest.skip("regopy is not installed: pip install 'simkit-pcie[rego]'")
