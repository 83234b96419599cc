"""Policies of the attestation service for the plan's classes of device, in place of its defaults of the same names.

They start from values that do not affirm and fall back to none that does. Claims: trustee@78962cd:attestation-service/docs/tcb_claims.md; names of
reference values are those of the defaults (attestation-service/src/ear_token/ear_default_policy_*.rego), and `init_data`, which the defaults do not ask
for. Values of AR4SI's claims: 2 approved, 3 approved at boot, 33 and 36 warn, 97 not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from simkit.model.platform import TeeKind

_HEAD = """# {about}
package policy

import rego.v1

default hardware := 97

default executables := 33

default configuration := 36

trust_claims := {{
	"executables": executables,
	"hardware": hardware,
	"configuration": configuration,
	"file-system": 0,
	"instance-identity": 0,
	"runtime-opaque": 0,
	"storage-opaque": 0,
	"sourced-data": 0,
}}

registered(value, name) if value in query_reference_value(name)
"""
_SNP = """
executables := 3 if registered(input.snp.measurement, "snp_launch_measurement")

hardware := 2 if {
	registered(input.snp.reported_tcb_bootloader, "snp_bootloader")
	registered(input.snp.reported_tcb_microcode, "snp_microcode")
	registered(input.snp.reported_tcb_snp, "snp_snp_svn")
	registered(input.snp.reported_tcb_tee, "snp_tee_svn")
}

configuration := 2 if {
	input.snp.policy_debug_allowed == false
	input.snp.policy_migrate_ma == false
	registered(input.init_data, "init_data")
	input.snp.platform_smt_enabled == query_reference_value("snp_smt_enabled")
	input.snp.platform_tsme_enabled == query_reference_value("snp_tsme_enabled")
}
"""
_TDX = """
tdx_body := input.tdx.quote.body

executables := 3 if {
	registered(tdx_body.rtmr_1, "rtmr_1")
	registered(tdx_body.rtmr_2, "rtmr_2")
}

hardware := 2 if {
	input.tdx.quote.header.tee_type == "81000000"
	input.tdx.quote.header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"
	registered(tdx_body.mr_td, "mr_td")
	replace(tdx_body.mrsigner_seam, "0", "") == "" # the module is Intel's own
	input.tdx.tcb_status == "UpToDate"
	input.tdx.collateral_expiration_status == "0"
}

configuration := 2 if {
	input.tdx.td_attributes.debug == false
	input.tdx.td_attributes.septve_disable
	registered(tdx_body.xfam, "xfam")
	registered(input.init_data, "init_data")
}
"""
_TREE = 'registered(tdx_body.rtmr_0, "rtmr_0") # moves with the guest\'s memory, processors and PCIe tree'
_DEVICE = """
claims := input.nvidia

yes(names) if {{
	every name in names {{
		claims[name] == true
	}}
}}

valid(chain) if {{
	claims[chain]["x-nvidia-cert-status"] == "valid"
	claims[chain]["x-nvidia-cert-ocsp-status"] == "good"
}}

hardware := 2 if {{
	valid("x-nvidia-{kind}-attestation-report-cert-chain")
	yes([
		"x-nvidia-{kind}-arch-check",
		"x-nvidia-{kind}-attestation-report-parsed",
		"x-nvidia-{kind}-attestation-report-nonce-match",
		"x-nvidia-{kind}-attestation-report-signature-verified",
		"x-nvidia-{kind}-attestation-report-cert-chain-fwid-match",
	])
	claims["x-nvidia-overall-att-result"] == true
}}

configuration := 2 if {{
	claims.secboot == true
	claims.dbgstat == "disabled"
{versions}
}}

executables := 3 if {{
	claims.measres == "success"
{manifests}
}}
"""
_MANIFESTS = {"gpu": ("gpu-driver", "gpu-vbios"), "switch": ("switch-bios",)}
_VERSIONS = {"gpu": (("x-nvidia-gpu-vbios-version", "allowed_vbios_versions"), ("x-nvidia-gpu-driver-version", "allowed_driver_versions")),
             "switch": (("x-nvidia-switch-bios-version", "allowed_switch_bios_versions"),)}
_DONE = ("fetched", "measurements-available", "schema-validated", "signature-verified", "version-match")
_ASKED = re.compile(r'(?:query_reference_value\(|registered\([^,]+, )"([^"]+)"\)')


def cpu_policy(tees: Iterable[TeeKind], *, with_tree: bool, about: str) -> str:
    """`default_cpu`, for the kinds of TEE that the plan has and no other. `with_tree`: RTMR0, which few can tell beforehand, is asked for too."""
    tdx = _TDX.replace("\tregistered(tdx_body.xfam", f"\t{_TREE}\n\tregistered(tdx_body.xfam") if with_tree else _TDX
    wanted, rules = set(tees), {TeeKind.SEV_SNP: _SNP, TeeKind.TDX: tdx}
    return _HEAD.format(about=about) + "".join(text for tee, text in rules.items() if tee in wanted)


def device_policy(kind: str, *, about: str) -> str:
    """`default_gpu` or `default_switch`, for what NVIDIA's remote attestation service says; the operator's versions must be registered."""
    versions = "\n".join(f'\tregistered(claims["{claim}"], "{name}")' for claim, name in _VERSIONS[kind])
    manifests = []
    for manifest in _MANIFESTS[kind]:
        manifests.append(f'\tvalid("x-nvidia-{manifest}-rim-cert-chain")')
        listed = "".join(f'\t\t"x-nvidia-{manifest}-rim-{done}",\n' for done in _DONE)
        manifests.append(f"\tyes([\n{listed}\t])")
    if kind == "gpu":
        manifests.append('\tclaims["x-nvidia-gpu-vbios-index-no-conflict"] == true')
    return _HEAD.format(about=about) + _DEVICE.format(kind=kind, versions=versions, manifests="\n".join(manifests))


def names_asked(policy: str) -> tuple[str, ...]:
    """The names of reference values that one of these policies asks for."""
    return tuple(dict.fromkeys(_ASKED.findall(policy)))
