"""Fleets: `simkit: fleet/1`. The hosts stand there by name; opening them is the caller's."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.formats.native import values
from simkit.formats.native.document import Context, Fields, Mapping, Node, Refused, head, parse
from simkit.model.place import Place

KIND = "fleet/1"
MOST_HOSTS = 65_536


@dataclass(frozen=True, slots=True)
class Entry:
    """`count` equal hosts, read from `source`; numbered where there are several."""

    name: str
    source: str
    count: int
    domain: str | None
    place: Place

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names: ``node-01``, ``node-02``, … or the name alone."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number:0{len(str(self.count))}}" for number in range(1, self.count + 1))


def load_fleet(text: str, *, source: str) -> tuple[str, tuple[Entry, ...]]:
    """A fleet's name and its entries.

    Raises:
        MalformedDocument: with every fault and its line.
    """
    node = parse(text, source=source)
    context = Context(source)
    head(node, KIND, context)
    fields = Fields(node, "", context, "a fleet")
    fields.take("simkit", values.text, "")
    fields.take("about", values.verbatim, "")
    name = fields.need("name", values.text, "?")
    entries = fields.need("hosts", _entries, ())
    fields.done()
    if sum(entry.count for entry in entries) > MOST_HOSTS:
        context.fault(f"over {MOST_HOSTS} hosts", node.line, "split the fleet")
    names = [each for entry in entries if entry.count <= MOST_HOSTS for each in entry.names]
    for twice in sorted({each for each in names if names.count(each) > 1}) if len(set(names)) < len(names) else ():
        context.fault(f"two hosts are called {twice}", node.line, "rename one of them")
    context.done("fleet")
    return name, entries


def _entries(node: Node, path: str, context: Context) -> tuple[Entry, ...]:
    if not isinstance(node, Mapping):
        raise Refused("must be a mapping by name", "write `node: {host: hgx-h100}`")
    if not node.items:
        raise Refused("names no host", "name at least one")
    for key, line in node.repeated:
        context.fault(f"host {key!r} is there twice, first in line {node.key_lines[key]}", line, "give each a name of its own, or a count")
    return tuple(_entry(name, item, f"{path}/{name}", context, node.key_lines[name]) for name, item in node.items.items())


def _entry(name: str, node: Node, path: str, context: Context, line: int) -> Entry:
    fields = Fields(node, path, context, f"host {name}", line=line)
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or not name.isascii() or len(name) > 63:
        context.fault(f"host name {name!r}", line, "use letters, digits, -, _ and ., at most 63: it becomes a file name")
    found = Entry(name, fields.need("host", values.text, "?"), fields.take("count", values.whole(1, MOST_HOSTS), 1),
                  fields.take("domain", values.text, None), Place(context.source, line))
    fields.done()
    return found
