"""A GPU or switch as its evidence names it."""

from __future__ import annotations

from typing import Any

from simkit.attest.nvidia.leaf import candidates, model_of, pdi_of
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.nvidia import NvidiaDevice, NvidiaEvidence

_TOLD = {True: "on", False: "off", None: "not told"}


def device(evidence: NvidiaEvidence) -> Device:
    """Its id is the PDI: a switch reports its own, a GPU's stands in the certificate of its boot ROM; empty where no certificate came along."""
    gpu = evidence.device is NvidiaDevice.GPU
    leaves = candidates(evidence.certificates)
    leaf = leaves[0] if leaves else None
    name = evidence.facts.own_pdi or pdi_of(leaf)
    return Device(Kind.NVIDIA_GPU if gpu else Kind.NVIDIA_SWITCH, name, _of_device(evidence, leaf, name) | _of_report(evidence))


def _of_device(evidence: NvidiaEvidence, leaf: Certificate | None, name: str) -> dict[str, Any]:
    """What the device is and how it is set up, without what it does not tell."""
    facts, claim = evidence.facts, evidence.claim
    gpu = evidence.device is NvidiaDevice.GPU
    found: dict[str, Any] = {
        "arch": claim.arch, "hwmodel": model_of(leaf), "ueid": str(leaf.serial) if leaf else "", "pdi": name, "driver_version": facts.driver_version,
        "vbios_version": facts.vbios_version, "project": facts.project, "project_sku": facts.project_sku, "chip_sku": facts.chip_sku,
        "chip_info": facts.chip, "mode": facts.mode.value if facts.mode else "", "fwid": facts.fwid.hex() if facts.fwid else "",
        "switch_pdis" if gpu else "gpu_pdis": list(facts.peer_pdis),
    }
    if gpu:
        found |= {"protected_pcie": _TOLD[facts.protected_pcie], "nvdec0": _TOLD[facts.nvdec0], "links": facts.links,
                  "opaque_data_version": facts.opaque_version}
    if leaf is not None:
        found["certificate"] = {"subject": leaf.subject, "issuer": leaf.issuer, "serial": f"{leaf.serial:x}", "sha256": leaf.fingerprint}
    if leaf is not None and leaf.dice is not None:
        flags = leaf.dice.flags
        found["dice"] = {"fwids": [each.hex() for each in leaf.dice.fwids], "flags": sorted(flags) if flags is not None else "not told"}
    return {key: value for key, value in found.items() if value not in ("", [])}


def _of_report(evidence: NvidiaEvidence) -> dict[str, Any]:
    report = evidence.report
    found: dict[str, Any] = {
        "spdm_version": "1.1", "nonce": report.nonce.hex(), "responder_nonce": report.responder_nonce.hex(), "slot": report.slot,
        "measurements": {str(block.index): block.value.hex() for block in report.blocks}, "measurement_counts": list(evidence.facts.counts),
        "opaque": {field.name: field.value.hex() for field in report.opaque},
    }
    return found | ({"trailing": report.trailing.hex()} if report.trailing else {})
