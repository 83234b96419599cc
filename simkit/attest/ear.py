"""From an appraisal to an attestation result that relying parties take: one submodule a device, its vector made of the checks.

Values are AR4SI's (draft-ietf-rats-ar4si §2.3.4): 2 recognised and approved, 3 approved at boot, 32 known vulnerabilities, 96 contraindicated,
97 not recognised, 99 cryptographic validation failed. A check that fails the verdict contraindicates its claim, so that no status is
better than the verdict.
"""

from __future__ import annotations

from collections import Counter

from simkit.model.evidence.appraisal import Appraisal, Device
from simkit.model.evidence.check import Check, CheckId, CheckStatus
from simkit.model.evidence.ear import Claim, Ear, Submodule
from simkit.model.evidence.evidence import Kind

_CLASS = {Kind.SNP: "cpu", Kind.TDX: "cpu", Kind.SGX: "cpu", Kind.NVIDIA_GPU: "gpu", Kind.NVIDIA_SWITCH: "switch", Kind.RIM: "rim",
          Kind.CERTIFICATE: "certificate"}
"""Trustee names submodules by the class of TEE and a number (attestation-service/src/ear_token/broker.rs)."""
CLAIMS: dict[CheckId, tuple[Claim, int, int]] = {
    CheckId.FORMAT: (Claim.HARDWARE, 0, 97),
    CheckId.SIGNATURE: (Claim.HARDWARE, 2, 99),
    CheckId.CHAIN: (Claim.INSTANCE_IDENTITY, 2, 99),
    CheckId.ROOT: (Claim.INSTANCE_IDENTITY, 2, 97),
    CheckId.VALIDITY: (Claim.INSTANCE_IDENTITY, 2, 96),
    CheckId.REVOCATION: (Claim.INSTANCE_IDENTITY, 2, 96),
    CheckId.HWID: (Claim.INSTANCE_IDENTITY, 2, 97),
    CheckId.FWID: (Claim.HARDWARE, 2, 97),
    CheckId.NONCE: (Claim.INSTANCE_IDENTITY, 2, 96),
    CheckId.REPORT_DATA: (Claim.INSTANCE_IDENTITY, 2, 96),
    CheckId.DISTINCT: (Claim.INSTANCE_IDENTITY, 2, 96),
    CheckId.TOPOLOGY: (Claim.CONFIGURATION, 2, 96),
    CheckId.TCB: (Claim.HARDWARE, 2, 96),
    CheckId.COLLATERAL: (Claim.HARDWARE, 2, 99),
    CheckId.DEBUG: (Claim.RUNTIME_OPAQUE, 2, 96),
    CheckId.VMPL: (Claim.CONFIGURATION, 2, 96),
    CheckId.ATTRIBUTES: (Claim.CONFIGURATION, 2, 96),
    CheckId.RUNTIME_DATA: (Claim.CONFIGURATION, 2, 96),
    CheckId.MEASUREMENTS: (Claim.EXECUTABLES, 3, 96),
    CheckId.EVENT_LOG: (Claim.EXECUTABLES, 3, 96),
    CheckId.RIM_SIGNATURE: (Claim.EXECUTABLES, 3, 99),
    CheckId.RIM_CHAIN: (Claim.EXECUTABLES, 3, 97),
    CheckId.RIM_VALIDITY: (Claim.EXECUTABLES, 3, 96),
}
"""Check -> the claim it speaks for, its value where the check is ok, and where the check fails the verdict."""
WITH_RESIDUAL = {Claim.HARDWARE: 32, Claim.CONFIGURATION: 32}
"""Where a check is ok and leaves a risk: genuine, with known vulnerabilities. Other claims stay as they are."""


def result(appraisal: Appraisal) -> Ear:
    """The attestation result of an appraisal."""
    seen: Counter[str] = Counter()
    submodules = []
    for number, device in enumerate(appraisal.devices):
        name = _CLASS[device.kind]
        submodules.append(_submodule(appraisal, number, device, f"{name}{seen[name]}"))
        seen[name] += 1
    if not submodules:
        broken = dict.fromkeys(Claim, 0) | {Claim.HARDWARE: 97}
        submodules.append(Submodule("unreadable0", broken, {"kind": appraisal.kind.value}))
    return Ear(int(appraisal.at.timestamp()), appraisal.policy, tuple(submodules))


def _submodule(appraisal: Appraisal, number: int, device: Device, name: str) -> Submodule:
    vector = dict.fromkeys(Claim, 0)
    for check in appraisal.checks:
        if check.device in (number, None) and check.status is CheckStatus.OK:
            claim, value, _ = CLAIMS[check.id]
            vector[claim] = _worse(vector[claim], WITH_RESIDUAL.get(claim, value) if check.residual and check.id is CheckId.TCB else value)
    for check in appraisal.because:
        if check.device in (number, None):
            claim, _, value = CLAIMS[check.id]
            vector[claim] = max(vector[claim], value)
    return Submodule(name, vector, {"kind": device.kind.value, "id": device.id, "claims": dict(device.claims), "checks": _checks(appraisal.checks, number)})


def _worse(before: int, now: int) -> int:
    """The less affirming of two values, where 0 says nothing."""
    return max(before, now)


def _checks(checks: tuple[Check, ...], number: int) -> dict[str, str]:
    """How each check of a device came out: what the relying party's own policy may look at."""
    return {check.id.value: check.status.value for check in checks if check.device in (number, None)}
