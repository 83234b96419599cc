"""What adversaries do: rules that take a capability. A flaw's name is the capability to bring it about."""

from __future__ import annotations

from simkit.attest.flow import device
from simkit.attest.flow.flaws import FLAWS, Flaw, Harm, Of
from simkit.attest.flow.rule import Rule
from simkit.attest.flow.rules import HONEST, SESSIONS, UNATTESTED, swap
from simkit.attest.flow.switches import NESTED

_N: tuple[tuple[str, tuple[str, ...]], ...] = (("n", ("n1", "n2")),)
_WORKLOAD = ("known workload-key",)
_IN_VM = ("holds pod",)
_TO_MALLORY = ("released s1 none n1 gpu mallory", "jwe mallory")


def _brought_about(name: str, flaw: Flaw) -> Rule:
    """All flaws of a thing are chosen before it gives evidence for the first time."""
    fact = f"flaw {name}"
    if flaw.of is Of.VM:
        return Rule(f"start with {name}", "host", "bent VM", f"starts it with {flaw.says}", unless=("chosen bent",), adds=("vm bent", fact), can=(name,))
    if flaw.of is Of.DEVICE:
        ways = ("gpu flawed", "flawed flawed", "flawed gpu")
        return swap(f"device {name}", f"resets the GPU, leaves it {flaw.says}", ways, can=(name,), adds=(fact,), unless=("chosen flawed",))
    return Rule(f"forge with {name}", "host", "host", f"prepares to sign with {flaw.says}", unless=("chosen forgery",), adds=("forging", fact), can=(name,))


def _consequence(name: str, flaw: Flaw) -> tuple[Rule, ...]:
    """What the host then reads; other harms are properties of the state itself, and a forger reads by holding the key."""
    if flaw.harm is not Harm.LEAK or flaw.of is Of.KEY:
        return ()
    where, held = ("bent VM", "holds bent") if flaw.of is Of.VM else ("flawed", "used flawed")
    return (Rule(f"read by {name}", where, "host", "the host reads the workload key", needs=(held, f"flaw {name}"), adds=_WORKLOAD,
                 off=(flaw.ends,) if flaw.ends else ()),)


FLAWED = (*(_brought_about(name, flaw) for name, flaw in FLAWS.items()), *(rule for name, flaw in FLAWS.items() for rule in _consequence(name, flaw)))

FORGED = (
    Rule("forged report", "host", "network", "forged evidence over {n} and key mallory", SESSIONS, needs=("forging", "challenge {s} {n}"),
         adds=("report none {n} gpu", "chosen forgery")),
    Rule("rogue token", "false AS", "network", "affirming token for key mallory, signed by a key that nobody pinned", needs=("challenge s1 n1",),
         adds=("token rogue",), can=("rogue-issuer",)),
    Rule("release to rogue", "KBS", "network", "resource: JWE for key mallory: any issuer will do", needs=("token rogue",), adds=_TO_MALLORY,
         off=("issuer",)),
    Rule("bought token", "AS", "network", "affirming token for key mallory, without any evidence", needs=("challenge s1 n1",), adds=("token bought",),
         can=("corrupt-verifier",)),
    Rule("release to bought", "KBS", "network", "resource: JWE for key mallory: one verifier is enough", needs=("token bought",), adds=_TO_MALLORY,
         off=("quorum",)),
    Rule("plain start", "kubelet", "host", "starts the pod in a runtime class without a TEE", adds=("plain pod",), can=("no-tee",)),
    Rule("release without evidence", "KBS", "host", "resource: JWE for key mallory: nobody asked for evidence", needs=("plain pod",), adds=_TO_MALLORY,
         off=("evidence_required",)),
    Rule("stolen token", "network", "KBS", "the pod's token with the adversary's own key: JWE for key mallory", SESSIONS,
         needs=("token {s} pod {n} gpu pod",), adds=("released {s} pod {n} gpu mallory", "jwe mallory"), can=("token-theft",), off=("token_key",)),
    Rule("repeat challenge", "KBS", "network", "challenge n1 again, for session s2", needs=("opened s1",), unless=("opened s2",),
         adds=("opened s2", "challenge s2 n1"), can=("repeated-challenge",)),
    Rule("attest repeated", "network", "AS", "the same evidence into session s2: affirming token for key pod", needs=("report pod n1 gpu", "challenge s2 n1"),
         adds=("token s2 pod n1 gpu pod", "taken n1"), guards=(("nonce_once", "taken n1"),)),
    Rule("lower policy", "host", "KBS", "a release policy that asks for less", adds=("policy lowered",), can=("lowered-policy",)),
    Rule("poison references", "host", "AS", "reference values that list the adversary's image", adds=("references poisoned",), can=("poisoned-references",)),
    Rule("wait", "host", "host", "waits until the platform's firmware is found broken; the token is still there", adds=("later",), can=("kept-token",)),
    Rule("false KBS", "false KBS", "pod VM", "a key of the adversary's choice in place of the workload key", needs=("vm pod",), adds=("deceived",),
         can=("false-kbs",), off=("kbs_pinned",)),
)

