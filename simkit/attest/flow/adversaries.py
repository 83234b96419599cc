"""Adversaries as capabilities: who, at which level, can do what; the check that stops it, or the risk that stays and what would close it.

Nothing here is taken on trust: `simkit attest flow` and the tests search each row with all checks on, and again with its check off or its feature on.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkit.attest.flow.parties import Level
from simkit.attest.flow.rule import Property
from simkit.model.evidence.check import CheckId as C


@dataclass(frozen=True, slots=True)
class Adversary:
    """One row. `stops`: the check without which it gets through; empty: it gets through, `residual` says what stays and `closes` which feature ends it.

    `breaks`: the properties that fall when it gets through. A row that breaks nothing in the model is out of its scope, and `residual` says why.
    """

    number: int
    name: str
    level: Level
    does: str
    can: tuple[str, ...]
    breaks: tuple[Property, ...]
    stops: str = ""
    residual: str = ""
    closes: str = ""

    @property
    def in_scope(self) -> bool:
        """Whether the model can show anything of it."""
        return bool(self.breaks)


_POD, _NODE, _CONTROL = Level.POD, Level.NODE, Level.CONTROL_PLANE
_P1, _P5 = (Property.SECRECY,), (Property.NO_ROLLBACK,)
_FORGED = (Property.SECRECY, Property.AGREEMENT)
_ROLLED = (Property.SECRECY, Property.NO_ROLLBACK)
_TOY = (Property.SECRECY, Property.BINDING)
_SWAPPED = (Property.SECRECY, Property.BINDING, Property.CONTINUITY)

ADVERSARIES = (
    Adversary(1, "replay", _POD, "replays evidence of an earlier run", ("replay",), (Property.AGREEMENT, Property.INJECTIVE), C.NONCE),
    Adversary(2, "cuckoo", _POD, "relays a genuine TEE's evidence for a key of its own", ("cuckoo",), _FORGED, C.REPORT_DATA),
    Adversary(3, "relay-gpu", _POD, "maps an emulated GPU and lets the genuine one, elsewhere, answer the pod's own challenge", ("relay",), _TOY,
              residual="evidence shows that a genuine GPU answered this challenge, not that it is the one that is mapped", closes="tdisp"),
    Adversary(4, "one-as-eight", _POD, "presents one GPU as several", ("copy",), _TOY, C.DISTINCT),
    Adversary(5, "swap-gpu", _POD, "resets the GPU after its evidence and maps another in its place", ("swap",), _SWAPPED, "reattest"),
    Adversary(6, "devtools-gpu", _POD, "gives a GPU in devtools mode or with confidential computing off", ("devtools",), _P1, C.ATTRIBUTES),
    Adversary(7, "old-gpu-firmware", _POD, "gives a GPU with an old driver or VBIOS, its RIM well signed", ("old-vbios",), _P5, "minimum_version"),
    Adversary(8, "debug-guest", _POD, "starts the pod VM so that it can be debugged", ("debug-guest",), _P1, C.DEBUG),
    Adversary(9, "migration-agent", _POD, "starts the pod VM with a migration agent", ("migration-agent",), _P1, C.ATTRIBUTES),
    Adversary(10, "high-vmpl", _POD, "asks for the report from above VMPL 0", ("high-vmpl",), _P1, C.VMPL),
    Adversary(11, "stale-tcb", _POD, "runs the pod on firmware with published holes", ("stale-tcb",), _P5, C.TCB),
    Adversary(12, "other-chip", _POD, "signs under the certificate of another chip", ("other-chip",), _FORGED, C.HWID),
    Adversary(13, "foreign-ca", _POD, "signs under a foreign CA with the right names", ("foreign-ca",), _FORGED, C.ROOT),
    Adversary(14, "revoked-leaf", _POD, "signs with a leaked key and withholds the revocation list", ("revoked-leaf",), _FORGED, C.REVOCATION),
    Adversary(15, "clock-back", _POD, "turns the clock back to where a leaked key's certificate is valid", ("expired-leaf",), _FORGED, C.VALIDITY),
    Adversary(16, "init-data", _POD, "replaces the init-data", ("init-data",), _P1, "init_data"),
    Adversary(17, "no-init-data", _POD, "leaves the init-data out", ("no-init-data",), _P1, "init_data_required"),
    Adversary(18, "agent-exec", _POD, "gives an agent policy that permits exec", ("agent-exec",), _P1, "init_data"),
    Adversary(19, "vcpus", _POD, "changes the number or type of vCPUs", ("vcpus",), _P1, C.MEASUREMENTS),
    Adversary(20, "cmdline", _POD, "changes the kernel command line", ("cmdline",), _P1, C.MEASUREMENTS),
    Adversary(21, "runtime-class", _POD, "swaps the runtime class for one without a TEE", ("no-tee",), _FORGED, "evidence_required"),
    Adversary(22, "registry", _POD, "swaps the image in the registry", ("swapped-image",), _ROLLED, "image_policy"),
    Adversary(23, "cdi-file", _POD, "lets the CDI file map another GPU", ("map-other",), (Property.BINDING,), "device_pinned"),
    Adversary(24, "mig-slice", _POD, "gives a MIG slice in place of a whole GPU", ("mig-slice",), (Property.BINDING,), C.ATTRIBUTES),
    Adversary(25, "nosy-nic", _POD, "lets the NIC copy what it sends", ("nosy-nic",), _P1, "end_to_end"),
    Adversary(26, "interposer", _POD, "puts a switch or retimer of its own on the bus", ("interposer",), _P1, "bounce_encryption"),
    Adversary(27, "false-switch", _POD, "puts an NVSwitch of its own between the GPUs", ("false-switch",), _P1, C.TOPOLOGY),
    Adversary(28, "repeated-challenge", _POD, "makes the verifier give the same challenge twice", ("repeated-challenge",),
              (Property.INJECTIVE,), "nonce_once"),
    Adversary(29, "token-theft", _POD, "steals the token and asks for the resource itself", ("token-theft",), _FORGED, "token_key"),
    Adversary(30, "false-node", _NODE, "joins under a node's name, with its label or kubelet credential", ("false-node",), _P1, "node_attested"),
    Adversary(31, "kubelet", _NODE, "has the kubelet, which lies about devices", ("map-other",), (Property.BINDING,), "device_pinned",
              residual="the pod's evidence stands by itself; the kubelet can still refuse to start it"),
    Adversary(32, "old-node", _NODE, "rolls back the host's firmware or TSM", ("old-node",), _P5, "node_tcb"),
    Adversary(33, "operator-reset", _NODE, "resets the GPU while it is in use", ("reset",), (Property.CONTINUITY,), "reattest"),
    Adversary(34, "map-memory", _NODE, "maps another tenant's memory, the CPU's or the GPU's", ("mapped-memory",), _P1, "memory_protection"),
    Adversary(35, "acs-cleared", _NODE, "clears ACS while guests run", ("acs-cleared",), (Property.CONTINUITY,), "isolation_drift"),
    Adversary(36, "api-server", _CONTROL, "has the API server, which rewrites the pod", ("pod-spec",), _P1, "init_data"),
    Adversary(37, "admission", _CONTROL, "replaces an admission webhook", ("admission",), _P1, "init_data"),
    Adversary(38, "etcd", _CONTROL, "reads etcd", ("etcd-read",), _P1, "sealed_secrets"),
    Adversary(39, "lowered-policy", _CONTROL, "lowers the KBS's release policy", ("lowered-policy", "own-image"), _ROLLED, "policy_digest"),
    Adversary(40, "poisoned-references", _CONTROL, "adds its own image to the reference values", ("poisoned-references", "own-image"), _ROLLED,
              "rvps_provenance"),
    Adversary(41, "false-as", _CONTROL, "stands in for the attestation service", ("rogue-issuer",), _FORGED, "issuer"),
    Adversary(42, "status-ignored", _CONTROL, "relies on a release policy that ignores the EAR status, as Trustee's default does", ("own-image",),
              _P1, "ear_status"),
    Adversary(43, "side-channel", _POD, "watches timing, caches or power", ("side-channel",), _P1,
              residual="no evidence shows it; platform bits (SMT off, RAPL off) narrow it, and no feature here ends it"),
    Adversary(44, "hostile-emulation", _POD, "answers as an emulated device so that the guest runs its code", ("hostile-emulation",), _P1,
              residual="the guest's drivers are in what must be trusted; fewer devices are fewer ways in"),
    Adversary(45, "denial-of-service", _POD, "drops messages, starts nothing, or stops what runs", (), (),
              residual="nobody keeps a host from refusing to serve; that lost messages break no property is part of every search"),
    Adversary(46, "nested-lie", _NODE, "runs the pod as L2 and signs for it with a key of L1's", ("l1-key",), _FORGED, C.ROOT,
              residual="nested, no chain reaches the chip: let L1 ask L0 for a VM beside it in place of nesting"),
    Adversary(47, "unsigned", _POD, "writes a report of its own, with a signature of nobody", ("unsigned",), _FORGED, C.SIGNATURE),
    Adversary(48, "broken-chain", _POD, "presents a leaf that its issuer never signed", ("broken-chain",), _FORGED, C.CHAIN),
    Adversary(49, "two-readings", _POD, "writes bytes that verifier and policy read differently", ("two-readings",), _FORGED, C.FORMAT),
    Adversary(50, "vtpm-key", _POD, "quotes with a vTPM key that the report does not name", ("vtpm-key",), _FORGED, C.RUNTIME_DATA),
    Adversary(51, "chip-key", _POD, "has taken the attestation key out of a genuine chip", ("chip-key",), _FORGED,
              residual="the forgery is perfect until the key is revoked; reported keys and TCB recovery limit for how long"),
    Adversary(52, "endorser", _POD, "has a vendor's CA issue it a leaf", ("vendor-key",), _FORGED,
              residual="who endorses is trusted; logs of issued leaves would make it seen"),
    Adversary(53, "aliased-memory", _POD, "puts in memory modules that lie about their size", ("aliased-memory",), _P1, C.ATTRIBUTES),
    Adversary(54, "other-collateral", _POD, "gives collateral of another platform, under which old firmware is up to date", ("other-collateral",),
              _P5, C.COLLATERAL),
    Adversary(55, "interrupts", _POD, "starts the pod VM so that it can inject interrupts", ("interrupts",), _P1, C.MEASUREMENTS),
    Adversary(56, "old-image", _POD, "starts an older guest image", ("old-image",), _P5, C.MEASUREMENTS),
    Adversary(57, "event-log", _POD, "gives an event log that hides what was measured", ("event-log",), _P1, C.EVENT_LOG),
    Adversary(58, "recorded-gpu", _POD, "presents evidence that a GPU gave elsewhere, over another challenge", ("recorded",), _TOY, C.NONCE),
    Adversary(59, "gpu-implant", _POD, "puts other firmware on the GPU", ("implant",), _P1, C.MEASUREMENTS),
    Adversary(60, "other-rim", _POD, "gives a RIM of another version, well signed", ("other-rim",), _P5, C.MEASUREMENTS),
    Adversary(61, "edited-rim", _POD, "edits a RIM", ("edited-rim",), _P1, C.RIM_SIGNATURE),
    Adversary(62, "foreign-rim", _POD, "signs a RIM itself", ("foreign-rim",), _P1, C.RIM_CHAIN),
    Adversary(63, "withdrawn-rim", _POD, "gives a RIM whose signer has expired, for firmware since withdrawn", ("withdrawn-rim",), _P5, C.RIM_VALIDITY),
    Adversary(64, "alias-key", _POD, "signs GPU evidence with an alias key of other firmware", ("alias-key",), _P1, C.FWID),
    Adversary(65, "gpu-hole", _POD, "uses a hole in GPU firmware that is the right one", ("gpu-hole",), _P1,
              residual="evidence says what runs, not that it has no fault; once the fault is known, a higher minimum version ends it"),
    Adversary(66, "guest-hole", _POD, "uses a hole in the measured guest", ("guest-hole",), _P1,
              residual="evidence says what runs, not that it has no fault; once the fault is known, new reference values end it"),
    Adversary(67, "left-behind", _POD, "takes the GPU back and reads what is left in it", ("left-behind",), _P1, "scrub"),
    Adversary(68, "ciphertext", _POD, "watches how ciphertext in memory changes", ("ciphertext",), _P1, residual="no evidence shows it",
              closes="ciphertext_hiding"),
    Adversary(69, "kept-token", _POD, "keeps a token until what it vouched for is broken", ("kept-token",), (Property.CONTINUITY,), "token_expiry"),
    Adversary(70, "false-kbs", _CONTROL, "stands in for the KBS and gives the pod a key of its own", ("false-kbs",), (Property.AGREEMENT,), "kbs_pinned"),
    Adversary(71, "kbs-operator", _CONTROL, "reads the KBS's memory and disk as its operator", ("operator",), _P1, "control_plane_attested"),
    Adversary(72, "corrupt-kbs", _CONTROL, "has the KBS itself", ("corrupt-kbs",), _P1,
              residual="who holds the secrets is trusted; secrets split among several would end it"),
    Adversary(73, "corrupt-verifier", _CONTROL, "has the attestation service itself, its key included", ("corrupt-verifier",), _FORGED,
              residual="who appraises is trusted", closes="quorum"),
    Adversary(74, "switch-hole", _POD, "uses a hole in NVSwitch firmware that is the right one", ("switch-hole",), _P1,
              residual="in protected PCIe mode the switch sees in clear what GPUs tell each other", closes="nvlink_encryption"),
    Adversary(75, "rim-signer", _POD, "has the GPU vendor's RIM signing key", ("rim-key",), _P1,
              residual="who endorses is trusted; a public log of signed RIMs would make it seen"),
)
