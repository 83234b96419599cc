"""`simkit schema`."""

from __future__ import annotations

import json

import click


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from simkit.formats.schema import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_complete)
def schema(*, name: str | None) -> None:
    """Print the JSON Schema of a document or answer; without NAME, list them.

    \b
    simkit schema groups

    Exit status: 0 printed, 2 there is no such schema.
    """
    from simkit.formats.schema import names
    from simkit.formats.schema import schema as load

    if name is None:
        click.echo("\n".join(names()))
        return
    click.echo(json.dumps(load(name), indent=2))
