"""lspci's text as people pass it on: indented or quoted as a whole, wrapped by a mail program, without its own indent, or listed below `IOMMU Group N`.

Every line keeps its number: what a line gives up to the one before leaves it empty.
"""

from __future__ import annotations

import re

_ADDRESS = r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
_HEADING = re.compile(rf"([ \t>|]*){_ADDRESS} (?=\S)")
_ROW = re.compile(r"[0-9a-f]{2,8}:(?: [0-9a-f]{2}){1,16} *$")
_GROUP = re.compile(rf"\W*IOMMU [Gg]roup +(\d{{1,6}})\b:?(?:\s+(?={_ADDRESS} \S)|\s*$)")
_BITS = re.compile(r"(?:[A-Za-z]+[+-]\s*)+")
_BEGINNINGS = (
    "Subsystem:", "DeviceName:", "Physical Slot:", "Control:", "Status:", "Latency", "Interrupt:", "NUMA node:", "IOMMU group:", "Region ", "Expansion ROM at ",
    "[virtual] Expansion ROM at ", "Bus:", "I/O behind bridge", "Memory behind bridge", "Prefetchable memory behind bridge", "Secondary status:", "BridgeCtl:",
    "Capabilities:", "Kernel driver in use:", "Kernel modules:", "Flags:", "I/O ports at ", "Memory at ", "DevCap:", "DevCtl:", "RlxdOrd", "MaxPayload",
    "LnkCap:", "LnkSta:", "ACSCap:", "ACSCtl:", "ATSCap:", "ATSCtl:", "IOVCap:", "IOVCtl:", "Initial VFs:", "VF offset:", "BAR ", "!!! Unknown header type",
)
"""How lines begin that state a fact, and those between them."""


def restore(text: list[str]) -> tuple[list[str], dict[int, int]]:
    """The lines as lspci printed them, and by line number the IOMMU groups below whose name headings stand.

    A mark before every heading ("> ", four blanks) is taken off; a line that begins as one of lspci's facts belongs to the function above it,
    though its indent is lost; and a line after one that ends with a blank goes on with it (RFC 3676 §4.1), if it is neither a heading nor indented.
    Bits of ACS that were broken off go back to theirs.
    """
    text, groups = _grouped(text)
    marks = {found[1] for line in text if (found := _HEADING.match(line)) is not None}
    if len(marks) == 1 and (mark := marks.pop()):
        text = [line[len(mark):] if line.startswith(mark) else line[len(mark.rstrip()):] if line.rstrip() == mark.rstrip() else line for line in text]
    return _joined(text), groups


def _grouped(text: list[str]) -> tuple[list[str], dict[int, int]]:
    """Without the names of groups, which scripts print above or before the functions' headings."""
    found: dict[int, int] = {}
    made, group = [], None
    for number, line in enumerate(text, 1):
        named = _GROUP.match(line)
        if named is not None:
            alone = named.end() == len(line)
            if not alone:
                found[number] = int(named[1])
            group = int(named[1]) if alone else None
            made.append(line[named.end():])
            continue
        if group is not None and _HEADING.match(line) is not None:
            found[number] = group
        made.append(line)
    return made, found


def _joined(text: list[str]) -> list[str]:
    made: list[str] = []
    last, flows = -1, False
    for number, line in enumerate(text):
        made.append(line)
        if not line.strip():
            flows = False
        elif line[0].isspace() or _ROW.match(line) is not None:
            last, flows = (number, line.endswith(" ")) if last >= 0 else (-1, False)
        elif _HEADING.match(line) is not None:
            last, flows = number, line.endswith(" ")
        elif last >= 0 and line.startswith(_BEGINNINGS):
            made[number] = "\t" + line
            last, flows = number, line.endswith(" ")
        elif flows or (last >= 0 and _BITS.fullmatch(line) is not None and made[last].lstrip().startswith(("ACSCap:", "ACSCtl:"))):
            made[last], made[number], flows = made[last].rstrip() + " " + line.rstrip(), "", line.endswith(" ")
    return made
