"""What a verifier concluded: a verdict in three colours, the devices with what they claim, and every check with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from simkit.model.evidence.check import Check
from simkit.model.evidence.evidence import Kind


class Verdict(StrEnum):
    """Pass, pass with a risk that no check can see, or fail."""

    PASS = "pass"
    RESIDUAL = "residual"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its evidence names it: `id` is a chip id, PPID, serial or key; empty where the evidence hides it. Claims are JSON values."""

    kind: Kind
    id: str
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The result of one appraisal, at the time that was stated; `because` are the checks that fail the verdict."""

    verdict: Verdict
    at: datetime
    kind: Kind
    policy: str
    devices: tuple[Device, ...]
    checks: tuple[Check, ...]
    because: tuple[Check, ...] = ()
    residual: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
