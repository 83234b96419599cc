"""Claims of devices in which nothing is wrong, as Trustee's verifiers make them, and the reference values that they meet.

Shapes: trustee@78962cd:deps/verifier/src/snp/mod.rs `parse_tee_evidence`, az_snp_vtpm/mod.rs `parse_tee_evidence_az` (strings throughout),
tdx/claims.rs, nvidia/mod.rs (NRAS' claims, version 3) and attestation-service/docs/tcb_claims.md; laid around the TEE's own claims by
`transform_claims` of attestation-service/src/ear_token/broker.rs. The values are made up.
"""

from __future__ import annotations

from typing import Any

INIT_DATA = {"snp": "1d" * 32, "tdx": "1d" * 48, "az-snp-vtpm": "1d" * 32, "az-tdx-vtpm": "1d" * 32, "tpm": "1d" * 32, "sample": "1d" * 32, "se": "1d" * 32}
"""The digest of init-data where each TEE carries it: HOSTDATA, MRCONFIGID, PCR 8."""
_TEE_KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eDE", "y": "eTE"}


def around(tee: str, claims: dict[str, Any]) -> dict[str, Any]:
    """What a policy is given for a CPU: the TEE's claims under its name, beside init-data and what the report data binds."""
    return {
        tee: claims,
        "init_data": INIT_DATA[tee],
        "init_data_claims": {"aa.toml": {"token_configs": {"kbs": {"url": "https://kbs.example"}}}, "policy.rego": "package agent_policy\n"},
        "report_data": "4e" * 64,
        "runtime_data_claims": {"nonce": "bm9uY2U=", "tee-pubkey": _TEE_KEY},
    }


SNP: dict[str, Any] = {
    "measurement": "a1" * 48,
    "chip_id": "c1" * 64,
    "policy_abi_major": 1,
    "policy_abi_minor": 55,
    "policy_smt_allowed": True,
    "policy_migrate_ma": False,
    "policy_debug_allowed": False,
    "policy_single_socket": False,
    "platform_smt_enabled": True,
    "platform_tsme_enabled": True,
    "reported_tcb_bootloader": 10,
    "reported_tcb_tee": 1,
    "reported_tcb_snp": 23,
    "reported_tcb_microcode": 84,
}
AZURE_SNP: dict[str, Any] = {key: str(value).lower() for key, value in SNP.items() if key != "chip_id"} | {
    "measurement": "oaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGh",
    "tpm": {"pcr08": INIT_DATA["az-snp-vtpm"], "pcr11": "b1" * 32},
}
_BODY = {
    "tcb_svn": "05" * 16,
    "mr_seam": "5e" * 48,
    "mrsigner_seam": "00" * 48,
    "seam_attributes": "00" * 8,
    "td_attributes": "0000001000000000",
    "xfam": "e742060000000000",
    "mr_td": "7d" * 48,
    "mr_config_id": INIT_DATA["tdx"],
    "mr_owner": "00" * 48,
    "mr_owner_config": "00" * 48,
    "rtmr_0": "f0" * 48,
    "rtmr_1": "f1" * 48,
    "rtmr_2": "f2" * 48,
    "rtmr_3": "00" * 48,
    "report_data": "4e" * 64,
}
TDX: dict[str, Any] = {
    "quote": {"header": {"version": "0400", "att_key_type": "0200", "tee_type": "81000000", "vendor_id": "939a7233f79c4ca9940a0db3957f0607"}, "body": _BODY},
    "td_attributes": {"debug": False, "septve_disable": True, "protection_keys": False, "key_locker": False, "perfmon": False},
    "tcb_status": "UpToDate",
    "advisory_ids": [],
    "collateral_expiration_status": "0",
    "uefi_event_logs": [
        {"type_name": "EV_EFI_BOOT_SERVICES_APPLICATION", "digests": [{"alg": "SHA-384", "digest": "e1" * 48}], "details": {"device_paths": ["File(kernel)"]}},
        {"type_name": "EV_EVENT_TAG", "digests": [{"alg": "SHA-384", "digest": "e2" * 48}], "details": {"string": "LOADED_IMAGE::LoadOptions"}},
    ],
}
AZURE_TDX: dict[str, Any] = {key: value for key, value in TDX.items() if key != "uefi_event_logs"} | {
    "tpm": {"pcr08": INIT_DATA["az-tdx-vtpm"], "pcr11": "b2" * 32},
}
TPM: dict[str, Any] = {"pcr08": INIT_DATA["tpm"], "pcr11": "b3" * 32, "ak_public": "QUs="}
SAMPLE: dict[str, Any] = {"svn": "1", "launch_digest": "abcde", "platform_version": {"major": 1, "minor": 4}, "debug": False}
SE: dict[str, Any] = {"version": 256, "cuid": "5c" * 16, "tag": "5d" * 16, "image_phkh": "5f" * 32, "attestation_phkh": "60" * 32}

