"""The platform that a report is of: its chip (`hwid`) and the levels of its firmware (`tcb`), against certificate and policy."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.attest.snp.endorsement import Endorsement
from simkit.model.evidence.check import Check, CheckId, decide, fail, skipped
from simkit.model.evidence.policy import SnpPolicy
from simkit.model.evidence.snp import Signer, SnpReport, TcbVersion, tcb_of


def hwid_check(report: SnpReport, endorsed: Endorsement) -> Check:
    """`hwid`: the VCEK is of the chip that the report names. A VLEK is of a provider, not of a chip."""
    if report.signer is Signer.VLEK:
        whose = endorsed.leaf.amd.provider.removeprefix("CN=") if endorsed.leaf and endorsed.leaf.amd and endorsed.leaf.amd.provider else "the provider"
        return skipped(CheckId.HWID, f"signed by a VLEK, which is of {whose} and of no chip")
    if not any(report.chip_id):
        return skipped(CheckId.HWID, "the host masks the chip id (MASK_CHIP_ID): all zero")
    if endorsed.leaf is None:
        return skipped(CheckId.HWID, "there is no certificate to compare the chip id with")
    said = endorsed.leaf.amd.hardware_id if endorsed.leaf.amd else None
    if said is None:
        return fail(CheckId.HWID, "the certificate names no chip (extension 1.3.6.1.4.1.3704.1.4)")
    shown = f"{report.chip_id.hex()[:16]}…"
    return decide(CheckId.HWID, report.chip_id == said + bytes(64 - len(said)), f"the certificate is of this chip ({shown}, {len(said)} bytes)",
                  f"the certificate is of chip {said.hex()[:16]}…, the report of {shown}")


def tcb_check(report: SnpReport, endorsed: Endorsement, policy: SnpPolicy) -> Check:
    """`tcb`: the certificate is for the reported levels, these are not above the current ones nor below the policy's.

    The reported TCB is the one that counts: the host may report less than it runs, and the key that signs is derived for it.
    """
    reported, current, committed, launch = (tcb_of(raw, endorsed.product) for raw in (report.reported_tcb, report.current_tcb, report.committed_tcb,
                                                                                     report.launch_tcb))
    named = (("reported", reported), ("current", current), ("committed", committed), ("launch", launch))
    faults = [f"reserved bytes of the {name} TCB are not zero" for name, tcb in named if any(tcb.reserved)]
    faults += [f"the {name} TCB's {part} {level} is above the current {limit}" for name, tcb in (("reported", reported), ("committed", committed))
               for (part, level), (_, limit) in zip(tcb.components(), current.components(), strict=True) if level > limit]
    faults += _below(reported, policy)
    faults += [] if endorsed.leaf is None else _differences(reported, endorsed)
    if not faults and endorsed.leaf is None:
        return skipped(CheckId.TCB, f"there is no certificate to compare the reported TCB with ({reported})")
    return decide(CheckId.TCB, not faults, f"the certificate is for the reported TCB: {reported}", "; ".join(faults))


def _differences(reported: TcbVersion, endorsed: Endorsement) -> Iterator[str]:
    said = endorsed.leaf.amd if endorsed.leaf else None
    if said is None:
        yield "the certificate names no TCB (extensions 1.3.6.1.4.1.3704.1.3)"
        return
    for part, level in reported.components():
        theirs = getattr(said, part)
        if theirs != level:
            yield f"the certificate is for {part} {'unsaid' if theirs is None else theirs}, the report says {level}"


def _below(reported: TcbVersion, policy: SnpPolicy) -> Iterator[str]:
    levels = dict(reported.components())
    for part, least in policy.minimum_tcb:
        if part not in levels:
            yield f"the policy asks for {part} {least}, which this processor does not report"
        elif levels[part] < least:
            yield f"{part} {levels[part]} is below the policy's {least}"
