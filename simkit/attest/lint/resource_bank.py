"""The bank for resource policies of the KBS: attestation tokens, and the resource that is asked for.

A token is an EAR with a submodule a device (`cpu0`, `gpu0`, ...; trustee@78962cd:attestation-service/src/ear_token/broker.rs `issue`); the policy's
`input` are its claims, `data` says what is asked for, and `data.policy.allow` decides (kbs/src/api_server.rs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simkit.attest.lint import claims
from simkit.attest.lint.case import Base, Case, Change, Level, dropping, every, first, setting
from simkit.attest.lint.edit import MISSING, at, drop, put
from simkit.attest.rego.engine import World

RULE = "data.policy.allow"
ISSUER, PROFILE = "CoCo-Attestation-Service", "tag:github.com,2024:confidential-containers/Trustee"
"""Defaults of attestation-service/src/ear_token/mod.rs."""
EVIDENCE = "ear.veraison.annotated-evidence"
_REGISTERS = ("tree of devices, memory or firmware variables (RTMR0)", "boot loader or kernel (RTMR1)", "command line or initrd (RTMR2)")
ASKED: dict[str, Any] = {"plugin": "resource", "resource-path": ["default", "key", "1"], "query": {}}
_VECTOR = {"instance-identity": 0, "configuration": 2, "executables": 3, "file-system": 0, "hardware": 2, "runtime-opaque": 0, "storage-opaque": 0,
           "sourced-data": 0}


def appraisal(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """A submodule that affirms, under the policy that the KBS asks for (`default`: kbs/src/attestation/coco/builtin.rs)."""
    return {"ear.status": "affirming", "ear.trustworthiness-vector": _VECTOR, "ear.appraisal-policy-id": "default", EVIDENCE: dict(evidence)}


def token(submodules: Mapping[str, Mapping[str, Any]], *, issuer: str = ISSUER) -> dict[str, Any]:
    """The claims of a token with these submodules."""
    return {"eat_profile": PROFILE, "iat": 1_700_000_000, "exp": 1_700_000_300, "iss": issuer,
            "ear.verifier-id": {"developer": "https://confidentialcontainers.org", "build": "attestation-service 0.1.0"},
            "submods": {name: dict(submodule) for name, submodule in submodules.items()}}


def bases() -> tuple[Base, ...]:
    """A guest by its CPU alone, with one GPU, and with protected PCIe: eight GPUs, four switches and the topology that they make."""
    snp, tdx = claims.around("snp", claims.SNP), claims.around("tdx", claims.TDX)
    gpus = {f"gpu{number}": claims.gpu(number) for number in range(8)}
    board = gpus | {f"switch{number}": claims.switch(number) for number in range(4)} | {"ppcie0": claims.PPCIE}
    sets = {"snp": {"cpu0": snp}, "tdx": {"cpu0": tdx}, "snp-gpu": {"cpu0": snp, "gpu0": claims.gpu()}, "tdx-gpu": {"cpu0": tdx, "gpu0": claims.gpu()},
            "snp-board": {"cpu0": snp} | board}
    return tuple(Base(name, World(token({each: appraisal(evidence) for each, evidence in devices.items()}), ASKED, {})) for name, devices in sets.items())


def cases() -> tuple[Case, ...]:
    """All cases; each has something to do in at least one base."""
    return (*_status(), *_devices(), *_guest(), *_request())


def _status() -> list[Case]:
    found = []
    for word, value in (("contraindicated", 97), ("warning", 33), ("none", 0)):
        for what, last in (("cpu", "cpu0"), ("gpu", "gpu"), ("switch", "switch"), ("ppcie", "ppcie")):
            found.append(Case(f"{what}-{word}", Level.FAIL, f"a token whose {what} has the status {word}",
                              "ask that every submodule's ear.status is affirming", _submodule(last, {"ear.status": word, "ear.trustworthiness-vector":
                                                                                                       _VECTOR | {"hardware": value}})))
    for claim, value in (("executables", 33), ("configuration", 36)):
        for what, last in (("cpu", "cpu0"), ("gpu", "gpu")):
            found.append(Case(f"{what}-{claim}-warning", Level.FAIL, f"a token whose {what} has the status warning for its {claim}, whatever its hardware",
                              "ask that every submodule's ear.status is affirming", _submodule(last, {"ear.status": "warning", "ear.trustworthiness-vector":
                                                                                                       _VECTOR | {claim: value}})))
    every_one = "name the submodules that must be there, and ask each for ear.status affirming"
    found += [
        Case("cpu-status-absent", Level.RESIDUAL, "a token, none that Trustee writes, whose cpu0 has no status", every_one,
             dropping(("submods", "cpu0", "ear.status"))),
        Case("gpu-status-absent", Level.RESIDUAL, "a token, none that Trustee writes, whose last GPU has no status", every_one,
             _submodule_without("gpu", "ear.status")),
        Case("cpu-status-number", Level.FAIL, "a token whose cpu0 has the status 96, contraindicated as a number", every_one,
             _submodule("cpu0", {"ear.status": 96, "ear.trustworthiness-vector": _VECTOR | {"hardware": 97}})),
        Case("cpu-absent", Level.RESIDUAL, "a token with devices and no CPU", every_one, _without_cpu),
        Case("submodules-empty", Level.FAIL, "a token with no submodule", every_one, setting(("submods",), {})),
        Case("submodules-absent", Level.FAIL, "a token without submodules", every_one, dropping(("submods",))),
        Case("empty", Level.FAIL, "an empty token", every_one, lambda world: replace(world, input={})),
    ]
    return found


def _devices() -> list[Case]:
    count = "state how many GPUs and switches the guest has, by the names of the submodules"
    return [
        Case("gpus-absent", Level.RESIDUAL, "a guest planned with GPUs that shows none", count, _without("gpu")),
        Case("gpu-fewer", Level.RESIDUAL, "a guest that shows one GPU fewer than planned", count, _without("gpu", last_only=True)),
        Case("switches-absent", Level.RESIDUAL, "a guest planned with NVSwitches that shows none", count, _without("switch")),
        Case("ppcie-absent", Level.RESIDUAL, "eight GPUs and four switches that make no protected PCIe topology", "ask for ppcie0",
             dropping(("submods", "ppcie0"))),
        Case("gpu-repeated", Level.RESIDUAL, "one GPU shown eight times", "ask that nvidia.ueid is another in each GPU's evidence", _one_gpu),
        Case("device-unplanned", Level.RESIDUAL, "a device that was not planned, affirmed", "state the exact set of submodules",
             lambda world: replace(world, input=put(world.input, ("submods", "dcu0"), appraisal({"hygondcu": {}})))),
        Case("gpu-sample", Level.RESIDUAL, "the sample device in the GPU's place, affirmed", "ask for the nvidia evidence",
             _submodule("gpu", {EVIDENCE: claims.SAMPLE_DEVICE})),
    ]


def _guest() -> list[Case]:
    init = "pin init_data of cpu0's evidence to the digest of the guest's init-data"
    evidence = ("submods", "cpu0", EVIDENCE)
    return [
        Case("sample-attester", Level.RESIDUAL, "the sample attester, affirmed", "name the TEE in cpu0's evidence",
             _evidence_swapped(claims.around("sample", claims.SAMPLE))),
        Case("tpm-alone", Level.RESIDUAL, "a vTPM with no CPU's evidence, affirmed", "name the TEE in cpu0's evidence",
             _evidence_swapped(claims.around("tpm", claims.TPM))),
        Case("debug", Level.RESIDUAL, "a guest that the host can debug, affirmed", "ask for policy_debug_allowed (td_attributes.debug) false", first(
            setting((*evidence, "snp", "policy_debug_allowed"), True),  # noqa: FBT003 (the claim's value)
            every(setting((*evidence, "tdx", "td_attributes", "debug"), True),  # noqa: FBT003
                  setting((*evidence, "tdx", "quote", "body", "td_attributes"), "0100001000000000")))),
        Case("migratable", Level.RESIDUAL, "a guest that a migration agent may read, affirmed", "ask for policy_migrate_ma false",
             setting((*evidence, "snp", "policy_migrate_ma"), True)),  # noqa: FBT003
        Case("measurement-other", Level.RESIDUAL, "another image than the guest's, affirmed as some guest's", "pin the measurement beside the init-data", first(
            setting((*evidence, "snp", "measurement"), "a2" * 48), setting((*evidence, "tdx", "quote", "body", "mr_td"), "7e" * 48))),
        *(Case(f"rtmr-{number}-other", Level.RESIDUAL, f"a trust domain with another {what}, affirmed", "pin it, from one boot's event log",
               setting((*evidence, "tdx", "quote", "body", f"rtmr_{number}"), "e7" * 48)) for number, what in enumerate(_REGISTERS)),
        Case("init-data-other", Level.RESIDUAL, "a guest started with other init-data (its agent's policy may allow anything)", init, _init_data("2d")),
        Case("init-data-absent", Level.RESIDUAL, "a guest started without init-data", init,
             every(_init_data("00"), setting((*evidence, "init_data_claims"), None))),
        Case("init-data-unsaid", Level.RESIDUAL, "a token that says nothing of init-data", init,
             every(dropping((*evidence, "init_data")), dropping((*evidence, "init_data_claims")))),
        Case("evidence-absent", Level.RESIDUAL, "a token that shows no evidence for cpu0", "pin what the evidence must say", dropping(evidence)),
    ]


def _request() -> list[Case]:
    issuer = "pin iss, and eat_profile, and let the KBS trust that issuer's key alone (trusted_certs_paths, trusted_jwk_sets)"
    return [
        Case("issuer-other", Level.RESIDUAL, "another issuer's token", issuer, every(setting(("iss",), "somebody-else"), setting(
            ("ear.verifier-id",), {"developer": "https://somebody.example", "build": "else 1"}))),
        Case("issuer-unsaid", Level.RESIDUAL, "a token without an issuer", issuer, dropping(("iss",))),
        Case("profile-other", Level.RESIDUAL, "a token of another profile", issuer, setting(("eat_profile",), "tag:somebody.example,2024:else")),
        Case("policy-other", Level.RESIDUAL, "an appraisal under another policy of the attestation service", "pin ear.appraisal-policy-id",
             setting(("submods", "cpu0", "ear.appraisal-policy-id"), "allow-all")),
        Case("path-other", Level.RESIDUAL, "a request for somebody else's resource", "bind data[\"resource-path\"] to the guest",
             lambda world: replace(world, data={**world.data, "resource-path": ["somebody", "else", "key"]})),
        Case("path-short", Level.RESIDUAL, "a request whose path is no resource's", "ask for count(data[\"resource-path\"]) == 3",
             lambda world: replace(world, data={**world.data, "resource-path": list(world.data["resource-path"])[:1]})),
        Case("plugin-other", Level.RESIDUAL, "a request to another plugin of the KBS", "ask for data.plugin == \"resource\"",
             lambda world: replace(world, data={**world.data, "plugin": "pkcs11"})),
    ]


def _last(world: World, kind: str) -> str | None:
    """The submodule of that class with the highest number; a full name stands for itself."""
    submodules = world.input.get("submods")
    names = submodules if isinstance(submodules, Mapping) else ()
    found = [name for name in names if name == kind or (name.startswith(kind) and name[len(kind):].isdecimal())]
    return max(found, key=lambda name: (len(name), name), default=None)


def _submodule(kind: str, values: Mapping[str, Any]) -> Change:
    def change(world: World) -> World | None:
        name = _last(world, kind)
        return None if name is None else replace(world, input=put(world.input, ("submods", name), {**at(world.input, ("submods", name)), **values}))

    return change


def _submodule_without(kind: str, key: str) -> Change:
    def change(world: World) -> World | None:
        name = _last(world, kind)
        return None if name is None else replace(world, input=drop(world.input, ("submods", name, key)))

    return change


def _without(kind: str, *, last_only: bool = False) -> Change:
    """Without the submodules of a class, or without the last of several."""

    def change(world: World) -> World | None:
        submodules = at(world.input, ("submods",))
        of_kind = [name for name in submodules if name.startswith(kind) and name[len(kind):].isdecimal()] if isinstance(submodules, Mapping) else []
        gone = set(of_kind) if not last_only else {max(of_kind, key=lambda name: (len(name), name))} if len(of_kind) > 1 else set()
        return replace(world, input={**world.input, "submods": {name: each for name, each in submodules.items() if name not in gone}}) if gone else None

    return change


def _without_cpu(world: World) -> World | None:
    """Where other devices remain."""
    submodules = world.input.get("submods")
    alone = not isinstance(submodules, Mapping) or len(submodules) < 2
    return None if alone else dropping(("submods", "cpu0"))(world)


def _one_gpu(world: World) -> World | None:
    """Every GPU's evidence is the first one's."""
    of_first = at(world.input, ("submods", "gpu0", EVIDENCE))
    if of_first is MISSING or at(world.input, ("submods", "gpu1")) is MISSING:
        return None
    same = {name: put(each, (EVIDENCE,), of_first) if name.startswith("gpu") else each for name, each in world.input["submods"].items()}
    return replace(world, input={**world.input, "submods": same})


def _evidence_swapped(evidence: Mapping[str, Any]) -> Change:
    """Other evidence of cpu0's with the init-data of what it replaces."""
    path = ("submods", "cpu0", EVIDENCE)

    def change(world: World) -> World | None:
        before = at(world.input, path)
        if before is MISSING:
            return None
        kept = {key: before[key] for key in ("init_data", "init_data_claims") if key in before}
        return replace(world, input=put(world.input, path, {**evidence, **kept}))

    return change


def _init_data(octet: str) -> Change:
    """The digest made of another byte throughout, where the TEE keeps it too."""
    evidence = ("submods", "cpu0", EVIDENCE)

    def change(world: World) -> World | None:
        before = at(world.input, (*evidence, "init_data"))
        if not isinstance(before, str):
            return None
        made = replace(world, input=put(world.input, (*evidence, "init_data"), octet * (len(before) // 2)))
        return setting((*evidence, "tdx", "quote", "body", "mr_config_id"), octet * 48)(made) or made

    return change
