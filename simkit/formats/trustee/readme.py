"""The page that lies beside the files for Trustee: what each is, where it goes, what it rests on, and what stays open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simkit.model.evidence.release import Release

_GO = """## Where they go

As an administrator of the KBS (`kbs-client config`, or the endpoints of `kbs/docs/kbs.yaml`):

    kbs-client --url {url} config --admin-token-file TOKEN set-resource-policy --policy-file kbs/resource-policy.rego
{policies}
    curl -X POST {url}/kbs/v0/reference-value -H "Authorization: Bearer $TOKEN" --data-binary @rvps/message.json
{resources}
The pods: `kubectl apply -f guests/NAME/pod.yaml`, with your image filled in. The annotation `{annotation}`
carries the init-data, and the runtime hands its digest to the CPU, which puts it into the evidence. `cc_init_data` must be among
`enable_annotations` of Kata's configuration (it is in those for SNP and TDX with NVIDIA GPUs).
"""
_RESTS = """## What they rest on

- Trustee 0.21 or later: before, its tokens name no issuer, and this policy on resources would release nothing.
- Formats and names as read at confidential-containers/trustee 78962cd, confidential-containers/guest-components 8246e5e and
  kata-containers/kata-containers 7c6ba40. No Trustee and no Kata was run.
- The KBS must trust the attestation service's own key alone (`trusted_certs_paths` or `trusted_jwk_sets`, never `insecure_header_jwk`):
  a policy sees the issuer's name, not its key.
- `rvps/message.json` is of type `sample`: nobody signs it. RVPS lets it expire 12 months after it is registered and does not look at that again.
- The KBS has one resource policy: this one releases nothing to other guests than these.
- The GPUs' policy is for NVIDIA's remote attestation service; Trustee's local verifier makes other claims, which it does not affirm.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """One guest's part: its init-data's algorithm, the evidence's field and how the guest is named on paths, and what of it gives no evidence."""

    release: Release
    folder: str
    algorithm: str
    field: str
    unattested: Sequence[str]
    remarks: Sequence[str]


def readme(guests: Iterable[Written], skipped: Iterable[str], missing: Mapping[str, str], *, url: str, annotation: str, policies: Sequence[str],
           about: str) -> str:
    """The page's text. `missing`: reference values that a policy asks for and nobody gave, with the policy."""
    written = list(guests)
    lines = [f"# Files for Trustee: {about}", "", *_table(written, policies), ""]
    client = f"    kbs-client --url {url} config --admin-token-file TOKEN"
    setting = "\n".join(f"{client} set-attestation-policy --type rego --id {name} --policy-file as/{name}.rego" for name in policies)
    resources = "".join(f"{client} set-resource --path {each.release.repository}/key/1 --resource-file SECRET\n" for each in written)
    lines += [_GO.format(url=url, policies=setting, annotation=annotation, resources=resources), "## Guests", ""]
    for each in written:
        lines += _guest(each)
    lines += [f"- {name}: not confidential, so it shows no evidence and gets nothing" for name in skipped]
    lines += ["", "## Reference values that are still missing", ""]
    lines += [f"- `{name}`: asked for by {policy}; until it is registered no such device is affirmed" for name, policy in missing.items()]
    lines += ["\nNothing is released to a guest with a device that is not affirmed.\n" if missing else "- none that these policies ask for\n", _RESTS]
    return "\n".join(lines)


def _table(written: Sequence[Written], policies: Sequence[str]) -> list[str]:
    rows = [("kbs/resource-policy.rego", "the KBS' resource policy: to whom it releases what")]
    rows += [(f"as/{name}.rego", f"the attestation service's policy `{name}`, in place of its own") for name in policies]
    rows += [("rvps/reference-values.json", "reference values by the names that the policies ask for"),
             ("rvps/message.json", "the same as the message that registers them")]
    for each in written:
        rows += [(f"guests/{each.folder}/init-data.toml", f"what {each.release.guest} is started with; its evidence has the {each.algorithm} of these bytes"),
                 (f"guests/{each.folder}/pod.yaml", "the pod, with the init-data as its annotation"),
                 (f"guests/{each.folder}/token.json", "claims of a made-up token that the resource policy lets through, for trying policies")]
    return ["| file | what it is |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in rows)]


def _guest(each: Written) -> list[str]:
    release = each.release
    pinned = [f"  - pinned: {pin.name}, {len(pin.values)} value{'s' * (len(pin.values) > 1)}" for pin in release.pinned]
    shown = ", ".join(release.submodules)
    return [
        f"- {release.guest} ({release.tee}): resources below `kbs:///{release.repository}/`, for a token with exactly {shown}, all affirming",
        f"  - init-data ({each.algorithm}) in {each.field}: `{release.init_data}`",
        *(pinned or ["  - no measurement is pinned: any image that the attestation service affirms gets the guest's resources; give --reference"]),
        *(f"  - without evidence: {sentence}" for sentence in each.unattested),
        *(f"  - {sentence}" for sentence in each.remarks),
    ]
