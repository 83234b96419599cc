"""The answer to: in what do two hosts differ?"""

from __future__ import annotations

from dataclasses import dataclass, fields

from simkit.model.function import Function
from simkit.model.host import Host

_APART = frozenset({"functions", "numa_nodes", "places", "name", "assumed"})


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs: whose (a function, a NUMA node, or the host), which field, before and after.

    `field` is empty where the whole thing is only on one side; `before` or `after` is then None.
    """

    subject: str
    field: str
    before: object
    after: object


def diff(before: Host, after: Host) -> tuple[Change, ...]:
    """All facts in which two hosts differ, the host's own first, then NUMA nodes, then functions by address.

    Two unknowns are no difference; unknown against known is one.
    """
    changes = [Change("host", field.name, getattr(before, field.name), getattr(after, field.name))
               for field in fields(Host) if field.compare and field.name not in _APART]
    changes += _pairs("numa node ", {str(node.id): node for node in before.numa_nodes}, {str(node.id): node for node in after.numa_nodes})
    changes += _pairs("", _by_address(before), _by_address(after))
    return tuple(change for change in changes if change.before != change.after)


def _by_address(host: Host) -> dict[str, object]:
    return {str(function.address): function for function in host.functions}


def _pairs(prefix: str, before: dict[str, object], after: dict[str, object]) -> list[Change]:
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            changes.append(Change(prefix + key, "", _label(old), _label(new)))
            continue
        changes += [Change(prefix + key, field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(old)]  # type: ignore[arg-type]
    return changes


def _label(thing: object) -> object:
    return thing.label if isinstance(thing, Function) else thing


