"""AMD SEV-SNP: a report is checked for its signer, its platform, its guest and its session, each by a file of its own."""

from __future__ import annotations

from collections.abc import Iterator

from simkit.attest.measurements import measurements_check
from simkit.attest.snp.binding import nonce_check, report_data_check
from simkit.attest.snp.claims import device, measured
from simkit.attest.snp.endorsement import chain_checks, endorsement, signature_check
from simkit.attest.snp.guest import attributes_check, debug_check, vmpl_check
from simkit.attest.snp.platform import hwid_check, tcb_check
from simkit.model.evidence.check import Check, CheckId, ok
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.snp import SnpEvidence

__all__ = ["checks", "device", "measured"]


def checks(evidence: SnpEvidence, given: Given, policy: AppraisalPolicy) -> Iterator[Check]:
    """Every check of one report (AMD 56860, ATTESTATION_REPORT; AMD 57230 for its certificates)."""
    report, endorsed = evidence.report, endorsement(evidence, given)
    trailing = f"; {evidence.trailing} bytes behind it count for nothing" if evidence.trailing else ""
    yield ok(CheckId.FORMAT, f"{evidence.form}; the report is of version {report.version}, its reserved bytes are zero{trailing}")
    yield signature_check(report, endorsed)
    yield from chain_checks(endorsed)
    yield hwid_check(report, endorsed)
    yield tcb_check(report, endorsed, policy.snp)
    yield debug_check(report, policy.snp)
    yield vmpl_check(report, policy.snp)
    yield attributes_check(report, policy.snp)
    yield report_data_check(report.report_data, given)
    yield nonce_check(report.report_data, given)
    yield measurements_check(measured(report), given, required=("snp.host_data",) if policy.require_init_data else ())
