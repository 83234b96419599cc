"""XML from anywhere: no entities, no network, bounded size and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simkit.errors import MalformedDocument

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_BYTES = 64 << 20
MOST_DEPTH = 128


def parse(data: bytes, *, source: str) -> _Element:
    """The root element.

    Raises:
        MalformedDocument: not well formed, entities declared, too large or too deep.
    """
    from lxml import etree

    if len(data) > MOST_BYTES:
        raise MalformedDocument(f"the file has over {MOST_BYTES >> 20} MiB", where=source, remedy="no topology is this large")
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


def line_of(element: _Element) -> int:
    """The line an element begins in, 0 where the parser does not know."""
    line: Any = element.sourceline
    return line if isinstance(line, int) else 0
