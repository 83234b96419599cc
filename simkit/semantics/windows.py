"""Does what lies below a bridge fit its windows; what would resized BARs or enabled virtual functions need?

Counted as Linux does when it sizes a window and space is short: `pci_bus_size_bridges` picks what goes into which, `pbus_size_mem` adds up,
with "relaxed alignment rules" (drivers/pci/setup-bus.c, read in 6.12). That is the least: where there is plenty, Linux rounds up further
(`calculate_mem_align`), and keeps room for hot-plugging (`pci=hpmmiosize=`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.address_space import AddressRange, BridgeWindows
from simkit.model.capabilities import Bar, BarKind, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, Unknown, is_known

STEP_BYTES = 1 << 20
"""Bridges forward memory in steps of 1 MiB (`PCI_P2P_DEFAULT_MEM_ALIGN`)."""


class Space(StrEnum):
    """A bridge's window for memory."""

    MEMORY = "memory"
    PREFETCHABLE = "prefetchable"


@dataclass(frozen=True, slots=True)
class WindowFit:
    """One window of one bridge: what it has (0 where it is closed), what its bus needs now, and what it would need.

    `largest_bytes`: with every resizable BAR below at its largest; `vfs_bytes`: with all virtual functions of all devices below enabled.
    `unsized` are functions below whose BARs are not known, or their resizable or VF ones: they are not counted.
    """

    bridge: Address
    space: Space
    has_bytes: int | Unknown
    needs_bytes: int
    largest_bytes: int
    vfs_bytes: int
    unsized: tuple[Address, ...]

    def fits(self, needed: int) -> bool | Unknown:
        """Whether the window takes `needed` bytes; unknown where the window is, or where something was not counted."""
        if isinstance(self.has_bytes, Unknown):
            return self.has_bytes
        if needed > self.has_bytes:
            return False
        return Unknown(f"BARs of {self.unsized[0]} are not known") if self.unsized else True


def window_fits(host: Host) -> tuple[WindowFit, ...]:
    """Every memory window of every bridge, in the order of the host's functions."""
    count = _Count(host)
    return tuple(count.fit(function, space) for function in host.functions if function.bus_range is not None for space in Space)


@dataclass(frozen=True, slots=True)
class _Part:
    size: int
    alignment: int


class _Count:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.below: dict[object, list[Function]] = {}
        for function in host.functions:
            self.below.setdefault(function.parent, []).append(function)

    def fit(self, bridge: Function, space: Space) -> WindowFit:
        needs, largest, vfs = (self._needs(bridge, space, largest=largest, vfs=vfs).size for largest, vfs in ((False, False), (True, False), (False, True)))
        return WindowFit(bridge.address, space, _size(bridge, space), needs, largest, vfs, tuple(self._unsized(bridge)))

    def _needs(self, bridge: Function, space: Space, *, largest: bool, vfs: bool) -> _Part:
        """`pbus_size_mem` for one window; a bridge below counts with what it needs itself."""
        parts: list[_Part] = []
        for function in self.below.get(bridge.address, ()):
            if function.is_vf:
                continue
            for bar in _bars(function, largest=largest, vfs=vfs):
                if _window_of(bar, bridge) is space and is_known(bar.size_bytes) and bar.size_bytes:
                    parts.append(_Part(bar.size_bytes, _alignment(function, bar)))
            if function.bus_range is not None:
                inner = [(each, self._needs(function, each, largest=largest, vfs=vfs)) for each in Space]
                parts += [part for each, part in inner if part.size and _window_below(each, function, bridge) is space]
        return _sum(parts)

    def _unsized(self, bridge: Function) -> Iterator[Address]:
        for function in self.below.get(bridge.address, ()):
            if not function.is_vf and (not is_known(function.bars) or any(not is_known(bar.size_bytes) for bar in function.bars)):
                yield function.address
            if function.bus_range is not None:
                yield from self._unsized(function)


def _bars(function: Function, *, largest: bool, vfs: bool) -> Iterator[Bar]:
    best = {bar.index: max(bar.sizes_bytes, default=0) for bar in function.resizable_bars} if largest and is_known(function.resizable_bars) else {}
    for bar in function.bars if is_known(function.bars) else ():
        yield Bar(bar.index, bar.kind, max(best.get(bar.index, 0), bar.size_bytes), bar.prefetchable) if is_known(bar.size_bytes) else bar
    if vfs and isinstance(function.sriov, Sriov) and is_known(function.sriov.vf_bars):
        for bar in function.sriov.vf_bars:
            if is_known(bar.size_bytes):
                yield Bar(_VF + bar.index, bar.kind, bar.size_bytes * function.sriov.total_vfs, bar.prefetchable)


_VF = 7
"""Index of the first resource of virtual functions (PCI_IOV_RESOURCES)."""


def _alignment(function: Function, bar: Bar) -> int:
    """A BAR is aligned to its size; those of virtual functions together to that of one (`pci_sriov_resource_alignment`)."""
    assert is_known(bar.size_bytes)
    if bar.index >= _VF and isinstance(function.sriov, Sriov):
        return bar.size_bytes // function.sriov.total_vfs
    return bar.size_bytes


def _wide(bridge: Function) -> bool:
    """Whether the prefetchable window takes addresses above 4 GiB; where it is not known, yes: PCIe bridges do (PCIe 6.0 §7.5.1.3.9)."""
    return not (isinstance(bridge.windows, BridgeWindows) and bridge.windows.wide is False)


def _window_of(bar: Bar, bridge: Function) -> Space | None:
    """`pci_bus_size_bridges`: a 64-bit prefetchable window takes what is both; another takes all that is prefetchable."""
    if bar.kind is BarKind.IO:
        return None
    return Space.PREFETCHABLE if bar.prefetchable and (bar.kind is BarKind.MEM64 or not _wide(bridge)) else Space.MEMORY


def _window_below(space: Space, inner: Function, bridge: Function) -> Space:
    """Where a window of a bridge below goes: a prefetchable one that is not wide does not fit a wide one."""
    return Space.PREFETCHABLE if space is Space.PREFETCHABLE and (_wide(inner) or not _wide(bridge)) else Space.MEMORY


def _sum(parts: Sequence[_Part]) -> _Part:
    """Sizes added up, each at least its alignment, rounded to a step; aligned to the largest."""
    size = sum(max(part.size, part.alignment) for part in parts)
    return _Part(-(-size // STEP_BYTES) * STEP_BYTES, max([STEP_BYTES, *(part.alignment for part in parts)]))


def _size(bridge: Function, space: Space) -> int | Unknown:
    if not isinstance(bridge.windows, BridgeWindows):
        return bridge.windows if isinstance(bridge.windows, Unknown) else UNKNOWN
    window = bridge.windows.memory if space is Space.MEMORY else bridge.windows.prefetchable
    return window.size_bytes if isinstance(window, AddressRange) else 0 if window is None else window
