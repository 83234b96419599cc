"""`simkit rehearse`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from simkit.cli.options import Word, output_format, plan_argument
from simkit.cli.output import print_json
from simkit.cli.progress import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simkit.executors.lab.rehearse import Rehearsal

_SHOWN = 5


@click.command()
@plan_argument
@click.option("--kernel", metavar="RELEASE", help="Which of the unpacked kernels, for example 6.12; the newest if left out.")
@click.option("--kernels", type=click.Path(exists=True, file_okay=False, path_type=Path), help="The folder of kernels (scripts/lab-kernels fills one).")
@click.option("--iommu", type=Word(["intel", "amd", "smmu"]), default="intel", show_default=True,
              help="The emulated IOMMU; an SMMU lies on Arm's machine, which takes an arm64 kernel; with AMD's, QEMU's disks have no driver.")
@click.option("--limit", type=click.IntRange(5, 3600), default=120, show_default=True, metavar="SECONDS", help="How long the machine may take to boot.")
@output_format()
def rehearse(*, plan: str, kernel: str | None, kernels: Path | None, iommu: str, limit: int, output: str) -> None:
    """Try PLAN on a real kernel, in an emulated copy of its node: applied, looked at, undone. No KVM, no root; a minute or so.

    Stand-ins take the place of real devices; what cannot be as on the node (switches with ACS, large BARs) is said. Needs QEMU, a static
    busybox and an unpacked kernel (docs/lab.md).

    \b
    simkit rehearse plan.json
    simkit rehearse plan.json --kernel 6.12 --format json

    Exit status: 0 all went as planned and nothing is left of it, 1 something did not, 2 bad input, or kernel or QEMU is missing.
    """
    from simkit.executors.lab import Lab
    from simkit.executors.lab.rehearse import rehearse as tried
    from simkit.formats.source import open_plan
    from simkit.model.platform import IommuKind

    with waiting("rehearsing"):
        found = tried(open_plan(plan), Lab(kernel, kernels, limit_s=limit), iommu=IommuKind(iommu))
    if output == "json":
        print_json(
            {
                "plan": plan,
                "kernel": found.kernel,
                "succeeded": bool(found),
                "groups": {"functions": found.groups.functions, "groups": found.groups.groups, "differences": list(found.groups.differences)},
                "steps": [step.id for step in found.plan.steps],
                "outcome": found.applied.outcome.value,
                "not_handed_over": [str(address) for address in found.handed],
                "left_behind": list(found.left),
                "not_as_on_the_node": list(found.machine.inexpressible),
                "grouped_otherwise": [str(address) for address in found.machine.regrouped],
            }
        )
    else:
        click.echo("\n".join(_told(found)))
    sys.exit(0 if found else 1)


def _told(found: Rehearsal) -> Iterable[str]:
    yield f"an emulated copy of {found.machine.host.name}, Linux {found.kernel}"
    agree = "as the rules predict" if found.groups else "NOT as the rules predict"
    yield f"  groups: {found.groups.functions} functions in {found.groups.groups} groups, {agree}"
    yield from _some(found.groups.differences, "    ")
    yield f"  {found.applied.outcome}: {len(found.applied.done)} steps done and read back"
    yield from _some([f"{address} did not end at vfio-pci" for address in found.handed], "    ")
    yield "  undone: nothing is left of it" if not found.left else "  undone, but this differs from the start:"
    yield from _some(found.left, "    ")
    if found.machine.inexpressible:
        yield "Not as on the node:"
        yield from _some(found.machine.inexpressible, "  ")
    if found.machine.regrouped:
        yield f"  because of that {len(found.machine.regrouped)} functions are grouped otherwise than on the node, so their steps are the copy's own"


def _some(lines: Iterable[str], indent: str) -> Iterable[str]:
    every = list(lines)
    yield from (f"{indent}{line}" for line in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield f"{indent}… and {len(every) - _SHOWN} more"
