"""The data of a change: what is read before, written, read after, and written to undo it.

Paths are relative to the node's root, so that the same step runs on a live node and on a recorded tree: ``sys/bus/pci/...``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.numa import NodeName


class StepKind(StrEnum):
    """What a step changes."""

    DRIVER_OVERRIDE = "driver_override"
    UNBIND = "unbind"
    BIND = "bind"
    SRIOV_NUMVFS = "sriov_numvfs"
    SRIOV_AUTOPROBE = "sriov_drivers_autoprobe"
    ACS_CONTROL = "acs_control"
    HUGEPAGES = "hugepages"
    DEVICE_CONTROL = "device_control"


@dataclass(frozen=True, slots=True)
class Write:
    """Write `text` to a sysfs attribute."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class SetAcs:
    """Set the bits of `mask` in a function's ACS Control Register to those of `value`, through its `config` file."""

    function: Address
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class SetDeviceControl:
    """Set the bits of `mask` in a function's Device Control Register (PCIe 6.0 §7.5.3.4) to those of `value`, through its `config` file."""

    function: Address
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class ExpectText:
    """An attribute reads as `text`, white space at the ends aside; None: it does not exist."""

    path: str
    text: str | None


@dataclass(frozen=True, slots=True)
class ExpectLink:
    """A symbolic link's last component, such as the driver a device is bound to; None: there is no link."""

    path: str
    target: str | None


@dataclass(frozen=True, slots=True)
class ExpectAcs:
    """The bits of `mask` in a function's ACS Control Register equal those of `value`."""

    function: Address
    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class ExpectDeviceControl:
    """The bits of `mask` in a function's Device Control Register equal those of `value`."""

    function: Address
    mask: int
    value: int


Action = Write | SetAcs | SetDeviceControl
Expect = ExpectText | ExpectLink | ExpectAcs | ExpectDeviceControl


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one function, or of one NUMA node: done if every `check` holds afterwards, undone by `undo` if every `before` holds again.

    `relies_on` says what makes it last or not: a run-time write, the kernel command line, a reboot.
    """

    id: str
    kind: StepKind
    subject: Address | NodeName
    summary: str
    before: tuple[Expect, ...]
    do: tuple[Action, ...]
    check: tuple[Expect, ...]
    undo: tuple[Action, ...]
    relies_on: str = ""
