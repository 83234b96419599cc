"""A plan: what was decided, for which host, why, and the steps that make it so."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.guest import GuestPlan
from simkit.model.host import Host
from simkit.model.step import Step
from simkit.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who vouches for what: an engine's or checker's name, what it established, and figures that a checker can replay."""

    by: str
    says: str
    figures: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to a workload on a host, whole: it holds both, so that it can be verified, rendered and applied alone.

    `fingerprint` is the hash of the host's facts that the plan rests on (`simkit.semantics.fingerprint`): a plan is refused where it differs.
    `assumptions` are sentences.
    """

    workload: Workload
    host: Host
    fingerprint: str
    guests: tuple[GuestPlan, ...]
    steps: tuple[Step, ...] = ()
    assumptions: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()
