"""Real evidence: the verdict of each file that the corpus lists, for the right reason, at a stated time; parses against other people's; every bit counts."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nvidia_world import outcome

from simkit.attest.appraise import appraise
from simkit.errors import MalformedEvidence, UnreadableSource
from simkit.formats.evidence.certificates import read_certificate
from simkit.formats.evidence.roots import shipped, trusted
from simkit.formats.evidence.source import BrokenEvidence, open_evidence, open_support, read_evidence
from simkit.model.evidence.evidence import Evidence
from simkit.model.evidence.given import Given
from simkit.model.evidence.policy import AppraisalPolicy

pytestmark = pytest.mark.corpus
SDK, TRUST, COCO, BOARD = "attestation-sdk/", "nvtrust/", "trustee/", "ppcie/"
DATA = Path(__file__).parent / "nvidia_data"
E97 = "e97b23a1718095a0e9e35edca810768c70a6a5a389b705e753b197912bc11576"
NONCE_931 = "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
HOPPER, HOPPER_CHAIN = SDK + "gpu/hopperAttestationReport.txt", SDK + "gpu/hopperCertChain.txt"
OLD_RIM, OTHER_RIM = TRUST + "1010_0200_882_96005E0001_PROD.swidtag", TRUST + "1010_0200_882_96005E0001_test_no_gpu.swidtag"
DRIVER_545 = TRUST + "Driver_RIM_test_no_gpu.swidtag"
MISMATCH = SDK + "rims/NV_GPU_VBIOS_1010_0200_882_96005E0001_measurement_mismatch.xml"
SWITCH, SWITCH_CHAIN = SDK + "switch/switchAttestationReport.txt", SDK + "switch/switchCertChain.txt"
SWITCH_RIM = SDK + "switchVBIOSRim_NV_SWITCH_BIOS_5612_0002_890_9610550001.xml"
REPORT_550, CHAIN_550 = TRUST + "hopperAttestationReport.txt", TRUST + "hopperCertChain.txt"

# evidence, chain, manifests, root, at, nonce -> verdict, failing checks
TABLE = [
    # GPU evidence
    (SDK + "evidence/hopper_evidence.json", "", (), "", "2026-01-01", E97, "residual", set()),
    (SDK + "evidence/hopper_evidence.json", "", (), "", "2026-01-01", NONCE_931, "fail", {"nonce"}),
    (SDK + "evidence/hopper_evidence_cert_hold.json", "", (), "", "2026-01-01", NONCE_931, "residual", set()),  # revocation is skipped: on hold cannot be seen offline
    (SDK + "evidence/multi_gpu_hopper.json", "", (), "", "2026-01-01", E97, "residual", set()),
    (SDK + "evidence_hopper_590_12.json", "", (), "", "2026-01-01", E97, "residual", set()),
    (SDK + "evidence_hopper_590_12.json", "", (SDK + "NV_GPU_DRIVER_GH100_550.144.03.xml",), "", "2026-01-01", E97, "fail", {"measurements"}),
    (HOPPER, HOPPER_CHAIN, (), "", "2025-06-01", "", "residual", set()),
    (HOPPER, HOPPER_CHAIN, (OLD_RIM,), "", "2025-06-01", "", "residual", set()),
    (HOPPER, HOPPER_CHAIN, (OTHER_RIM,), "", "2025-06-01", "", "fail", {"measurements"}),  # signed, for this version, and of another board
    (HOPPER, HOPPER_CHAIN, (OLD_RIM,), "", "2026-01-01", "", "fail", {"rim_validity"}),
    (HOPPER, HOPPER_CHAIN, (MISMATCH,), "", "2025-06-01", "", "fail", {"measurements"}),
    (HOPPER, HOPPER_CHAIN, (MISMATCH,), "", "2026-01-01", "", "fail", {"measurements", "rim_validity"}),
    (HOPPER, HOPPER_CHAIN, (OLD_RIM, SDK + "rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml"), "", "2025-06-01", "", "fail",
     {"measurements", "rim_signature"}),
    (HOPPER, HOPPER_CHAIN, (OLD_RIM,), SDK + "incorrect_rim_root.crt", "2025-06-01", "", "fail", {"root", "rim_chain"}),
    (SDK + "gpu/hopperAttestationReportExpired.txt", SDK + "gpu/hopperCertChainExpired.txt", (), "", "2025-01-01", NONCE_931, "residual", set()),
    (SDK + "gpu/hopperAttestationReportExpired.txt", SDK + "gpu/hopperCertChainExpired.txt", (SDK + "rims/NV_GPU_DRIVER_GH100_570.124.03_expired.xml",), "",
     "2026-01-01", NONCE_931, "fail", {"measurements", "rim_signature", "rim_validity"}),
    (SDK + "gpu/hopperAttestationReportInvalidSignature.txt", HOPPER_CHAIN, (), "", "2026-01-01", NONCE_931, "fail", {"signature", "fwid"}),
    (REPORT_550, CHAIN_550, (), "", "2026-01-01", NONCE_931, "residual", set()),
    (REPORT_550, CHAIN_550, (DRIVER_545,), "", "2025-06-01", NONCE_931, "fail", {"measurements"}),
    (REPORT_550, CHAIN_550, (DRIVER_545, OLD_RIM), "", "2025-06-01", NONCE_931, "fail", {"measurements"}),
    (REPORT_550, CHAIN_550, (DRIVER_545,), "", "2026-01-01", NONCE_931, "fail", {"measurements", "rim_validity"}),
    (COCO + "hopperAttestationReport.txt", COCO + "hopper_cert_chain_case1.txt", (), "", "2026-01-01", NONCE_931, "residual", set()),
    (COCO + "hopperAttestationReport.txt", COCO + "hopper_cert_chain_case2.txt", (), "", "2026-01-01", NONCE_931, "fail", {"signature", "chain", "fwid"}),
    (COCO + "hopperAttestationReport.txt", COCO + "hopper_cert_chain_case3.txt", (), "", "2026-01-01", NONCE_931, "fail", {"chain", "root"}),
    (COCO + "hopperAttestationReport.txt", COCO + "hopper_cert_chain_case4.txt", (), "", "2026-01-01", NONCE_931, "fail", {"signature", "chain", "fwid"}),
    (COCO + "hopperAttestationReport.txt", COCO + "hopper_signing_cert.pem", (), "", "2026-01-01", NONCE_931, "fail", {"chain", "root"}),
    (COCO + "hopperAttestationReport.txt", "", (), "", "2026-01-01", NONCE_931, "fail", {"signature", "chain", "root", "validity"}),
    (COCO + "hopper_coco_report1.txt", COCO + "hopper_coco_certs1.txt", (), "", "2026-01-01", "87d8e24ab336adafe228d49e83d745f6dba4ae505372b6a5704820856b343fec" + "ab" * 16,
     "residual", set()),
    (COCO + "hopper_coco_report1.txt", HOPPER_CHAIN, (), "", "2026-01-01", "", "fail", {"signature", "fwid"}),
    # switches
    (SDK + "evidence/switch_evidence_ls10.json", "", (), "", "2026-01-01", NONCE_931, "residual", set()),
    (SWITCH, SWITCH_CHAIN, (), "", "2026-01-01", NONCE_931, "residual", set()),
    (SWITCH, SWITCH_CHAIN, (SWITCH_RIM,), "", "2026-07-01", NONCE_931, "residual", set()),
    (SWITCH, SWITCH_CHAIN, (SWITCH_RIM,), "", "2028-06-01", NONCE_931, "fail", {"rim_validity"}),
    (SWITCH, SWITCH_CHAIN, (SDK + "rims/NV_SWITCH_BIOS_5612_0002_890_9610550001_measurement_mismatch.xml",), "", "2025-06-01", NONCE_931, "fail",
     {"measurements", "rim_signature"}),
    (SWITCH, HOPPER_CHAIN, (), "", "2026-01-01", NONCE_931, "fail", {"signature", "hwid", "attributes"}),
    # protected PCIe
    (BOARD + "gpu_evidence.json", "", (), "", "2026-01-01", "4760e30534a0621357d458b1a7936551b5dc4cd1e69718adf7ed9fb0252a537e", "residual", set()),
    (BOARD + "switch_evidence.json", "", (), "", "2026-01-01", "4760e30534a0621357d458b1a7936551b5dc4cd1e69718adf7ed9fb0252a537e", "residual", set()),
    (BOARD + "gpu_evidence.json," + BOARD + "switch_evidence.json", "", (), "", "2026-01-01",
     "4760e30534a0621357d458b1a7936551b5dc4cd1e69718adf7ed9fb0252a537e", "residual", set()),
    (BOARD + "gpu_evidence.json," + BOARD + "gpu_evidence.json", "", (), "", "2026-01-01", "", "fail", {"distinct"}),
    (SDK + "evidence/multi_gpu_hopper.json," + BOARD + "switch_evidence.json", "", (), "", "2026-01-01", "", "fail", {"topology"}),
    # manifests alone
    (SDK + "NV_GPU_DRIVER_GH100_550.144.03.xml", "", (), "", "2026-01-01", "", "pass", set()),
    (SDK + "NV_GPU_DRIVER_GH100_550.144.03.xml", "", (), "", "2026-12-31", "", "fail", {"rim_validity"}),
    (SDK + "NV_GPU_DRIVER_GH100_550.144.03.xml", "", (), SDK + "incorrect_rim_root.crt", "2026-01-01", "", "fail", {"root"}),
    (SDK + "incorrect_signature_driver_rim.xml", "", (), "", "2026-01-01", "", "fail", {"rim_signature"}),
    (SDK + "rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml", "", (), "", "2026-01-01", "", "fail", {"rim_signature"}),
    (SDK + "rims/NV_GPU_DRIVER_GH100_570.124.03_expired.xml", "", (), "", "2026-01-01", "", "fail", {"rim_signature", "rim_validity"}),
    (SDK + "rims/NV_GPU_DRIVER_GH100_570.124.03_expired.xml", "", (), "", "2025-01-01T12:00:00", "", "fail", {"rim_signature"}),
    (MISMATCH, "", (), "", "2025-06-01", "", "pass", set()),
    (MISMATCH, "", (), "", "2026-01-01", "", "fail", {"rim_validity"}),
    (SDK + "rims/NV_SWITCH_BIOS_5612_0002_890_9610550001_measurement_mismatch.xml", "", (), "", "2025-06-01", "", "fail", {"rim_signature"}),
    (SWITCH_RIM, "", (), "", "2026-07-01", "", "pass", set()),
    (SWITCH_RIM, "", (), "", "2028-05-20", "", "fail", {"rim_validity"}),
    (OLD_RIM, "", (), "", "2025-06-01", "", "pass", set()),
    (OLD_RIM, "", (), "", "2026-01-01", "", "fail", {"rim_validity"}),
    (OTHER_RIM, "", (), "", "2025-06-01", "", "pass", set()),
    (OTHER_RIM, "", (), "", "2025-06-23", "", "fail", {"rim_validity"}),
    (DRIVER_545, "", (), "", "2025-06-01", "", "pass", set()),
    (DRIVER_545, "", (), "", "2025-06-27", "", "fail", {"rim_validity"}),
    (SDK + "trusted_certs/rim_root.crt", "", (), "", "2026-01-01", "", "pass", set()),
    (SDK + "incorrect_rim_root.crt", "", (), "", "2026-01-01", "", "fail", {"chain", "root"}),
    ("roots/verifier_RIM_root.pem", "", (), "", "2026-01-01", "", "pass", set()),
    ("roots/verifier_device_root.pem", "", (), "", "2026-01-01", "", "pass", set()),
]
ALSO = {"hopperClaimsv3_decoded.json", "hopperClaimsv3_detached_eat.json", "spdm_parsed_output.json", "spdm_req_parsed_output.json", "switch_decoded.json",
        "switch_detached_eat.json", "switch_spdm_parsed_output.json", "hopperAttestationReport-claims.txt"}
"""Files that hold other people's results: compared below, or results themselves."""


