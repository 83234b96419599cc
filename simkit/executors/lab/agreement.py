"""Does a booted kernel say what the rules predict? Counted function by function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from simkit.executors.lab.machine import Machine
from simkit.model.address import Address
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, is_known
from simkit.semantics.acs import Isolation
from simkit.semantics.group_rework import builder
from simkit.semantics.groups import groups


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many functions and groups were compared, and a sentence for each thing that differs; falsy where one does."""

    functions: int
    groups: int
    differences: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether all agree."""
        return not self.differences


def groups_agree(read: Host, *, probed: Iterable[Address] | None = None, order: Sequence[Address] = ()) -> Agreement:
    """The kernel's groups in `read` against those that the rules predict from its config space.

    `probed` are functions that were probed after all others, as by a rescan: only their groups are predicted, from the groups there were.
    `order` are the functions as the kernel came to group them (`Session.probe_order`), where that is not as it found them.
    """
    anew = frozenset(probed) if probed is not None else frozenset(function.address for function in read.functions)
    blank = replace(read, functions=tuple(_blank(function) if function.address in anew else function for function in read.functions))
    predicted = _predicted(blank, order)
    reported = _reported(read)
    differences = tuple(f"{address}: the kernel groups it with {_list(reported.get(address), address)}, the rules with {_list(predicted.get(address), address)}"
                        for address in sorted(anew) if predicted.get(address) != reported.get(address))
    return Agreement(len(anew), len(set(reported.values())), differences)


def machine_agrees(machine: Machine, read: Host, *, order: Sequence[Address] = ()) -> Agreement:
    """A booted machine against what was asked for: the functions, what each lies below, its type, ACS, NUMA node, and its group before any boot.

    Bus ranges of bridges may be wider than those predicted. Which drivers were bound, and in which `order`, which decides on
    an SMMU before 6.15, is the booted machine's to say.
    """
    differences = []
    for address in sorted({function.address for function in (*machine.host.functions, *read.functions)}):
        if address not in read:
            differences.append(f"{address} was asked for and is not there")
        elif address not in machine.host:
            differences.append(f"{address} is there and was not asked for ({read[address].label})")
        else:
            differences.extend(_facts(machine.host[address], read[address]))
    asked = replace(machine.host, functions=tuple(_driven(function, read) for function in machine.host.functions))
    expected = _predicted(asked, order)
    reported = _reported(read)
    differences += [f"{function.address}: asked for a group of {_list(expected.get(function.address), function.address)}, the kernel made one of "
                    f"{_list(reported.get(function.address), function.address)}"
                    for function in read.functions if expected.get(function.address) != reported.get(function.address)]
    return Agreement(len(read.functions), len(set(reported.values())), tuple(differences))


_COMPARED = ("parent", "vendor_id", "device_id", "class_code", "port_type", "multifunction", "acs", "numa_node", "physfn")


def _facts(wanted: Function, found: Function) -> Iterable[str]:
    for name in _COMPARED:
        if is_known(getattr(wanted, name)) and getattr(wanted, name) != getattr(found, name):
            yield f"{wanted.address}: {name} is {getattr(found, name)}, not {getattr(wanted, name)}"
    if wanted.bus_range is not None and (found.bus_range is None or found.bus_range.secondary != wanted.bus_range.secondary):
        yield f"{wanted.address}: its secondary bus is {found.bus_range}, not {wanted.bus_range}"


_TRIED = "tried"


def _predicted(host: Host, order: Sequence[Address]) -> dict[Address, frozenset[Address]]:
    """The groups by the rules, of functions taken as found or in `order`, what it leaves out last.

    What is in `order` without a driver had one tried that gave up, for want of memory on the bus, say; all else without one has no group where drivers decide.
    """
    if not order:
        return {address: frozenset(group.functions) for group in groups(host).groups for address in group.functions}
    at = {address: place for place, address in enumerate(order)}
    taken = tuple(sorted(host.in_scan_order(), key=lambda function: at.get(function.address, len(at))))
    host = replace(host, functions=tuple(replace(function, driver=_TRIED) if function.address in at and function.driver is None else function
                                         for function in host.functions))
    taken = tuple(host[function.address] for function in taken)
    made = builder(host)(host, Isolation(host, optimistic=False), only=taken).run().members_of()
    return {address: frozenset(members) for address, members in made.items()}


def _driven(function: Function, read: Host) -> Function:
    return replace(function, driver=read[function.address].driver if function.address in read else UNKNOWN)


def _blank(function: Function) -> Function:
    return replace(function, iommu_group=UNKNOWN)


def _reported(host: Host) -> dict[Address, frozenset[Address]]:
    members: dict[int, list[Address]] = {}
    for function in host.functions:
        if isinstance(function.iommu_group, int):
            members.setdefault(function.iommu_group, []).append(function.address)
    return {address: frozenset(group) for group in members.values() for address in group}


def _list(members: frozenset[Address] | None, address: Address) -> str:
    if members is None:
        return "none"
    return ", ".join(str(other) for other in sorted(members) if other != address) or "no other"
