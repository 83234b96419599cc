"""How much address space a guest's firmware gives each port: I/O, memory below 4 GiB, and prefetchable memory.

Sources: EDK II MdeModulePkg/Bus/Pci/PciBusDxe/PciResourceSupport.c (`CreateResourceMap`, `DegradeResource`, `CalculateResourceAperture`) with
OvmfPkg/PciHotPlugInitDxe/PciHotPlugInit.c (`GetResourcePadding`); SeaBIOS src/fw/pciinit.c (`pci_bios_check_devices`); QEMU hw/pci-bridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simkit.model.capabilities import Bar, BarKind
from simkit.model.guest import GuestPort, GuestPortKind
from simkit.model.unknown import is_known

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
IO_STEP_BYTES = 4 * KIB
"""What a bridge's I/O window begins and ends at (PCI-to-PCI Bridge 1.2 §3.2.5.6)."""

_ROM = 6
_HOT_PLUG = (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM, GuestPortKind.BRIDGE)
_OVMF_KEEPS_ABOVE = 32 * GIB


class Firmware(StrEnum):
    """Who lays out a guest's address space before its kernel runs."""

    OVMF = "ovmf"
    SEABIOS = "seabios"


@dataclass(frozen=True, slots=True)
class Window:
    """`size_bytes` of address space that begin at a multiple of `alignment_bytes`; none where the size is 0."""

    size_bytes: int = 0
    alignment_bytes: int = 1


@dataclass(frozen=True, slots=True)
class PortWindows:
    """The three windows of a guest port's bridge; `port` None or an expander's id is a root bus, whose windows are the sums of what lies on it.

    `prefetchable` is above 4 GiB, unless something in it can only be addressed with 32 bits (`prefetchable_below_4g`).
    """

    port: str | None
    io: Window
    memory: Window
    prefetchable: Window
    prefetchable_below_4g: bool = False


def port_windows(ports: Sequence[GuestPort], bars: Mapping[str, Sequence[Bar]], firmware: Firmware, aperture_bytes: int) -> tuple[PortWindows, ...]:
    """The windows of every port, in the order of `ports`, after those of the root bus (`port` None).

    `bars` are those of the devices on a port, by its id; unknown sizes count nothing. `aperture_bytes` is all of the 64-bit space that firmware
    may hand out: OVMF reserves a 256th of it for every port that takes hot-plugged devices, where it is larger than 32 GiB.

    A window is the sum of what is in it, the larger alignments first, and as aligned as its largest part. SeaBIOS rounds the size up to that
    alignment too; OVMF to 1 MiB only, so that its windows need not be powers of two.
    """
    layout = _Layout(ports, bars, firmware, aperture_bytes)
    return (layout.below(None, None), *(layout.below(port.id, port.kind) for port in ports))


