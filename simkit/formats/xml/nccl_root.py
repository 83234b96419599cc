"""What both readers of NCCL's XML share: opening the file as NCCL would, and numbers as C reads them (NCCL src/graph/xml.cc)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simkit.errors import MalformedDocument
from simkit.formats.xml.walk import TopologyReader, line_of, parse, shown

if TYPE_CHECKING:
    from lxml.etree import _Element

MOST_CPUS = 4096
_NUMBER = re.compile(r"\s*([+-]?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})\s*", re.ASCII)


def open_system(data: bytes, *, source: str) -> _Element:
    """The `<system>` of a file.

    Raises:
        MalformedDocument: not well formed, too large, another root, or more `<cpu>` than any machine has.
    """
    root = parse(without_comments(data), source=source)
    if root.tag != "system":
        raise MalformedDocument(f"the root element is <{root.tag}>", where=f"{source}:{root.sourceline}", remedy="NCCL's topology begins with <system>")
    cpus = sum(element.tag == "cpu" for element in root)
    if cpus > MOST_CPUS:
        raise MalformedDocument(f"{cpus} <cpu> elements", where=f"{source}:{line_of(root)}", remedy=f"no machine has over {MOST_CPUS}")
    if not cpus:
        raise MalformedDocument("<system> has no <cpu>", where=f"{source}:{root.sourceline}", remedy="is the file complete?")
    return root


def without_comments(data: bytes) -> bytes:
    """`data` with its lines, but without comments: NCCL ends them at `-->` alone (`xmlSkipComment`), XML allows no `--` in them, RCCL's models have it."""
    parts, here = [], 0
    while (start := data.find(b"<!--", here)) >= 0 and (end := data.find(b"-->", start + 4)) >= 0:
        parts += [data[here:start], b"\n" * data.count(b"\n", start, end)]
        here = end + 3
    return b"".join([*parts, data[here:]])


def whole(reader: TopologyReader, element: _Element, key: str, low: int, high: int) -> int | None:
    """A whole number as `strtol` reads it with base 0: 0x… is hexadecimal, a leading 0 octal, an empty text 0; None where the attribute is not there.

    Where C would read the beginning of what is no number, or wrap around, this is a fault.
    """
    text = element.get(key)
    if text is None:
        return None
    if not text.strip():
        return 0
    match = _NUMBER.fullmatch(text)
    number = _value(match[1], match[2]) if match else None
    if number is None or not low <= number <= high:
        reader.fault(f"{key}={shown(text)} is no number from {low} to {high}", element, "write it decimal, or in hexadecimal as 0x…")
        return None
    return number


def _value(sign: str, digits: str) -> int | None:
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    try:
        return int(digits, base) * (-1 if sign == "-" else 1)
    except ValueError:
        return None
