"""Reading what a step expects, and writing what it does."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from simkit.errors import ExecutorError
from simkit.executors.node import Node, refusal
from simkit.formats.pci.config_space import CAP_PCIE, CONVENTIONAL, EXT_ACS, find_conventional, find_extended
from simkit.model.address import Address
from simkit.model.numa import NodeName
from simkit.model.step import Action, Expect, ExpectAcs, ExpectDeviceControl, ExpectLink, ExpectText, SetAcs, Write
from simkit.plan import attributes

_CONFIG_BYTES = 4096
_ACS_CONTROL, _DEVICE_CONTROL = "ACS control", "device control"


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
    match expect:
        case ExpectAcs(function):
            return attributes.config(function)
        case ExpectDeviceControl(function):
            return f"{attributes.config(function)} ({_DEVICE_CONTROL})"
    return expect.path


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
        case ExpectAcs(function, mask, value) | ExpectDeviceControl(function, mask, value):
            path, register = attributes.config(function), _ACS_CONTROL if isinstance(expect, ExpectAcs) else _DEVICE_CONTROL
            place = _register(node, function, register)
            if place is None:
                return Mismatch(path, f"{register} {value:#04x}", _CAPABILITY[register])
            return None if place[1] & mask == value else Mismatch(path, f"{register} {value:#04x} under {mask:#04x}", f"{place[1] & mask:#04x}")


def _show(text: str | None) -> str:
    return "nothing (no such file)" if text is None else repr(text)


def _link(target: str | None) -> str:
    return "no link" if target is None else f"a link to {target}"


def acs_control(node: Node, function: Address) -> int | None:
    """The ACS Control Register (PCIe 6.0 §7.7.11.3); None where there is no ACS capability.

    Raises:
        ExecutorError: extended configuration space cannot be read.
    """
    place = _register(node, function, _ACS_CONTROL)
    return None if place is None else place[1]


_CAPABILITY = {_ACS_CONTROL: "no ACS capability", _DEVICE_CONTROL: "no PCIe capability"}


def _register(node: Node, function: Address, register: str) -> tuple[int, int] | None:
    """Where it lies and what it holds: ACS Control at +6 of its capability, Device Control at +8 of PCIe's."""
    path = attributes.config(function)
    config = node.read(path, _CONFIG_BYTES)
    if config is None:
        raise refusal(2, path)
    if register == _ACS_CONTROL and len(config) <= CONVENTIONAL:
        raise refusal(1, path, f"only {len(config)} bytes of configuration space can be read", remedy="ACS lies beyond byte 256: run as root")
    if len(config) < CONVENTIONAL:
        raise refusal(1, path, f"only {len(config)} bytes of configuration space can be read", remedy="run as root: all users may read 64 bytes")
    capability, offset = (find_extended(config, EXT_ACS), 6) if register == _ACS_CONTROL else (find_conventional(config, CAP_PCIE), 8)
    if capability is None or capability + offset + 2 > len(config):
        return None
    return capability + offset, struct.unpack_from("<H", config, capability + offset)[0]


def perform(node: Node, action: Action) -> None:
    """Make one write.

    Raises:
        ExecutorError: it is refused, or there is no capability to write to.
    """
    if isinstance(action, Write):
        node.write(action.path, action.text.encode())
        return
    register = _ACS_CONTROL if isinstance(action, SetAcs) else _DEVICE_CONTROL
    place = _register(node, action.function, register)
    if place is None:
        raise refusal(19, attributes.config(action.function), _CAPABILITY[register])
    offset, control = place
    node.write(attributes.config(action.function), struct.pack("<H", control & ~action.mask & 0xFFFF | action.value & action.mask), offset)


def target(action: Action) -> str:
    """The file that an action writes."""
    return action.path if isinstance(action, Write) else attributes.config(action.function)


def written(action: Action) -> str:
    """What an action writes, for people."""
    if isinstance(action, Write):
        return repr(action.text)
    return f"{_ACS_CONTROL if isinstance(action, SetAcs) else _DEVICE_CONTROL} {action.value:#04x} under {action.mask:#04x}"


def missing(node: Node, subject: Address | NodeName) -> bool:
    """Whether there is no such function or NUMA node on the node now."""
    place = attributes.place(subject)
    try:
        return node.readlink(place) is None and not node.listdir(place)
    except ExecutorError:
        return False
