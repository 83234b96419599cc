"""What a quote or a TDREPORT says, as JSON: names as Intel's structures have them, numbers as numbers, bytes in hex, flags by name."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from simkit.attest.chain import stamp
from simkit.attest.tdx.attributes import sgx_flags, td_flags
from simkit.model.evidence.appraisal import Device
from simkit.model.evidence.certificate import Certificate
from simkit.model.evidence.event_log import SHA384, Event, EventLog
from simkit.model.evidence.evidence import Kind
from simkit.model.evidence.tdx import TDX, EnclaveReport, QuoteEvidence, TdBody, TdReport

EVENT_TYPES = MappingProxyType({
    0x00000001: "EV_POST_CODE", 0x00000003: "EV_NO_ACTION", 0x00000004: "EV_SEPARATOR", 0x00000005: "EV_ACTION", 0x00000006: "EV_EVENT_TAG",
    0x00000007: "EV_S_CRTM_CONTENTS", 0x00000008: "EV_S_CRTM_VERSION", 0x0000000A: "EV_PLATFORM_CONFIG_FLAGS", 0x0000000D: "EV_IPL",
    0x80000001: "EV_EFI_VARIABLE_DRIVER_CONFIG", 0x80000002: "EV_EFI_VARIABLE_BOOT", 0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION",
    0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER", 0x80000006: "EV_EFI_GPT_EVENT", 0x80000007: "EV_EFI_ACTION", 0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
    0x80000009: "EV_EFI_HANDOFF_TABLES", 0x8000000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2", 0x8000000B: "EV_EFI_HANDOFF_TABLES2",
    0x8000000C: "EV_EFI_VARIABLE_BOOT2", 0x800000E0: "EV_EFI_VARIABLE_AUTHORITY"})
"""TCG PC Client Platform Firmware Profile §10.4.1."""
SGX_TYPES = ("standard", "scalable", "scalable with integrity")
CERTIFICATION = MappingProxyType({1: "PPID in plain text", 2: "PPID encrypted with RSA-2048", 3: "PPID encrypted with RSA-3072", 5: "PCK certificate chain"})


def device(statement: QuoteEvidence) -> Device:
    """The platform (by PPID) and what it says of a TD or an enclave; a TDREPORT names no platform."""
    if isinstance(statement, TdReport):
        report_type = {"type": statement.report_type[0], "subtype": statement.report_type[1], "version": statement.report_type[2]}
        return Device(Kind.TDX, "", {"report_type": report_type, "cpu_svn": statement.cpu_svn.hex(), **_td(statement.body)})
    header = statement.header
    pck = next((each for each in statement.certificates if each.sgx), None)
    claims: dict[str, Any] = {
        "quote_version": header.version, "tee_type": "TDX" if header.tee_type == TDX else "SGX", "body_type": statement.body_type,
        "attestation_key_type": "ECDSA P-256", "qe_svn": header.qe_svn, "pce_svn": header.pce_svn, "qe_vendor_id": header.qe_vendor_id.hex(),
        "user_data": header.user_data.hex(), **(_td(statement.body) if isinstance(statement.body, TdBody) else _enclave(statement.body)),
        "attestation_key": statement.attestation_key.hex(), "certification_data": CERTIFICATION.get(statement.certification_type, ""),
        "qe_auth_data": statement.qe_auth_data.hex(), "quoting_enclave": _enclave(statement.qe_report)}
    if pck is not None:
        claims["pck"] = _pck(pck)
    if statement.trailing:
        claims["trailing_bytes"] = len(statement.trailing)
    if statement.event_log is not None:
        claims["event_log"] = events(statement.event_log)
    kind = Kind.TDX if header.tee_type == TDX else Kind.SGX
    return Device(kind, pck.sgx.ppid.hex() if pck is not None and pck.sgx is not None else "", claims)


def _td(body: TdBody) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tee_tcb_svn": body.tee_tcb_svn.hex(), "tdx_module": {"version": body.tee_tcb_svn[1], "isv_svn": body.tee_tcb_svn[0]},
        "mr_seam": body.mr_seam.hex(), "mrsigner_seam": body.mr_signer_seam.hex(), "seam_attributes": body.seam_attributes.hex(),
        "td_attributes": body.td_attributes.hex(), "td_attributes_flags": td_flags(body), "xfam": body.xfam.hex(), "mr_td": body.mr_td.hex(),
        "mr_config_id": body.mr_config_id.hex(), "mr_owner": body.mr_owner.hex(), "mr_owner_config": body.mr_owner_config.hex(),
        **{f"rtmr_{number}": value.hex() for number, value in enumerate(body.rtmrs)}, "report_data": body.report_data.hex()}
    if body.tee_tcb_svn_2 is not None and body.mr_service_td is not None:
        found |= {"tee_tcb_svn2": body.tee_tcb_svn_2.hex(), "mr_servicetd": body.mr_service_td.hex()}
    if body.extension is not None:
        found["extension"] = {each.name: getattr(body.extension, each.name).hex() for each in fields(body.extension)}
    return found


def _enclave(report: EnclaveReport) -> dict[str, Any]:
    return {
        "cpu_svn": report.cpu_svn.hex(), "misc_select": report.misc_select.hex(), "attributes": report.attributes.hex(),
        "attributes_flags": sgx_flags(report), "mr_enclave": report.mr_enclave.hex(), "mr_signer": report.mr_signer.hex(),
        "isv_prod_id": report.isv_prod_id, "isv_svn": report.isv_svn, "isv_ext_prod_id": report.isv_ext_prod_id.hex(), "config_id": report.config_id.hex(),
        "config_svn": report.config_svn, "isv_family_id": report.isv_family_id.hex(), "report_data": report.report_data.hex()}


def _pck(certificate: Certificate) -> dict[str, Any]:
    found = certificate.sgx
    assert found is not None
    said: dict[str, Any] = {
        "serial": f"{certificate.serial:x}", "issuer": certificate.issuer, "not_before": stamp(certificate.not_before),
        "not_after": stamp(certificate.not_after),
        "ppid": found.ppid.hex(), "fmspc": found.fmspc.hex(), "pce_id": found.pce_id.hex(), "pce_svn": found.pce_svn, "cpu_svn": found.cpu_svn.hex(),
        "sgx_components": list(found.components), "sgx_type": SGX_TYPES[found.sgx_type] if found.sgx_type < len(SGX_TYPES) else found.sgx_type}
    if found.platform_instance_id is not None:
        said["platform_instance_id"] = found.platform_instance_id.hex()
    flags = {"dynamic_platform": found.dynamic_platform, "cached_keys": found.cached_keys, "smt_enabled": found.smt_enabled}
    return said | {name: value for name, value in flags.items() if value is not None}


def events(log: EventLog) -> list[dict[str, Any]]:
    """Each event with its register and digest; `digest_matches_event` says whether the digest is of the event's own bytes, so that these are vouched for."""
    return [_event(event) for event in log.events]


def _event(event: Event) -> dict[str, Any]:
    digest = event.digest(SHA384)
    return {"register": "MRTD" if event.register == 0 else f"RTMR{event.register - 1}", "type": EVENT_TYPES.get(event.type, f"{event.type:#x}"),
            "digest": digest.hex() if digest else "", "digest_matches_event": digest == hashlib.sha384(event.data).digest()}
