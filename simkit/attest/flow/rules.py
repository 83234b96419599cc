"""The rules of the honest parties, as Trustee's KBS and a guest with GPUs follow them; the network carries and repeats whatever it likes.

Messages and binding: confidential-containers/trustee@011be12:kbs/docs/kbs_attestation_protocol.md (auth, attest, resource; nonce, tee-pubkey as runtime
data) and @03d215a:kbs/docs/attestation_token_verification.md (issuer of a token, TEE key in it). Roles: RFC 9334 §3.

Names in facts. Sessions s1, s2 with challenges n1, n2. VMs: `pod` (as it should be), `bent` (started by the host with something changed), `none` (forged).
Keys by who has the private half: `pod`, `bent`, `mallory` (the adversary). Devices: `gpu` (the right one), `flawed` (it, with something changed), `peer` (the
guest's second GPU), `other` (a genuine one of somebody else), `toy` (emulated by the host), `recorded` (evidence that a genuine GPU gave elsewhere).
"""

from __future__ import annotations

from simkit.attest.flow import device
from simkit.attest.flow.flaws import Of, seen
from simkit.attest.flow.rule import Over, Rule
from simkit.attest.flow.switches import BESIDE, NESTED

SESSIONS: Over = (("s n", ("s1 n1", "s2 n2")),)
SLOT: Over = (("x", ("gpu", "flawed", "other", "toy")),)
_CHALLENGE: Over = (("n", ("n1", "n2")),)
_RESET = tuple(dict.fromkeys((*device.on("RESET"), *device.on("POWER"))))
_SHOWN = ("pod pod gpu", "pod pod flawed", "pod pod peer", "pod pod other", "pod pod recorded", "bent bent gpu", "none mallory gpu", "pod mallory gpu")
_OBJECTED = ("bent bent gpu", "pod pod flawed", "pod pod peer", "pod pod other")
_EVIDENCE = ("gpu", "flawed", "peer", "other", "recorded")
_HELD = ("holds pod", "slot {x}", "session {x}")
_ACCEPTED = ("attested {x} {d} {n}", "cleared {n} {d}")
_GAVE = ("gpu gpu", "flawed flawed", "other other", "toy gpu", "toy peer", "toy recorded")
GIVEN: Over = (("x d", _GAVE), *_CHALLENGE)
"""What is in the slot, and whose evidence it gave."""
_TALK = " ".join(device.way(device.Spdm.NONE, device.Spdm.SESSION))

ABOVE = (
    Rule("unseal", "control plane", "KBS", "the store key, unsealed for a TEE that was appraised", adds=("KBS up",), on=("control_plane_attested",)),
    Rule("unlock", "control plane", "KBS", "the store key, typed in: nobody asked for evidence", adds=("KBS up",), off=("control_plane_attested",)),
    Rule("endorse", "vendors", "AS", "certificates, collateral, revocation lists, RIMs", adds=("endorsed",)),
    Rule("node evidence", "node", "AS", "evidence of host firmware and TSM", adds=("node reported",)),
    Rule("join", "AS", "node", "appraised: the join credential", needs=("node reported", "endorsed"), adds=("joined",), guards=(("node_tcb", "node old"),)),
    Rule("start pod", "node", "pod VM", "starts the pod as its owner wrote it", needs=("joined",), adds=("vm pod",), off=(BESIDE,)),
    Rule("start beside", "L1 VM", "node", "asks for a VM beside itself, a TEE of its own, for the pod", needs=("joined",), adds=("vm pod",), on=(BESIDE,)),
)

ASKING = (
    Rule("auth", "KBS", "network", "auth: challenge {n}, session {s}", SESSIONS, needs=("KBS up",), unless=("opened {s}",),
         adds=("opened {s}", "challenge {s} {n}")),
    Rule("challenge", "network", "pod VM", "challenge {n}", SESSIONS, needs=("vm pod", "challenge {s} {n}"), adds=("run pod {n}",)),
    Rule("challenge bent", "network", "bent VM", "challenge {n}", SESSIONS, needs=("vm bent", "challenge {s} {n}"), adds=("run bent {n}", "chosen bent")),
)

