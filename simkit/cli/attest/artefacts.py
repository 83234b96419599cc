"""`simkit attest artefacts`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import output_format, plan_argument
from simkit.cli.output import print_json
from simkit.errors import InputError

if TYPE_CHECKING:
    from simkit.formats.trustee.readme import Written
    from simkit.model.evidence.reference import ReferenceValue
    from simkit.model.guest import GuestPlan
    from simkit.model.plan import Plan

_FILE = click.Path(dir_okay=False, exists=True)
_URL = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/\-]*)?\Z|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?(/[A-Za-z0-9._~/\-]*)?\Z")
_PACKAGE = re.compile(r"^[ \t]*package[ \t]+agent_policy[ \t\r]*(#.*)?$", re.MULTILINE)
_ISSUER = re.compile(r"[\x20-\x7e]{1,200}\Z")


@dataclass(frozen=True, slots=True)
class Made:
    """What the command answers: files by name, and their story for programs."""

    files: dict[str, str]
    guests: tuple[Written, ...]
    skipped: tuple[str, ...]
    missing: dict[str, str]


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _URL.match(value):
        raise click.BadParameter(f"{value!r} is no URL of a KBS; write it as https://kbs.example:8080")
    return value


@click.command()
@plan_argument
@click.option("--kbs", required=True, callback=_url, metavar="URL", help="Where the guests find the KBS.")
@click.option("--kbs-certificate", type=_FILE, help="Its certificate (PEM), for guests to trust.")
@click.option("--agent-policy", type=_FILE, help="The policy of Kata's agent, as genpolicy writes it; else one that denies exec and allows any container.")
@click.option("--init-data", type=_FILE, help="The whole init-data document of each guest, in place of one that is made here.")
@click.option("--reference", "references", multiple=True, type=_FILE, metavar="FILE", help="Reference values, as `simkit attest expect -o` writes them.")
@click.option("--rvps", type=_FILE, metavar="FILE", help="Further ones under Trustee's own names (JSON), carried over as they are.")
@click.option("--issuer", default="CoCo-Attestation-Service", show_default=True, help="The attestation service's issuer_name.")
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write the files into this folder.")
@output_format()
def artefacts(*, plan: str, folder: Path | None, output: str, **stated: Any) -> None:
    """What Trustee and the pods of a plan take: policies, reference values, init-data.

    \b
    simkit attest expect plan.json --firmware OVMF.fd -o reference.yaml
    simkit attest artefacts plan.json --kbs https://kbs.example:8080 --reference reference.yaml -o trustee/
    simkit attest lint trustee/kbs/resource-policy.rego --input trustee/guests/train/token.json --resource train/key/1

    For Trustee 0.21 or later: older ones write tokens that name no issuer.

    Exit status: 0 written, 2 bad input.
    """
    from simkit.formats.source import open_plan

    made = make(open_plan(plan), **stated)
    if folder is None and output == "text":
        raise click.UsageError("the files go into a folder: give -o DIR, or --format json to have them on standard output")
    if folder is not None:
        from simkit.cli.render import write

        write(made.files, folder)
    if output == "json":
        print_json(document(plan, made))
    else:
        click.echo(_describe(made, folder))


def make(plan: Plan, *, kbs: str, issuer: str, references: tuple[str, ...], rvps: str | None, **stated: str | None) -> Made:
    """The files for all confidential guests of a plan."""
    from simkit.attest.artefacts.example import CLAIM, example
    from simkit.attest.lint.resource_bank import PROFILE
    from simkit.formats.guest import kata
    from simkit.formats.native.emit import to_yaml
    from simkit.formats.trustee import init_data, readme, reference_values
    from simkit.formats.trustee.documents import read_bytes, read_references
    from simkit.formats.trustee.resource_policy import resource_policy
    from simkit.model.platform import TeeKind

    if not _ISSUER.match(issuer):
        raise InputError(f"{issuer[:100]!r} is no issuer's name", where="--issuer", remedy="write the attestation service's issuer_name")
    confidential = [guest for guest in plan.guests if guest.tee is not TeeKind.NONE]
    if not confidential:
        raise InputError("no guest of the plan is confidential: there is nobody to release a secret to", remedy="ask for `tee: sev-snp` or `tee: tdx`")
    values = _references(references)
    about = f"the guests of workload {' '.join(plan.workload.name.split())} on {' '.join(plan.host.name.split())}"
    files: dict[str, str] = {}
    guests = []
    for guest in confidential:
        text, written = _guest(plan, guest, values, kbs=kbs, **stated)
        guests.append(written)
        files |= {f"guests/{written.folder}/init-data.toml": text,
                  f"guests/{written.folder}/pod.yaml": to_yaml(kata.pod(plan, guest, init_data=init_data.annotation(text)), leaves_in_line=False),
                  f"guests/{written.folder}/token.json": json.dumps(example(written.release, issuer=issuer), indent=1) + "\n"}
    guests = _apart(guests)
    releases = [each.release for each in guests]
    others = {} if rvps is None else read_references(read_bytes(rvps), source=rvps)
    registered = reference_values.reference_values(values, (each.init_data for each in releases), others, guests=(each.guest for each in releases))
    policies = _policies(guests, registered, about)
    missing = {name: f"as/{policy}.rego" for policy, text in policies.items() for name in _asked(text) if name not in registered}
    skipped = tuple(guest.name for guest in plan.guests if guest.tee is TeeKind.NONE)
    page = readme.readme(guests, skipped, missing, url=kbs, annotation=kata.INIT_DATA, policies=tuple(policies), about=about)
    return Made({
        "README.md": page,
        "kbs/resource-policy.rego": resource_policy(releases, CLAIM, issuer=issuer, profile=PROFILE, about=f"Written by simkit for {about}."),
        **{f"as/{name}.rego": text for name, text in policies.items()},
        "rvps/reference-values.json": reference_values.provenance(registered),
        "rvps/message.json": reference_values.message(registered),
        **files,
    }, tuple(guests), skipped, missing)


def _references(sources: tuple[str, ...]) -> tuple[ReferenceValue, ...]:
    from simkit.formats.evidence.source import open_support

    return tuple(value for each in (open_support(sources).references if sources else ()) for value in each.values)


def _guest(plan: Plan, guest: GuestPlan, values: tuple[ReferenceValue, ...], *, kbs: str, kbs_certificate: str | None, agent_policy: str | None,
           init_data: str | None) -> tuple[str, Written]:
    """The init-data document of one guest, and what is asked of it."""
    from simkit.attest.artefacts.digest import FIELDS, fitted
    from simkit.attest.artefacts.release import release, unattested
    from simkit.formats.evidence.init_data import read_init_data
    from simkit.formats.guest.kubernetes import object_name
    from simkit.formats.trustee import agent_policy as agent
    from simkit.formats.trustee import init_data as made
    from simkit.formats.trustee.documents import read_bytes
    from simkit.formats.trustee.readme import Written

    field, remarks = FIELDS[guest.tee], []
    if init_data is not None:
        found = read_init_data(read_bytes(init_data), source=init_data)
        text, algorithm = found.text, found.algorithm
    else:
        certificate = None if kbs_certificate is None else _certificate(kbs_certificate)
        policy = agent.agent_policy() if agent_policy is None else _agent_policy(agent_policy)
        if agent_policy is None:
            remarks.append("its agent's policy denies exec and the streams, and allows any container: which image runs is not pinned; give genpolicy's")
        data = {made.ATTESTATION_AGENT: made.attestation_agent(kbs, certificate), made.DATA_HUB: made.data_hub(kbs, certificate),
                made.AGENT_POLICY: policy, made.IDENTITY: made.identity(plan.workload.name, guest.name, plan.fingerprint)}
        text, algorithm = made.document(field.algorithm, data), field.algorithm
        read_init_data(text.encode(), source="init-data.toml")
    if kbs.startswith("http:"):
        remarks.append("it speaks to the KBS without TLS: anyone on the way can answer in the KBS' place")
    asked = release(plan, guest, repository=object_name(guest), init_data=fitted(text.encode(), algorithm, field.size), references=values)
    return text, Written(asked, object_name(guest), algorithm, field.name, tuple(unattested(plan, guest)), tuple(remarks))


def _text(source: str) -> str:
    from simkit.formats.trustee.documents import read_bytes, read_policy

    return read_policy(read_bytes(source), source=source)


def _certificate(source: str) -> str:
    """As PEM, which is what the guest's agents take."""
    from simkit.formats.evidence.certificates import read_certificates

    text = _text(source)
    read_certificates(text.encode(), source=source)
    return text


