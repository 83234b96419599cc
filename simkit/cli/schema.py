"""`simkit schema`."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("name", required=False)
def schema(*, name: str | None) -> None:
    """Print the JSON Schema of a document or answer; without NAME, list them."""
    from simkit.formats.schema import names
    from simkit.formats.schema import schema as load

    if name is None:
        click.echo("\n".join(names()))
        return
    click.echo(json.dumps(load(name), indent=2))
