"""XML from anywhere: no entities, no network, bounded size and depth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simkit.errors import Fault, MalformedDocument
from simkit.model.address import Address
from simkit.model.place import Place, Places

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_BYTES = 64 << 20
MOST_DEPTH = 128
MOST_TAGS = 1_000_000
_SHOWN = 60
_PROLOG = re.compile(rb"\s+|\xef\xbb\xbf|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.DOTALL)
_ELEMENT = re.compile(rb"<([A-Za-z_][\w.-]*)", re.ASCII)


def root_name(data: bytes) -> bytes:
    """The name of the root element, found without parsing: what follows declaration, comments and document type; empty where there is none."""
    start, here = data[: 1 << 16], 0
    while prolog := _PROLOG.match(start, here):
        here = prolog.end()
    element = _ELEMENT.match(start, here)
    return element[1] if element else b""


def parse(data: bytes, *, source: str) -> _Element:
    """The root element.

    Raises:
        MalformedDocument: not well formed, entities declared, too large or too deep.
    """
    from lxml import etree

    if len(data) > MOST_BYTES:
        raise MalformedDocument(f"the file has over {MOST_BYTES >> 20} MiB", where=source, remedy="no topology is this large")
    if data.count(b"<") > MOST_TAGS:
        raise MalformedDocument(f"over {MOST_TAGS:,} tags", where=source, remedy="no topology has so many")
    if b"<!ENTITY" in data:
        raise MalformedDocument("declares entities", where=f"{source}:{data[: data.index(b'<!ENTITY')].count(10) + 1}",
                                remedy="remove the declarations; topology files need none, and expanding them is how XML bombs work")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedDocument(f"not well-formed XML: {error.msg}", where=f"{source}:{error.lineno or 1}", remedy="is the file complete?") from None
    except ValueError as error:
        raise MalformedDocument(f"not XML: {error}", where=source, remedy="save it in the encoding that it declares") from None
    depth, element, events = 0, root, etree.iterwalk(root, events=("start", "end"))
    for event, element in events:
        depth += 1 if event == "start" else -1
        if depth > MOST_DEPTH:
            raise MalformedDocument(f"nested deeper than {MOST_DEPTH} levels", where=f"{source}:{element.sourceline}", remedy="no topology is this deep")
    return root


def shown(text: str | None) -> str:
    """A value as an error shows it: quoted, its beginning where it is long."""
    return repr(text) if text is None or len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def line_of(element: _Element) -> int:
    """The line an element begins in, 0 where the parser does not know."""
    line: Any = element.sourceline
    return line if isinstance(line, int) else 0


class TopologyReader:
    """What a reader of a topology keeps while it walks the tree: faults, places, and what it had to assume."""

    def __init__(self, source: str) -> None:
        """`source` is the file as the user named it."""
        self.source = source
        self.name = source.rpartition("/")[2].removesuffix(".xml")
        self.faults: list[Fault] = []
        self.assumed: list[str] = []
        self._places: dict[str, Place] = {}

    def fault(self, what: str, element: _Element, remedy: str) -> None:
        """Note a fault at an element's line."""
        self.faults.append(Fault(what, f"{self.source}:{line_of(element)}", remedy))

    def record(self, address: Address, element: _Element) -> None:
        """Note where a function stands."""
        self._places[f"functions/{address}"] = Place(self.source, line_of(element))

    def places(self) -> Places:
        """The places, if there was no fault.

        Raises:
            MalformedDocument: with all faults.
        """
        if self.faults:
            raise MalformedDocument(f"{self.source} is no topology as it stands", faults=tuple(self.faults))
        return Places(self._places, root=Place(self.source))