def appraised(corpus: Path, evidence: str, chain: str, manifests, root: str, at: str, nonce: str, policy: AppraisalPolicy | None = None):
    folder = corpus / "attestation" / "nvidia"
    anchors, more = shipped()
    if root:
        anchors = trusted(open_support([str(folder / root)]).certificates, source=root)
    certificates = open_support([str(folder / chain)]).certificates if chain else ()
    given = Given(datetime.fromisoformat(at).replace(tzinfo=UTC), anchors, (*certificates, *more), rims=open_support(str(folder / each) for each in manifests).rims,
                  nonce=bytes.fromhex(nonce) if nonce else None)
    return appraise(open_evidence(str(folder / each) for each in evidence.split(",")), given, policy or AppraisalPolicy())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0].rpartition('/')[2]}+{len(row[2])}@{row[4]}")
def test_verdicts(corpus: Path, row) -> None:
    *inputs, verdict, failing = row
    found = appraised(corpus, *inputs)
    assert (found.verdict.value, {check.id.value for check in found.because}) == (verdict, failing), [(check.id.value, check.why) for check in found.because]


def test_every_file_of_these_devices_has_its_row(corpus: Path) -> None:
    listed = re.findall(r"^\| nvidia/(\S+) \|", (corpus / "attestation" / "MANIFEST.md").read_text(), re.MULTILINE)
    used = {name for row in TABLE for name in (*row[0].split(","), row[1], *row[2], row[3]) if name}
    left = {name for name in listed if name not in used and Path(name).name not in ALSO}
    assert not left
    assert not used - set(listed)
    assert (len(listed), len(used), len(TABLE)) == (46, 38, 62)


