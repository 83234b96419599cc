"""The firmware that a report speaks for is the one for which its key was certified."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence

EXTENSIONS = ("2.23.133.5.4.1", "2.23.133.5.4.1.1")
"""DICE's, as Hopper and LS10 leaves and as Blackwell leaves carry it."""


def fwid_checks(evidence: NvidiaEvidence, leaf: Certificate | None) -> Iterator[Check]:
    """`fwid`: the report's FWID field equals the first FWID of the leaf (attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/nv_x509.cpp).

    Reports of old drivers have no such field. NVIDIA's verifiers then say that it matches; here it is skipped. LS10 switches never have it, so
    that for them the check does not exist. A leaf without the extension fails: the report's key was certified for nothing.
    """
    if leaf is None:
        yield skipped(CheckId.FWID, "no certificate that could name the firmware")
    elif not any(leaf.extension(oid) for oid in EXTENSIONS):
        yield fail(CheckId.FWID, f"{leaf.subject} has no FWID extension ({' or '.join(EXTENSIONS)})")
    elif leaf.dice is None:
        yield fail(CheckId.FWID, f"the FWID extension of {leaf.subject} cannot be read")
    elif (told := evidence.facts.fwid) is not None:
        certified = leaf.dice.fwids[0]
        yield decide(CheckId.FWID, told == certified, f"report and certificate name the same firmware, {told.hex()[:16]}…",
                     f"the report's firmware is {told.hex()[:16]}…, the certificate's {certified.hex()[:16]}…")
    elif evidence.device is NvidiaDevice.GPU:
        yield skipped(CheckId.FWID, "the report has no FWID field, as with old drivers")
