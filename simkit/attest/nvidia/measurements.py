"""A device's measurements against its manifests.

A manifest's index counts from 0, SPDM's from 1. Only what is active in a manifest is compared; any of its alternatives is right; one index may
be claimed by one manifest only (attestation-sdk@73c032e:nv-attestation-sdk-cpp/src/gpu/verify.cpp, `generate_set_measurement_claims`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simkit.attest.nvidia.leaf import chip_of
from simkit.attest.nvidia.manifests import Choice, choose
from simkit.attest.rim import rim_checks
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, decide, ok, skipped
from simkit.model.evidence.given import Given
from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.rim import Rim, RimComponent

NVDEC0_INDEX = 35
"""Compared only where the first video decoder is there: its status field says 0xAA and not 0x55 (`generate_set_measurement_claims`)."""
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the measurements stand against one manifest: how many agree, a sentence for each that does not, and which were not compared."""

    agree: int
    wrong: tuple[str, ...]
    left: tuple[int, ...] = ()

    def told(self, rim: Rim) -> str:
        """For a sentence."""
        left = f", {', '.join(map(str, self.left))} not compared as the first video decoder is off" if self.left else ""
        return f"{self.agree} of {len(rim.active)} agree with the {rim.title}{left}"


def measurement_checks(evidence: NvidiaEvidence, leaf: Certificate | None, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """`measurements`, and `rim_signature`, `rim_chain`, `rim_validity` of every manifest that was used for it.

    A policy that requires `measurements` wants all manifests that the device has; else those that were given are compared and what was not
    is told as a risk. A manifest of another version than the device runs is no manifest for it, which fails: it is not the same as none.
    """
    components = (RimComponent.DRIVER, RimComponent.VBIOS) if evidence.device is NvidiaDevice.GPU else (RimComponent.VBIOS,)
    choices = [choose(component, evidence, chip_of(leaf), given.rims, lambda rim: not compare(rim, evidence).wrong) for component in components]
    if all(not choice.offered for choice in choices):
        yield skipped(CheckId.MEASUREMENTS, f"no manifest for a {evidence.device.value} was given" if given.rims else "no reference manifest was given")
        return
    yield _compared(evidence, choices, required=CheckId.MEASUREMENTS in policy.required)
    yield from rim_checks([rim for choice in choices for rim in choice.used], given)


def _compared(evidence: NvidiaEvidence, choices: list[Choice], *, required: bool) -> Check:
    chosen = [choice.rim for choice in choices if choice.rim is not None]
    wrong = [choice.fault for choice in choices if choice.fault]
    twice = sorted(set.intersection(*({each.index for each in rim.active} for rim in chosen))) if len(chosen) > 1 else []
    if twice:
        wrong.append(f"{' and '.join(rim.title for rim in chosen)} both claim index {', '.join(map(str, twice[:_SHOWN]))}")
    found = [(rim, compare(rim, evidence)) for rim in chosen]
    wrong += [each for _, comparison in found for each in comparison.wrong]
    agree = "; ".join(comparison.told(rim) for rim, comparison in found)
    if wrong:
        shown = "; ".join(wrong[:_SHOWN]) + (f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        return decide(CheckId.MEASUREMENTS, holds=False, yes="", no=f"{shown}{f' ({agree})' if agree else ''}", given=True)
    missing = [choice.component.value for choice in choices if not choice.offered]
    if missing:
        why = f"{agree}; no {missing[0]} RIM was given"
        rest = f"the measurements of which the {missing[0]} RIM speaks were not compared"
        return skipped(CheckId.MEASUREMENTS, why, given=True) if required else ok(CheckId.MEASUREMENTS, why, residual=rest, given=True)
    return ok(CheckId.MEASUREMENTS, agree, given=True)


def compare(rim: Rim, evidence: NvidiaEvidence) -> Comparison:
    """The device's measurements against one manifest's active ones."""
    told = {block.index - 1: block.value for block in evidence.report.blocks}
    agree = 0
    wrong: list[str] = []
    left: list[int] = []
    for golden in rim.active:
        value = told.get(golden.index)
        if golden.index == NVDEC0_INDEX and evidence.facts.nvdec0 is False:
            left.append(golden.index)
        elif value in golden.values:
            agree += 1
        else:
            seen = f"{value.hex()[:16]}…" if value else "not in the report"
            wrong.append(f"measurement {golden.index} is {seen}, the {rim.title} has {' or '.join(f'{each.hex()[:16]}…' for each in golden.values[:2])}")
    return Comparison(agree, tuple(wrong), tuple(left))