def test_what_the_sentences_say(corpus: Path) -> None:
    """What a person needs: how many agreed, which index did not, which versions do not fit, which byte trails."""
    right = outcome(appraised(corpus, HOPPER, HOPPER_CHAIN, (OLD_RIM,), "", "2025-06-01", ""))
    assert right["measurements"] == ("ok", "12 of 12 agree with the VBIOS RIM 96.00.5E.00.01; no driver RIM was given")
    assert right["fwid"] == ("skipped", "the report has no FWID field, as with old drivers")
    wrong = outcome(appraised(corpus, HOPPER, HOPPER_CHAIN, (MISMATCH,), "", "2025-06-01", ""))["measurements"][1]
    assert wrong.startswith("measurement 9 is 7f3e9382785513c1…, the VBIOS RIM 96.00.5E.00.01 has ")
    assert wrong.endswith("(11 of 12 agree with the VBIOS RIM 96.00.5E.00.01)")
    other = outcome(appraised(corpus, REPORT_550, CHAIN_550, (DRIVER_545, OLD_RIM), "", "2025-06-01", ""))["measurements"][1]
    assert other == ("the device runs driver 550.90.07, the manifests given are for 545.00; the device runs VBIOS 96.00.9F.00.01, the manifests given are for 96.00.5E.00.01")
    switch = outcome(appraised(corpus, SWITCH, SWITCH_CHAIN, (SWITCH_RIM,), "", "2026-07-01", NONCE_931))
    assert switch["measurements"] == ("ok", "31 of 31 agree with the VBIOS RIM 96.10.55.00.01")
    assert switch["hwid"] == ("ok", "report and certificate are of switch 203eb31ad9ed0008")
    coco = appraised(corpus, COCO + "hopper_coco_report1.txt", COCO + "hopper_coco_certs1.txt", (), "", "2026-01-01",
                     "87d8e24ab336adafe228d49e83d745f6dba4ae505372b6a5704820856b343fec" + "ab" * 16)
    assert outcome(coco)["nonce"][1].endswith("(the first 32 of the 48 bytes given)")
    assert outcome(coco)["format"][1].endswith("; 1 byte(s) behind the signature are not part of it")
    assert coco.notes == ("1 byte(s) after the signature (00), which nobody vouches for",)
    held = outcome(appraised(corpus, SDK + "evidence/hopper_evidence_cert_hold.json", "", (), "", "2026-01-01", NONCE_931))
    assert held["revocation"][0] == "skipped"


