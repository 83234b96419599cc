"""What Trustee of which version shows to policies and asks of them: the bank is made as the newest does, and said as an older one would.

Read in confidential-containers/trustee at each tag from v0.11.0 (the first with EAR) to v0.21.0 and at 78962cd: attestation-service/src/token/ear_broker.rs,
later ear_token/broker.rs; src/policy_engine/opa/mod.rs; deps/verifier/src/snp/mod.rs `parse_tee_evidence`, intel_dcap; kbs/src/api_server.rs. Names of
Azure's TEEs have hyphens from kbs-types 0.14 on (trustee@703842a6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simkit.attest.rego.engine import World

EVIDENCE = "ear.veraison.annotated-evidence"
_SPELT = ("executables", "hardware", "configuration")
_ALL = (*_SPELT, "file-system", "instance-identity", "runtime-opaque", "storage-opaque", "sourced-data")
_AZURE = {"az-snp-vtpm": "azsnpvtpm", "az-tdx-vtpm": "aztdxvtpm"}


@dataclass(frozen=True, slots=True)
class Generation:
    """Versions `since` to `until` (major, minor), None being the newest.

    `vector` is the one rule that an attestation policy makes its claims by; without it each of `rules` is asked for by itself, and one that the policy
    does not have is no claim. `table`: reference values are `data.reference`. `whole_path`: `data` has the plugin and the path in one text, nothing else.
    `texts`: SNP's claims are texts, and a token has one submodule, `cpu`. `up_to_date` is the word for a TCB that is.
    """

    since: tuple[int, int]
    until: tuple[int, int] | None
    vector: str = ""
    rules: tuple[str, ...] = ()
    table: bool = False
    whole_path: bool = False
    texts: bool = False
    hyphens: bool = True
    issuer: bool = False
    up_to_date: str = "UpToDate"

    @property
    def name(self) -> str:
        """For people: `0.11 to 0.13`."""
        first = ".".join(map(str, self.since))
        if self.until is None:
            return f"{first} and later"
        return first if self.until == self.since else f"{first} to {'.'.join(map(str, self.until))}"


GENERATIONS = (
    Generation((0, 21), None, "data.policy.trust_claims", issuer=True),
    Generation((0, 17), (0, 20), "data.policy.trust_claims"),
    Generation((0, 16), (0, 16), "data.policy.result", whole_path=True),
    Generation((0, 15), (0, 15), rules=_SPELT, table=True, whole_path=True, hyphens=False),
    Generation((0, 14), (0, 14), rules=_SPELT, table=True, whole_path=True, hyphens=False, up_to_date="OK"),
    Generation((0, 12), (0, 13), rules=_ALL, table=True, whole_path=True, hyphens=False, texts=True, up_to_date="OK"),
    Generation((0, 11), (0, 11), rules=_SPELT, table=True, whole_path=True, hyphens=False, texts=True, up_to_date="OK"),
)
"""The newest first. Where each claim has its own rule, one with a hyphen has none: but for 0.12 and 0.13, which ask for `file_system`."""
NEWEST = GENERATIONS[0]


def of_version(version: str) -> Generation | None:
    """The generation of a version (`0.15`, `v0.15.2`); None where it is no version or none with EAR."""
    found = re.fullmatch(r"v?([0-9]{1,4})\.([0-9]{1,4})(\.[0-9]{1,4})?", version)
    asked = (int(found[1]), int(found[2])) if found else (0, 0)
    return next((each for each in GENERATIONS if each.since <= asked), None)


def candidates(policy: str, *, resource: bool) -> tuple[Generation, ...]:
    """For which generations a policy may be, by what it asks and is asked for, the newest first."""
    if resource:
        one = re.search(r"""submods["`]?\]?(\.cpu\b|\[["`]cpu["`]\])""", policy) is not None
        return tuple(each for each in GENERATIONS if each.texts) if one else (NEWEST,)
    if "trust_claims" in policy:
        return (NEWEST,)
    if re.search(r"^\s*(default\s+)?result\s*(:?=|contains|\[|if)", policy, re.MULTILINE):
        return tuple(each for each in GENERATIONS if each.vector.endswith("result"))
    return tuple(each for each in GENERATIONS if each.rules)


def claims_rules(policy: str, generation: Generation) -> dict[str, str]:
    """The claims that an attestation policy has a rule of its own for, by the rule."""
    names = {claim: claim.replace("-", "_") for claim in generation.rules}
    return {f"data.policy.{rule}": claim for claim, rule in names.items() if re.search(rf"^\s*(default\s+)?{rule}\b", policy, re.MULTILINE)}


def said(world: World, generation: Generation, *, resource: bool) -> World | None:
    """The input as that generation would put it, None where it would never show such."""
    if resource:
        made = _token(world.input, generation)
        return None if made is None else World(made, _asked(world.data, generation), world.references)
    claims = _evidence(world.input, generation)
    if generation.table:
        return World(claims, {**world.data, "reference": {name: _registered(value, generation) for name, value in world.references.items()}}, {})
    return replace(world, input=claims)


def understood(world: World, generation: Generation) -> World:
    """A user's own token of that generation, with the submodule called as the bank calls it."""
    return replace(world, input=_renamed(world.input, {"cpu": "cpu0"})) if generation.texts else world


def _token(token: Mapping[str, Any], generation: Generation) -> dict[str, Any] | None:
    made = {key: value for key, value in token.items() if generation.issuer or key != "iss"}
    submodules = made.get("submods")
    if isinstance(submodules, Mapping):
        if generation.texts and not set(submodules) <= {"cpu0"}:
            return None
        made["submods"] = {name: {**each, EVIDENCE: _evidence(each[EVIDENCE], generation)} if isinstance(each.get(EVIDENCE), Mapping) else dict(each)
                           for name, each in submodules.items()}
    return _renamed(made, {"cpu0": "cpu"}) if generation.texts else made


def _renamed(token: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    submodules = token.get("submods")
    if not isinstance(submodules, Mapping):
        return dict(token)
    return {**token, "submods": {names.get(name, name): each for name, each in submodules.items()}}


def _asked(data: Mapping[str, Any], generation: Generation) -> Mapping[str, Any]:
    path = data.get("resource-path")
    if not generation.whole_path or not isinstance(path, list):
        return data
    return {"resource-path": "/".join([str(data.get("plugin", "resource")), *map(str, path)])}


def _evidence(claims: Mapping[str, Any], generation: Generation) -> dict[str, Any]:
    named = dict(claims) if generation.hyphens else {_AZURE.get(name, name): each for name, each in claims.items()}
    return {name: _of_tee(name, each, generation) for name, each in named.items()}


def _of_tee(name: str, claims: Any, generation: Generation) -> Any:
    if not isinstance(claims, Mapping):
        return claims
    if name == "snp" and generation.texts:
        return {key: _text(value) for key, value in claims.items() if key != "chip_id"}
    if claims.get("tcb_status") == "UpToDate":
        return {**claims, "tcb_status": generation.up_to_date}
    return dict(claims)


def _registered(value: Any, generation: Generation) -> Any:
    """Reference values were lists of texts where claims were texts."""
    if not generation.texts:
        return value
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, (bool, int)) else value
