"""The KBS' resource policy for the guests of a plan, in Rego v1: nothing is released but to a guest that is the planned one, whole and affirmed.

Input and data: trustee@78962cd:kbs/src/api_server.rs, kbs/sample_policies/default.rego; the token's claims: attestation-service/src/ear_token/broker.rs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from simkit.model.evidence.release import Release
from simkit.model.platform import TeeKind

_HEAD = """package policy

import rego.v1

default allow := false

# What every release asks for: a resource of the guest's own repository, and a token of the attestation service that is meant.
asked(repository) if {{
	data.plugin == "resource"
	count(data["resource-path"]) == 3
	data["resource-path"][0] == repository
	input.iss == {issuer}
	input.eat_profile == {profile}
}}

# Exactly these appraisals, each affirming, by the policy that the KBS asks the attestation service for.
appraised(names) if {{
	object.keys(input.submods) == names
	every name in names {{
		input.submods[name]["ear.status"] == "affirming"
		input.submods[name]["ear.appraisal-policy-id"] == "default"
	}}
}}

evidence(name) := input.submods[name]["ear.veraison.annotated-evidence"]

# As many devices as appraisals: each has evidence of its own, under a unique entity id (claims of NVIDIA's remote attestation service).
distinct(names) if {{
	ids := {{id |
		some name in names
		id := evidence(name).nvidia.ueid
	}}
	count(ids) == count(names)
}}
"""
_TEE = {TeeKind.SEV_SNP: "snp", TeeKind.TDX: "tdx"}
_CLOSED = {TeeKind.SEV_SNP: ("policy_debug_allowed", "policy_migrate_ma"), TeeKind.TDX: ("td_attributes.debug",)}


def resource_policy(releases: Iterable[Release], claim: Mapping[str, tuple[str, ...]], *, issuer: str, profile: str, about: str) -> str:
    """The policy's text. `claim` says where in the TEE's claims a pinned value stands; a name that has no place there is not asked for."""
    parts = [f"# {about}", _HEAD.format(issuer=json.dumps(issuer), profile=json.dumps(profile))]
    parts += ["\n".join(_rule(release, claim)) + "\n" for release in releases]
    return "\n".join(parts)


def _rule(release: Release, claim: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    tee = _TEE[release.tee]
    names = ", ".join(json.dumps(name) for name in release.submodules)
    yield f"# {release.guest}"
    yield "allow if {"
    yield f"\tasked({json.dumps(release.repository)})"
    yield f"\tappraised({{{names}}})"
    yield "\tcpu := evidence(\"cpu0\")"
    yield f"\tcpu.init_data == {json.dumps(release.init_data)}"
    for part in _CLOSED[release.tee]:
        yield f"\tcpu.{tee}.{part} == false"
    for pinned in release.pinned:
        if pinned.name in claim:
            yield f"\tcpu.{tee}.{'.'.join(claim[pinned.name])} in {{{', '.join(json.dumps(value) for value in pinned.values)}}}"
    if release.distinct:
        yield f"\tdistinct({{{', '.join(json.dumps(name) for name in release.distinct)}}})"
    yield "}"
