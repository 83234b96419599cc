"""Values as people write them in native files: numbers, sizes, speeds, ids, addresses, ACS bits."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from enum import Enum
from typing import TypeVar

from simkit.errors import InputError
from simkit.formats.native.document import Context, Node, Refused, scalar
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import AcsBits, BusRange, PortType
from simkit.model.numa import CpuSet

E = TypeVar("E", bound=Enum)

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_TRANSFERS = ("128", "256", "512", "1024", "2048", "4096")
_WHOLE = re.compile(r"-?[0-9]{1,24}|0[xX][0-9a-fA-F]{1,24}")
_SIZE = re.compile(r"([0-9]{1,20})\s*(?:([KMGT])i?B|B)?")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SPEED = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?:GT/s)?(?:\s+PCIe)?")

PORT_WORDS = {
    "endpoint": PortType.ENDPOINT,
    "legacy-endpoint": PortType.LEGACY_ENDPOINT,
    "root": PortType.ROOT_PORT,
    "upstream": PortType.UPSTREAM,
    "downstream": PortType.DOWNSTREAM,
    "pcie-to-pci": PortType.PCIE_TO_PCI_BRIDGE,
    "pci-to-pcie": PortType.PCI_TO_PCIE_BRIDGE,
    "rc-endpoint": PortType.RC_ENDPOINT,
    "rc-event-collector": PortType.RC_EVENT_COLLECTOR,
}


def text(node: Node, _path: str = "", _context: Context | None = None) -> str:
    """One line of text. Control characters are refused: names and sentences end up on terminals."""
    given = scalar(node)
    if _CONTROL.search(given):
        raise Refused(f"{given!r} holds control characters", "write it on one line, without line breaks and escapes")
    return given


def verbatim(node: Node, _path: str = "", _context: Context | None = None) -> str:
    """Any text, as it is: what is written to an attribute, remarks of several lines."""
    return scalar(node)


def whole(low: int = 0, high: int = (1 << 64) - 1) -> Callable[[Node, str, Context], int]:
    """A converter of whole numbers, decimal or 0x…, between bounds."""

    def read(node: Node, _path: str, _context: Context) -> int:
        given = scalar(node)
        if _WHOLE.fullmatch(given) is None:
            raise Refused(f"{given!r} is no whole number of a sane length", "write it decimal or as 0x…")
        number = int(given, 16 if given[1:2] in ("x", "X") else 10)
        if not low <= number <= high:
            raise Refused(f"{given} is out of range", f"it lies between {low} and {high}")
        return number

    return read


def transfer(node: Node, _path: str, _context: Context) -> int:
    """The size of a payload or read request: a power of two from 128 to 4096 bytes (PCIe 6.0 §7.5.3.4)."""
    given = scalar(node)
    if given not in _TRANSFERS:
        raise Refused(f"{given!r} is no size of a payload or read request", f"it is one of {', '.join(_TRANSFERS)} bytes")
    return int(given)


def truth(node: Node, _path: str, _context: Context) -> bool:
    """`true` or `false`."""
    given = scalar(node)
    if given not in ("true", "false"):
        raise Refused(f"{given!r} is neither true nor false", "write true or false")
    return given == "true"


def size(node: Node, _path: str, _context: Context) -> int:
    """Bytes: `512 GiB`, `64 KiB`, `4096`."""
    given = scalar(node)
    match = _SIZE.fullmatch(given.strip())
    count = -1 if match is None else int(match[1]) * _UNITS.get(match[2], 1)
    if not 0 <= count < 1 << 64:
        raise Refused(f"{given!r} is no size below 2^64 bytes", "write it as 512 GiB, 64 MiB or a number of bytes")
    return count


def size_text(count: int) -> str:
    """Inverse of `size`, in the largest unit that divides it."""
    for unit, factor in reversed(_UNITS.items()):
        if count and count % factor == 0:
            return f"{count // factor} {unit}iB"
    return str(count)


def speed(node: Node, _path: str, _context: Context) -> float:
    """GT/s: `32 GT/s`, `2.5`."""
    given = scalar(node)
    match = _SPEED.fullmatch(given.strip())
    if match is None or not 0 < float(match[1]) <= 1024:
        raise Refused(f"{given!r} is no link speed", "write it as 32 GT/s")
    return float(match[1])


def decimal(node: Node, _path: str, _context: Context) -> float:
    """A decimal number above 0."""
    given = scalar(node)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given) is None or not float(given):
        raise Refused(f"{given!r} is no number above 0", "write it as 126.031")
    return float(given)


def address(node: Node, _path: str = "", _context: Context | None = None) -> Address:
    """A PCI address."""
    return _ours(Address.parse, scalar(node))


def parent(node: Node, _path: str, _context: Context) -> Parent:
    """A bridge's address or a root bus."""
    given = scalar(node)
    return _ours(RootBus.parse, given) if given.startswith("pci") else _ours(Address.parse, given)


