"""The six properties, as patterns that no reachable state may hold. They look at what happened, not at what was checked."""

from __future__ import annotations

from simkit.attest.flow.flaws import FLAWS, Harm, Of
from simkit.attest.flow.rule import Property, Violation

SAYS = {
    Property.SECRECY: "secrecy: a secret is known only to the TEE that was appraised for it",
    Property.AGREEMENT: "agreement: verifier and attester mean the same challenge, key, evidence and devices",
    Property.INJECTIVE: "injective agreement: one run of the attester, one release",
    Property.BINDING: "binding: every device in use is one that was appraised and that the owner named",
    Property.NO_ROLLBACK: "no rollback: nothing older than the policy allows holds a secret",
    Property.CONTINUITY: "continuity: what was appraised is unchanged when it is used",
}
"""A sentence for each."""

_SESSION, _DEVICE = ("s", ("s1", "s2")), ("d", ("gpu", "flawed", "peer", "other", "recorded"))
_OLD_VM = tuple(name for name, flaw in FLAWS.items() if flaw.of is Of.VM and flaw.harm is Harm.OLD)
_OLD_DEVICE = tuple(name for name, flaw in FLAWS.items() if flaw.of is Of.DEVICE and flaw.harm is Harm.OLD)
_OTHER_DEVICE = tuple(name for name, flaw in FLAWS.items() if flaw.of is Of.DEVICE and flaw.harm is Harm.OTHER)

VIOLATIONS = (
    Violation(Property.SECRECY, ("known {k}",), "the adversary knows the {k}", (("k", ("workload-key", "join-credential", "store-key")),)),
    Violation(Property.AGREEMENT, ("released {s} none {n} gpu mallory",), "a release for evidence that no TEE gave", (_SESSION, ("n", ("n1", "n2")))),
    Violation(Property.AGREEMENT, ("released {s} pod {n} {d} mallory",), "a release to a key that is not the one the pod gave evidence of",
              (_SESSION, ("n", ("n1", "n2")), _DEVICE)),
    Violation(Property.AGREEMENT, ("released {s} {v} {n} {d} {v}",), "a release in session {s} for evidence over {n}, the challenge of another session",
              (("s n", ("s1 n2", "s2 n1")), ("v", ("pod", "bent")), _DEVICE), ("challenge {s} {n}",)),
    Violation(Property.AGREEMENT, ("deceived",), "the pod took for the KBS what is not the KBS"),
    Violation(Property.INJECTIVE, ("released s1 {v} {n} {d} {v}", "released s2 {v} {n} {d} {v}"), "two releases for one run of the attester",
              (("v", ("pod", "bent")), ("n", ("n1", "n2")), _DEVICE)),
    Violation(Property.BINDING, ("used {x}",), "the guest uses {x}, which is none of the devices that the owner named", (("x", ("toy", "other")),)),
    Violation(Property.BINDING, ("used flawed", "flaw {w}"), "the guest uses a GPU that is not as it was given ({w})", (("w", _OTHER_DEVICE),)),
    Violation(Property.NO_ROLLBACK, ("holds bent", "flaw {w}"), "a VM that was rolled back ({w}) holds the workload key", (("w", _OLD_VM),)),
    Violation(Property.NO_ROLLBACK, ("used flawed", "flaw {w}"), "a device that was rolled back ({w}) is in use", (("w", _OLD_DEVICE),)),
    Violation(Property.NO_ROLLBACK, ("holds pod", "runs swapped"), "an image that the owner did not name runs beside the workload key"),
    Violation(Property.NO_ROLLBACK, ("joined", "node old"), "a node that was rolled back takes pods"),
    Violation(Property.NO_ROLLBACK, ("holds bent", "rolled back"), "a release by a policy or by reference values that the owner did not set"),
    Violation(Property.CONTINUITY, ("stale",), "a device is used in a state that nobody appraised"),
    Violation(Property.CONTINUITY, ("late",), "a release after what was appraised had changed"),
)
