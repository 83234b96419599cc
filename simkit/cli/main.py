"""`simkit`: commands are imported only when they run, so that `--help` stays fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from simkit import __version__
from simkit.cli import streams
from simkit.cli.faults import Interrupted, ReaderGone, paragraph
from simkit.cli.lazy import LazyGroup

_COMMANDS = {
    "capture": "Facts of a node, to a portable snapshot.",
    "show": "Draw a host: its tree, groups, peer-to-peer matrix, SVG or HTML.",
    "groups": "IOMMU groups as Linux builds them.",
    "route": "The way of a request from one function to another.",
    "nccl": "What NCCL will conclude: paths, bandwidth, P2P, GPUDirect RDMA.",
    "advise": "What to set for isolation, P2P or RDMA; what it gains, costs and opens.",
    "diff": "In what two hosts differ.",
    "solve": "A plan for a workload, or why there is none.",
    "verify": "Prove a policy over a host or plan, or refute it.",
    "render": "A plan as QEMU, libvirt, Kata, CDI, Kubernetes, NCCL or script.",
    "record": "A host as a recorded node, for plans to be tried on.",
    "rehearse": "Try a plan on a real kernel, in an emulated copy of its node.",
    "apply": "Carry out a plan on a node, or leave it as it was.",
    "status": "How far an apply has got.",
    "resume": "Finish or undo an apply that was interrupted.",
    "rollback": "Undo what a plan changed.",
    "attest": "Verify evidence of CPUs, GPUs and switches offline, and the flow that releases secrets.",
    "demo": "The whole story on a shipped machine.",
    "schema": "Print a JSON Schema.",
    "completion": "Print a completion script for your shell.",
}
_MODULE = {"status": "apply", "resume": "apply", "rollback": "apply"}


class _Simkit(LazyGroup):
    """All commands."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what stops it from outside is named before click takes it for a plain failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone("standard output was closed") from error
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error


@click.group(cls=_Simkit, table=_COMMANDS, package="simkit.cli", elsewhere=_MODULE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="simkit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:  # noqa: ARG001 (`main` has taken it)
    """One model of a GPU server's PCIe tree: what can be isolated, what stays fast, what a confidential guest sees, whom to trust, and how to change the node.

    A HOST is a shipped model's name (`simkit show` lists them), a snapshot made by `simkit capture`, a sysfs tree (folder or tar), hwloc XML,
    NCCL XML, the text or dump of lspci, a kernel log, or an rdma_topo dump.

    Exit status: 0 yes, 1 no (a finding, infeasible, a failed step, a refused change), 2 bad use or bad input, 3 undecided.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: whatever stands in the way becomes one paragraph on stderr and an exit status; `--debug`, anywhere, shows the traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    streams.prepare()
    try:
        status = _run([argument for argument in given if argument != "--debug"])
        streams.finish()
    except (Exception, KeyboardInterrupt) as error:
        told = paragraph(error)
        if told is None or (debug and told[0]):
            raise
        text, status = told
        if isinstance(error, OSError | ReaderGone):
            streams.abandon()
        if text:
            click.echo(text, err=True)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    try:
        ended = cli.main(args=arguments, prog_name="simkit", standalone_mode=False)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    return ended if isinstance(ended, int) else 0
