"""`simkit render`."""

from __future__ import annotations

from pathlib import Path

import click

from simkit.cli.options import Word, output_format, plan_argument
from simkit.cli.output import print_json
from simkit.formats.guest.render import TARGETS
from simkit.model.plan import Plan

NCCL = "nccl"


@click.command()
@plan_argument
@click.option("--to", "target", type=Word([*TARGETS, NCCL]), required=True, help="For which program.")
@click.option("--guest", metavar="NAME", help="One guest; all of them if left out.")
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write files into this folder instead of standard output.")
@output_format()
def render(*, plan: str, target: str, guest: str | None, folder: Path | None, output: str) -> None:
    """A plan as the files that other programs take.

    \b
    simkit render plan.json --to qemu --guest train
    simkit render plan.json --to kata -o out/
    simkit render plan.json --to nccl --guest train > topo.xml

    Exit status: 0 rendered, 2 bad input.
    """
    from simkit.formats.guest.render import artefacts
    from simkit.formats.source import open_plan

    found = open_plan(plan)
    files = nccl_files(found, guest) if target == NCCL else artefacts(found, target, guest=guest)
    if folder is not None:
        write(files, folder)
        click.echo("\n".join(str(folder / name) for name in files))
    elif output == "json":
        print_json({"files": files})
    else:
        for name, text in files.items():
            if len(files) > 1:
                click.echo(f"# ---- {name}")
            click.echo(text, nl=not text.endswith("\n"))


def nccl_files(plan: Plan, guest: str | None) -> dict[str, str]:
    """NCCL's topology files, by guest; they rest on what ACS lets through, so they are made here and not by a writer of files alone."""
    from simkit.formats.guest import nccl
    from simkit.formats.guest.render import chosen
    from simkit.semantics.nccl.guest_file import guest_file

    files = {}
    for each in chosen(plan, guest):
        made = guest_file(plan.host, each)
        files[f"{each.name}.nccl.xml"] = nccl.render(made.topology, each, (*made.notes, *made.shut))
    return files


def write(files: dict[str, str], folder: Path) -> None:
    """Write rendered files into a folder, made if it is not there; scripts are made executable."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)
