"""What a report claims, for people and programs: names as AMD 56860 has them, levels by their parts, flags spelled out."""

from __future__ import annotations

from enum import IntFlag
from typing import Any

from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.snp import HOST_REQUESTED, PlatformBits, PolicyBits, Product, SnpEvidence, SnpReport, tcb_of


def device(evidence: SnpEvidence) -> Device:
    """The chip, by its id, empty where the host masks it; and everything that the report says."""
    report = evidence.report
    short = report.chip_id[:8] if report.product is not None and report.product.short_chip_id else report.chip_id
    return Device(Kind.SNP, short.hex() if any(report.chip_id) else "", claims(evidence))


def measured(report: SnpReport) -> dict[str, bytes]:
    """The fields that reference values may be of, under the names of `model.evidence.reference`."""
    tcb = tcb_of(report.reported_tcb, report.product)
    return {"snp.measurement": report.measurement, "snp.host_data": report.host_data, "snp.id_key_digest": report.id_key_digest,
            "snp.author_key_digest": report.author_key_digest, "snp.family_id": report.family_id, "snp.image_id": report.image_id,
            "snp.bootloader": bytes([tcb.bootloader]), "snp.tee": bytes([tcb.tee]), "snp.snp": bytes([tcb.snp]), "snp.microcode": bytes([tcb.microcode])}


def claims(evidence: SnpEvidence) -> dict[str, Any]:
    """JSON values; bytes in lower-case hex."""
    report = evidence.report
    product = report.product or _certified(evidence)
    major, minor = report.abi
    return {
        "form": evidence.form, "version": report.version, "product": None if product is None else product.value, "guest_svn": report.guest_svn,
        "policy": {"value": f"{report.policy:#x}", "abi_major": major, "abi_minor": minor, **_flags(PolicyBits, report.policy)},
        "family_id": report.family_id.hex(), "image_id": report.image_id.hex(), "vmpl": "host" if report.vmpl == HOST_REQUESTED else report.vmpl,
        "signature_algo": report.signature_algo,
        "platform_info": {"value": f"{report.platform_info:#x}", **_flags(PlatformBits, report.platform_info)},
        "key_info": {"author_key_en": report.author_key_en, "mask_chip_key": report.mask_chip_key,
                     "signing_key": "reserved" if report.signer is None else report.signer.name.lower()},
        "report_data": report.report_data.hex(), "measurement": report.measurement.hex(), "host_data": report.host_data.hex(),
        "id_key_digest": report.id_key_digest.hex(), "author_key_digest": report.author_key_digest.hex(), "report_id": report.report_id.hex(),
        "report_id_ma": report.report_id_ma.hex(), "chip_id": report.chip_id.hex(),
        "cpuid": None if report.cpuid_family is None else {"family": f"{report.cpuid_family:#04x}", "model": f"{report.cpuid_model:#04x}",
                                                           "stepping": report.cpuid_stepping},
        **{f"{name}_tcb": dict(tcb_of(raw, product).components()) for name, raw in (("current", report.current_tcb), ("reported", report.reported_tcb),
                                                                                   ("committed", report.committed_tcb), ("launch", report.launch_tcb))},
        "current_version": str(report.current_version), "committed_version": str(report.committed_version),
        "launch_mit_vector": _vector(report.launch_mit_vector), "current_mit_vector": _vector(report.current_mit_vector),
        "certificates": [each.subject for each in evidence.certificates],
    }


def _flags(bits: type[IntFlag], value: int) -> dict[str, bool]:
    return {each.name.lower(): bool(value & each) for each in bits if each.name and each.name != "RESERVED_ONE"}


def _vector(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _certified(evidence: SnpEvidence) -> Product | None:
    """The line that a certificate which came along is of, for a report that does not say."""
    names = {each.amd.product_name.partition("-")[0] for each in evidence.certificates if each.amd}
    return next((each for each in Product if names == {each.value}), None)
