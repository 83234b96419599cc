"""The linter: every case of the bank done to every base, put to the policy, and told where it is let through."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simkit.attest.lint import attestation_bank, resource_bank
from simkit.attest.lint.case import Base, Case, Level
from simkit.attest.lint.generation import Generation, candidates, claims_rules, said, understood
from simkit.attest.rego.engine import Answer, Answers, RefusedPolicy, World, evaluate
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
    generation: Generation
    outcome: Outcome
    findings: tuple[Finding, ...]
    good: tuple[str, ...]
    bases: tuple[str, ...]
    tried: int
    engine: str
    policy_hash: str
    errors: tuple[str, ...]


def guess(policy: str) -> PolicyKind:
    """Of which kind a policy is, by what it is asked for: the attestation service has reference values, and asks for claims."""
    of_service = re.search(r"trust_claims|data\.reference|query_reference_value|^(default\s+)?(hardware|executables|configuration)\s*:?=", policy, re.MULTILINE)
    return PolicyKind.ATTESTATION if of_service else PolicyKind.RESOURCE


def class_of(name: str) -> str | None:
    """For which class of device an attestation policy is, by a name that Trustee would look it up by (`default_gpu`); None where the name says nothing."""
    return next((each for each in attestation_bank.CLASSES if name.removesuffix(".rego").endswith(f"_{each}")), None)


def lint(policy: str, kind: PolicyKind, *, source: str, device_class: str | None = None, given: Iterable[Base] = (),
         generation: Generation | None = None) -> Lint:
    """Try the bank on a policy; `given` are inputs of the user's own that should be let through, tried beside the shipped ones.

    An attestation policy is for one class of device; where it is not said which, devices of every class are shown to it. Without `generation` it is
    the newest whose rules the policy has, and of several the newest in which it lets most of the bank's inputs through.

    Raises:
        RefusedPolicy: it does not load, or not end, or fails on every input.
        NoEngine: there is nothing to evaluate it with.
    """
    if not re.search(r"^\s*package\s+policy(?![\w.\[])", policy, re.MULTILINE):
        raise RefusedPolicy("its package is not `policy`, and Trustee asks for nothing else", where=source, remedy="give a policy of the KBS or of the "
                            "attestation service; Kata's agent has others")
    resource = kind is PolicyKind.RESOURCE
    bases = resource_bank.bases() if resource else attestation_bank.bases(device_class)
    generation = generation or _newest(policy, kind, bases, source)
    if generation.texts and not resource:
        bases = attestation_bank.bases("cpu")
    own = tuple(Base(base.name, understood(base.world, generation)) for base in given)
    bank = resource_bank if resource else attestation_bank
    known = [(base, world) for base in (*own, *bases) if (world := said(base.world, generation, resource=resource)) is not None]
    tries = [(base, case, world) for case in bank.cases() for base, right in known
             if (world := _said(base, case, right, generation, resource=resource)) is not None]
    answers = ask(policy, kind, [*(world for _, world in known), *(world for _, _, world in tries)], generation, source=source)
    if all(answer.error and not answer.defined for answer in answers.each):
        raise RefusedPolicy(f"this can be evaluated on no input at all: {answers.each[0].error}", where=source, remedy="`opa check` shows more")
    good = tuple(base.name for (base, _), answer in zip(known, answers.each, strict=False) if let_through(kind, answer))
    let = [(base, case, world, answer) for (base, case, world), answer in zip(tries, answers.each[len(known):], strict=True) if let_through(kind, answer)]
    findings = _findings(kind, let)
    return Lint(kind, generation, _outcome(findings, good), findings, good, tuple(base.name for base, _ in known), len(answers.each), answers.engine,
                hashlib.sha384(policy.encode()).hexdigest(), tuple(dict.fromkeys(answer.error for answer in answers.each if answer.error)))


def _said(base: Base, case: Case, right: World, generation: Generation, *, resource: bool) -> World | None:
    """The case as that generation would put it; None where it has nothing to do there."""
    made = case.change(base.world)
    world = None if made is None else said(made, generation, resource=resource)
    return None if world == right and made != base.world else world


def _newest(policy: str, kind: PolicyKind, bases: Iterable[Base], source: str) -> Generation:
    """Of the generations that the policy may be for, the newest of those in which it lets most through."""
    found = candidates(policy, resource=kind is PolicyKind.RESOURCE)
    if len(found) == 1:
        return found[0]
    counts = []
    for generation in found:
        worlds = [world for base in bases if (world := said(base.world, generation, resource=kind is PolicyKind.RESOURCE)) is not None]
        counts.append(sum(let_through(kind, answer) for answer in ask(policy, kind, worlds, generation, source=source).each))
    return found[counts.index(max(counts))]


def ask(policy: str, kind: PolicyKind, worlds: Sequence[World], generation: Generation, *, source: str) -> Answers:
    """What the policy says to each, as Trustee of that generation asks it.

    Where each claim has a rule of its own, a rule that fails is passed over, and one without a value is an error of the whole
    (trustee@beb4ce93:attestation-service/src/policy_engine/opa/mod.rs `evaluate`, src/token/ear_broker.rs `as_i8`).
    """
    if kind is PolicyKind.RESOURCE:
        return evaluate(policy, resource_bank.RULE, worlds, source=source)
    if generation.vector:
        return evaluate(policy, generation.vector, worlds, source=source)
    rules = claims_rules(policy, generation)
    asked = {claim: evaluate(policy, rule, worlds, source=source) for rule, claim in rules.items()}
    if not asked:
        return evaluate(policy, attestation_bank.RULE, worlds, source=source)
    each = []
    for number in range(len(worlds)):
        answers = {claim: found.each[number] for claim, found in asked.items()}
        each.append(Answer(defined=True, value={claim: answer.value for claim, answer in answers.items() if not answer.error},
                           error=next((answer.error for answer in answers.values() if answer.error), "")))
    return Answers(next(iter(asked.values())).engine, tuple(each))


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
    if not answer.defined:
        return None if answer.error else Tier.NONE
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
