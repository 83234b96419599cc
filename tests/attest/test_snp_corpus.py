"""Every SEV-SNP row of the corpus's MANIFEST, with its verdict and the checks that make it, at pinned times."""

import base64
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simkit.attest.appraise import appraise
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import open_evidence, open_support
from simkit.model.evidence.check import CheckStatus
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy, SnpPolicy

pytestmark = pytest.mark.corpus
AT, LATE = datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
V2_NONCE = bytes.fromhex("982f5c6e45df0ed3f10b6f60b02f0c8390e281300f3805e2279c16168cd6ae9aa398f647caa2338748cd0fd9f5f819ef")
STRICT_VMPL = AppraisalPolicy(snp=SnpPolicy(highest_vmpl=0))
SINCE_V3 = AppraisalPolicy(snp=SnpPolicy(minimum_version=3))
GO, COCO, AZURE, TDX = "snp/go-sev-guest", "snp/trustee", "snp/azure-vtpm", "tdx/azure-vtpm"


def appraised(corpus: Path, evidence: str, *support: str, at=AT, policy=AppraisalPolicy(), **given):  # noqa: B008 (frozen)
    folder = corpus / "attestation"
    found = open_support([str(folder / each) for each in support])
    anchors, intermediates = shipped()
    all_given = Given(at, anchors, found.certificates + intermediates, found.lists, references=found.references, tpm_quotes=found.tpm_quotes,
                      loose_signatures=found.signatures, **given)
    return appraise(open_evidence([str(folder / evidence)]), all_given, policy)


ROWS = [
    # evidence, support, more, verdict, the checks that fail it
    (f"{GO}/attestation.bin", [f"{GO}/vcek.testcer"], {}, "fail", ["debug"]),
    (f"{GO}/attestation.bin", [f"{GO}/vcek.testcer", f"{GO}/milan.testcer"], {}, "fail", ["debug"]),
    (f"{GO}/attestation.bin", [f"{GO}/vcek.testcer"], {"policy": AppraisalPolicy(snp=SnpPolicy(allow_debug=True))}, "pass", []),
    (f"{GO}/attestation.bin", [f"{GO}/milan.testcer"], {}, "fail", ["signature", "chain", "root", "validity", "debug"]),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek.der"], {}, "pass", []),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek.der", "snp/roots/ask_ark_milan.pem"], {}, "pass", []),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek.der", f"{COCO}/test-vcek-invalid-legacy.der"], {}, "pass", []),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek.der"], {"policy": SINCE_V3}, "fail", ["attributes"]),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek.der"], {"at": datetime(2030, 1, 25, tzinfo=UTC)}, "fail", ["validity"]),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vcek-invalid-legacy.der"], {}, "fail", ["signature", "chain", "root", "hwid", "tcb"]),
    (f"{COCO}/test-report.bin", [f"{GO}/vcek.testcer"], {}, "fail", ["signature", "hwid", "tcb"]),
    (f"{COCO}/test-report.bin", [f"{COCO}/test-vlek.der"], {}, "fail", ["signature", "chain", "root", "validity"]),
    (f"{COCO}/test-report.bin", ["snp/virtee/vcek_turin.der"], {}, "fail", ["signature", "hwid", "tcb"]),
    (f"{COCO}/test-vlek-report.bin", [f"{COCO}/test-vlek.der"], {}, "pass", []),
    (f"{COCO}/test-vlek-report.bin", [f"{COCO}/test-vlek.der", f"{GO}/milanvlek.testcer"], {}, "pass", []),
    (f"{COCO}/test-vlek-report.bin", [f"{COCO}/test-vlek.der"], {"at": LATE}, "fail", ["validity"]),
    (f"{COCO}/test-vlek-report.bin", [f"{COCO}/test-vlek.der"], {"policy": STRICT_VMPL}, "fail", ["vmpl"]),
    (f"{COCO}/evidence-with-chain.json", [], {}, "pass", []),
    (f"{COCO}/evidence-with-chain.json", ["snp/roots/ask_ark_genoa.pem"], {"at": LATE}, "pass", []),
    (f"{AZURE}/hcl-report.bin", [f"{AZURE}/vcek.pem"], {}, "pass", []),
    (f"{AZURE}/hcl-report.bin", [f"{AZURE}/vcek.pem", f"{AZURE}/quote.bin"], {"nonce": b"challenge"}, "pass", []),
    (f"{AZURE}/hcl-report.bin", [f"{AZURE}/vcek.pem", f"{AZURE}/tpm-quote.msg", f"{AZURE}/tpm-quote.sig"], {}, "fail", ["runtime_data"]),
    (f"{AZURE}/hcl-report.bin", [f"{AZURE}/vcek.pem", f"{TDX}/quote.bin"], {}, "fail", ["runtime_data"]),
    (f"{AZURE}/evidence-v0.json", [], {}, "pass", []),
    (f"{AZURE}/evidence-v0.json", [], {"nonce": V2_NONCE}, "fail", ["nonce"]),
    (f"{AZURE}/evidence-v0.json", [], {"report_data": b"challenge"}, "pass", []),
    (f"{AZURE}/evidence-v1.json", [], {}, "pass", []),
    (f"{AZURE}/evidence-v1.json", [], {"nonce": b"challenge"}, "pass", []),
    (f"{AZURE}/evidence-v1.json", [], {"nonce": b"challeng"}, "fail", ["nonce"]),
    (f"{AZURE}/evidence-v2.json", [], {}, "pass", []),
    (f"{AZURE}/evidence-v2.json", [], {"nonce": V2_NONCE, "report_data": V2_NONCE}, "pass", []),
    (f"{AZURE}/evidence-v2.json", [], {"report_data": V2_NONCE}, "pass", []),
    (f"{AZURE}/evidence-v2.json", [], {"report_data": V2_NONCE[:47]}, "fail", ["report_data"]),
    (f"{AZURE}/evidence-v2.json", [], {"nonce": V2_NONCE[:32]}, "fail", ["nonce"]),
    (f"{COCO}/test-vcek.der", [], {}, "pass", []),
    (f"{COCO}/test-vcek-invalid-legacy.der", [], {}, "fail", ["chain", "root"]),
    (f"{COCO}/test-vlek.der", [], {}, "pass", []),
    (f"{COCO}/test-vlek.der", [], {"at": LATE}, "fail", ["validity"]),
    (f"{GO}/vcek.testcer", [], {}, "pass", []),
    (f"{AZURE}/vcek.pem", [], {}, "pass", []),
    ("snp/virtee/vcek_turin.der", ["snp/virtee/cert_chain_turin"], {}, "pass", []),
    *((f"snp/{name}", [], {}, "pass", []) for name in ("roots/ask_ark_genoa.pem", "roots/ask_ark_genoa_vlek.pem", "roots/ask_ark_milan.pem", "roots/ask_ark_milan_vlek.pem",
      "roots/ask_ark_turin_vcek.pem", "roots/ask_ark_turin_vlek.pem", "virtee/cert_chain_milan", "virtee/cert_chain_turin")),
    (f"{TDX}/hcl-report.bin", [], {}, "fail", ["signature", "chain", "root", "validity"]),
    (f"{TDX}/evidence-v0.json", [], {"nonce": b"challenge"}, "residual", []),
    (f"{TDX}/evidence-v1.json", [], {"nonce": b"challenge"}, "residual", []),
    (f"{TDX}/evidence-v1.json", [], {"nonce": b"other"}, "fail", ["nonce"]),
]