DEVICES = (
    Rule("session", "pod VM", "{x}", f"SPDM: {_TALK}", SLOT, needs=("vm pod", "slot {x}"), adds=("session {x}",)),
    Rule("TSM session", "TSM", "{x}", f"SPDM: {_TALK}; IDE keys", SLOT, needs=("vm pod", "slot {x}"), adds=("session {x}", "keyed {x}"), on=("tdisp", "ide")),
    Rule("lock", "TSM", "{x}", "LOCK_INTERFACE", SLOT, needs=("slot {x}", "keyed {x}", "tdi CONFIG_UNLOCKED"), drops=("tdi CONFIG_UNLOCKED",),
         adds=("tdi CONFIG_LOCKED",), on=("tdisp",)),
    Rule("start", "TSM", "{x}", "START_INTERFACE, its evidence having been accepted", GIVEN, needs=(*_ACCEPTED, "slot {x}", "keyed {x}", "tdi CONFIG_LOCKED"),
         drops=("tdi CONFIG_LOCKED",), adds=("tdi RUN",), on=("tdisp",)),
    Rule("measure", "{x}", "pod VM", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}}", (("x", ("gpu", "other")), *_CHALLENGE),
         needs=("run pod {n}", "slot {x}", "session {x}"), adds=("device {x} {n}", "attested {x} {x} {n}"), off=("tdisp",)),
    Rule("measure flawed", "flawed", "pod VM", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}}", _CHALLENGE,
         needs=("run pod {n}", "slot flawed", "session flawed"), adds=("device flawed {n}", "attested flawed flawed {n}", "chosen flawed"), off=("tdisp",)),
    Rule("measure switch", "NVSwitch", "pod VM", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}}, the GPUs it is linked with in it", _CHALLENGE,
         needs=("run pod {n}",), adds=("device switch {n}",)),
    Rule("measure locked", "{x}", "pod VM", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}} and the interface report, in the TSM's session",
         (("x", ("gpu", "other")), *_CHALLENGE), needs=("run pod {n}", "slot {x}", "keyed {x}", "tdi CONFIG_LOCKED"),
         adds=("device {x} {n}", "attested {x} {x} {n}"), on=("tdisp",)),
    Rule("measure flawed locked", "flawed", "pod VM", "evidence over SHA-384 of {{nonce {n}, tee-pubkey pod}} and the interface report, in the TSM's session",
         _CHALLENGE, needs=("run pod {n}", "slot flawed", "keyed flawed", "tdi CONFIG_LOCKED"),
         adds=("device flawed {n}", "attested flawed flawed {n}", "chosen flawed"), on=("tdisp",)),
)

REPORTING = (
    Rule("report", "pod VM", "network", "CPU evidence over SHA-384 of {{additional-evidence {d} and NVSwitch, nonce {n}, tee-pubkey pod}}",
         (("d", _EVIDENCE), *_CHALLENGE), needs=("run pod {n}", "device {d} {n}", "device switch {n}"), adds=("report pod {n} {d}",), off=(NESTED,)),
    Rule("report bent", "bent VM", "network", "CPU evidence over SHA-384 of {{additional-evidence gpu, nonce {n}, tee-pubkey bent}}", _CHALLENGE,
         needs=("run bent {n}",), adds=("report bent {n} gpu",), off=(NESTED,)),
    Rule("L1's word", "L1 VM", "network", "its word for the L2 pod by a key of L1's: {{additional-evidence {d} and NVSwitch, nonce {n}, tee-pubkey pod}}",
         (("d", _EVIDENCE), *_CHALLENGE), needs=("run pod {n}", "device {d} {n}", "device switch {n}"), adds=("word pod {n} {d}",), on=(NESTED,)),
    Rule("L1's word for bent", "L1 VM", "network", "its word for a changed L2, signed by a key of L1's", _CHALLENGE, needs=("run bent {n}",),
         adds=("word bent {n} gpu",), on=(NESTED,)),
    Rule("believe L1", "network", "AS", "L1's word is taken for evidence: nobody asks for the chip's root", (("v d",
         ("bent gpu", *(f"pod {d}" for d in _EVIDENCE))), *_CHALLENGE),
         needs=("word {v} {n} {d}",), adds=("report {v} {n} {d}",), on=(NESTED,), off=("root",)),
)


