"""What is given and concerns nothing in the evidence is not passed over: it is told, and fails the default policy."""

from datetime import UTC, datetime

import pytest

from simkit.attest.appraise import appraise
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import open_evidence, open_support
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy

AT = datetime(2025, 7, 1, tzinfo=UTC)
SNP, TDX, GPU, LEAF = ("milan-report.bin", "milan-vcek.der"), ("tdx-quote.bin",), ("gb100-report.txt", "gb100-chain.pem"), ("milan-vcek.der",)


def appraised(piece, support=(), policy: AppraisalPolicy | None = None, **more):
    anchors, intermediates = shipped()
    evidence, *chain = piece
    found = open_support((*chain, *support))
    inputs = {"lists": found.lists, "collateral": found.collateral, "rims": found.rims, "references": found.references, **more}
    return appraise(open_evidence([evidence]), Given(AT, anchors, found.certificates + intermediates, **inputs), policy or AppraisalPolicy())


@pytest.mark.parametrize(("piece", "support", "more", "failing"), [
    (SNP, (), {"nonce": b"\0", "report_data": b"\0"}, {("nonce", 0), ("report_data", 0)}), (GPU, (), {"report_data": b"\0"}, {("report_data", None)}),
    (GPU, (), {"nonce": bytes(32)}, {("nonce", 0)}), (LEAF, (), {"nonce": b"\0"}, {("nonce", None)}), (LEAF, (), {"report_data": b"\0"}, {("report_data", None)}),
    (("gh100-driver-rim.xml",), (), {"nonce": b"\0"}, {("nonce", None)}), (SNP, ("gh100-driver-rim.xml",), {}, {("measurements", None)}),
    (TDX, ("ls10-bios-rim.xml", "gh100-vbios-rim.xml"), {}, {("measurements", None)}), (("gh100-driver-rim.xml",), ("gh100-vbios-rim.xml",), {}, {("measurements", None)}),
    (SNP, ("tdx-collateral.json",), {}, {("collateral", None), ("revocation", 0)}), (SNP, (), {"event_logs": ("log",)}, {("event_log", None)}),
    (SNP, (), {"tpm_quotes": ("quote",)}, {("runtime_data", None)}), (GPU, (), {"references": ("values",)}, {("measurements", None)}),
    (TDX, ("tdx-collateral.json",), {}, set()), (SNP, (), {}, set()), (GPU, (), {}, set()), (LEAF, (), {}, set()),
])
def test_inputs_in_vain(piece, support, more, failing) -> None:
    because = {(check.id.value, check.device) for check in appraised(piece, support, **more).because}
    assert because == failing


def test_nonce_and_report_data_of_a_cpu_and_its_gpu_bound_by_hand() -> None:
    """The CPU's report data are a digest over more than the nonce that the GPU answers: given both, each is compared with its own; the nonce alone, with both."""
    anchors, intermediates = shipped()
    evidence = open_evidence(["milan-report.bin", "gb100-report.txt"])
    report, gpu = (each.report for each in evidence.statements)
    chain = open_support(["milan-vcek.der", "gb100-chain.pem"]).certificates

    def failing(**more) -> set[tuple[str, int | None]]:
        return {(check.id.value, check.device) for check in appraise(evidence, Given(AT, anchors, chain + intermediates, **more)).because}

    assert failing(nonce=gpu.nonce, report_data=report.report_data) == set()
    assert failing(nonce=bytes(32), report_data=report.report_data) == {("nonce", 1)}
    assert failing(nonce=gpu.nonce, report_data=bytes(64)) == {("report_data", 0)}
    assert failing(nonce=gpu.nonce) == {("nonce", 0)}
    assert failing(report_data=report.report_data) == set()
    both = appraise(evidence, Given(AT, anchors, chain + intermediates, nonce=gpu.nonce, report_data=report.report_data))
    assert [(check.status.value, check.why.partition(";")[0]) for check in both.checks if check.id.value == "nonce" and check.device == 0] == [
        ("skipped", "the nonce is the challenge of the devices beside it")]


def test_the_sentence_and_a_policy_that_does_not_mind() -> None:
    found = appraised(SNP, ("gh100-driver-rim.xml",))
    assert [check.why for check in found.because] == ["driver RIM 550.90.07 was given, and there is no GPU or switch to compare with it"]
    lenient = appraised(SNP, ("gh100-driver-rim.xml",), policy=AppraisalPolicy(required_if_given=False))
    assert (lenient.verdict.value, [check.status.value for check in lenient.checks if check.device is None]) == ("pass", ["skipped"])