MEASURED_ELSEWHERE = {f"snp/virtee-measurement/{name}" for name in ("ovmf_AmdSev_suffix.bin", "ovmf_OvmfX64_suffix.bin", "test_auth_block.bin", "test_auth_sig.bin",
                                                                    "test_id_sig.bin")}
"""Firmware and ID blocks: inputs of launch digests, not evidence."""


def test_the_table_has_this_many_rows() -> None:
    assert len(ROWS) == 53
    assert Counter(row[3] for row in ROWS) == {"pass": 30, "residual": 2, "fail": 21}


def test_every_row_of_the_manifest_is_in_the_table(corpus: Path) -> None:
    listed = {line.split("|")[1].strip() for line in (corpus / "attestation/MANIFEST.md").read_text().splitlines() if line.startswith("| snp/")}
    used = {path for evidence, support, *_ in ROWS for path in (evidence, *support) if path.startswith("snp/")}
    assert used == listed - MEASURED_ELSEWHERE
    assert (len(listed), len(used)) == (32, 27)


@pytest.mark.parametrize(("evidence", "support", "more", "verdict", "because"), ROWS)
def test_verdict_and_reason(corpus: Path, evidence: str, support: list[str], more: dict[str, object], verdict: str, because: list[str]) -> None:
    found = appraised(corpus, evidence, *support, **more)
    assert (found.verdict.value, [check.id.value for check in found.because]) == (verdict, because)
    assert len({check.id for check in found.checks}) == len(found.checks), "each check once a device"


@pytest.mark.parametrize("name", ["evidence-v0.json", "evidence-v1.json"])
def test_azures_td_is_bound_to_its_vtpm(corpus: Path, name: str) -> None:
    found = {check.id.value: check for check in appraised(corpus, f"{TDX}/{name}", nonce=b"challenge").checks}
    assert [found[each].status.value for each in ("signature", "chain", "root", "runtime_data", "nonce")] == ["ok"] * 5