def test_strict_and_offline_shipped_policies_do_not_pass_a_gpu_without_manifests(corpus: Path) -> None:
    from simkit.formats.evidence.policy import open_policy

    failing = {check.id.value for check in appraised(corpus, SDK + "evidence/hopper_evidence.json", "", (), "", "2026-01-01", E97, open_policy("strict")).because}
    assert failing == {"revocation", "tcb", "measurements"}


def _flat(value, path: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {key: each for name, inner in value.items() for key, each in _flat(inner, f"{path}/{name}").items()}
    if isinstance(value, list):
        return {key: each for number, inner in enumerate(value) for key, each in _flat(inner, f"{path}/{number}").items()}
    return {path: value}


def _as_the_sdk_prints(evidence, *, opaque: dict[str, object]) -> dict[str, object]:
    """The parse in the shape of NVIDIA's own, from our types alone."""
    report = evidence.report
    size = int.from_bytes(report.signed[42:45], "little")
    blocks = {str(block.index): {"DMTFSpecMeasurementValueType": block.value_type, "DMTFSpecMeasurementValueSize": len(block.value),
                                 "DMTFSpecMeasurementValue": f"0x{block.value.hex()}"} for block in report.blocks}
    return _flat({
        "SPDMVersion": "0x11", "RequestResponseCode": "0x60", "Param1": "0x00", "Param2": "0x00", "NumberOfBlocks": len(blocks), "MeasurementRecordLength": size,
        "Nonce": f"0x{report.responder_nonce.hex()}", "OpaqueLength": sum(len(field.value) + 4 for field in report.opaque), "Signature": f"0x{report.signature.hex()}",
        "MeasurementRecord": {"NumberOfBlocks": len(blocks), "MeasurementBlocks": blocks}, "OpaqueData": {"OpaqueDataField": opaque}})


def _compared(ours: dict[str, object], theirs: dict[str, object]) -> int:
    differing = {key: (ours.get(key), theirs.get(key)) for key in theirs if ours.get(key) != theirs[key]}
    assert not differing
    return len(theirs)


def test_the_parse_of_a_gpu_is_nvidias(corpus: Path) -> None:
    (evidence,) = read_evidence((DATA / "gh100-580.159.03-report.txt").read_bytes(), source="here").statements
    names = {"msrscnt": "MSRSCNT"}
    opaque: dict[str, object] = {f"OPAQUE_FIELD_ID_{names.get(field.name, field.name.upper())}": f"0x{field.value.hex()}" for field in evidence.report.opaque}
    opaque["OPAQUE_FIELD_ID_MSRSCNT"] = list(evidence.facts.counts)
    folder = corpus / "attestation" / "nvidia" / "attestation-sdk"
    theirs = _flat(json.loads((folder / "spdm_parsed_output.json").read_text()))
    assert _compared(_as_the_sdk_prints(evidence, opaque=opaque), theirs) == 279
    asked = json.loads((folder / "spdm_req_parsed_output.json").read_text())
    assert asked == {"SPDMVersion": "0x11", "RequestResponseCode": "0xe0", "Param1": "0x01", "Param2": "0xff", "Nonce": f"0x{evidence.report.nonce.hex()}",
                     "SlotIDParam": f"0x{evidence.report.slot:02x}"}


def test_the_parse_of_a_switch_is_nvidias(corpus: Path) -> None:
    folder = corpus / "attestation" / "nvidia" / "attestation-sdk"
    (evidence,) = read_evidence((folder / "switch" / "switchAttestationReport.txt").read_bytes(), source="here").statements
    theirs = _flat(json.loads((folder / "switch_spdm_parsed_output.json").read_text()))
    raw = {field.name: field.value for field in evidence.report.opaque}
    bits = "".join(f"{octet:08b}" for octet in raw["disabled_ports"])
    opaque: dict[str, object] = {f"OPAQUE_FIELD_ID_{name.upper()}": f"0x{value.hex()}" for name, value in raw.items()}
    opaque |= {"OPAQUE_FIELD_ID_MSRSCNT": list(evidence.facts.counts), "OPAQUE_FIELD_ID_DISABLED_PORTS": [int(bit) for bit in bits for _ in range(4)],
               "OPAQUE_FIELD_ID_SWITCH_GPU_PDIS": [f"0x{raw['switch_gpu_pdis'][at : at + 8].hex()}" for at in range(0, 64, 8)],
               "OPAQUE_FIELD_ID_SWITCH_PORT": [f"0x{octet:02x}" for octet in raw["switch_gpu_pdis"][64:]]}
    assert _compared(_as_the_sdk_prints(evidence, opaque=opaque), theirs) == 269
    assert list(evidence.facts.peer_pdis) == list(dict.fromkeys(pdi.removeprefix("0x") for pdi in opaque["OPAQUE_FIELD_ID_SWITCH_GPU_PDIS"]))


def test_the_claims_are_trustees(corpus: Path) -> None:
    theirs = json.loads((corpus / "attestation" / "nvidia" / COCO / "hopperAttestationReport-claims.txt").read_text())
    claims = appraised(corpus, COCO + "hopperAttestationReport.txt", "", (), "", "2026-01-01", "").devices[0].claims
    letter = {"off": "U", "on": "\u00aa"}
    config = {name: claims[name] for name in ("driver_version", "fwid", "project", "project_sku", "chip_sku")} | {
        "vbios_version": claims["vbios_version"].lower(), "board_id": claims["opaque"]["board_id"], "cpr_info": claims["opaque"]["cprinfo"],
        "chip_sku_mod": bytes.fromhex(claims["opaque"]["chip_sku_mod"]).rstrip(b"\0").decode(), "gpu_info": claims["opaque"]["gpu_info"],
        "project_sku_mod": claims["opaque"]["project_sku_mod"], "nvdec0_status": letter[claims["nvdec0"]], "protected_pcie_status": letter[claims["protected_pcie"]],
        "measurement_count": {str(number): count for number, count in enumerate(claims["measurement_counts"], 1)}}
    assert _compared(_flat({"config": config, "measurements": claims["measurements"]}), _flat({key: theirs[key] for key in ("config", "measurements")})) == 141


@pytest.mark.parametrize(("file", "evidence", "chain", "prefix", "ours"), [
    ("hopperClaimsv3_decoded.json", REPORT_550, CHAIN_550, "x-nvidia-gpu-", {"driver-version": "driver_version", "vbios-version": "vbios_version"}),
    ("switch_decoded.json", SWITCH, SWITCH_CHAIN, "x-nvidia-switch-", {"bios-version": "vbios_version"}),
])
def test_the_claims_are_nvidias(corpus: Path, file: str, evidence: str, chain: str, prefix: str, ours: dict[str, str]) -> None:
    """What NVIDIA's service said of the same report."""
    (theirs,) = json.loads((corpus / "attestation" / "nvidia" / SDK / file).read_text()).values()
    folder = corpus / "attestation" / "nvidia"
    found = open_evidence([str(folder / evidence)])
    certificates = open_support([str(folder / chain)]).certificates
    whole = replace(found, statements=(replace(found.statements[0], certificates=certificates),))
    anchors, _ = shipped()
    said = appraise(whole, Given(datetime(2026, 1, 1, tzinfo=UTC), anchors, nonce=bytes.fromhex(theirs["eat_nonce"])))
    claims, checks = said.devices[0].claims, outcome(said)
    assert {name: claims[key] for name, key in ours.items()} == {name: theirs[prefix + name] for name in ours}
    assert (claims["hwmodel"], claims["ueid"], claims["nonce"]) == (theirs["hwmodel"], theirs["ueid"], theirs["eat_nonce"])
    for check, claim in (("format", "parsed"), ("signature", "signature-verified"), ("nonce", "nonce-match")):
        assert (checks[check][0] == "ok") is theirs[f"{prefix}attestation-report-{claim}"]


WHOLE = [SDK + "evidence/hopper_evidence.json", SDK + "evidence/switch_evidence_ls10.json"]
UNSIGNED = 0
"""Bytes of a report that may change without rejection: none; what trails is no part of it."""


def _flips(corpus: Path, name: str, step: int) -> tuple[int, int]:
    """Flip one bit of every `step`th byte of the first device's report: how many were tried, how many rejected for a reason that is right."""
    (evidence, *_) = open_evidence([str(corpus / "attestation" / "nvidia" / name)]).statements
    anchors, _ = shipped()
    given = Given(datetime(2026, 1, 1, tzinfo=UTC), anchors)
    whole = evidence.report.signed + evidence.report.signature
    tried = rejected = 0
    for at in range(0, len(whole), step):
        changed = whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]
        tried += 1
        try:
            (other,) = read_evidence(changed, source="here").statements
        except BrokenEvidence as error:
            rejected += error.kind.value == "nvidia-gpu"
            continue
        with_chain = Evidence("here", (replace(other, certificates=evidence.certificates),))
        because = {check.id.value for check in appraise(with_chain, given).because}
        rejected += "signature" in because
    return tried, rejected


