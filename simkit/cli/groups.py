"""`simkit groups`."""

from __future__ import annotations

import click

from simkit.cli.moves import told as moves_told
from simkit.cli.options import Stated, host_options, hosts_argument, output_format
from simkit.cli.output import print_json
from simkit.cli.what_if import acs_option, bios_option, controls, switches


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
            click.echo(moves_told(moves, "What if: no group changes.", "What if: in place of the groups as they are now,"))
        if rebooted:
            click.echo(moves_told(rebooted, "", "After a reboot Linux would make, in place of the groups as they are now,"))