_CHAINS = {"x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "good", "x-nvidia-cert-expiration-date": "9999-12-31T23:59:59Z"}


def _rim(name: str) -> dict[str, Any]:
    done = ("fetched", "measurements-available", "schema-validated", "signature-verified", "version-match")
    return {f"x-nvidia-{name}-rim-{each}": True for each in done} | {f"x-nvidia-{name}-rim-cert-chain": dict(_CHAINS)}


def _nvidia(kind: str, number: int) -> dict[str, Any]:
    return {
        "measres": "success",
        "secboot": True,
        "dbgstat": "disabled",
        "ueid": str(6_429_601_892_980 + number),
        "eat_nonce": "4e" * 32,
        f"x-nvidia-{kind}-arch-check": True,
        f"x-nvidia-{kind}-attestation-report-parsed": True,
        f"x-nvidia-{kind}-attestation-report-nonce-match": True,
        f"x-nvidia-{kind}-attestation-report-signature-verified": True,
        f"x-nvidia-{kind}-attestation-report-cert-chain": dict(_CHAINS),
        f"x-nvidia-{kind}-attestation-report-cert-chain-fwid-match": True,
    }


def gpu(number: int = 0) -> dict[str, Any]:
    """A GPU's claims, each with its own unique entity id."""
    return {"nvidia": _nvidia("gpu", number) | _rim("gpu-driver") | _rim("gpu-vbios") | {
        "hwmodel": "GH100 A01 GSP BROM", "x-nvidia-gpu-driver-version": "570.124.06", "x-nvidia-gpu-vbios-version": "96.00.9F.00.01",
        "x-nvidia-gpu-vbios-index-no-conflict": True, "x-nvidia-overall-att-result": True}}


def switch(number: int = 0) -> dict[str, Any]:
    """An NVSwitch's claims."""
    return {"nvidia": _nvidia("switch", 100 + number) | _rim("switch-bios") | {
        "hwmodel": "LS_10 A01 FSP BROM", "x-nvidia-switch-bios-version": "96.10.57.00.01", "x-nvidia-overall-att-result": True}}


PPCIE: dict[str, Any] = {"nvidia": {"switch_count": 4, "gpu_count": 8}}
SAMPLE_DEVICE: dict[str, Any] = {"sampledevice": {"svn": "1"}}

REFERENCES: dict[str, Any] = {
    "snp_launch_measurement": [SNP["measurement"]],
    "snp_bootloader": [SNP["reported_tcb_bootloader"]],
    "snp_microcode": [SNP["reported_tcb_microcode"]],
    "snp_snp_svn": [SNP["reported_tcb_snp"]],
    "snp_tee_svn": [SNP["reported_tcb_tee"]],
    "snp_smt_enabled": SNP["platform_smt_enabled"],
    "snp_tsme_enabled": SNP["platform_tsme_enabled"],
    "snp_guest_abi_major": SNP["policy_abi_major"],
    "snp_guest_abi_minor": SNP["policy_abi_minor"],
    "snp_single_socket": SNP["policy_single_socket"],
    "snp_smt_allowed": SNP["policy_smt_allowed"],
    "mr_td": [_BODY["mr_td"]],
    "mr_seam": [_BODY["mr_seam"]],
    "tcb_svn": [_BODY["tcb_svn"]],
    "rtmr_0": [_BODY["rtmr_0"]],
    "rtmr_1": [_BODY["rtmr_1"]],
    "rtmr_2": [_BODY["rtmr_2"]],
    "xfam": [_BODY["xfam"]],
    "tdvfkernel": "e1" * 48,
    "tdvfkernelparams": "e2" * 48,
    "measurement": [AZURE_SNP["measurement"]],
    "snp_pcr11": [AZURE_SNP["tpm"]["pcr11"]],
    "tdx_pcr11": [AZURE_TDX["tpm"]["pcr11"]],
    "tcb_bootloader": [AZURE_SNP["reported_tcb_bootloader"]],
    "tcb_microcode": [AZURE_SNP["reported_tcb_microcode"]],
    "tcb_snp": [AZURE_SNP["reported_tcb_snp"]],
    "tcb_tee": [AZURE_SNP["reported_tcb_tee"]],
    "smt_enabled": [AZURE_SNP["platform_smt_enabled"]],
    "tsme_enabled": [AZURE_SNP["platform_tsme_enabled"]],
    "abi_major": [AZURE_SNP["policy_abi_major"]],
    "abi_minor": [AZURE_SNP["policy_abi_minor"]],
    "single_socket": [AZURE_SNP["policy_single_socket"]],
    "smt_allowed": [AZURE_SNP["policy_smt_allowed"]],
    "tpm_pcr11": [TPM["pcr11"]],
    "trusted_aks": [TPM["ak_public"]],
    "allowed_vbios_versions": ["96.00.9F.00.01"],
    "allowed_driver_versions": ["570.124.06"],
    "allowed_switch_bios_versions": ["96.10.57.00.01"],
    "init_data": sorted(set(INIT_DATA.values())),
}
"""Under the names that Trustee's default policies ask for (attestation-service/src/ear_token/ear_default_policy_*.rego), none for the sample attester."""