@pytest.mark.parametrize("name", WHOLE)
def test_flipped_bytes_are_rejected(corpus: Path, name: str) -> None:
    tried, rejected = _flips(corpus, name, 37)
    assert (tried, tried - rejected) == ({WHOLE[0]: 116, WHOLE[1]: 59}[name], UNSIGNED)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [(WHOLE[0], 4274), (WHOLE[1], 2168), (SDK + "evidence/hopper_evidence_cert_hold.json", 4117), (SDK + "evidence_hopper_590_12.json", 4274),
                                            (BOARD + "gpu_evidence.json", 4274), (BOARD + "switch_evidence.json", 2172)])
def test_every_flipped_byte_is_rejected(corpus: Path, name: str, size: int) -> None:
    tried, rejected = _flips(corpus, name, 1)
    assert (tried, tried - rejected) == (size, UNSIGNED)


def _rim_flips(corpus: Path, step: int) -> tuple[int, list[int]]:
    """Flip a bit of every `step`th byte of a manifest: how many were tried, and where one was not rejected."""
    whole = (corpus / "attestation" / "nvidia" / SWITCH_RIM).read_bytes()
    anchors, _ = shipped()
    given = Given(datetime(2026, 7, 1, tzinfo=UTC), anchors)
    passed = []
    for at in range(0, len(whole), step):
        try:
            found = appraise(read_evidence(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], source="here"), given)
        except MalformedEvidence:
            continue
        except UnreadableSource:  # the very first byte: no XML any more
            assert at == 0
            continue
        if found.verdict.value == "pass":
            passed.append(at)
        else:
            assert {check.id.value for check in found.because} & {"rim_signature", "rim_chain"}
    return len(range(0, len(whole), step)), passed