def _agent_policy(source: str) -> str:
    """Kata's agent asks `data.agent_policy` (kata-containers@7c6ba40:src/agent/policy/src/policy.rs)."""
    text = _text(source)
    if not _PACKAGE.search(text):
        raise InputError("this is no policy of Kata's agent: its package is not agent_policy", where=source, remedy="give the policy that genpolicy writes")
    return text


def _apart(guests: list[Written]) -> list[Written]:
    """Each guest has a repository of its own, and init-data of its own unless the user gave it: then it is told where evidence cannot tell two apart."""
    names = [each.folder for each in guests]
    if same := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several guests would be called {', '.join(same)}: names of repositories have lower case letters, digits and - only",
                         remedy="rename guests in the workload")
    looks = {each.release.guest: (each.release.init_data, each.release.submodules, each.release.pinned) for each in guests}
    alike = {name: [other for other, look in looks.items() if other != name and look == looks[name]] for name in looks}
    return [_like(each, alike[each.release.guest]) for each in guests]


def _like(written: Written, others: list[str]) -> Written:
    if not others:
        return written
    remark = f"evidence cannot tell it from {', '.join(others)}: each can get the other's resources; give each init-data of its own"
    return replace(written, remarks=(*written.remarks, remark))


def _policies(guests: list[Written], registered: dict[str, Any], about: str) -> dict[str, str]:
    from simkit.formats.trustee.attestation_policy import cpu_policy, device_policy

    about = f"Written by simkit for {about}, in place of Trustee's default of this name."
    shown = {name.rstrip("0123456789") for each in guests for name in each.release.submodules}
    made = {"default_cpu": cpu_policy((each.release.tee for each in guests), with_tree="rtmr_0" in registered, about=about)}
    return made | {f"default_{kind}": device_policy(kind, about=about) for kind in ("gpu", "switch") if kind in shown}


