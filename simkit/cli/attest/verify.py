"""`simkit attest verify`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simkit.cli.attest.inputs import given_options
from simkit.cli.options import output_format
from simkit.cli.output import print_json, write

if TYPE_CHECKING:
    from simkit.model.evidence.appraisal import Appraisal
    from simkit.model.evidence.check import Check
    from simkit.model.evidence.given import Given

FEW = 2
"""Devices that are printed in full."""
_WORD = {"fail": "failed", "skipped": "was not checked"}


@click.command()
@click.argument("evidence", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--policy", metavar="POLICY", help="An appraisal policy: a shipped one's name (default, strict), or a file.")
@click.option("--ear", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="Write the attestation result as an EAR token (JWT).")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The private key (PEM, P-256 or P-384) that signs the EAR.")
@click.option("--each", is_flag=True, help="Print every check of every device, also where there are many.")
@output_format()
@given_options
def verify(*, evidence: tuple[str, ...], policy: str | None, ear: Path | None, key: Path | None, each: bool, output: str, given: Given) -> None:
    """Verify evidence, each check with its reason, and give a verdict. Several files are one set of devices.

    \b
    simkit attest verify milan-report.bin --chain milan-vcek.der --at 2025-07-01
    simkit attest verify tdx-quote.bin --collateral tdx-collateral.json --at 2025-07-01 --ear ear.json
    simkit attest verify hgx-h100-gpus.json hgx-h100-switches.json --at 2025-07-01

    Without --policy: format, signature, chain, root and validity must hold, debug must be off, devices distinct, and what was given must fit.

    Exit status: 0 pass (also with residual risk), 1 fail, 2 bad input.
    """
    from simkit.cli.attest.appraise import appraised
    from simkit.cli.attest.document import document

    found = appraised(evidence, given, policy)
    if ear is not None:
        from simkit.attest.ear import result
        from simkit.formats.evidence.ear import encode, read_key

        write(encode(result(found), key=None if key is None else read_key(key.read_bytes(), source=str(key))) + "\n", ear)
    if output == "json":
        print_json(document(found))
    elif ear is None or str(ear) != "-":
        click.echo(describe(", ".join(evidence), found, each=each))
    sys.exit(1 if found.verdict.value == "fail" else 0)


def describe(source: str, found: Appraisal, *, each: bool = False) -> str:
    """The appraisal for people: verdict and why first, then every check; those of many devices together, unless `each` is asked for."""
    from simkit.attest.chain import stamp

    words = {"pass": "pass", "residual": "pass with residual risk", "fail": "fail"}
    lines = [f"{words[found.verdict.value]}: {source} ({found.kind.value}) at {stamp(found.at)} against policy {found.policy}"]
    lines += [f"  because {same[0].id.value}{_of(same)} {_WORD[same[0].status.value]}: {same[0].why}" for same in _alike(found.because)]
    lines += [f"  residual: {sentence}" for sentence in found.residual]
    lines += [f"  note: {note}" for note in found.notes]
    if each or len(found.devices) <= FEW:
        for number, device in enumerate(found.devices):
            lines.append(f"  device {number}: {device.kind.value} {device.id or '(not named)'}")
            lines += [_line(check) for check in found.checks if check.device == number]
    else:
        lines += [f"  {kind}: {len(numbers)} devices, {_ranges(numbers)}" for kind, numbers in _by(found).items()]
        lines += _summary(found)
    together = [check for check in found.checks if check.device is None]
    if together:
        lines += ["  all together", *(_line(check) for check in together)]
    return "\n".join(lines)


def _by(found: Appraisal) -> dict[str, list[int]]:
    """Numbers of devices by kind."""
    kinds: dict[str, list[int]] = {}
    for number, device in enumerate(found.devices):
        kinds.setdefault(device.kind.value, []).append(number)
    return kinds


def _summary(found: Appraisal) -> list[str]:
    """A line for each check, outcome and kind of many devices, with the first one's sentence; what failed is told device by device."""
    lines = []
    checks = [check for check in found.checks if check.device is not None]
    for name, kind in product(dict.fromkeys(check.id for check in checks), _by(found).values()):
        for status in ("ok", "skipped", "fail"):
            same = [check for check in checks if check.id is name and check.device in kind and check.status.value == status]
            for told in _alike(same) if status == "fail" else [same] if same else []:
                lines.append(_line(told[0], f"{_ranges([check.device or 0 for check in told])}: "))
    return lines


def _alike(checks: Iterable[Check]) -> list[list[Check]]:
    """Checks of several devices that say the same, together."""
    found: dict[tuple[str, str, str], list[Check]] = {}
    for check in checks:
        found.setdefault((check.id.value, check.status.value, check.why), []).append(check)
    return list(found.values())


def _ranges(numbers: list[int]) -> str:
    """`0-7, 9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _line(check: Check, before: str = "") -> str:
    mark = {"ok": "ok", "fail": "FAIL", "skipped": "skipped"}[check.status.value]
    return f"    {mark:<8}{check.id.value:<14}{before}{check.why}"


def _of(same: list[Check]) -> str:
    numbers = [check.device for check in same if check.device is not None]
    return f" of device{'s' * (len(numbers) > 1)} {_ranges(numbers)}" if numbers else ""
