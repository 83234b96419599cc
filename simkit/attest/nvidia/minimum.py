"""That a device is not set back to an old, still genuine, release."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkit.model.evidence.check import Check, CheckId, decide, skipped
from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence
from simkit.model.evidence.policy import NvidiaPolicy


def tcb_checks(evidence: NvidiaEvidence, policy: NvidiaPolicy) -> Iterator[Check]:
    """`tcb`: driver and VBIOS are at least what the policy names. Manifests of old releases stay signed, so measurements alone do not show it.

    A driver's version is a row of decimal numbers, a VBIOS's of hexadecimal ones. The minimums are for GPUs: a switch has no driver, and
    counts its BIOS in a way of its own.
    """
    if evidence.device is NvidiaDevice.SWITCH:
        return
    facts = evidence.facts
    asked = [(name, told, least, base) for name, told, least, base in
             (("driver", facts.driver_version, policy.minimum_driver, 10), ("VBIOS", facts.vbios_version, policy.minimum_vbios, 16)) if least]
    if not asked:
        yield skipped(CheckId.TCB, "the policy names no minimum driver or VBIOS")
        return
    low = [f"{name} {told or 'not told'} is below {least}" for name, told, least, base in asked if not _reaches(told, least, base)]
    high = ", ".join(f"{name} {told} (at least {least})" for name, told, least, _ in asked)
    yield decide(CheckId.TCB, not low, high, "; ".join(low), given=True)


def _reaches(told: str, least: str, base: int) -> bool:
    """Whether a version is at least another; one that is no version reaches nothing."""
    digits = "[0-9]" if base == 10 else "[0-9A-Fa-f]"
    if not all(re.fullmatch(rf"{digits}{{1,6}}(?:\.{digits}{{1,6}}){{0,7}}", each) for each in (told, least)):
        return False
    left, right = ([int(part, base) for part in each.split(".")] for each in (told, least))
    length = max(len(left), len(right))
    return left + [0] * (length - len(left)) >= right + [0] * (length - len(right))