def test_the_second_version_of_azures_td_evidence_differs_by_its_number(corpus: Path, tmp_path: Path) -> None:
    value = json.loads((corpus / "attestation" / TDX / "evidence-v1.json").read_text()) | {"version": 2}
    piece = tmp_path / "v2.json"
    piece.write_text(json.dumps(value))
    assert open_evidence([str(piece)]).statements[0].generation == 2
    found = {check.id.value: check for check in appraised(corpus, str(piece), report_data=b"challenge").checks}
    assert found["report_data"].why.startswith("the user data of the runtime data are 00000000")


def test_azures_td_report_is_the_one_that_was_quoted(corpus: Path, tmp_path: Path) -> None:
    """Of its 1,024 bytes all but the MAC and the CPU's SVN, which only the platform can check, have a digest there or a twin in the quote."""
    value = json.loads((corpus / "attestation" / TDX / "evidence-v0.json").read_text())
    through, piece = [], tmp_path / "changed.json"
    for at in (*range(0, 1024, 7), *range(16, 32), *range(224, 256)):
        changed = list(value["hcl_report"])
        changed[0x20 + at] ^= 1 << at % 8
        piece.write_text(json.dumps(value | {"hcl_report": changed}))
        found = appraised(corpus, str(piece))
        assert {check.id.value for check in found.because} <= {"runtime_data"}
        through += [at] if found.verdict.value == "residual" else []
    assert set(through) == {*range(16, 32), *range(224, 256)}
    other = json.loads((corpus / "attestation" / TDX / "evidence-v1.json").read_text()) | {"td_quote": _base64((corpus / "attestation/tdx/dcap-qvl/tdx_quote").read_bytes())}
    piece.write_text(json.dumps(other))
    assert [check.id.value for check in appraised(corpus, str(piece)).because] == ["runtime_data"]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_was_not_compared_is_skipped_with_its_reason(corpus: Path) -> None:
    found = {check.id.value: check for check in appraised(corpus, f"{COCO}/test-vlek-report.bin", f"{COCO}/test-vlek.der").checks}
    assert found["hwid"].why == "signed by a VLEK, which is of cc-us-east-2.amazonaws.com and of no chip"
    assert {name for name, check in found.items() if check.status is CheckStatus.SKIPPED} == {"revocation", "hwid", "report_data", "nonce", "measurements"}


def test_the_literal_challenge_is_told_as_bound_to_nothing(corpus: Path) -> None:
    found = {check.id.value: check for check in appraised(corpus, f"{AZURE}/evidence-v1.json").checks}
    assert found["nonce"].status is CheckStatus.SKIPPED
    assert "binds it to no session" in found["nonce"].why


def test_a_missing_certificate_is_named_with_its_address(corpus: Path) -> None:
    found = {check.id.value: check for check in appraised(corpus, f"{COCO}/test-report.bin").checks}
    assert found["signature"].why.startswith("the VCEK's certificate was not given; AMD has it at https://kdsintf.amd.com/vcek/v1/Milan/c38427a30d4c7af9")
    assert found["signature"].why.endswith("?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115 (or Genoa in place of Milan)")


def test_what_turins_certificate_says(corpus: Path) -> None:
    [leaf] = open_support([str(corpus / "attestation/snp/virtee/vcek_turin.der")]).certificates
    assert leaf.amd is not None
    assert (leaf.amd.product_name, leaf.amd.fmc, leaf.amd.microcode, leaf.amd.hardware_id.hex()) == ("Turin", 0, 9, "1e550a8ee5cf9f4d")


def test_claims_are_those_of_the_report(corpus: Path) -> None:
    claims = appraised(corpus, f"{AZURE}/evidence-v2.json").devices[0].claims
    assert (claims["product"], claims["version"], claims["current_version"]) == ("Milan", 3, "1.55.29")
    assert claims["reported_tcb"] == {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}
    assert claims["hcl"]["user_data"] == (V2_NONCE + bytes(16)).hex()
    assert claims["tpm"]["pcr00"] == "84275b2f4312cd4fc6cbe6b152ad3c3683e513d9f1e23c34fca160c8cca7a6a7"
    assert claims["policy"]["smt_allowed"] is True
    assert claims["policy"]["debug_allowed"] is False
    assert claims["platform_info"] == {"value": "0x25", "smt_enabled": True, "tsme_enabled": False, "ecc_enabled": True, "rapl_disabled": False,
                                       "ciphertext_hiding_enabled": False, "alias_check_complete": True, "tio_enabled": False}
