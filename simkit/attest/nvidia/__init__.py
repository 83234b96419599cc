"""Rules for NVIDIA's GPUs (Hopper, Blackwell) and NVSwitches (LS10).

Sources: DMTF DSP0274 1.1.1; NVIDIA/attestation-sdk@73c032e (nv-attestation-sdk-cpp), NVIDIA/nvtrust@0281730 (local_gpu_verifier,
ppcie-verifier-sdk-cpp), confidential-containers/trustee@78962cd (deps/verifier/src/nvidia). Where they disagree, the rule's docstring says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkit.attest.carried import kept
from simkit.attest.chain import chain_check, path, revocation_check, root_check, validity_check
from simkit.attest.nvidia.attributes import attributes_check, debug_checks, hwid_checks
from simkit.attest.nvidia.device import device
from simkit.attest.nvidia.fwid import fwid_checks
from simkit.attest.nvidia.leaf import leaf_of, model_of, signed_by
from simkit.attest.nvidia.measurements import measurement_checks
from simkit.attest.nvidia.minimum import tcb_checks
from simkit.attest.nvidia.nonce import nonce_check
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, fail, ok, skipped
from simkit.model.evidence.given import Given, Vendor
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.policy import AppraisalPolicy

__all__ = ["checks", "device"]
RELAY = "a device elsewhere could have answered: that it is the one mapped into this guest only TDISP would show"


def checks(evidence: NvidiaEvidence, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """Everything that one device's evidence can be checked for; what concerns several stands in `together`."""
    leaf = leaf_of(evidence, given)
    yield _format(evidence)
    yield from _trust(evidence, leaf, given)
    yield from fwid_checks(evidence, leaf)
    yield from hwid_checks(evidence, leaf)
    yield nonce_check(evidence, given)
    yield attributes_check(evidence, leaf)
    yield from debug_checks(leaf, policy.nvidia)
    yield from tcb_checks(evidence, policy.nvidia)
    yield from measurement_checks(evidence, leaf, given, policy)


def _format(evidence: NvidiaEvidence) -> Check:
    report = evidence.report
    rest = f"; {len(report.trailing)} byte(s) behind the signature are not part of it" if report.trailing else ""
    return ok(CheckId.FORMAT, f"a MEASUREMENTS exchange of SPDM 1.1 with {len(report.blocks)} measurements and {len(report.opaque)} fields{rest}")


def _trust(evidence: NvidiaEvidence, leaf: Certificate | None, given: Given) -> Iterator[Check]:
    """`signature`, `chain`, `root`, `validity`, `revocation`."""
    if leaf is None:
        why = "no certificate came with the report and none was given"
        yield skipped(CheckId.SIGNATURE, f"{why}: whose key made the signature is not known")
        for each in (CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY, CheckId.REVOCATION):
            yield skipped(each, why)
        return
    name = model_of(leaf) or leaf.subject
    size = len(evidence.report.signed)
    if signed_by(evidence.report, leaf):
        yield ok(CheckId.SIGNATURE, f"ECDSA P-384 over the {size} bytes before it, by the report key that {name} certified", residual=RELAY)
    else:
        yield fail(CheckId.SIGNATURE, f"not made over these {size} bytes by the key of {leaf.subject} (serial {leaf.serial:x})")
    found = path(leaf, (*evidence.certificates, *given.certificates), given, Vendor.NVIDIA_DEVICE)
    found = kept(found, evidence.certificates, "the evidence")
    if leaf.ca:
        yield fail(CheckId.CHAIN, f"the leaf is missing: {leaf.subject} is an authority and signs no reports", given=bool(given.certificates))
    else:
        yield chain_check(found, given=bool(given.certificates))
    yield root_check(found, given, Vendor.NVIDIA_DEVICE)
    yield validity_check(found, given.at)
    yield revocation_check(found, given, Vendor.NVIDIA_DEVICE)
