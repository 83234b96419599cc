"""`simkit groups`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from simkit.cli.options import Stated, host_options, hosts_argument, output_format
from simkit.cli.output import print_json
from simkit.cli.what_if import acs_option, bios_option, controls, switches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simkit.semantics.regroup import Move


@click.command()
@hosts_argument
@acs_option
@bios_option
@output_format()
@host_options
def groups(*, hosts: tuple[str, ...], acs: tuple[str, ...], bios: tuple[str, ...], output: str, stated: Stated) -> None:
    """IOMMU groups as Linux builds them, or as the kernel reported them, with why.

    What the source cannot tell is not guessed: the answer then says what it assumed, or is the coarsest that is possible.
    With other ACS bits, firmware switches, another kernel or command line than the source's, the groups are predicted anew,
    and what split or merged is said with the rule.

    \b
    simkit groups hgx-h100
    simkit groups hgx-h100 --acs 0000:00:01.1=
    simkit groups node7.yaml --cmdline "iommu=pt pci=disable_acs_redir=pci:1000:c030"
    simkit groups node7.yaml node8.yaml --kernel 6.12 --format json

    Exit status: 0 answered (also where the answer rests on assumptions or is ambiguous: it says so), 2 bad input.
    """
    from simkit.cli import documents
    from simkit.formats.draw import text as draw_text
    from simkit.formats.source import open_host
    from simkit.semantics.groups import groups as group
    from simkit.semantics.regroup import after_reboot, regroup
    from simkit.semantics.what_if import what_if

    for source in hosts:
        told = open_host(source, reader=stated.reader)
        host = stated.put(told)
        if acs or bios:
            host = what_if(host, acs=controls(acs), bios=switches(bios))
        grouping = group(host)
        asked = bool(acs or bios) or stated.contradicts(told)
        moves = regroup(group(told), grouping) if asked else ()
        rebooted = after_reboot(host, grouping)
        if output == "json":
            print_json(documents.groups(source, grouping, moves if asked else None, rebooted))
            continue
        click.echo(draw_text.groups(host, grouping))
        if asked:
            click.echo(_told(moves, "What if: no group changes.", "What if: in place of the groups as they are now,"))
        if rebooted:
            click.echo(_told(rebooted, "", "After a reboot Linux would make, in place of the groups as they are now,"))


def _told(moves: Sequence[Move], none: str, head: str) -> str:
    lines = [head] if moves else [none]
    for move in moves:
        lines.append(f"  {move.kind}: {_became(move)}")
        no_longer = "no longer: " if move.kind == "split" else ""
        lines += [f"      {no_longer}{because.text}  [{because.rule}]" for because in move.because[:_MOST]]
        lines += [f"      … and {len(move.because) - _MOST} more reasons"] if len(move.because) > _MOST else []
    return "\n".join(lines)


_MOST = 6


def _became(move: Move) -> str:
    match move.kind:
        case "lost" | "gained":
            (group,) = move.before or move.after
            return _list(group)
        case "merged":
            return f"{len(move.before)} groups into one of {len(move.after[0])}: {_list(move.after[0])}"
        case "split":
            return f"one group of {len(move.before[0])} into {len(move.after)}: {_sets(move.after)}"
    return f"{_sets(move.before)} → {_sets(move.after)}"


def _sets(groups: Sequence[Sequence[object]]) -> str:
    shown = [f"{{{_list(members)}}}" for members in groups[:_MOST]]
    return " ".join(shown) + (f" and {len(groups) - _MOST} more" if len(groups) > _MOST else "")


def _list(members: Sequence[object]) -> str:
    return ", ".join(map(str, members[:_MOST])) + (f" and {len(members) - _MOST} more" if len(members) > _MOST else "")
