"""What fits a guest: slots of the root bus, I/O windows, bus numbers (QEMU q35; Kata VRA; `domain` figures with their source)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simkit.model.guest import GuestDevice, GuestPort, GuestPortKind

ROOT_BUS_SLOTS = 32
"""Device numbers of one bus (PCIe 6.0 §2.2.4.2)."""

RESERVED_SLOTS = 8
"""Slots that Kata's own devices take: five virtio, a PCIe-PCI bridge, DRAM controller, LPC block (kata-containers docs/design/kata-vra.md)."""

MOST_ROOT_PORTS = 16
MOST_SWITCH_PORTS = 16
"""Ports with a 4 KiB I/O window of 64 KiB each; Kata refuses more (`maxPCIeRootPorts`, `maxPCIeSwitchPorts`, src/runtime/pkg/katautils)."""

MOST_BUSES = 256


def shortfalls(ports: Sequence[GuestPort], devices: Sequence[GuestDevice]) -> tuple[str, ...]:
    """Every limit that a guest's tree breaks, as sentences; empty where it fits."""
    found = []
    kinds = Counter(port.kind for port in ports)
    on_root = sum(port.parent is None for port in ports)
    if on_root > ROOT_BUS_SLOTS - RESERVED_SLOTS:
        found.append(f"{on_root} ports on the root bus, which has {ROOT_BUS_SLOTS} slots of which the guest's own devices take {RESERVED_SLOTS}")
    if kinds[GuestPortKind.ROOT] > MOST_ROOT_PORTS:
        found.append(f"{kinds[GuestPortKind.ROOT]} root ports, at most {MOST_ROOT_PORTS} have an I/O window")
    if kinds[GuestPortKind.DOWNSTREAM] > MOST_SWITCH_PORTS:
        found.append(f"{kinds[GuestPortKind.DOWNSTREAM]} switch ports, at most {MOST_SWITCH_PORTS} have an I/O window")
    buses = 1 + len(ports)
    if buses > MOST_BUSES:
        found.append(f"{buses} buses, at most {MOST_BUSES} can be numbered")
    for port, count in Counter((device.port, device.slot) for device in devices).items():
        if count > 1:
            found.append(f"{count} devices in slot {port[1]} of port {port[0]}")
    return tuple(found)