def _asked(policy: str) -> tuple[str, ...]:
    from simkit.formats.trustee.attestation_policy import names_asked

    return names_asked(policy)


def document(plan: str, made: Made) -> dict[str, Any]:
    """The document of `simkit attest artefacts`."""
    return {
        "plan": plan,
        "guests": [
            {"name": each.release.guest, "tee": each.release.tee.value, "repository": each.release.repository, "submodules": list(each.release.submodules),
             "init_data": {"algorithm": each.algorithm, "field": each.field, "digest": each.release.init_data},
             "pinned": {pin.name: list(pin.values) for pin in each.release.pinned}, "unattested": list(each.unattested), "remarks": list(each.remarks)}
            for each in made.guests
        ],
        "skipped": list(made.skipped),
        "missing_reference_values": made.missing,
        "files": made.files,
    }


def _describe(made: Made, folder: Path | None) -> str:
    lines = []
    for each in made.guests:
        pinned = ", ".join(pin.name for pin in each.release.pinned) or "no measurement"
        shown = ", ".join(each.release.submodules)
        lines.append(f"{each.release.guest} ({each.release.tee}): kbs:///{each.release.repository}/… for {shown}; pinned: init-data, {pinned}")
        lines.append(f"  init-data {each.algorithm} in {each.field}: {each.release.init_data}")
        lines += [f"  {sentence}" for sentence in each.remarks]
    lines += [f"{name}: not confidential, gets nothing" for name in made.skipped]
    if made.missing:
        lines.append(f"no reference value for {', '.join(made.missing)}: until they are registered nothing is affirmed")
    return "\n".join([*lines, "", *(f"{folder}/{name}" for name in made.files)])
