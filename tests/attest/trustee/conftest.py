"""Policies are evaluated by regopy, which is an extra: without it these tests are skipped, and say so."""

from importlib.util import find_spec

import pytest
from trustee_plans import REFERENCES, USUAL, both_tees

from simkit.cli.attest.artefacts import make


@pytest.fixture(autouse=True)
def _engine() -> None:
    if find_spec("regopy") is None:
        pytest.skip("regopy is not installed: pip install 'simkit-pcie[rego]'")


@pytest.fixture
def made(tmp_path):
    (tmp_path / "reference.yaml").write_text(REFERENCES)
    return make(both_tees(), **{**USUAL, "references": (str(tmp_path / "reference.yaml"),)})