def _attest(name: str, shown: str, says: str, *, off: tuple[str, ...] = (), guards: tuple[tuple[str, str], ...] = (),
            needs: tuple[str, ...] = (), adds: tuple[str, ...] = ()) -> Rule:
    """Evidence into session s under the challenge that it was made for; what comes out is a token that affirms."""
    vm, key, evidence = shown.split()
    return Rule(name, "network", "AS", f"attest: {says}", SESSIONS, needs=(f"report {vm} {{n}} {evidence}", "challenge {s} {n}", "endorsed", *needs),
                adds=(f"token {{s}} {vm} {{n}} {evidence} {key}", "taken {n}", *adds), off=off, guards=(("nonce_once", "taken {n}"), *guards))


_OF_A_VM = seen(Of.VM)
APPRAISING = (
    _attest("attest", "pod pod gpu", "evidence of pod, GPU and NVSwitch, {n}: affirming token for key pod"),
    _attest("attest flawed device", "pod pod flawed", "evidence of pod and a changed GPU: no check objects", guards=seen(Of.DEVICE)),
    _attest("attest bent VM", "bent bent gpu", "evidence of a changed VM: no check objects", guards=_OF_A_VM),
    _attest("attest forgery", "none mallory gpu", "forged evidence: no check objects", guards=seen(Of.KEY)),
    _attest("attest copy", "pod pod peer", "two pieces of evidence of one GPU taken for two GPUs", off=("distinct",)),
    _attest("attest another GPU", "pod pod other", "evidence of a GPU that the policy would not name", off=("device_pinned",)),
    _attest("attest recorded", "pod pod recorded", "GPU evidence over a foreign challenge, taken as if fresh", off=("nonce",)),
    _attest("attest poisoned", "bent bent gpu", "evidence of a changed VM that the poisoned reference values list", off=("rvps_provenance",),
            guards=tuple(guard for guard in _OF_A_VM if guard[0] != "measurements"), needs=("references poisoned",), adds=("rolled back",)),
    Rule("attest another key", "network", "AS", "attest: the pod's evidence beside the adversary's key, not compared", SESSIONS,
         needs=("report pod {n} gpu", "challenge {s} {n}"), adds=("token {s} pod {n} gpu mallory", "taken {n}"), can=("cuckoo",), off=("report_data",),
         guards=(("nonce_once", "taken {n}"),)),
    Rule("attest replay", "network", "AS", "attest: evidence over {n} into session {s}, whose challenge is {m}", (("s m n", ("s1 n1 n2", "s2 n2 n1")),),
         needs=("report pod {n} gpu", "challenge {s} {m}"), adds=("token {s} pod {n} gpu pod", "taken {m}"), can=("replay",), off=("nonce",),
         guards=(("nonce_once", "taken {m}"),)),
    Rule("warn", "network", "AS", "attest: evidence of {v} and {d}, a check objects: contraindicated token for key {k}", (*SESSIONS, ("v k d", _OBJECTED)),
         needs=("report {v} {n} {d}", "challenge {s} {n}"), adds=("warned {s} {v} {n} {d} {k}",)),
)

