"""What became of the groups: which split, which merged, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.group import Because, Group, Grouping, Status
from simkit.model.host import Host
from simkit.semantics.groups import groups
from simkit.semantics.reboot import reboot


class Kind(StrEnum):
    """How the functions of some groups are grouped otherwise."""

    SPLIT = "split"
    MERGED = "merged"
    REARRANGED = "rearranged"
    LOST = "lost"
    GAINED = "gained"


@dataclass(frozen=True, slots=True)
class Move:
    """Groups whose functions are grouped otherwise afterwards.

    `because`: the rules that hold them together now and did not before (merged), or that held them together before and do not now (split).
    """

    kind: Kind
    before: tuple[tuple[Address, ...], ...]
    after: tuple[tuple[Address, ...], ...]
    because: tuple[Because, ...]


def regroup(before: Grouping, after: Grouping) -> tuple[Move, ...]:
    """In what two groupings differ, each change as small as it can be told alone, in address order. Functions that only one has are left out."""
    shared = _functions(before) & _functions(after)
    old, new = _index(before, shared), _index(after, shared)
    seen: set[Address] = set()
    moves = []
    for address in sorted(shared):
        if address in seen:
            continue
        touched = _component(address, old, new)
        seen |= touched
        first, then = _groups(touched, old), _groups(touched, new)
        if first != then:
            moves.append(_move(first, then, touched, old, new))
    return tuple(moves)


def after_reboot(host: Host, grouping: Grouping) -> tuple[Move, ...]:
    """What a reboot into the same kernel and command line would make of the groups that the kernel reported, as far as it is certain.

    Groups are made when functions are probed; ACS that was written since has changed what the hardware does and not the groups,
    and is set anew by the next boot. Empty where nothing was reported, or where unknown facts leave the answer open.
    """
    if not grouping.reported:
        return ()
    anew = groups(reboot(host, kernel=host.kernel, cmdline=host.cmdline))
    return () if anew.status is Status.AMBIGUOUS else regroup(grouping, anew)


def _functions(grouping: Grouping) -> set[Address]:
    return {address for group in grouping.groups for address in group.functions} | set(grouping.ungrouped)


def _index(grouping: Grouping, shared: set[Address]) -> dict[Address, Group]:
    return {address: group for group in grouping.groups for address in group.functions if address in shared}


def _component(start: Address, old: dict[Address, Group], new: dict[Address, Group]) -> set[Address]:
    """All functions that hang together with `start` in either grouping."""
    found, left = {start}, [start]
    while left:
        here = left.pop()
        for index in (old, new):
            group = index.get(here)
            for other in group.functions if group is not None else ():
                if other not in found and other in index:
                    found.add(other)
                    left.append(other)
    return found


def _groups(touched: set[Address], index: dict[Address, Group]) -> tuple[tuple[Address, ...], ...]:
    found = {index[address].functions: None for address in sorted(touched) if address in index}
    return tuple(tuple(address for address in functions if address in index) for functions in found)


def _move(
    first: tuple[tuple[Address, ...], ...], then: tuple[tuple[Address, ...], ...], touched: set[Address], old: dict[Address, Group], new: dict[Address, Group]
) -> Move:
    held = dict.fromkeys(because for address in sorted(touched) if address in old for because in old[address].because)
    holds = dict.fromkeys(because for address in sorted(touched) if address in new for because in new[address].because)
    gone = tuple(because for because in held if because not in holds and because.functions)
    come = tuple(because for because in holds if because not in held and because.functions)
    if not then or not first:
        return Move(Kind.GAINED if then else Kind.LOST, first, then, come)
    if len(first) == 1:
        return Move(Kind.SPLIT, first, then, gone)
    return Move(Kind.MERGED if len(then) == 1 else Kind.REARRANGED, first, then, come if len(then) == 1 else come + gone)
