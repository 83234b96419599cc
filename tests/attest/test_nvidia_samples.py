"""The pieces that are shipped or kept with the tests, without any corpus: Hopper with both manifests, Blackwell alone and in pairs, a switch with its manifest."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nvidia_world import outcome

from simkit.attest.appraise import appraise
from simkit.formats.evidence.roots import shipped
from simkit.formats.evidence.source import open_evidence, open_support
from simkit.model.evidence.check import CheckId
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy, NvidiaPolicy

DATA = Path(__file__).parent / "nvidia_data"
MEASURED = AppraisalPolicy(required=frozenset({CheckId.SIGNATURE, CheckId.CHAIN, CheckId.ROOT, CheckId.VALIDITY, CheckId.FWID, CheckId.MEASUREMENTS, CheckId.TCB,
                                               CheckId.ATTRIBUTES}),
                           nvidia=NvidiaPolicy(minimum_driver="550.90.07", minimum_vbios="96.00.9F.00.01"))


def appraised(evidence: str, chain: str = "", manifests=(), at: str = "2025-09-01", policy: AppraisalPolicy | None = None):
    anchors, more = shipped()
    given = Given(datetime.fromisoformat(at).replace(tzinfo=UTC), anchors, (*(open_support([chain]).certificates if chain else ()), *more), rims=open_support(manifests).rims)
    return appraise(open_evidence([evidence]), given, policy or AppraisalPolicy())


def test_a_gpu_with_both_of_its_manifests() -> None:
    """NVIDIA's service said "measres: success" of this very report with these manifests (attestation-sdk@73c032e: hopperClaimsv3_decoded.json)."""
    found = appraised("gh100-report.txt", "gh100-chain.pem", ("gh100-driver-rim.xml", "gh100-vbios-rim.xml"), policy=MEASURED)
    assert (found.verdict.value, found.because) == ("residual", ())
    checks = outcome(found)
    assert checks["measurements"] == ("ok", "20 of 21 agree with the driver RIM 550.90.07, 35 not compared as the first video decoder is off; "
                                            "12 of 12 agree with the VBIOS RIM 96.00.9F.00.01")
    assert checks["rim_validity"][1] == ("driver RIM 550.90.07: all valid at 2025-09-01T00:00:00Z, the first until 2026-06-01T02:08:29Z; "
                                         "VBIOS RIM 96.00.9F.00.01: all valid at 2025-09-01T00:00:00Z, the first until 2026-02-22T23:17:58Z")
    assert {name for name, (status, _) in checks.items() if status == "skipped"} == {"revocation", "nonce"}


@pytest.mark.parametrize(("manifests", "at", "failing"), [
    (("gh100-vbios-rim.xml", "gh100-driver-rim.xml"), "2025-09-01", set()), (("gh100-driver-rim.xml",), "2025-09-01", {"measurements"}),
    (("gh100-driver-rim.xml", "gh100-vbios-rim.xml"), "2026-03-01", {"rim_validity"}), (("gh100-driver-rim.xml", "ls10-bios-rim.xml"), "2026-05-25", {"measurements"}),
])
def test_the_same_with_less(manifests, at: str, failing: set[str]) -> None:
    assert {check.id.value for check in appraised("gh100-report.txt", "gh100-chain.pem", manifests, at, MEASURED).because} == failing


def test_a_manifest_of_hopper_is_none_for_blackwell() -> None:
    """The Hopper manifest of a driver's version is signed as well as the right one."""
    found = appraised("gb100-report.txt", "gb100-chain.pem", ("gh100-driver-rim.xml",))
    assert {check.id.value for check in found.because} == {"measurements"}
    assert outcome(found)["measurements"][1] == "the device runs driver 575.32, the manifests given are for 550.90.07"


def test_a_blackwell_gpu() -> None:
    found = appraised("gb100-report.txt", "gb100-chain.pem")
    assert (found.verdict.value, found.devices[0].id, found.devices[0].claims["hwmodel"]) == ("residual", "e6de55c3bdc14277", "GB100 A01 GSP BROM")
    assert outcome(found)["fwid"] == ("ok", "report and certificate name the same firmware, d090cab1b6e6ffdd…")
    assert outcome(found)["debug"] == ("ok", "the certified layer did not run in debug mode (flags: not configured)")
    assert found.devices[0].claims["vbios_version"] == "97.00.88.00.0F"


def test_blackwell_gpus_in_multi_gpu_passthrough() -> None:
    found = appraised(str(DATA / "gb100-mpt-gpus.json"), at="2026-01-01")
    assert (found.verdict.value, found.because) == ("residual", ())
    assert [device.claims["mode"] for device in found.devices] == ["MPT", "MPT"]
    assert [(device.claims["chip_info"], device.claims["nvdec0"]) for device in found.devices] == [("GB100", "on")] * 2
    assert outcome(found, None) == {"distinct": ("ok", "2 devices, no two with one identity or key")}


def test_a_switch_with_its_manifest() -> None:
    found = appraised("ls10-report.txt", "ls10-chain.pem", ("ls10-bios-rim.xml",), "2026-07-01")
    assert (found.verdict.value, outcome(found)["measurements"]) == ("residual", ("ok", "31 of 31 agree with the VBIOS RIM 96.10.55.00.01"))


def test_claims_are_json_and_complete() -> None:
    found = appraised("gh100-report.txt", "gh100-chain.pem")
    claims = found.devices[0].claims
    assert json.loads(json.dumps(claims)) == claims
    assert (claims["hwmodel"], claims["pdi"]) == ("GH100 A01 GSP BROM", found.devices[0].id)
    assert set(claims) == {"hwmodel", "ueid", "pdi", "certificate", "dice", "driver_version", "vbios_version", "project", "project_sku", "chip_sku", "fwid", "protected_pcie", "nvdec0", "links", "opaque_data_version",
                           "spdm_version", "nonce", "responder_nonce", "slot", "measurements", "measurement_counts", "opaque"}
    shipped_board = appraised("hgx-h100-gpus.json").devices[0].claims
    assert set(shipped_board) - set(claims) == {"arch", "mode", "switch_pdis"}
    assert shipped_board["switch_pdis"] == ["3a53b743d811e977", "9ae3beba9e673275", "03dba23b3c11bd8a", "666e93e19dec7d2d"]
    assert (len(claims["measurements"]), len(claims["opaque"])) == (64, 14)
