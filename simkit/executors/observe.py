"""Reading what a step expects, and writing what it does."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from simkit.errors import ExecutorError
from simkit.executors.node import Node, refusal
from simkit.formats.pci.config_space import find_extended
from simkit.model.address import Address
from simkit.model.numa import NodeName
from simkit.model.step import Action, Expect, ExpectAcs, ExpectLink, ExpectText, SetAcs
from simkit.plan import attributes

_ACS, _CONTROL = 0x000D, 6
_CONFIG_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One expectation that does not hold: where, what was expected and what was read, as people read them."""

    path: str
    wanted: str
    found: str

    def __str__(self) -> str:
        """A line."""
        return f"{self.path} reads {self.found}, not {self.wanted}"


def key(expect: Expect) -> str:
    """What an expectation is about: two with the same key speak of the same thing."""
    return attributes.config(expect.function) if isinstance(expect, ExpectAcs) else expect.path


def mismatches(node: Node, expected: Iterable[Expect]) -> tuple[Mismatch, ...]:
    """The expectations that do not hold on the node now.

    Raises:
        ExecutorError: something cannot be read.
    """
    return tuple(found for expect in expected if (found := _mismatch(node, expect)) is not None)


def holds(node: Node, expected: Iterable[Expect]) -> bool:
    """Whether all expectations hold now."""
    return all(_mismatch(node, expect) is None for expect in expected)


def _mismatch(node: Node, expect: Expect) -> Mismatch | None:
    match expect:
        case ExpectText(path, text):
            data = node.read(path)
            found = None if data is None else data.decode("utf-8", "replace").strip()
            wanted = None if text is None else text.strip()
            return None if found == wanted else Mismatch(path, _show(wanted), _show(found))
        case ExpectLink(path, target):
            link = node.readlink(path)
            last = None if link is None else link.rstrip("/").rpartition("/")[2]
            if last is None and target is None and not node.listdir(path.rpartition("/")[0]):
                return Mismatch(path, _link(None), "nothing (no such folder)")
            return None if last == target else Mismatch(path, _link(target), _link(last))
        case ExpectAcs(function, mask, value):
            path = attributes.config(function)
            control = acs_control(node, function)
            if control is None:
                return Mismatch(path, f"ACS control {value:#04x}", "no ACS capability")
            return None if control & mask == value else Mismatch(path, f"ACS control {value:#04x} under {mask:#04x}", f"{control & mask:#04x}")


def _show(text: str | None) -> str:
    return "nothing (no such file)" if text is None else repr(text)


def _link(target: str | None) -> str:
    return "no link" if target is None else f"a link to {target}"


def acs_control(node: Node, function: Address) -> int | None:
    """The ACS Control Register (PCIe 6.0 §7.7.11.3); None where there is no ACS capability.

    Raises:
        ExecutorError: extended configuration space cannot be read.
    """
    offset = _control_offset(node, function)
    return None if offset is None else offset[1]


def _control_offset(node: Node, function: Address) -> tuple[int, int] | None:
    path = attributes.config(function)
    config = node.read(path, _CONFIG_BYTES)
    if config is None:
        raise refusal(2, path)
    if len(config) <= 256:
        raise refusal(1, path, f"only {len(config)} bytes of configuration space can be read", remedy="ACS lies beyond byte 256: run as root")
    offset = find_extended(config, _ACS)
    if offset is None or offset + _CONTROL + 2 > len(config):
        return None
    return offset + _CONTROL, struct.unpack_from("<H", config, offset + _CONTROL)[0]


def perform(node: Node, action: Action) -> None:
    """Make one write.

    Raises:
        ExecutorError: it is refused, or there is no ACS capability to write to.
    """
    if isinstance(action, SetAcs):
        place = _control_offset(node, action.function)
        if place is None:
            raise refusal(19, attributes.config(action.function), "no ACS capability")
        offset, control = place
        node.write(attributes.config(action.function), struct.pack("<H", control & ~action.mask & 0xFFFF | action.value & action.mask), offset)
    else:
        node.write(action.path, action.text.encode())


def target(action: Action) -> str:
    """The file that an action writes."""
    return attributes.config(action.function) if isinstance(action, SetAcs) else action.path


def written(action: Action) -> str:
    """What an action writes, for people."""
    return f"ACS control {action.value:#04x} under {action.mask:#04x}" if isinstance(action, SetAcs) else repr(action.text)


def missing(node: Node, subject: Address | NodeName) -> bool:
    """Whether there is no such function or NUMA node on the node now."""
    place = attributes.place(subject)
    try:
        return node.readlink(place) is None and not node.listdir(place)
    except ExecutorError:
        return False
