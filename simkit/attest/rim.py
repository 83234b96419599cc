"""Rim: being written."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.check import Check, CheckId, fail
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.rim import Rim


def device(evidence: Rim) -> Device:  # noqa: ARG001 (being written)
    """Being written."""
    return Device(Kind.RIM, "", {})


def checks(evidence: Rim, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:  # noqa: ARG001 (being written)
    """Being written."""
    yield fail(CheckId.FORMAT, "not verified yet")
