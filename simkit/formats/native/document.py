"""YAML and JSON as nodes that know their line, read without recursion; and a reader that collects every fault of a document.

PyYAML's events through libyaml are used rather than its loaders: they keep the lines, type nothing on their own (no `no` turned
into false, no address turned into a sexagesimal number), and let size, depth and aliases be refused while reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from simkit.errors import Fault, MalformedDocument
from simkit.model.place import Place, Places

MOST_BYTES = 32 << 20
MOST_NODES = 1_000_000
MOST_DEPTH = 32
MOST_FAULTS = 1000
_SHOWN = 300
_JSON_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL)

T = TypeVar("T")
D = TypeVar("D")


@dataclass(slots=True)
class Scalar:
    """Text of a scalar; `plain` without quotes."""

    text: str
    line: int
    plain: bool = True


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping; `repeated` holds keys that came again, with their line."""

    line: int
    items: dict[str, Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


def parse(text: str, *, source: str) -> Node:
    """Read one YAML or JSON document.

    Raises:
        MalformedDocument: not YAML, more than one document, an alias or tag, a key that is no scalar, too large or too deep.
    """
    import yaml

    if len(text) > MOST_BYTES:
        raise MalformedDocument(
            f"the document has over {MOST_BYTES >> 20} MiB", where=source, remedy="a host of 10,000 functions has about 6 MiB; is this the right file?"
        )
    if text.lstrip()[:1] in ("{", "["):
        text = _JSON_ESCAPE.sub(_whole_character, text.replace("\t", " "))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _build(yaml.parse(text, Loader=loader), source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise MalformedDocument(
            f"not YAML or JSON: {what}", where=f"{source}:{mark.line + 1}" if mark else source, remedy="correct the line; indent with spaces"
        ) from None
    except UnicodeError as error:
        raise MalformedDocument(f"not YAML or JSON: {error}", where=source, remedy="save it as UTF-8 text") from None


def _whole_character(escape: re.Match[str]) -> str:
    """A pair of surrogates, as JSON escapes characters past U+FFFF, as the one escape that YAML knows; other escapes as they are."""
    if escape[1] is None:
        return escape[0]
    return f"\\U{0x10000 + ((int(escape[1], 16) & 0x3FF) << 10 | int(escape[2], 16) & 0x3FF):08x}"


def _build(events: Iterator[object], source: str) -> Node:
    import yaml

    stack: list[tuple[Sequence | Mapping, list[Scalar]]] = []
    root: Node | None = None
    count = 0
    for event in events:
        line = event.start_mark.line + 1 if getattr(event, "start_mark", None) else 0  # type: ignore[attr-defined]
        where = f"{source}:{line}"
        match event:
            case yaml.ScalarEvent():
                node: Node = Scalar(event.value, line, plain=event.style in (None, ""))
            case yaml.SequenceStartEvent():
                node = Sequence(line)
            case yaml.MappingStartEvent():
                node = Mapping(line)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                stack.pop()
                continue
            case yaml.AliasEvent():
                raise MalformedDocument(f"alias *{_short(str(event.anchor))}", where=where, remedy="write the value out; anchors and aliases are not read")
            case yaml.DocumentStartEvent():
                if root is not None:
                    raise MalformedDocument("a second document begins", where=where, remedy="keep one document a file")
                continue
            case _:
                continue
        if getattr(event, "tag", None) and not isinstance(event, yaml.ScalarEvent):
            raise MalformedDocument(f"tag {_short(str(event.tag))}", where=where, remedy="leave tags out")
        count += 1
        if count > MOST_NODES:
            raise MalformedDocument(f"over {MOST_NODES:,} values", where=where, remedy="a host of 10,000 functions has half as many; is this the right file?")
        if root is None:
            root = node
        elif not _attach(stack[-1], node):
            raise MalformedDocument("a key must be a scalar", where=where, remedy="quote it, or correct the indentation")
        if not isinstance(node, Scalar):
            stack.append((node, []))
            if len(stack) > MOST_DEPTH:
                raise MalformedDocument(f"nested deeper than {MOST_DEPTH} levels", where=where, remedy="nothing that simkit reads is this deep")
    if root is None:
        raise MalformedDocument("the document is empty", where=source, remedy="is this the right file?")
    return root


def _attach(top: tuple[Sequence | Mapping, list[Scalar]], node: Node) -> bool:
    """Add a node to the innermost open collection; in a mapping a scalar is first taken as the key."""
    holder, pending = top
    if isinstance(holder, Sequence):
        holder.items.append(node)
        return True
    if not pending:
        if not isinstance(node, Scalar):
            return False
        pending.append(node)
        return True
    key = pending.pop()
    if key.text in holder.items:
        holder.repeated.append((key.text, key.line))
    else:
        holder.items[key.text] = node
        holder.key_lines[key.text] = key.line
    return True


def _short(text: str) -> str:
    """A text from the document that may be of any length, as far as a person wants to read it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Refused(ValueError):
    """What a converter raises: what is wrong, and what to write instead."""

    def __init__(self, what: str, remedy: str = "") -> None:
        """Both are put into a Fault together with the line."""
        super().__init__(what)
        self.what, self.remedy = what, remedy


@dataclass(slots=True)
class Context:
    """Of one document: its faults so far, and the places of its facts."""

    source: str
    faults: list[Fault] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    def fault(self, what: str, line: int, remedy: str = "") -> None:
        """Note a fault at a line.

        Raises:
            MalformedDocument: the thousandth.
        """
        self.faults.append(Fault(_short(what), f"{self.source}:{line}", remedy))
        if len(self.faults) >= MOST_FAULTS:
            raise MalformedDocument(f"{self.source} is not what it should be; reading stopped at", faults=tuple(self.faults))

    def done(self, what: str) -> Places:
        """The places, if there was no fault.

        Raises:
            MalformedDocument: with all faults, from the first line to the last.
        """
        if self.faults:
            in_order = sorted(self.faults, key=lambda fault: int(fault.where.rpartition(":")[2]))
            raise MalformedDocument(f"{self.source} is no {what} as it stands", faults=tuple(in_order))
        return Places(self.places, root=Place(self.source))


class Fields:
    """A mapping, read key by key: every key is taken once, and what is left over is a fault."""

    def __init__(self, node: Node, path: str, context: Context, what: str, *, line: int | None = None) -> None:
        """`path` is where places are recorded; `what` names the thing in faults; `line` is where it begins, if not at its first key."""
        self.path, self.context, self.what, self.line = path, context, what, line or node.line
        self.known: list[str] = []
        if isinstance(node, Mapping):
            self.items, self.lines = node.items, node.key_lines
            for key, line in node.repeated:
                context.fault(f"{key!r} is there twice, first in line {node.key_lines[key]}", line, "keep one of them")
        else:
            self.items, self.lines = {}, {}
            context.fault(f"{what} must be a mapping", node.line, "write `key: value` lines")

    def take(self, key: str, convert: Callable[[Node, str, Context], T], default: D) -> T | D:
        """The value at `key`, converted; `default` where it is left out, or where it is faulty (which is noted)."""
        self.known.append(key)
        node = self.items.get(key)
        if node is None:
            return default
        path = f"{self.path}/{key}" if self.path else key
        self.context.places[path] = Place(self.context.source, self.lines[key])
        try:
            return convert(node, path, self.context)
        except Refused as refused:
            self.context.fault(f"{key}: {refused.what}", node.line, refused.remedy)
            return default

    def need(self, key: str, convert: Callable[[Node, str, Context], T], stand_in: D) -> T | D:
        """As `take`, but leaving it out is a fault."""
        if key not in self.items:
            self.context.fault(f"{self.what} has no {key!r}", self.line, f"add `{key}:`")
        return self.take(key, convert, stand_in)

    def done(self) -> None:
        """Note every key that nobody asked for."""
        known = set(self.known)
        for key in [key for key in self.items if key not in known]:
            near = get_close_matches(key[:64], self.known, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"{self.what} has {', '.join(self.known)}"
            self.context.fault(f"{self.what} knows no key {key!r}", self.lines[key], remedy)


def scalar(node: Node) -> str:
    """The text of a scalar."""
    if not isinstance(node, Scalar):
        raise Refused("must be one value", "not a list or mapping")
    return node.text


def listed(convert: Callable[[Node, str, Context], T]) -> Callable[[Node, str, Context], tuple[T, ...]]:
    """A converter of lists; each item's path is its index."""

    def read(node: Node, path: str, context: Context) -> tuple[T, ...]:
        if not isinstance(node, Sequence):
            raise Refused("must be a list", "write `- item` lines or [item, item]")
        found = []
        for index, item in enumerate(node.items):
            context.places[f"{path}/{index}"] = Place(context.source, item.line)
            try:
                found.append(convert(item, f"{path}/{index}", context))
            except Refused as refused:
                context.fault(refused.what, item.line, refused.remedy)
        return tuple(found)

    return read


def absent(node: Node) -> bool:
    """Whether a value says that the thing is not there: `none` or null."""
    return isinstance(node, Scalar) and (node.text == "none" or (node.plain and node.text in ("null", "~", "")))


def or_none(convert: Callable[[Node, str, Context], T]) -> Callable[[Node, str, Context], T | None]:
    """A converter that takes `none` for None."""
    return lambda node, path, context: None if absent(node) else convert(node, path, context)


def head(node: Node, kind: str, context: Context) -> None:
    """Check the line that says what a document is: `simkit: host/1`.

    Raises:
        MalformedDocument: it says something else, or nothing: then every other key would be a fault as well.
    """
    said = node.items.get("simkit") if isinstance(node, Mapping) else None
    if isinstance(said, Scalar) and said.text == kind:
        return
    what = "does not say what it is" if said is None else f"is a {_short(said.text) if isinstance(said, Scalar) else 'something else'}, not a {kind}"
    where = f"{context.source}:{node.line if said is None else said.line}"
    raise MalformedDocument(what, where=where, remedy=f"give a file that begins with `simkit: {kind}`")
