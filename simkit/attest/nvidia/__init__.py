"""NvidiaEvidence: being written."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.check import Check, CheckId, fail
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.policy import AppraisalPolicy


def device(evidence: NvidiaEvidence) -> Device:  # noqa: ARG001 (being written)
    """Being written."""
    return Device(Kind.SNP, "", {})


def checks(evidence: NvidiaEvidence, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:  # noqa: ARG001 (being written)
    """Being written."""
    yield fail(CheckId.FORMAT, "not verified yet")
