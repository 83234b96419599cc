"""Inputs that nothing in the set can be compared with: whoever gave one expects that it counts, so the default policy does not let it pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simkit.model.evidence.check import Check, CheckId, skipped
from simkit.model.evidence.evidence import Statement
from simkit.model.evidence.given import Given
from simkit.model.evidence.hcl import HclEvidence
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.snp import SnpEvidence
from simkit.model.evidence.tdx import Quote, TdBody, TdReport


def checks(statements: Sequence[Statement], given: Given) -> Iterator[Check]:
    """One for each kind of input that was given in vain; it speaks of the whole set."""
    inner = [each.inner if isinstance(each, HclEvidence) else each for each in statements]
    devices = any(isinstance(each, NvidiaEvidence) for each in inner)
    cpus = any(isinstance(each, SnpEvidence | Quote | TdReport) for each in inner)
    quotes = [each for each in inner if isinstance(each, Quote)]
    for check, why in _vain(given, devices=devices, cpus=cpus, quotes=quotes, azure=any(isinstance(each, HclEvidence) for each in statements)).items():
        yield skipped(check, why, given=True)


def _vain(given: Given, *, devices: bool, cpus: bool, quotes: Sequence[Quote], azure: bool) -> dict[CheckId, str]:
    found: dict[CheckId, str] = {}
    if given.report_data is not None and not cpus:
        found[CheckId.REPORT_DATA] = "report data were given, and nothing here carries any: GPUs and switches answer a nonce"
    if given.nonce is not None and not (cpus or devices):
        found[CheckId.NONCE] = "a nonce was given, and certificates and manifests answer none"
    if given.rims and not devices:
        found[CheckId.MEASUREMENTS] = f"{', '.join(each.title for each in given.rims[:4])} was given, and there is no GPU or switch to compare with it"
    if given.references and not cpus:
        found[CheckId.MEASUREMENTS] = "reference values were given, and there is no report of a CPU to compare with them"
    if given.collateral and not quotes:
        found[CheckId.COLLATERAL] = "collateral of Intel's was given, and there is no quote that it could speak of"
    if given.event_logs and not any(isinstance(each.body, TdBody) for each in quotes):
        found[CheckId.EVENT_LOG] = "an event log was given, and there is no TD's quote to replay it against"
    if given.tpm_quotes and not azure:
        found[CheckId.RUNTIME_DATA] = "a TPM quote was given, and there is no HCL report that would vouch for its key"
    return found
