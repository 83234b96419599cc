"""Options that ask what if: other ACS bits, other firmware switches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from simkit.errors import InputError

if TYPE_CHECKING:
    from simkit.model.address import Address
    from simkit.model.capabilities import AcsBits

F = TypeVar("F", bound=Callable[..., Any])

acs_option = click.option(
    "--acs", multiple=True, metavar="ADDR=BITS", help="What if: ACS Control of a port, for example 0000:3a:01.0=SV,RR,CR,UF or 0000:3a:01.0= for off."
)
bios_option = click.option("--bios", multiple=True, metavar="NAME=on|off", help="What if: a firmware switch (ats, acs, iommu, sriov), after a reboot.")


def controls(changes: Iterable[str]) -> dict[Address, AcsBits]:
    """What `--acs` says, by function.

    Raises:
        InputError: no bits are said, or what is said is none.
    """
    from simkit.formats.native.values import parse_acs
    from simkit.model.address import Address

    found = {}
    for change in changes:
        port, equals, bits = change.partition("=")
        if not equals:
            raise InputError(f"--acs {change} says no bits", remedy="write ADDRESS=BITS, with nothing after = for all bits off")
        found[Address.parse(port)] = parse_acs(bits)
    return found


def switches(changes: Iterable[str]) -> dict[str, bool]:
    """What `--bios` says, by switch.

    Raises:
        InputError: neither on nor off is said.
    """
    found = {}
    for change in changes:
        name, _, state = change.partition("=")
        if state not in ("on", "off"):
            raise InputError(f"--bios {change} says neither on nor off", remedy="write NAME=on or NAME=off")
        found[name] = state == "on"
    return found
