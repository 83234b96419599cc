"""`verify`: decide every rule of a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from simkit.errors import Fault, UnknownName
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.policy import Policy
from simkit.verify import isolation, peer_paths, promises, safety
from simkit.verify.report import Finding, Outcome, Report
from simkit.verify.scene import Scene

OF_ANY: Mapping[str, Callable[[Scene], Finding]] = {
    "separate-groups": isolation.separate_groups,
    "no-peer-path": peer_paths.no_peer_path,
}
"""Properties of a host as well as of a plan."""

OF_PLAN: Mapping[str, Callable[[Scene, Plan], Finding]] = {
    "whole-groups": isolation.whole_groups,
    "reset-isolation": isolation.reset_isolation,
    "peer-class-kept": promises.peer_class_kept,
    "nic-nearness-kept": promises.nic_nearness_kept,
    "numa-local": promises.numa_local,
    "guest-limits": promises.guest_limits,
    "tee-platform": safety.tee_platform,
    "device-trust": safety.device_trust,
    "protected-devices": safety.protected_devices,
}
"""Properties that only a plan can have."""

PROPERTIES = (*OF_ANY, *OF_PLAN)
"""Every property that a policy can name."""


def verify(subject: Host | Plan, policy: Policy, *, kernel: str | None = None) -> Report:
    """Decide each rule of `policy` over a host as it is, or over a plan's host as the plan will leave it.

    Raises:
        UnknownName: the policy names a property that does not exist (all such names at once).
    """
    unknown = tuple(
        Fault(f"no property is called {rule.property!r}", str(policy.places.of(f"rules/{index}")), _remedy(rule.property))
        for index, rule in enumerate(policy.rules)
        if rule.property not in PROPERTIES
    )
    if unknown:
        raise UnknownName(f"policy {policy.name}", faults=unknown)
    scene = Scene.after(subject, kernel=kernel) if isinstance(subject, Plan) else Scene.of(subject, kernel=kernel)
    findings = []
    for rule in policy.rules:
        finding = _decide(rule.property, scene)
        if rule.accept and finding.outcome is Outcome.VIOLATED:
            finding = replace(finding, outcome=Outcome.RESIDUAL, text=f"{finding.text} (accepted by the policy: {rule.reason or 'no reason given'})")
        findings.append(finding)
    name = subject.workload.name if isinstance(subject, Plan) else subject.name
    return Report(policy.name, name, tuple(findings))


def _decide(name: str, scene: Scene) -> Finding:
    if name in OF_ANY:
        return OF_ANY[name](scene)
    if scene.plan is not None:
        return OF_PLAN[name](scene, scene.plan)
    return Finding(
        name,
        Outcome.SKIPPED,
        "this is a property of a plan, and a host was given",
        scene.host.places.root,
        remedy="verify the plan.json that `simkit solve -o` writes",
    )


def _remedy(name: str) -> str:
    near = get_close_matches(name, PROPERTIES, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(PROPERTIES)}"
