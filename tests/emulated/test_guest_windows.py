"""Windows of guest ports against what firmware and kernel of a booted guest report, in several shapes, with BARs of up to 64 GiB."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simkit.executors.lab import Lab
from simkit.executors.lab.machine import Machine
from simkit.model.capabilities import Bar, BarKind
from simkit.model.guest import GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.semantics.guest_windows import GIB, MIB, Firmware, PortWindows, port_windows

pytestmark = [pytest.mark.lab, pytest.mark.slow]

OVMF = Path(os.environ.get("SIMKIT_LAB_OVMF", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
ROOT, UP, DOWN, BRIDGE, EXPANDER = GuestPortKind.ROOT, GuestPortKind.UPSTREAM, GuestPortKind.DOWNSTREAM, GuestPortKind.BRIDGE, GuestPortKind.EXPANDER
OVMF_APERTURE = 128 * GIB
"""An eighth of the 40 bits that QEMU's `max` processor addresses under emulation (`PlatformDynamicMmioWindow`)."""

TESTDEV, SHARED = "pci-testdev", "ivshmem-plain"
Shape = tuple[list[GuestPort], dict[str, list[tuple[str, int]]]]


def flat() -> Shape:
    """A large BAR, a small one, a shared memory, and a port with nothing on it."""
    ports = [GuestPort(f"rp{number}", ROOT, None, 7 + number, number + 1) for number in range(4)]
    return ports, {"rp0": [(TESTDEV, 16 * GIB)], "rp1": [(TESTDEV, 2 * MIB)], "rp2": [(SHARED, 64 * MIB)]}


def switched() -> Shape:
    ports = [GuestPort("swrp0", ROOT, None, 7, 1), GuestPort("swup0", UP, "swrp0", 0, 2),
             *(GuestPort(f"swdp{number}", DOWN, "swup0", number, 3 + number) for number in range(4)), GuestPort("rp0", ROOT, None, 8, 9)]
    return ports, {"swdp0": [(TESTDEV, 8 * GIB)], "swdp1": [(TESTDEV, GIB)], "swdp2": [(TESTDEV, 8 * GIB)], "rp0": [(TESTDEV, 4 * GIB)]}


def nested() -> Shape:
    ports = [GuestPort("swrp0", ROOT, None, 7, 1), GuestPort("swup0", UP, "swrp0", 0, 2), GuestPort("swdp0", DOWN, "swup0", 0, 3),
             GuestPort("swdp1", DOWN, "swup0", 1, 4), GuestPort("swup1", UP, "swdp1", 0, 5), GuestPort("swdp2", DOWN, "swup1", 0, 6),
             GuestPort("swdp3", DOWN, "swup1", 1, 7)]
    return ports, {"swdp0": [(TESTDEV, 4 * GIB)], "swdp2": [(TESTDEV, 16 * GIB)], "swdp3": [(SHARED, 256 * MIB)]}


def bridged() -> Shape:
    """Companions on bridges, one on the root bus and one below a root port."""
    ports = [GuestPort("rp0", ROOT, None, 7, 1), GuestPort("rp1", ROOT, None, 8, 2), GuestPort("br0", BRIDGE, "rp1", 0, 3), GuestPort("br1", BRIDGE, None, 9, 4)]
    return ports, {"rp0": [(TESTDEV, 32 * GIB)], "br0": [(TESTDEV, 0), (TESTDEV, 0)], "br1": [(TESTDEV, 0)]}


SHAPES = (flat, switched, nested, bridged)


def bars(name: str, size: int) -> list[Bar]:
    """What QEMU's devices decode (hw/misc/pci-testdev.c, ivshmem.c)."""
    own = [Bar(0, BarKind.MEM32, 4096 if name == TESTDEV else 256)]
    if name == TESTDEV:
        own.append(Bar(1, BarKind.IO, 256))
    return [*own, Bar(2, BarKind.MEM64, size, prefetchable=True)] if size else own


