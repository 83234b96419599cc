"""`simkit`: commands are imported only when they run, so that `--help` stays fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from simkit import __version__
from simkit.errors import SimkitError

_COMMANDS = {
    "capture": "Facts of a node, to a portable snapshot.",
    "show": "Draw a host: its tree, groups, peer-to-peer matrix, SVG or HTML.",
    "groups": "IOMMU groups as Linux builds them.",
    "route": "The way of a request from one function to another.",
    "diff": "In what two hosts differ.",
    "solve": "A plan for a workload, or why there is none.",
    "verify": "Prove a policy over a host or plan, or refute it.",
    "render": "A plan as QEMU, libvirt, Kata, CDI or script.",
    "record": "A host as a recorded node, for plans to be tried on.",
    "apply": "Carry out a plan on a node, or leave it as it was.",
    "status": "How far an apply has got.",
    "resume": "Finish or undo an apply that was interrupted.",
    "rollback": "Undo what a plan changed.",
    "demo": "The whole story on a shipped machine.",
    "schema": "Print a JSON Schema.",
    "completion": "Print a completion script for your shell.",
}
_MODULE = {"status": "apply", "resume": "apply", "rollback": "apply"}


class _Lazy(click.Group):
    """A group whose help needs no command's module."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"simkit.cli.{_MODULE.get(cmd_name, cmd_name)}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="simkit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(*, debug: bool) -> None:
    """One model of a GPU server's PCIe tree: what can be isolated, what stays fast, what a confidential guest sees, and how to change the node.

    A HOST is a shipped model's name (`simkit show` lists them), a snapshot made by `simkit capture`, a sysfs tree (folder or tar), hwloc XML or NCCL XML.

    Exit status: 0 yes, 1 no (a finding, infeasible, a failed step), 2 bad use or bad input, 3 undecided.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors of ours become one paragraph on stderr and their exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        cli.main(args=given, prog_name="simkit", standalone_mode=True)
    except SimkitError as error:
        if debug:
            raise
        click.echo(f"simkit: {error}", err=True)
        sys.exit(error.exit_status)
    except OSError as error:
        if debug:
            raise
        click.echo(f"simkit: {error.filename or 'a file'}: {error.strerror or error}; check the path, its permissions and the room on its disk", err=True)
        sys.exit(2)
    except RecursionError:
        if debug:
            raise
        click.echo("simkit: the input is nested deeper than simkit reads; flatten it", err=True)
        sys.exit(2)
