"""Why facts are unknown, in a snapshot: `unknown: {acs: config space beyond byte 64 is readable by root only}`.

One reason a kind of fact, the one that most functions give, so that a snapshot of thousands of functions stays as short as it was. A fact that
is left out of a function, and one of the host that is left out, is unknown for the reason that stands there. Parts of a fact (one speed of a
link, say) keep no reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Node
from simkit.formats.native.keys import key
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, Unknown

_OF_HOST = tuple(field.name for field in fields(Host) if field.default is UNKNOWN)
_OF_FUNCTION = tuple(field.name for field in fields(Function) if field.default is UNKNOWN)


def reasons(host: Host) -> dict[str, str]:
    """The reasons by key, those of the host first; left out where nothing is unknown, or nobody knows why."""
    found = {name: value.why for name in _OF_HOST if isinstance(value := getattr(host, name), Unknown)}
    for name in _OF_FUNCTION:
        given = Counter(value.why for function in host.functions if isinstance(value := getattr(function, name), Unknown))
        found.update({key(name): why for why, _ in given.most_common(1)})
    return {name: _line(why) for name, why in found.items() if why.strip() and why != UNKNOWN.why}


def _line(why: str) -> str:
    """A reason may quote its source: what a snapshot would refuse to read back is replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in why)


def read_reasons(node: Node, path: str, context: Context) -> dict[str, Unknown]:
    """The mapping of a snapshot, by field of the model."""
    given = Fields(node, path, context, "`unknown`")
    found = {name: given.take(key(name), values.text, "") for name in (*_OF_HOST, *_OF_FUNCTION)}
    given.done()
    return {name: Unknown(why) for name, why in found.items() if why.strip()}


def explained(facts: Mapping[str, Any], why: Mapping[str, Unknown]) -> dict[str, Any]:
    """Facts of a host by field, those that are unknown with their reason."""
    return {name: why.get(name, value) if isinstance(value, Unknown) else value for name, value in facts.items()}


def explained_functions(functions: Iterable[Function], why: Mapping[str, Unknown]) -> tuple[Function, ...]:
    """The functions, what is unknown of them with its reason."""
    wanted = [name for name in _OF_FUNCTION if name in why]
    found = []
    for function in functions:
        changes: dict[str, Any] = {name: why[name] for name in wanted if isinstance(getattr(function, name), Unknown)}
        found.append(replace(function, **changes) if changes else function)
    return tuple(found)
