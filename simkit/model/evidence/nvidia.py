"""NvidiaEvidence: being written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NvidiaEvidence:
    """Being written."""