def arguments(shape: Shape, firmware: Firmware) -> Iterator[str]:
    ports, devices = shape
    yield from ("-machine", "q35,accel=tcg", "-cpu", "max,cx16=off", "-m", "512")
    if firmware is Firmware.OVMF:
        yield from ("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}")
    models = {ROOT: "pcie-root-port", UP: "x3130-upstream", DOWN: "xio3130-downstream", BRIDGE: "pcie-pci-bridge"}
    for port in ports:
        place = f"id={port.id},bus={port.parent or 'pcie.0'},addr=0x{port.slot:x}"
        yield from ("-device", f"{models[port.kind]},{place}" + (f",chassis={port.chassis},slot={port.chassis}" if port.kind in (ROOT, DOWN) else ""))
    for port_id, on_it in devices.items():
        slots = 1 if any(port.id == port_id and port.kind is BRIDGE for port in ports) else 0
        for slot, (name, size) in enumerate(on_it, slots):
            if name == SHARED:
                yield from ("-object", f"memory-backend-ram,id=m{port_id},size={size}")
            what = f",memdev=m{port_id}" if name == SHARED else f",membar={size}" if size else ""
            yield from ("-device", f"{name},id=d{port_id}{slot},bus={port_id},addr=0x{slot:x}{what}")


def reported(lab: Lab, shape: Shape, firmware: Firmware) -> dict[str, tuple[int, int, int]]:
    """I/O, memory and prefetchable window of each port, as the kernel's `resource` files say them."""
    machine = Machine(Host("guest", (), (), iommu=IommuKind.INTEL), tuple(arguments(shape, firmware)), "")
    found = {}
    with lab.boot(machine, modules=()) as session:
        text = session.console.run("for d in /sys/bus/pci/devices/*; do [ -d $d/pci_bus ] && readlink -f $d && sed -n '14,16p' $d/resource; done")[1].decode()
    lines = text.split("\n")
    paths = {}
    for at, line in enumerate(lines):
        if line.startswith("/sys/"):
            sizes = tuple(int(end, 16) - int(start, 16) + 1 if int(flags, 16) else 0 for start, end, flags in (row.split() for row in lines[at + 1:at + 4]))
            paths[tuple(part for part in line.split("/") if part[4:5] == ":")] = sizes
    for port in shape[0]:
        found[port.id] = next(sizes for path, sizes in paths.items() if slots(path) == chain(shape[0], port))
    return found


def slots(path: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(part.rpartition(":")[2].partition(".")[0], 16) for part in path)


def chain(ports: list[GuestPort], port: GuestPort) -> tuple[int, ...]:
    above = next((each for each in ports if each.id == port.parent), None)
    return (*(chain(ports, above) if above else ()), port.slot)


@pytest.mark.parametrize("firmware", Firmware)
@pytest.mark.parametrize("make", SHAPES)
def test_the_guest_reports_the_windows_that_were_counted(lab: Lab, make, firmware: Firmware) -> None:
    """Memory and prefetchable windows exactly. The I/O window of a port without I/O BARs is 4 KiB or none: OVMF before 2023 keeps one for
    each port that takes hot-plugged devices, and so does Linux where it finds room; where BARs ask for one, its size is exact."""
    if firmware is Firmware.OVMF and not OVMF.exists():
        pytest.skip("no OVMF: install ovmf, or name its code in SIMKIT_LAB_OVMF")
    shape = make()
    on_ports = {port: [bar for name, size in devices for bar in bars(name, size)] for port, devices in shape[1].items()}
    counted: dict[str | None, PortWindows] = {each.port: each for each in port_windows(shape[0], on_ports, firmware, OVMF_APERTURE if firmware is Firmware.OVMF else 0)}
    found = reported(lab, shape, firmware)
    assert set(found) == {port.id for port in shape[0]}
    for port, (io, memory, prefetchable) in found.items():
        window = counted[port]
        assert (port, memory, prefetchable) == (port, window.memory.size_bytes, window.prefetchable.size_bytes)
        assert io >= window.io.size_bytes
        leaf = not any(each.parent == port for each in shape[0])
        assert not leaf or io in ({window.io.size_bytes} if window.io.size_bytes else {0, 4096})
    print(f"\n{firmware}: {len(found)} ports of {make.__name__} have the windows that were counted")
