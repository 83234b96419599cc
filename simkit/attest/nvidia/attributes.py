"""How a device is set up, and whether all that speaks of it says the same."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.attest.nvidia.leaf import chip_of, pdi_of
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.check import Check, CheckId, decide, fail, ok, skipped
from simkit.model.evidence.dice import Operational
from simkit.model.evidence.nvidia import Mode, NvidiaDevice, NvidiaEvidence
from simkit.model.evidence.policy import NvidiaPolicy

DEVTOOLS = "whether a GPU is in devtools mode is in no field of its report: only its measurements, or its guest, could tell"
FAMILIES = {"HOPPER": "GH", "BLACKWELL": "GB", "LS10": "LS"}
"""Architecture as files claim it -> how the names of its chips begin."""


def attributes_check(evidence: NvidiaEvidence, leaf: Certificate | None) -> Check:
    """`attributes`: report, certificate and file agree on what the device is; the mode is said, and that devtools mode is not.

    NVIDIA's library takes the architecture from the file and believes it; here it is compared with the certificate's name.
    """
    facts = evidence.facts
    wrong = list(_disagreements(evidence, chip_of(leaf)))
    mode = f", mode {facts.mode.value}" if facts.mode else ""
    pcie = {True: ", protected PCIe on", False: ", protected PCIe off", None: ""}[facts.protected_pcie]
    driver = f", driver {facts.driver_version}" if facts.driver_version else ""
    what = f"{evidence.device.value} {chip_of(leaf)}{driver}, VBIOS {facts.vbios_version or 'not told'}{mode}{pcie}"
    if wrong:
        return fail(CheckId.ATTRIBUTES, "; ".join(wrong))
    return ok(CheckId.ATTRIBUTES, f"{what}; report, certificate and file agree", residual=DEVTOOLS if evidence.device is NvidiaDevice.GPU else "")


def _disagreements(evidence: NvidiaEvidence, chip: str) -> Iterator[str]:
    facts, claim = evidence.facts, evidence.claim
    switch = evidence.device is NvidiaDevice.SWITCH
    if chip and chip.startswith("LS") != switch:
        yield f"the report is a {evidence.device.value}'s, the certificate one for {chip}"
    family = FAMILIES.get(claim.arch.upper(), "")
    if claim.arch and (not family or (chip and not chip.startswith(family)) or (family == "LS") != switch):
        yield f"the file says architecture {claim.arch[:20]!r}, the certificate {chip or 'nothing'}, the report {evidence.device.value}"
    for name, said, told in (("driver", claim.driver_version, facts.driver_version), ("VBIOS", claim.vbios_version, facts.vbios_version)):
        if said and said.upper() != told.upper():
            yield f"the file says {name} {said[:40]!r}, the report {told!r}"
    if facts.mode is not None and facts.protected_pcie is not None and (facts.mode is Mode.PPCIE) != facts.protected_pcie:
        yield f"the report says mode {facts.mode.value} and protected PCIe {'on' if facts.protected_pcie else 'off'}"


def hwid_checks(evidence: NvidiaEvidence, leaf: Certificate | None) -> Iterator[Check]:
    """`hwid` of a switch: the identifier it reports is the one its boot ROM was certified for. A GPU does not report its own, so nothing is compared."""
    if evidence.device is NvidiaDevice.SWITCH:
        told, certified = evidence.facts.own_pdi, pdi_of(leaf)
        if not told or not certified:
            yield skipped(CheckId.HWID, "report or certificate name no identifier of the device")
        else:
            yield decide(CheckId.HWID, told == certified, f"report and certificate are of switch {told}",
                         f"the report is of switch {told}, the certificate of {certified}")


def debug_checks(leaf: Certificate | None, policy: NvidiaPolicy) -> Iterator[Check]:
    """`debug`, where the leaf says how its layer ran (OperationalFlags of DiceTcbInfo, TCG DICE Attestation Architecture 1.1 §6.1.1).

    Blackwell leaves do; Hopper leaves have no place for it, and reports have no field for devtools mode: there it can only show in
    measurements that no manifest has.
    """
    flags = leaf.dice.flags if leaf is not None and leaf.dice is not None else None
    if flags is None:
        return
    bad = sorted(flag.value for flag in flags & {Operational.DEBUG, Operational.NOT_SECURE, Operational.RECOVERY})
    said = ", ".join(sorted(flag.value for flag in flags)) or "none"
    if bad and policy.allow_debug:
        yield ok(CheckId.DEBUG, f"the certified layer ran as {', '.join(bad)}, which the policy allows",
                 residual=f"the device's firmware ran as {', '.join(bad)}")
    else:
        yield decide(CheckId.DEBUG, not bad, f"the certified layer did not run in debug mode (flags: {said})",
                     f"the certified layer ran as {', '.join(bad)}")
