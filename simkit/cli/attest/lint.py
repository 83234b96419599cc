"""`simkit attest lint`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simkit.cli.options import Word, output_format
from simkit.cli.output import print_json

if TYPE_CHECKING:
    from simkit.attest.lint.case import Base
    from simkit.attest.lint.generation import Generation
    from simkit.attest.lint.lint import Finding, Lint, PolicyKind

_WORDS = {"pass": "pass", "residual": "pass with residual risk", "fail": "fail", "undecided": "not decided"}


def _resource(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    parts = tuple(value.split("/"))
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"{value!r} is not a resource's path; write it as the KBS does, repository/type/tag")
    return parts


def _generation(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Generation | None:
    from simkit.attest.lint.generation import GENERATIONS, of_version

    found = None if value is None else of_version(value)
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is no version of Trustee with EAR tokens: {', '.join(each.name for each in reversed(GENERATIONS))}")
    return found


@click.command()
@click.argument("policy", type=click.Path(dir_okay=False, allow_dash=True, exists=True))
@click.option("--kind", type=Word(["resource", "attestation"]), help="Whose policy: the KBS' on resources, or the attestation service's; else by its content.")
@click.option("--class", "device_class", type=Word(["cpu", "gpu", "switch", "ppcie"]),
              help="For which class of device an attestation policy is; else by the end of its file's name (default_gpu.rego), else any.")
@click.option("--trustee", "generation", callback=_generation, metavar="VERSION",
              help="For which version of Trustee the policy is (0.16); else the newest whose rules it has.")
@click.option("--input", "inputs", multiple=True, type=click.Path(dir_okay=False, exists=True), metavar="FILE",
              help="What should be let through: a token's claims (JSON or JWT), or a device's. The bank is made from it too.")
@click.option("--resource", default="default/key/1", show_default=True, callback=_resource, metavar="PATH", help="What is asked for with --input.")
@click.option("--reference", type=click.Path(dir_okay=False, exists=True), metavar="FILE", help="Reference values that RVPS has, by name (JSON).")
@click.option("--replay", type=click.Path(dir_okay=False, exists=True), metavar="FILE", help="Ask the policy about one counterexample only.")
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write each counterexample into this folder.")
@click.option("--strict", is_flag=True, help="Residual findings fail too.")
@output_format()
def lint(*, policy: str, kind: str | None, device_class: str | None, generation: Generation | None, inputs: tuple[str, ...], resource: tuple[str, ...],
         reference: str | None, replay: str | None, folder: Path | None, strict: bool, output: str) -> None:
    """Find what a policy of Trustee's lets through, with a counterexample each.

    \b
    simkit attest lint resource-policy.rego
    simkit attest lint default_gpu.rego --kind attestation -o counterexamples/
    simkit attest lint resource-policy.rego --input token-train.json --resource train/key/1
    simkit attest lint resource-policy.rego --replay counterexamples/cpu-contraindicated.json

    fail: the input itself says no, and passes. residual: the input says yes and is not what was meant, and passes.

    Exit status: 0 nothing that says no passes, 1 something does (--strict: or a residual finding; --replay: it passes), 2 bad input, 3 the policy
    lets nothing of the bank through, so nothing is shown: give an --input that it should let through.
    """
    from simkit.attest.lint.lint import Outcome, PolicyKind, class_of, guess
    from simkit.attest.lint.lint import lint as find
    from simkit.formats.trustee.documents import read_bytes, read_policy

    text = read_policy(read_bytes(policy), source=policy)
    which = guess(text) if kind is None else PolicyKind(kind)
    if replay is not None:
        _replay(text, which, policy, replay, output, generation)
    found = find(text, which, source=policy, device_class=device_class or class_of(policy), given=_given(which, inputs, resource, reference),
                 generation=generation)
    if folder is not None:
        _write(found, folder)
    if output == "json":
        print_json(document(policy, found))
    else:
        click.echo(_describe(policy, found, folder))
    failed = found.outcome is Outcome.FAIL or (strict and found.outcome is Outcome.RESIDUAL)
    sys.exit(3 if found.outcome is Outcome.UNDECIDED else 1 if failed else 0)


def _given(kind: PolicyKind, inputs: tuple[str, ...], resource: tuple[str, ...], reference: str | None) -> list[Base]:
    from simkit.attest.lint import claims, resource_bank
    from simkit.attest.lint.case import Base
    from simkit.attest.lint.lint import PolicyKind
    from simkit.attest.rego.engine import World
    from simkit.formats.trustee.documents import read_bytes, read_claims, read_references

    references = claims.REFERENCES if reference is None else read_references(read_bytes(reference), source=reference)
    data = {**resource_bank.ASKED, "resource-path": list(resource)} if kind is PolicyKind.RESOURCE else {}
    return [Base(name, World(read_claims(read_bytes(name), source=name), data, references)) for name in inputs]


def _replay(text: str, kind: PolicyKind, policy: str, replay: str, output: str, generation: Generation | None) -> None:
    """One counterexample, asked as the version that it was made for asks, and the end of the command."""
    from simkit.attest.lint.generation import candidates, of_version
    from simkit.attest.lint.lint import PolicyKind, ask, let_through, status
    from simkit.attest.rego.engine import World
    from simkit.formats.trustee.documents import read_bytes, read_counterexample

    example = read_counterexample(read_bytes(replay), source=replay)
    resource = kind is PolicyKind.RESOURCE
    world = World(example.input, example.data, example.reference_values)
    generation = generation or of_version(example.trustee) or candidates(text, resource=resource)[0]
    answer = ask(text, kind, [world], generation, source=policy).each[0]
    passes = let_through(kind, answer)
    said = answer.error or ("no value" if not answer.defined else json.dumps(answer.value))
    if output == "json":
        print_json({"policy": policy, "kind": kind.value, "trustee": generation.name, "replayed": replay, "lets_through": passes, "said": said})
    else:
        click.echo(f"{policy} {'lets through' if passes else 'does not let through'} {replay}: {said}"
                   + ("" if resource else f", status {status(answer) or 'none, as no token is issued'}"))
    sys.exit(1 if passes else 0)


def counterexample(finding: Finding, generation: Generation) -> dict[str, Any]:
    """What replays a finding."""
    return {"trustee": ".".join(map(str, generation.since)), "input": dict(finding.world.input), "data": dict(finding.world.data),
            "reference_values": dict(finding.world.references)}


def _write(found: Lint, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for finding in found.findings:
        (folder / f"{finding.case.id}.json").write_text(json.dumps(counterexample(finding, found.generation), indent=2) + "\n", encoding="utf-8")


def document(policy: str, found: Lint) -> dict[str, Any]:
    """The document of `simkit attest lint`."""
    return {
        "policy": policy,
        "kind": found.kind.value,
        "trustee": found.generation.name,
        "verdict": found.outcome.value,
        "policy_hash": found.policy_hash,
        "engine": found.engine,
        "tried": found.tried,
        "lets_through": list(found.good),
        "bases": list(found.bases),
        "errors": list(found.errors),
        "findings": [
            {"id": finding.case.id, "level": finding.case.level.value, "says": finding.case.says, "remedy": finding.case.remedy, "bases": list(finding.bases),
             "made": finding.made, "counterexample": counterexample(finding, found.generation)}
            for finding in found.findings
        ],
    }


def _describe(policy: str, found: Lint, folder: Path | None) -> str:
    """A finding in two lines; the counterexamples are in files or in JSON."""
    lines = [f"{_WORDS[found.outcome.value]}: {policy} ({found.kind.value} policy of Trustee {found.generation.name}), {found.tried} inputs tried by "
             f"{found.engine}"]
    lines += [f"  lets through {len(found.good)} of {len(found.bases)} inputs with nothing wrong: {', '.join(found.good)}"] if found.good else [
        "  lets nothing through, not even inputs with nothing wrong; a policy that pins values needs an --input that has them, one for tokens that are "
        "no EAR (Trustee before 0.11, or `simple` ones; Intel Trust Authority) is not judged, and --trustee says for which version it is"]
    lines += [f"  the engine could not evaluate it on some: {error}" for error in found.errors]
    for finding in found.findings:
        lines.append(f"  {finding.case.level.value.upper() if finding.case.level.value == 'fail' else 'residual'}  {finding.case.id}: lets through "
                     f"{finding.case.says} ({', '.join(finding.bases)})")
        lines.append(f"        remedy: {finding.case.remedy}")
    if found.findings and folder is None:
        lines.append("  -o DIR writes each counterexample as a file that --replay takes; --format json has them too")
    elif folder is not None:
        lines.append(f"  {len(found.findings)} counterexamples in {folder}")
    return "\n".join(lines)

