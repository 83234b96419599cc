"""Evidence to measure with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from simkit.attest.appraise import appraise
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import open_evidence
from simkit.model.evidence.given import Given

_BOARD = ("hgx-h100-gpus.json", "hgx-h100-switches.json")


def whole_board() -> Callable[[], object]:
    """Eight GPUs and four switches of one board, from their files to the verdict; nothing is kept between two runs."""
    anchors, more = shipped()
    return lambda: appraise(open_evidence(_BOARD), Given(datetime(2026, 1, 1, tzinfo=UTC), anchors, more))
