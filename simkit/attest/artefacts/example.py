"""A token that a guest's policy lets through: made up, but for what is pinned. The linter makes its bank from it."""

from __future__ import annotations

from typing import Any

from simkit.attest.lint import claims
from simkit.attest.lint.edit import put
from simkit.attest.lint.resource_bank import appraisal, token
from simkit.model.evidence.release import Release
from simkit.model.platform import TeeKind

CLAIM = {"snp.measurement": ("measurement",), "tdx.mrtd": ("quote", "body", "mr_td"), "tdx.mrseam": ("quote", "body", "mr_seam"),
         "tdx.mrsignerseam": ("quote", "body", "mrsigner_seam"), "tdx.mrowner": ("quote", "body", "mr_owner"),
         "tdx.mrownerconfig": ("quote", "body", "mr_owner_config"), "tdx.xfam": ("quote", "body", "xfam"),
         **{f"tdx.rtmr{number}": ("quote", "body", f"rtmr_{number}") for number in range(4)}}
"""Where Trustee's verifiers put what reference values are named by (trustee@78962cd:deps/verifier/src/snp/mod.rs, tdx/claims.rs)."""


def example(release: Release, *, issuer: str) -> dict[str, Any]:
    """The token's claims."""
    tee = {TeeKind.SEV_SNP: "snp", TeeKind.TDX: "tdx"}[release.tee]
    of_tee = claims.SNP if tee == "snp" else put(claims.TDX, ("quote", "body", "mr_config_id"), release.init_data)
    for pinned in release.pinned:
        if pinned.name in CLAIM:
            of_tee = put(of_tee, CLAIM[pinned.name], pinned.values[0])
    evidence: dict[str, Any] = {"cpu0": {**claims.around(tee, of_tee), "init_data": release.init_data}}
    for name in release.submodules[1:]:
        made = {"gpu": claims.gpu, "switch": claims.switch}.get(name.rstrip("0123456789"))
        evidence[name] = claims.PPCIE if made is None else made(int(name.lstrip("gpuswitch")))
    return token({name: appraisal(each) for name, each in evidence.items()}, issuer=issuer)
