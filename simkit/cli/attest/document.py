"""The JSON of `simkit attest` (`simkit schema attest` prints its shape)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simkit.attest.chain import stamp

if TYPE_CHECKING:
    from simkit.model.evidence.appraisal import Appraisal
    from simkit.model.evidence.check import Check


def document(found: Appraisal) -> dict[str, Any]:
    """The appraisal as programs take it."""
    return {
        "verdict": found.verdict.value,
        "at": stamp(found.at),
        "kind": found.kind.value,
        "policy": found.policy,
        "devices": [{"kind": device.kind.value, "id": device.id, "claims": dict(device.claims)} for device in found.devices],
        "checks": [_check(check) for check in found.checks],
        "because": [_check(check) for check in found.because],
        "residual": list(found.residual),
        "notes": list(found.notes),
    }


def _check(check: Check) -> dict[str, Any]:
    return {"id": check.id.value, "device": check.device, "status": check.status.value, "why": check.why}
