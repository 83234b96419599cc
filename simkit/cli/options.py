"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import click

from simkit.model.host import Host
from simkit.model.platform import IommuKind

F = TypeVar("F", bound=Callable[..., Any])


def output_format(*choices: str) -> Callable[[F], F]:
    """`--format`, text by default."""
    return click.option(
        "--format", "output", type=click.Choice(choices or ("text", "json")), default="text", show_default=True, help="For people, or for programs."
    )


def host_options(command: F) -> F:
    """`--reader`, `--kernel`, `--cmdline`, `--iommu`, handed on as one `stated: Stated`."""

    @click.option("--reader", metavar="NAME", help="Force a reader instead of finding it from the content.")
    @click.option("--kernel", metavar="RELEASE", help="Kernel release, as `uname -r` says it, where the source does not tell.")
    @click.option("--cmdline", metavar="TEXT", help="Kernel command line, where the source does not tell.")
    @click.option("--iommu", type=click.Choice([kind.value for kind in IommuKind]), help="The IOMMU, where the source does not tell.")
    @wraps(command)
    def wrapper(*args: Any, reader: str | None, kernel: str | None, cmdline: str | None, iommu: str | None, **kwargs: Any) -> Any:
        return command(*args, stated=Stated(reader, kernel, cmdline, iommu), **kwargs)

    return wrapper  # type: ignore[return-value]


class Stated:
    """What the user states about hosts, on top of what sources tell."""

    def __init__(self, reader: str | None, kernel: str | None, cmdline: str | None, iommu: str | None) -> None:
        """Each None where the user says nothing."""
        self.reader = reader
        self.facts: dict[str, object] = {}
        if kernel is not None:
            self.facts["kernel"] = kernel
        if cmdline is not None:
            self.facts["cmdline"] = cmdline
        if iommu is not None:
            self.facts["iommu"] = IommuKind(iommu)

    def open(self, source: str) -> Host:
        """Read a HOST argument and put the stated facts on it."""
        from simkit.formats.source import open_host

        host: Host = open_host(source, reader=self.reader)
        return replace(host, **self.facts) if self.facts else host  # type: ignore[arg-type]


def complete_host(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Shell completion: shipped names, then files."""
    from click.shell_completion import CompletionItem

    from simkit.formats.source import shipped

    return [CompletionItem(name) for name in shipped("hosts") if name.startswith(incomplete)] + [CompletionItem(incomplete, type="file")]


host_argument = click.argument("host", shell_complete=complete_host)
hosts_argument = click.argument("hosts", metavar="HOST...", nargs=-1, required=True, shell_complete=complete_host)
