"""Who takes part (RFC 9334 §3), which secrets there are and who may hold them, and what evidence of each level adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from simkit.attest.flow.switches import EVIDENCE


class Role(StrEnum):
    """RATS roles."""

    ATTESTER = "Attester"
    VERIFIER = "Verifier"
    RELYING_PARTY = "Relying Party"
    ENDORSER = "Endorser"
    OUTSIDER = "no role: trusted by nobody"


class Level(StrEnum):
    """Where something stands: at the pod, the node or the control plane."""

    POD = "pod"
    NODE = "node"
    CONTROL_PLANE = "control-plane"


@dataclass(frozen=True, slots=True)
class Party:
    """One of them. `holds`: keys and secrets that it has from the beginning or gets where all goes well."""

    name: str
    role: Role
    says: str
    holds: tuple[str, ...] = ()


PARTIES = (
    Party("control plane", Role.ATTESTER, "the nodes on which API server, KBS and AS run", ("store-key",)),
    Party("node", Role.ATTESTER, "the worker: host firmware, TSM, host kernel, kubelet", ("join-credential",)),
    Party("pod VM", Role.ATTESTER, "the confidential guest, its agent in it", ("private half of tee-pubkey", "workload-key")),
    Party("GPU", Role.ATTESTER, "signs measurements with a key of its own; what it computes on, it sees", ("alias key",)),
    Party("NVSwitch", Role.ATTESTER, "signs measurements; carries what GPUs tell each other", ("alias key",)),
    Party("AS", Role.VERIFIER, "appraises evidence, issues tokens (Trustee's attestation service)", ("token key",)),
    Party("KBS", Role.RELYING_PARTY, "gives challenges, takes tokens, releases resources", ("workload-key", "store-key")),
    Party("CPU vendor", Role.ENDORSER, "certifies chips, publishes TCB levels and revocations", ("root key",)),
    Party("GPU vendor", Role.ENDORSER, "certifies devices, signs RIMs", ("root key", "RIM key")),
    Party("host", Role.OUTSIDER, "hypervisor, operator, co-tenants: starts VMs, maps and resets devices"),
    Party("network", Role.OUTSIDER, "carries, drops, repeats and answers as it likes"),
)

NAMES: Mapping[str, str] = MappingProxyType({
    "bent VM": "the pod's VM as the host starts it, with something changed",
    "gpu": "the GPU that the owner named",
    "flawed": "that GPU, with something changed",
    "peer": "the guest's second GPU",
    "other": "a genuine GPU of somebody else's",
    "toy": "a GPU that the host emulates",
    "L1 VM": "a VM that runs, or asks for, the pod's",
    "TSM": "the TEE security manager: the platform's side of TDISP",
    "false AS": "answers for the attestation service with a key of its own",
    "false KBS": "answers for the KBS",
})
"""What the parties of a run are that are not among `PARTIES`."""

ORDER = ("vendors", "AS", "KBS", "control plane", "network", "host", "node", "TSM", "L1 VM", "pod VM", "bent VM", "gpu", "peer", "flawed", "other", "toy",
         "NVSwitch")
"""From left to right in a chart."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What a level's evidence opens. `checks` are those that nobody can make without that evidence."""

    level: Level
    opens: str
    adds: str
    checks: tuple[str, ...]


TIERS = (
    Tier(Level.POD, "workload-key", "the guest, its devices and its configuration are what the owner of the workload named",
         (*EVIDENCE, "evidence_required", "init_data", "init_data_required", "device_pinned", "minimum_version")),
    Tier(Level.NODE, "join-credential", "pods are placed on machines that are what they claim; nothing about the pod follows from it",
         ("node_attested", "node_tcb")),
    Tier(Level.CONTROL_PLANE, "store-key", "who appraises and releases is what it claims: without it the pod's evidence is shown to nobody in particular",
         ("control_plane_attested",)),
)
