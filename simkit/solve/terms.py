"""Binding equations for any nonces, keys and evidence whatever: z3 shows that they imply agreement, or names values for which they do not.

Digests are free constructors, that is, without collisions; signatures are the fact that their signer computed what they cover. Beside `proof` the only module
that knows z3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simkit.attest.flow.binding import AGREEMENTS, Binding

RLIMIT = 5_000_000
"""z3's units of work for each question; far more than any of these takes."""


@dataclass(frozen=True, slots=True)
class Implied:
    """Whether an agreement follows; None where z3's limit was hit. `counterexample`: values for which all comparisons hold and the agreement does not."""

    agreement: str
    holds: bool | None
    counterexample: Mapping[str, str]


def implied(binding: Binding, *, seed: int = 0, limit: int = RLIMIT) -> tuple[Implied, ...]:
    """Each agreement of `AGREEMENTS`, decided."""
    return tuple(_decide(binding, agreement, seed, limit) for agreement in AGREEMENTS)


def _decide(binding: Binding, agreement: str, seed: int, limit: int) -> Implied:
    import z3

    solver = z3.Solver()
    solver.set("random_seed", seed)
    solver.set("rlimit", limit)
    names, equations, agreed = _equations(binding)
    solver.add(*equations, z3.Not(agreed[agreement]))
    answer = solver.check()
    if answer == z3.sat:
        return Implied(agreement, holds=False, counterexample=_values(solver.model(), names))
    return Implied(agreement, holds=None if answer == z3.unknown else True, counterexample={})


def _equations(binding: Binding) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """The named unknowns, what signatures and comparisons say of them, and the agreements.

    The verifier's own challenge is `nonce`; it is handed `key` and `evidence` beside the report. TEE and device computed over what they saw themselves.
    """
    import z3

    kinds = {name: z3.DeclareSort(name) for name in ("Nonce", "Key", "Device")}
    challenge, make_challenge = _digest(binding.challenge, {"nonce": kinds["Nonce"], "tee-pubkey": kinds["Key"]}, "Challenge")
    evidence = z3.Datatype("Evidence")
    evidence.declare("evidence", ("signer", kinds["Device"]), ("signed", challenge))
    evidence = evidence.create()
    _, make_report = _digest(binding.report_data, {"additional-evidence": evidence, "nonce": kinds["Nonce"], "tee-pubkey": kinds["Key"]}, "ReportData")

    names = {
        "nonce": z3.Const("nonce", kinds["Nonce"]), "key": z3.Const("key", kinds["Key"]), "evidence": z3.Const("evidence", evidence),
        "TEE's nonce": z3.Const("tee-nonce", kinds["Nonce"]), "TEE's key": z3.Const("tee-key", kinds["Key"]),
        "TEE's evidence": z3.Const("tee-evidence", evidence),
        "device's nonce": z3.Const("device-nonce", kinds["Nonce"]), "device's key": z3.Const("device-key", kinds["Key"]),
        "mapped device": z3.Const("mapped", kinds["Device"]),
    }
    mine = {"additional-evidence": names["evidence"], "nonce": names["nonce"], "tee-pubkey": names["key"]}
    tee = {"additional-evidence": names["TEE's evidence"], "nonce": names["TEE's nonce"], "tee-pubkey": names["TEE's key"]}
    device = {"nonce": names["device's nonce"], "tee-pubkey": names["device's key"]}
    equations = [
        evidence.signed(names["evidence"]) == make_challenge(device),
        evidence.signed(names["evidence"]) == make_challenge(mine),
        make_report(tee) == make_report(mine),
    ]
    if binding.mapped:
        equations.append(evidence.signer(names["TEE's evidence"]) == names["mapped device"])
    agreed = {
        "TEE nonce": names["TEE's nonce"] == names["nonce"],
        "TEE key": names["TEE's key"] == names["key"],
        "devices": names["TEE's evidence"] == names["evidence"],
        "device nonce": names["device's nonce"] == names["nonce"],
        "device key": names["device's key"] == names["key"],
        "mapped device": evidence.signer(names["evidence"]) == names["mapped device"],
    }
    return names, equations, agreed


def _digest(fields: tuple[str, ...], kinds: dict[str, Any], name: str) -> tuple[Any, Any]:
    """A digest over fields, and how to make one of values."""
    import z3

    shape = z3.Datatype(name)
    shape.declare(name.lower(), *((f"{name}.{field}", kinds[field]) for field in fields))
    shape = shape.create()
    make = shape.constructor(0)
    return shape, lambda values: make(*(values[field] for field in fields))


def _values(model: Any, names: Mapping[str, Any]) -> dict[str, str]:
    return {name: " ".join(str(model.eval(term, model_completion=True)).split()) for name, term in names.items()}
