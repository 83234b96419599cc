"""The linter: every case of the bank done to every base, put to the policy, and told where it is let through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simkit.attest.lint import attestation_bank, resource_bank
from simkit.attest.lint.case import Base, Case, Level
from simkit.attest.rego.engine import Answer, World, evaluate
from simkit.model.evidence.ear import Claim, Tier, tier


class PolicyKind(StrEnum):
    """Whose policy: the KBS' on resources, or the attestation service's on devices."""

    RESOURCE = "resource"
    ATTESTATION = "attestation"


class Outcome(StrEnum):
    """Three colours, and that nothing was decided: a policy that lets nothing of the bank through has shown nothing."""

    PASS = "pass"
    RESIDUAL = "residual"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """A case that is let through, in which bases, with the first as the counterexample and what the policy made of it."""

    case: Case
    bases: tuple[str, ...]
    world: World
    made: Any


@dataclass(frozen=True, slots=True)
class Lint:
    """What was found. `good` are the bases that the policy lets through, `tried` how many inputs it was asked about, those included.

    `errors` are the engine's, each once: an input on which the policy fails is one that it does not let through.
    `policy_hash` is the policy's SHA-384, which Trustee puts into its records.
    """

    kind: PolicyKind
    outcome: Outcome
    findings: tuple[Finding, ...]
    good: tuple[str, ...]
    bases: tuple[str, ...]
    tried: int
    engine: str
    policy_hash: str
    errors: tuple[str, ...]


def guess(policy: str) -> PolicyKind:
    """Of which kind a policy is, by the rule that it is asked for."""
    return PolicyKind.ATTESTATION if "trust_claims" in policy else PolicyKind.RESOURCE


def class_of(name: str) -> str | None:
    """For which class of device an attestation policy is, by a name that Trustee would look it up by (`default_gpu`); None where the name says nothing."""
    return next((each for each in attestation_bank.CLASSES if name.removesuffix(".rego").endswith(f"_{each}")), None)


def lint(policy: str, kind: PolicyKind, *, source: str, device_class: str | None = None, given: Iterable[Base] = ()) -> Lint:
    """Try the bank on a policy; `given` are inputs of the user's own that should be let through, tried beside the shipped ones.

    An attestation policy is for one class of device; where it is not said which, devices of every class are shown to it.

    Raises:
        RefusedPolicy: it does not load, or not end.
        NoEngine: there is nothing to evaluate it with.
    """
    bank = resource_bank if kind is PolicyKind.RESOURCE else attestation_bank
    bases = (*given, *(resource_bank.bases() if kind is PolicyKind.RESOURCE else attestation_bank.bases(device_class)))
    tries = [(base, case, made) for case in bank.cases() for base in bases if (made := case.change(base.world)) is not None]
    answers = evaluate(policy, bank.RULE, [*(base.world for base in bases), *(made for _, _, made in tries)], source=source)
    good = tuple(base.name for base, answer in zip(bases, answers.each, strict=False) if let_through(kind, answer))
    let = [(base, case, made, answer) for (base, case, made), answer in zip(tries, answers.each[len(bases):], strict=True) if let_through(kind, answer)]
    findings = _findings(kind, let)
    return Lint(kind, _outcome(findings, good), findings, good, tuple(base.name for base in bases), len(answers.each), answers.engine,
                hashlib.sha384(policy.encode()).hexdigest(), tuple(dict.fromkeys(answer.error for answer in answers.each if answer.error)))


def let_through(kind: PolicyKind, answer: Answer) -> bool:
    """Whether the KBS would release, or the attestation service affirm.

    A resource policy releases where the rule is true and nothing else (trustee@78962cd:kbs/src/api_server.rs).
    """
    return answer.value is True if kind is PolicyKind.RESOURCE else status(answer) is Tier.AFFIRMING


def status(answer: Answer) -> Tier | None:
    """The status that the attestation service makes of a policy's trust claims, None where it issues no token at all.

    Without the rule all claims are 0; a value that is no integer, or a claim that there is not, is an error
    (trustee@78962cd:attestation-service/src/ear_token/broker.rs).
    """
    if answer.error:
        return None
    if not answer.defined:
        return Tier.NONE
    value = answer.value
    if not isinstance(value, dict) or not value or not set(value) <= set(Claim):
        return None
    if any(isinstance(each, bool) or not isinstance(each, int) or not -128 <= each < 128 for each in value.values()):
        return None
    order = tuple(Tier)
    return max((tier(each) for each in value.values()), key=order.index)


def _findings(kind: PolicyKind, let: list[tuple[Base, Case, World, Answer]]) -> tuple[Finding, ...]:
    """One a case, in the bank's order, the worse level first."""
    by_case: dict[str, list[tuple[Base, Case, World, Answer]]] = {}
    for one in let:
        by_case.setdefault(one[1].id, []).append(one)
    found = []
    for several in by_case.values():
        _, case, world, answer = several[0]
        made = {"allow": True} if kind is PolicyKind.RESOURCE else {"status": "affirming", "trust_claims": answer.value}
        found.append(Finding(case, tuple(base.name for base, _, _, _ in several), world, made))
    return tuple(sorted(found, key=lambda finding: finding.case.level is not Level.FAIL))


def _outcome(findings: tuple[Finding, ...], good: tuple[str, ...]) -> Outcome:
    if any(finding.case.level is Level.FAIL for finding in findings):
        return Outcome.FAIL
    if findings:
        return Outcome.RESIDUAL
    return Outcome.PASS if good else Outcome.UNDECIDED