_TOKEN: Over = (("s", ("s1", "s2")), ("v k d", _SHOWN), *_CHALLENGE)
_RELEASED = ("released {s} {v} {n} {d} {k}", "jwe {k}", "cleared {n} {d}")
RELEASING = (
    Rule("release", "KBS", "network", "resource: JWE for key {k}", _TOKEN, needs=("token {s} {v} {n} {d} {k}",), adds=_RELEASED,
         guards=(("token_expiry", "later"),)),
    Rule("release late", "KBS", "network", "resource: JWE for key {k}, long after the appraisal", _TOKEN, needs=("token {s} {v} {n} {d} {k}", "later"),
         adds=(*_RELEASED, "late"), off=("token_expiry",)),
    Rule("release warned", "KBS", "network", "resource: JWE for key {k}: nobody asks for the status", _TOKEN, needs=("warned {s} {v} {n} {d} {k}",),
         adds=_RELEASED, off=("ear_status",)),
    Rule("release by a lower policy", "KBS", "network", "resource: JWE for key {k}: the policy no longer asks for the status", _TOKEN,
         needs=("warned {s} {v} {n} {d} {k}", "policy lowered"), adds=(*_RELEASED, "rolled back"), off=("policy_digest",)),
    Rule("open", "pod VM", "pod VM", "opens the JWE with its key: it holds the workload key", needs=("jwe pod",), adds=("holds pod",)),
    Rule("open bent", "bent VM", "bent VM", "opens the JWE with its key: it holds the workload key", needs=("jwe bent",), adds=("holds bent",)),
    Rule("open as adversary", "network", "network", "opens the JWE with its own key", needs=("jwe mallory",), adds=("known workload-key",)),
)

USING = (
    Rule("use", "pod VM", "{x}", "data under the workload key, in the session whose evidence was accepted", GIVEN, needs=(*_HELD, *_ACCEPTED),
         adds=("used {x}",), off=("tdisp",), guards=(("isolation_drift", "drifted"),)),
    Rule("use running", "pod VM", "{x}", "data under the workload key, to an interface in RUN", SLOT, needs=(*_HELD, "keyed {x}", "tdi RUN"),
         adds=("used {x}",), on=("tdisp",), guards=(("isolation_drift", "drifted"),)),
    Rule("use anew", "pod VM", "{x}", "data under the workload key, in a new session after a reset, without new evidence", SLOT, needs=(*_HELD, "anew"),
         adds=("used {x}", "stale"), off=("reattest", "tdisp")),
    Rule("use drifted", "pod VM", "{x}", "data under the workload key, over a path that is no longer as planned", GIVEN,
         needs=(*_HELD, *_ACCEPTED, "drifted"), adds=("used {x}", "stale"), off=("isolation_drift", "tdisp")),
    Rule("use running, drifted", "pod VM", "{x}", "data under the workload key, to an interface in RUN, over a path that is no longer as planned", SLOT,
         needs=(*_HELD, "keyed {x}", "tdi RUN", "drifted"), adds=("used {x}", "stale"), on=("tdisp",), off=("isolation_drift",)),
    Rule("use toy", "toy", "network", "whatever the guest sends it", needs=("used toy",), adds=("known workload-key",)),
)

HONEST = (*ABOVE, *ASKING, *DEVICES, *REPORTING, *APPRAISING, *RELEASING, *USING)
UNATTESTED = tuple(f"attested {given} {n}" for given in _GAVE for n in ("n1", "n2"))
"""What a reset takes away, whatever was in the slot."""

BEGIN = ("slot gpu", "tdi CONFIG_UNLOCKED")
GOAL = "used gpu"


def swap(name: str, says: str, pairs: tuple[str, ...], *, can: tuple[str, ...], adds: tuple[str, ...] = (), unless: tuple[str, ...] = ()) -> Rule:
    """The host resets the function in the slot and leaves what the second word of a pair names there: sessions die, and the interface with them."""
    return Rule(name, "host", "{x}", says, (("x y", pairs), ("t u", _RESET)), needs=("slot {x}", "tdi {t}"), unless=unless,
                drops=("slot {x}", "session {x}", "keyed {x}", "tdi {t}", *UNATTESTED), adds=("slot {y}", "tdi {u}", "anew", *adds), can=can)