@dataclass(slots=True)
class _Layout:
    ports: Sequence[GuestPort]
    bars: Mapping[str, Sequence[Bar]]
    firmware: Firmware
    aperture_bytes: int

    def below(self, port: str | None, kind: GuestPortKind | None) -> PortWindows:
        io, memory, high, low = self._devices(port)
        for inner in sorted(self.ports, key=lambda each: each.slot):
            if inner.parent == port and inner.kind is not GuestPortKind.EXPANDER:
                own = self.below(inner.id, inner.kind)
                io.append(own.io)
                memory += [*_registers(inner.kind), own.memory]
                (low if own.prefetchable_below_4g else high).append(own.prefetchable)
        if kind is None or kind is GuestPortKind.EXPANDER:
            if low and any(part.size_bytes for part in low):
                memory += low
            return PortWindows(port, _root(io), _root(memory), _root(high))
        return self._bridge(port, kind, io, memory, high, low)

    def _devices(self, port: str | None) -> tuple[list[Window], list[Window], list[Window], list[Window]]:
        io: list[Window] = []
        memory: list[Window] = []
        high: list[Window] = []
        low: list[Window] = []
        for bar in self.bars.get(port, ()) if port is not None else ():
            size = bar.size_bytes
            if not is_known(size) or not size or (bar.index == _ROM and self.firmware is Firmware.OVMF):
                continue
            if bar.kind is BarKind.IO:
                io.append(Window(size, size))
            else:
                size = max(size, 4 * KIB)
                (memory if not bar.prefetchable else high if bar.kind is BarKind.MEM64 else low).append(Window(size, size))
        return io, memory, high, low

    def _bridge(self, port: str | None, kind: GuestPortKind, io: list[Window], memory: list[Window], high: list[Window], low: list[Window]) -> PortWindows:
        hot_plug = kind in _HOT_PLUG
        if self.firmware is Firmware.SEABIOS:
            keeps = 2 * MIB if hot_plug else 0
            keeps_io = IO_STEP_BYTES if kind is GuestPortKind.BRIDGE else 0
            return PortWindows(port, _seabios(io, IO_STEP_BYTES, keeps_io), _seabios(memory, 2 * MIB, keeps), _seabios([*high, *low], 2 * MIB, keeps),
                               any(part.size_bytes for part in low))
        keeps = _power(self.aperture_bytes >> 8) if hot_plug and self.aperture_bytes > _OVMF_KEEPS_ABOVE else 0
        if keeps or any(part.size_bytes for part in high):
            memory, low = [*memory, *low], []
        return PortWindows(port, _ovmf(io, IO_STEP_BYTES, 0), _ovmf(memory, MIB, 2 * MIB if hot_plug else 0), _ovmf([*high, *low], MIB, keeps),
                           any(part.size_bytes for part in low))


def _registers(kind: GuestPortKind) -> tuple[Window, ...]:
    """What a port itself decodes on its bus: a root port its MSI-X table, a bridge its hot-plug controller (QEMU hw/pci-bridge)."""
    return (Window(4 * KIB, 4 * KIB),) if kind in (GuestPortKind.ROOT, GuestPortKind.BRIDGE) else ()


def _root(parts: Sequence[Window]) -> Window:
    return Window(_end(parts), _largest(parts, 1))


def _ovmf(parts: Sequence[Window], step: int, keeps: int) -> Window:
    """`CalculateResourceAperture`: rounded to the step; what is kept for hot-plug counts where it is more."""
    size = max(_up(_end(parts), step), _up(keeps, step))
    return Window(size, max(_largest(parts, step), keeps)) if size else Window()


def _seabios(parts: Sequence[Window], step: int, keeps: int) -> Window:
    """`pci_bios_check_devices`: the sum, rounded to the largest alignment; something is kept for hot-plug where there is nothing."""
    alignment = _largest(parts, step)
    size = _up(sum(part.size_bytes for part in parts) or keeps, alignment)
    return Window(size, alignment) if size else Window()


def _largest(parts: Sequence[Window], least: int) -> int:
    return max([least, *(part.alignment_bytes for part in parts if part.size_bytes)])


def _end(parts: Sequence[Window]) -> int:
    """Where the last part ends, placed one after the other in the order of `_ordered`."""
    end = 0
    for part in _ordered(part for part in parts if part.size_bytes):
        end = _up(end, part.alignment_bytes) + part.size_bytes
    return end


def _ordered(parts: Iterable[Window]) -> list[Window]:
    """Larger alignments first, as `InsertResourceNode` has it.

    Of one alignment, each new part goes ahead of those whose size leaves less of a step, or ahead of all where its own leaves nothing.
    """
    found: list[Window] = []
    for part in parts:
        rest = part.size_bytes % part.alignment_bytes
        before = (at for at, other in enumerate(found) if part.alignment_bytes > other.alignment_bytes
                  or (part.alignment_bytes == other.alignment_bytes and (not rest or rest >= other.size_bytes % other.alignment_bytes)))
        found.insert(next(before, len(found)), part)
    return found


def _power(size: int) -> int:
    return 1 << (size - 1).bit_length() if size else 0


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
