"""SnpEvidence: being written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SnpEvidence:
    """Being written."""