def test_flipped_bytes_of_a_manifest_are_rejected(corpus: Path) -> None:
    tried, passed = _rim_flips(corpus, 41)
    assert (tried, passed) == (627, [])


@pytest.mark.slow
def test_every_flipped_byte_of_a_manifest_is_rejected(corpus: Path) -> None:
    tried, passed = _rim_flips(corpus, 1)
    assert (tried, passed) == (25698, [])


def _certificate_flips(corpus: Path, step: int) -> tuple[int, int]:
    """Flip a bit of every `step`th byte of each certificate of a device's chain, the copy of the root among them."""
    found = open_evidence([str(corpus / "attestation" / "nvidia" / SDK / "evidence/hopper_evidence.json")])
    (evidence,) = found.statements
    anchors, _ = shipped()
    given = Given(datetime(2026, 1, 1, tzinfo=UTC), anchors)
    tried = rejected = 0
    for number, each in enumerate(evidence.certificates):
        for at in range(0, len(each.der), step):
            tried += 1
            try:
                other = read_certificate(each.der[:at] + bytes([each.der[at] ^ (1 << at % 8)]) + each.der[at + 1 :], source="here")
            except MalformedEvidence:
                rejected += 1
                continue
            chain = (*evidence.certificates[:number], other, *evidence.certificates[number + 1 :])
            because = {check.id.value for check in appraise(replace(found, statements=(replace(evidence, certificates=chain),)), given).because}
            rejected += bool(because & {"signature", "chain"})
    return tried, rejected


def test_flipped_bytes_of_certificates_are_rejected(corpus: Path) -> None:
    assert _certificate_flips(corpus, 17) == (200, 200)


@pytest.mark.slow
def test_every_flipped_byte_of_a_certificate_is_rejected(corpus: Path) -> None:
    assert _certificate_flips(corpus, 1) == (3360, 3360)