AT_THE_DEVICE = (
    swap("swap", "resets the function and maps an emulated GPU in its place", ("gpu toy", "toy gpu"), can=("swap", "relay", "copy", "recorded")),
    swap("map another", "maps another tenant's GPU in its place", ("gpu other", "other gpu"), can=("map-other",)),
    swap("reset", "resets the function behind the guest's back", ("gpu gpu",), can=("reset",)),
    Rule("relay", "gpu", "toy", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}}, asked for by the host; the toy hands it on", _N,
         needs=("run pod {n}", "slot toy", "session toy"), adds=("device gpu {n}", "attested toy gpu {n}"), can=("relay",), off=("tdisp",)),
    Rule("copy", "peer", "toy", "evidence of the guest's other GPU, asked for once more", _N, needs=("run pod {n}", "slot toy", "session toy"),
         adds=("device peer {n}", "attested toy peer {n}"), can=("copy",), off=("tdisp",)),
    Rule("recorded evidence", "toy", "pod VM", "evidence that a GPU elsewhere gave over another challenge", _N,
         needs=("run pod {n}", "slot toy", "session toy"), adds=("device recorded {n}", "attested toy recorded {n}"), can=("recorded",), off=("tdisp",)),
    Rule("stop", "host", "TSM", "STOP_INTERFACE", (("t u", device.on("STOP_INTERFACE")),), needs=("tdi {t}",), on=("tdisp",),
         drops=("tdi {t}", *UNATTESTED), adds=("tdi {u}",)),
    Rule("disturb", "host", "TSM", "a BAR or bus master enable rewritten, or the link's IDE keys lost", (("t u", device.on("CHANGE")),),
         needs=("tdi {t}",), drops=("tdi {t}",), adds=("tdi {u}",), on=("tdisp",)),
    Rule("clear ACS", "host", "switch port", "clears ACS control: requests turn around below the IOMMU", adds=("drifted",), can=("acs-cleared",)),
    Rule("interpose", "interposer", "host", "reads what crosses the bus in clear", needs=("used gpu",), adds=_WORKLOAD, can=("interposer",),
         off=("bounce_encryption", "ide")),
    Rule("read device memory", "host", "gpu", "takes the GPU from the guest and reads what is left in its memory", needs=("used gpu",), adds=_WORKLOAD,
         can=("left-behind",), off=("scrub",)),
    Rule("switch hole", "NVSwitch", "host", "firmware that is the right one has a hole; the host reads what the GPUs tell each other", needs=("used gpu",),
         adds=_WORKLOAD, can=("switch-hole",), off=("nvlink_encryption",)),
    Rule("GPU hole", "gpu", "host", "firmware that is the right one has a hole; the host reads the GPU's memory", needs=("used gpu",), adds=_WORKLOAD,
         can=("gpu-hole",)),
)

AT_THE_VM = (
    Rule("map memory", "host", "pod VM", "maps the guest's pages, or the GPU's memory, into another guest", needs=_IN_VM, adds=_WORKLOAD,
         can=("mapped-memory",), off=("memory_protection",)),
    Rule("swap image", "registry", "pod VM", "another container image under the same tag; the guest runs it", needs=("vm pod",),
         adds=("runs swapped",), can=("swapped-image",), off=("image_policy",)),
    Rule("read by image", "pod VM", "host", "the swapped image sends the workload key out", needs=("holds pod", "runs swapped"), adds=_WORKLOAD),
    Rule("read by NIC", "NIC", "network", "data leaves in clear, the NIC copies it", needs=("used gpu",), adds=_WORKLOAD, can=("nosy-nic",),
         off=("end_to_end",)),
    Rule("observe", "host", "host", "learns the key from timing, caches or power", needs=_IN_VM, adds=_WORKLOAD, can=("side-channel",)),
    Rule("observe ciphertext", "host", "host", "learns the key from how ciphertext in memory changes", needs=_IN_VM, adds=_WORKLOAD,
         can=("ciphertext",), off=("ciphertext_hiding",)),
    Rule("break in", "host", "pod VM", "an emulated device answers so that the guest's driver runs the host's code", needs=_IN_VM, adds=_WORKLOAD,
         can=("hostile-emulation",)),
    Rule("agent hole", "network", "pod VM", "the measured guest itself has a hole", needs=_IN_VM, adds=_WORKLOAD, can=("guest-hole",)),
    Rule("L1 reads", "L1 VM", "host", "L1 reads its L2's memory: nothing keeps it out", needs=("holds pod",), adds=_WORKLOAD, can=("l1-key",), on=(NESTED,)),
)

ABOVE = (
    Rule("join as node", "host", "control plane", "asks for the join credential under a node's name", adds=("asked as node",), can=("false-node",)),
    Rule("admit by name", "control plane", "host", "the join credential: a name is enough", needs=("asked as node",), adds=("known join-credential",),
         off=("node_attested",)),
    Rule("roll back node", "host", "node", "older host firmware, or an older TSM", unless=("node reported",), adds=("node old",), can=("old-node",)),
    Rule("read etcd", "etcd", "host", "the workload key, kept as a Kubernetes Secret", adds=_WORKLOAD, can=("etcd-read",), off=("sealed_secrets",)),
    Rule("read KBS", "control plane", "host", "the operator reads the KBS's memory and disk", needs=("KBS up",), adds=("known store-key",), can=("operator",),
         off=("control_plane_attested",)),
    Rule("read store", "host", "host", "opens the KBS's store, the workload key in it", needs=("known store-key",), adds=_WORKLOAD),
    Rule("corrupt KBS", "KBS", "network", "the KBS itself gives the workload key away", adds=_WORKLOAD, can=("corrupt-kbs",)),
)

RULES = (*HONEST, *FLAWED, *FORGED, *AT_THE_DEVICE, *AT_THE_VM, *ABOVE)
CAPABILITIES = tuple(dict.fromkeys(can for rule in RULES for can in rule.can))

