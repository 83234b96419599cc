"""One appraisal: every statement is checked by its own kind's rules, the set as a whole, and the policy makes the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from simkit.attest import certificate as certificates
from simkit.attest import hcl, nvidia, rim, session, snp, tdx, unused
from simkit.attest.nvidia.leaf import with_leaf
from simkit.attest.together import together
from simkit.attest.verdict import verdict
from simkit.model.evidence.appraisal import Appraisal, Device
from simkit.model.evidence.certificate import CertificateFile
from simkit.model.evidence.check import Check
from simkit.model.evidence.evidence import Evidence, Kind, Statement
from simkit.model.evidence.given import Given
from simkit.model.evidence.hcl import HclEvidence
from simkit.model.evidence.nvidia import NvidiaEvidence
from simkit.model.evidence.policy import AppraisalPolicy
from simkit.model.evidence.rim import Rim
from simkit.model.evidence.snp import SnpEvidence

DEFAULT = AppraisalPolicy()
Rules = tuple[Callable[[Any], Device], Callable[[Any, Given, AppraisalPolicy], Iterator[Check]]]


def appraise(evidence: Evidence, given: Given, policy: AppraisalPolicy = DEFAULT) -> Appraisal:
    """Appraise evidence at `given.at` (RFC 9334 §8): each check made with its reason, and the verdict that the policy makes of them."""
    devices = []
    checks: list[Check] = []
    apart = session.told_apart(evidence.statements, evidence.binding, given)
    for number, statement in enumerate(evidence.statements):
        name, rules = _rules(statement)
        devices.append(name(with_leaf(statement, given) if isinstance(statement, NvidiaEvidence) else statement))
        expected = session.expected(statement, evidence.binding, given)
        made = rules(statement, expected, policy)
        checks += [replace(check, device=number) for check in (session.of_cpu(statement, made) if apart else made)]
    checks += together(evidence.statements, devices, given)
    checks += session.checks(evidence.binding, given)
    checks += unused.checks(evidence.statements, given)
    kind = devices[0].kind if len(devices) == 1 else _kind(devices)
    decided, because, residual = verdict(devices, checks, policy)
    return Appraisal(decided, given.at, kind, policy.name, tuple(devices), tuple(checks), because, residual, evidence.notes)


def describe(statement: Statement) -> Device:
    """The device that a statement speaks of, with what it claims: nothing of it is verified."""
    name, _ = _rules(statement)
    return name(statement)


def _rules(statement: Statement) -> Rules:
    match statement:
        case SnpEvidence():
            return snp.device, snp.checks
        case HclEvidence():
            return hcl.device, hcl.checks
        case NvidiaEvidence():
            return nvidia.device, nvidia.checks
        case Rim():
            return rim.device, rim.checks
        case CertificateFile():
            return certificates.device, certificates.checks
        case _:
            return tdx.device, tdx.checks


def _kind(devices: list[Device]) -> Kind:
    """One kind where all devices are of it, else composite."""
    kinds = {device.kind for device in devices}
    return kinds.pop() if len(kinds) == 1 else Kind.COMPOSITE
