"""A group of commands whose help needs none of their modules: a command is imported only when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from simkit.errors import UnknownName


class LazyGroup(click.Group):
    """Commands by name with a sentence each; the command `name` is the object of that name in `package.name`, or in the module `elsewhere` says."""

    def __init__(self, *args: Any, table: Mapping[str, str], package: str, elsewhere: Mapping[str, str], **kwargs: Any) -> None:
        """`table` holds the sentences that help prints."""
        super().__init__(*args, **kwargs)
        self.table, self.package, self.elsewhere = table, package, elsewhere

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in self.table:
            return None
        module = import_module(f"{self.package}.{self.elsewhere.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """A wrong name is answered with what was probably meant."""
        if not args[0].startswith("-") and args[0] not in self.table:
            near = get_close_matches(args[0], self.table, 2)
            remedy = f"did you mean {' or '.join(near)}?" if near else f"`{ctx.command_path} --help` lists them"
            raise UnknownName(f"there is no command {args[0]!r}", remedy=remedy)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table as it is."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))
