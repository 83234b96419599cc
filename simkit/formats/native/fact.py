"""One fact of a host in the words of its snapshot: which key it stands under, and what is written there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from simkit.formats.native.emit import to_json
from simkit.formats.native.host import host_document
from simkit.formats.native.keys import key
from simkit.model.host import Host

_MOST = 60


@dataclass(frozen=True, slots=True)
class Said:
    """One difference in the words of a snapshot; an empty field is a whole node or function that only one side has."""

    subject: str
    field: str
    before: Any
    after: Any


def said(before: Host, after: Host, changes: Iterable[tuple[str, str]]) -> list[Said]:
    """The changes (whose, which field of the model) as snapshots write them; None is what a snapshot leaves out."""
    old, new = (Facts(to_json(host_document(host))) for host in (before, after))
    found: list[Said] = []
    for subject, field in changes:
        if not field:
            found.append(Said(subject, "", old.whole(subject), new.whole(subject)))
            continue
        found += [Said(subject, *part) for part in parts(old.at(subject, field), new.at(subject, field), key(field))]
    return found


class Facts:
    """The facts of one snapshot, by whose they are: ``host``, ``numa node 0``, ``0000:3b:00.0``."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Of the plain snapshot that `native.host_document` makes."""
        self._of = {"host": document, **{f"numa node {node['id']}": node for node in document.get("numa_nodes", ())}, **document["functions"]}

    def whole(self, subject: str) -> dict[str, Any] | None:
        """All of a node or function; None where it is not there."""
        return self._of.get(subject)

    def at(self, subject: str, field: str) -> Any:
        """What is written for a field of the model; None where nothing is, which means unknown."""
        return (self._of.get(subject) or {}).get(key(field))


def parts(before: Any, after: Any, under: str) -> list[tuple[str, Any, Any]]:
    """A difference as the smallest keys that differ: ``link.speed`` and not the whole link."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [(under, before, after)]
    keys = dict.fromkeys((*before, *after))
    return [part for name in keys if before.get(name) != after.get(name) for part in parts(before.get(name), after.get(name), f"{under}.{name}")]


def text(value: Any) -> str:
    """A value on a line: a short one as the snapshot writes it, a long list counted."""
    match value:
        case None:
            return "unknown"
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(f"{name} {text(item)}" for name, item in value.items()) or "nothing known of it"
        case list():
            short = ", ".join(text(item) if not isinstance(item, dict) else f"({text(item)})" for item in value)
            return (short or "none") if len(short) <= _MOST else f"{len(value)} entries"
        case "":
            return "nothing"
    return str(value)
