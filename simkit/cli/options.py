"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from simkit.formats.source import READERS
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import IommuKind

F = TypeVar("F", bound=Callable[..., Any])


class Word(click.Choice[str]):
    """One of a few words; a wrong one is answered with what was probably meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002
        """The words there are, and the near one."""
        near = get_close_matches(str(value), self.choices, 1)
        return f"{str(value)!r} is not one of {', '.join(self.choices)}" + (f"; did you mean {near[0]}?" if near else "")


def _release(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A kernel release; refused is what no rule could be chosen by."""
    from simkit.semantics.kernel import release

    if value is not None and release(value) is None:
        raise click.BadParameter(f"{value!r} is no kernel release; write it as `uname -r` does, for example 6.8.0-45-generic")
    return value


def output_format() -> Callable[[F], F]:
    """`--format`, text by default."""
    return click.option("--format", "output", type=Word(["text", "json"]), default="text", show_default=True, help="For people, or for programs.")


def output_file(words: str) -> Callable[[F], F]:
    """`-o`: a file, or - for standard output."""
    return click.option("-o", "--output", "target", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help=words)


def output_path(words: str) -> Callable[[F], F]:
    """`-o`: a file, a folder, or - for standard output."""
    return click.option("-o", "--output", "target", type=click.Path(allow_dash=True, path_type=Path), help=words)


_KERNEL = "The kernel release, as `uname -r` says it; another than the source's asks what if. Variants: 6.8+acs_override, 6.17+pci_reachable_set."


def host_options(command: F) -> F:
    """`--reader`, `--kernel`, `--cmdline`, `--iommu`, handed on as one `stated: Stated`."""

    @click.option("--reader", type=Word(READERS), metavar="NAME", help=f"Force a reader instead of finding it from the content: {', '.join(READERS)}.")
    @click.option("--kernel", callback=_release, metavar="RELEASE", help=_KERNEL)
    @click.option("--cmdline", metavar="TEXT", help="The kernel command line; another than the source's asks what if, after a reboot.")
    @click.option("--iommu", type=Word([kind.value for kind in IommuKind]), help="State the IOMMU; counts before the source's.")
    @wraps(command)
    def wrapper(*args: Any, reader: str | None, kernel: str | None, cmdline: str | None, iommu: str | None, **kwargs: Any) -> Any:
        return command(*args, stated=Stated(reader, kernel, cmdline, iommu), **kwargs)

    return wrapper  # type: ignore[return-value]


class Stated:
    """What the user states about hosts, on top of what sources tell."""

    def __init__(self, reader: str | None, kernel: str | None, cmdline: str | None, iommu: str | None) -> None:
        """Each None where the user says nothing."""
        self.reader = reader
        self.kernel, self.cmdline = kernel, cmdline
        self.iommu = None if iommu is None else IommuKind(iommu)

    def open(self, source: str) -> Host:
        """Read a HOST argument and put the stated facts on it."""
        from simkit.formats.source import open_host

        return self.put(open_host(source, reader=self.reader))

    def open_plan_or_host(self, source: str) -> Plan | Host:
        """The same for a HOST|plan.json argument: on a plan, what is stated is stated of its host."""
        from simkit.formats.source import open_plan_or_host

        found = open_plan_or_host(source, reader=self.reader)
        return self.put(found) if isinstance(found, Host) else replace(found, host=self.put(found.host))

    def put(self, host: Host) -> Host:
        """The host with what is stated. A kernel or command line that is not the one its source tells of is a what-if: the host as rebooted into it."""
        from simkit.semantics.what_if import what_if

        host = host if self.iommu is None else replace(host, iommu=self.iommu)
        return host if self.kernel is self.cmdline is None else what_if(host, kernel=self.kernel, cmdline=self.cmdline)

    def contradicts(self, host: Host) -> bool:
        """Whether what is stated of kernel and command line is not what the host's source tells."""
        from simkit.semantics.reboot import is_reboot

        return is_reboot(host, kernel=self.kernel, cmdline=self.cmdline)


Complete = Callable[[click.Context, click.Parameter, str], list[Any]]


def shipped_or_file(kind: str) -> Complete:
    """Shell completion: a shipped thing's name or a file.

    The file stands first and is never empty: bash's script forgets what stands before it, zsh's loses its place at an empty word.
    """

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from simkit.formats.source import shipped

        names = [CompletionItem(name) for name in shipped(kind) if name.startswith(incomplete)]
        return [CompletionItem(incomplete or "./", type="file"), *names]

    return complete


complete_host = shipped_or_file("hosts")
host_argument = click.argument("host", shell_complete=complete_host)
hosts_argument = click.argument("hosts", metavar="HOST...", nargs=-1, required=True, shell_complete=complete_host)
plan_argument = click.argument("plan", type=click.Path(dir_okay=False, allow_dash=True))
