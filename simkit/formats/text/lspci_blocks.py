"""What lspci prints, cut into functions: the heading, the indented text, the hex dump."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from simkit.errors import InputError
from simkit.formats.text.lines import Faults
from simkit.model.address import Address

MOST_FUNCTIONS = 1 << 17
HEADING = re.compile(r"(?:([0-9a-f]{4,8}):)?(?:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]/)*([0-9a-f]{2}:[01][0-9a-f]\.[0-7]) (?=\S)")
_ROW = re.compile(r"([0-9a-f]{2,8}):((?: [0-9a-f]{2}){1,16}) *")
_LIKE_ROW = re.compile(r"[0-9a-f]{2,8}: ")
_LIKE_HEADING = re.compile(r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-zA-Z]{2}\.\w\b")
_TREE = re.compile(r"[-+ |\\]*-?\[[0-9a-f]{4,8}:[0-9a-f]{2}(?:-[0-9a-f]{2})?\]-")
_MACHINE = re.compile(r'(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] "')
_PATH = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]/[01][0-9a-f]\.[0-7]")
_ROWS = (64, 128, 256, 4096)


@dataclass(slots=True)
class Block:
    """One function as it is printed: `details` are (line, text) without the indent, `config` the bytes of its dump.

    `cut_off`: the text ends here without the empty line that lspci -v prints after each function, and without its driver, which comes last.
    """

    address: Address
    line: int
    heading: str
    details: list[tuple[int, str]] = field(default_factory=list)
    config: bytearray = field(default_factory=bytearray)
    config_line: int = 0
    cut_off: bool = False


def cut(text: list[str], faults: Faults) -> tuple[list[Block], list[tuple[int, str]]]:
    """The functions, and (line, text) of lines that are not lspci's (a shell's prompt, a warning of libpci).

    With -P or -PP the last part of the path is the function. Faults: what only looks like a heading or a row of a dump, a dump with a
    hole, and the forms that name no function by its bus (-t alone, -P) or nothing but names (-mm).
    """
    blocks: list[Block] = []
    strangers: list[tuple[int, str]] = []
    drawn: list[int] = []
    block: Block | None = None
    for number, line in enumerate(text, 1):
        if not line or line.isspace():
            continue
        if line[0].isspace():
            if block is None:
                strangers.append((number, line))
            else:
                block.details.append((number, line.strip()))
        elif block is not None and (row := _ROW.fullmatch(line)) is not None:
            _row(block, number, row, faults)
        elif (found := HEADING.match(line)) is not None and not _MACHINE.match(line):
            block = _heading(number, line, found, faults)
            blocks.append(block)
        elif block is not None and _LIKE_ROW.match(line):
            faults.add(number, f"not a row of a hex dump: {line[:60]!r}", "dump it again; a row is an offset and up to 16 bytes")
        elif _TREE.match(line):
            drawn.append(number)
            strangers.append((number, line))
            block = None
        else:
            _strange(number, line, faults, strangers)
    if len(blocks) > MOST_FUNCTIONS:
        faults.add(blocks[MOST_FUNCTIONS].line, f"over {MOST_FUNCTIONS} functions", "no machine has as many")
    for block in blocks:
        _whole(block, faults)
    if blocks:
        blocks[-1].cut_off = _cut_off(blocks, text)
    if not blocks and drawn:
        faults.add(drawn[0], "`lspci -t` draws a tree without a function's facts", "give the text of `lspci -vvvnn` or `lspci -xxxx`, run as root")
    return blocks[:MOST_FUNCTIONS], strangers


def _cut_off(blocks: list[Block], text: list[str]) -> bool:
    """Whether the text stops within its last function: the others are apart by empty lines, and none follows it."""
    last = blocks[-1]
    if not last.details or last.config or any(detail.startswith("Kernel ") for _, detail in last.details) or not any(line.strip() for line in text[-2:]):
        return False
    return len(blocks) > 1 and all(not text[block.line - 2].strip() for block in blocks[1:])


def _heading(number: int, line: str, found: re.Match[str], faults: Faults) -> Block:
    try:
        address = Address.parse(f"{found[1] or '0'}:{found[2]}")
    except InputError as error:
        faults.add(number, error.what, error.faults[0].remedy)
        address = Address(0, 0, 0, 0)
    return Block(address, number, line[found.end() :].rstrip())


def _row(block: Block, number: int, row: re.Match[str], faults: Faults) -> None:
    offset = int(row[1], 16)
    if offset != len(block.config):
        faults.add(number, f"the dump of {block.address} goes on at offset 0x{offset:x}, not 0x{len(block.config):x}",
                   "dump it again: rows are missing or double")
        return
    block.config_line = block.config_line or number
    block.config += bytes.fromhex(row[2])


def _whole(block: Block, faults: Faults) -> None:
    """Whether the dump ends where lspci ends one (`show_hex_dump`); 128 bytes only a CardBus bridge has."""
    size = len(block.config)
    if size and (size not in _ROWS or (size == 128 and block.config[0x0E] & 0x7F != 2)):
        faults.add(block.config_line, f"the dump of {block.address} has {size} bytes, not 64, 256 or 4096: it ends at offset 0x{size:x}",
                   "dump it again with `lspci -xxxx` as root: this one is cut off")


def _strange(number: int, line: str, faults: Faults, strangers: list[tuple[int, str]]) -> None:
    if _MACHINE.match(line):
        faults.add(number, "`lspci -m` prints names only", "give the text of `lspci -vmmnn`, `lspci -vvvnn` or `lspci -xxxx`")
    elif _PATH.match(line):
        faults.add(number, "`lspci -P` leaves out bus numbers", "run lspci without -P, or with -PP")
    elif _LIKE_HEADING.match(line):
        faults.add(number, f"no function's heading: {line[:60]!r}", "a heading is `0000:3b:00.0 Class: Name`, in lower case")
    else:
        strangers.append((number, line))