def cpus(node: Node, _path: str, _context: Context) -> CpuSet:
    """A CPU list."""
    return _ours(CpuSet.parse, scalar(node))


T = TypeVar("T")


def _ours(parse: Callable[[str], T], given: str) -> T:
    try:
        return parse(given)
    except InputError as error:
        raise Refused(error.what, error.faults[0].remedy) from None


def acs_bits(node: Node, _path: str = "", _context: Context | None = None) -> AcsBits:
    """`SV,RR,CR,UF`, or empty for none; bits that have no name in hexadecimal: `SV,0x80`."""
    return _ours(parse_acs, scalar(node))


def parse_acs(given: str) -> AcsBits:
    """ACS bits by name.

    Raises:
        InputError: a name that is no ACS bit, a number of more than 16 bits.
    """
    bits = AcsBits.NONE
    for name in filter(None, (part.strip().upper() for part in given.split(","))):
        if re.fullmatch("0X[0-9A-F]{1,4}", name):
            bits |= AcsBits(int(name, 16))
        elif name in AcsBits.__members__:
            bits |= AcsBits[name]
        else:
            raise InputError(f"{name} is no ACS bit", remedy="the bits are SV, TB, RR, CR, UF, EC and DT; those without a name are written as 0x80")
    return bits


def acs_text(bits: AcsBits) -> str:
    """Inverse of `parse_acs`: names in the order of the bits, then in hexadecimal what has no name (ACS Enhanced Capability, PCIe 6.0 §7.7.11.2)."""
    unnamed = int(bits) & ~0x7F
    return ",".join([bit.name or "" for bit in AcsBits if bit and bit in bits] + ([f"{unnamed:#x}"] if unnamed else []))


def port(node: Node, _path: str, _context: Context) -> PortType:
    """A port type's word."""
    given = scalar(node)
    if given not in PORT_WORDS:
        raise Refused(f"{given!r} is no port type", f"it is one of {', '.join(PORT_WORDS)}, or none for conventional PCI")
    return PORT_WORDS[given]


def buses(node: Node, _path: str, _context: Context) -> BusRange:
    """Secondary and subordinate bus in hexadecimal: `3b-40`."""
    given = scalar(node)
    match = re.fullmatch(r"([0-9a-fA-F]{1,2})-([0-9a-fA-F]{1,2})", given)
    if match is None:
        raise Refused(f"{given!r} is no bus range", "write secondary and subordinate bus in hexadecimal: 3b-40")
    return BusRange(int(match[1], 16), int(match[2], 16))


def _unknown_word(given: str, words: list[str]) -> Refused:
    near = get_close_matches(given, words, 1)
    return Refused(f"{given!r} is not known", (f"did you mean {near[0]}? " if near else "") + f"it is one of {', '.join(words)}")


def word(kind: type[E]) -> Callable[[Node, str, Context], E]:
    """A converter of an enumeration's values."""

    def read(node: Node, _path: str, _context: Context) -> E:
        given = scalar(node)
        for member in kind:
            if member.value == given:
                return member
        raise _unknown_word(given, [str(member.value) for member in kind])

    return read


def name_of(kind: type[E]) -> Callable[[Node, str, Context], E]:
    """A converter of an enumeration's names, such as PIX."""

    def read(node: Node, _path: str, _context: Context) -> E:
        given = scalar(node)
        if given not in kind.__members__:
            raise _unknown_word(given, list(kind.__members__))
        return kind[given]

    return read
