"""`simkit completion`."""

from __future__ import annotations

import click

from simkit.cli.options import Word


@click.command()
@click.argument("shell", type=Word(["bash", "zsh", "fish"]))
def completion(*, shell: str) -> None:
    """Print a completion script for your shell.

    \b
    simkit completion bash > ~/.local/share/bash-completion/completions/simkit
    simkit completion zsh > ~/.zfunc/_simkit
    simkit completion fish > ~/.config/fish/completions/simkit.fish

    Exit status: 0 printed.
    """
    from click.shell_completion import get_completion_class

    from simkit.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "simkit", "_SIMKIT_COMPLETE").source())
