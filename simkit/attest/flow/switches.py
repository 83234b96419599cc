"""What can be switched on and off in the flow: checks of evidence (`CheckId`), checks of the flow itself, and features of hardware and deployment."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from simkit.model.evidence.check import CheckId

EVIDENCE: tuple[str, ...] = tuple(check.value for check in CheckId)
"""Checks that the verifier makes of evidence, by the ids that `simkit attest verify` prints."""

FLOW: Mapping[str, str] = MappingProxyType({
    "evidence_required": "the KBS releases nothing without evidence",
    "nonce_once": "the verifier never takes one challenge twice",
    "init_data": "the digest in HOSTDATA or MRCONFIGID is compared with the init-data that the policy names",
    "init_data_required": "evidence without init-data is refused",
    "device_pinned": "the policy names the GPUs by their identity (PDI, UUID)",
    "minimum_version": "the policy states the oldest driver and VBIOS that it takes",
    "rvps_provenance": "reference values are taken only with their maker's signature",
    "issuer": "the KBS takes attestation tokens of one pinned issuer only",
    "ear_status": "the release policy asks for an affirming EAR status",
    "policy_digest": "the token names the policy it was made under, and the owner compares it",
    "token_key": "resources are encrypted to the TEE key that the token names",
    "token_expiry": "tokens are short-lived, and a resource asked for later takes new evidence",
    "kbs_pinned": "the guest knows the KBS by a certificate in its init-data",
    "image_policy": "the guest takes container images by digest or signature only",
    "reattest": "the guest uses a device only in the session in which it was attested",
    "scrub": "a GPU leaves a guest only through a reset that clears its memory",
    "memory_protection": "the CPU keeps the host from mapping guest memory (RMP, SEPT), the GPU from its protected memory",
    "bounce_encryption": "data on the bus is encrypted in the bounce buffers",
    "end_to_end": "data leaves the guest only encrypted above the NIC (TLS, RDMA with a key of the guest's)",
    "isolation_drift": "ACS and IOMMU groups are compared with the plan while a guest runs",
    "sealed_secrets": "secrets are never in etcd in clear",
    "node_attested": "a node joins only with evidence of its own",
    "node_tcb": "a node's evidence is held against a minimum TCB",
    "control_plane_attested": "the KBS and what it keeps run in a TEE that was attested before",
})
"""Checks of the flow's own."""

CHECKS: tuple[str, ...] = (*EVIDENCE, *FLOW)

FEATURES: Mapping[str, str] = MappingProxyType({
    "ide": "selective IDE streams between root port and device (PCIe 6.1 §6.33)",
    "tdisp": "TDISP: the TSM holds the SPDM session, locks the interface and maps it; needs IDE",
    "nvlink_encryption": "GPUs encrypt what they tell each other over NVLink (Blackwell; in Hopper's protected PCIe mode NVLink carries it in clear)",
    "ciphertext_hiding": "the host cannot read ciphertext of guest memory (SNP platform info, bit 4)",
    "quorum": "two verifiers of different makers must agree before a release",
})
"""What may be there; off unless said. NVLink: NVIDIA Attestation Client Tools (PPCIE), introduction; NVIDIA, Hardware-Rooted AI Security (developer blog)."""

NESTED, BESIDE = "nested", "beside"
"""Where the pod runs, if not as a VM that the kubelet has the host start: as L2 in an L1 VM, which speaks for it (the chip signs nothing about L2); or beside
an L1 VM that asked for it ("VM as a service")."""


def with_needs(features: frozenset[str]) -> frozenset[str]:
    """Features with those that they rest on: a TDI that has no IDE keys is never locked (PCIe 6.1 §11)."""
    return features | {"ide"} if "tdisp" in features else features
