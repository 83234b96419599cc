"""What a guest needs of address space, what a virtual machine has, and what is too much.

Sources: EDK II OvmfPkg/Library/PlatformInitLib/MemDetect.c (`PlatformGetFirstNonAddress`, `PlatformAddressWidthFromCpuid`,
`PlatformDynamicMmioWindow`) and Platform.c (`PlatformMemMapInitialization`); QEMU hw/i386/pc_q35.c (memory below 4 GiB); Intel TDX module
specification (the shared bit is the highest of 48 or 52); AMD APM vol. 2 §15.34.1 (the C-bit, 51 on EPYC since Milan).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.capabilities import Bar
from simkit.model.guest import GuestPlan, GuestPortKind
from simkit.model.guest_bars import are_sized, bars_of
from simkit.model.host import Host
from simkit.model.platform import TeeKind
from simkit.model.unknown import Unknown, is_known
from simkit.semantics.guest_limits import shortfalls
from simkit.semantics.guest_windows import GIB, IO_STEP_BYTES, KIB, MIB, Firmware, PortWindows, port_windows

OWN_DEVICES_BYTES = 2 * GIB
"""Set aside in 64-bit space for what a plan does not know of: the guest's own virtio devices."""

MEMORY_BELOW_4G_BYTES = 960 * MIB
"""From the end of OVMF's PCI configuration window to the I/O APICs, 0xC0000000 to 0xFC000000; later builds of OVMF have 1.5 GiB."""

IO_BYTES = 64 * KIB

MOST_VECTORS = 4096 - 40
"""KVM_MAX_IRQ_ROUTES less those of the emulated I/O APIC and PICs (Linux include/linux/kvm_host.h, arch/x86/kvm/irq_comm.c)."""

ADDRESS_BITS = {TeeKind.TDX: 47, TeeKind.SEV_SNP: 51, TeeKind.NONE: 52}
"""Below TDX's shared bit (of 48; 51 with 52) and SNP's C-bit; architecturally 52."""

FIRMWARE_BITS = 46
"""OVMF maps no more (`PlatformAddressWidthFromCpuid`, to do without five levels of paging)."""

_LOW_MEMORY_BYTES = 2 * GIB
_LOW_UP_TO_BYTES = 0xB0000000
_MOST_WINDOW_MIB = 0x1000000


@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that the answer lacks: whose, where it would stand (`Host.places`), and why it is unknown. What it would add is not counted."""

    address: Address
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class GuestSpace:
    """What a guest needs, by port, against what there is.

    `ports` has every port's windows in the plan's order, `roots` those of the root bus and of each expander. `mmio64_bytes` is the window that
    must be asked of firmware (OVMF's `X-PciMmio64Mb` times a MiB; 0 where nothing needs it): a power of two with all prefetchable windows and
    `OWN_DEVICES_BYTES` in it. It lies from `mmio64_base` on, in `address_bits` of guest physical address. `over` are the limits that are broken,
    as sentences; `vectors` are the devices' MSI-X vectors together; `missing` what was not counted because it is unknown; `assumed` what was taken for granted.
    """

    ports: tuple[PortWindows, ...]
    roots: tuple[PortWindows, ...]
    mmio64_bytes: int
    mmio64_base: int
    address_bits: int
    over: tuple[str, ...]
    missing: tuple[Missing, ...]
    vectors: int | Unknown
    assumed: tuple[str, ...]

    @property
    def mmio64_mib(self) -> int:
        """The number for OVMF's `opt/ovmf/X-PciMmio64Mb`."""
        return self.mmio64_bytes // MIB


def mmio64_mib(host: Host, guest: GuestPlan) -> int | None:
    """What a plan says of the 64-bit window (`GuestPlan.mmio64_mib`): for the devices whose BARs are known; None where that is none of them."""
    space = guest_space(host, guest)
    return None if guest.devices and len(space.missing) == len(guest.devices) else space.mmio64_mib


def guest_space(host: Host, guest: GuestPlan, *, firmware: Firmware = Firmware.OVMF, phys_bits: int | None = None) -> GuestSpace:
    """The address space that `guest` needs on `host`.

    `phys_bits` are the guest CPU's (CPUID 0x80000008); without them the widest that the TEE and the firmware allow is assumed, and said.
    """
    bars, missing = _bars(host, guest)
    bits = min(ADDRESS_BITS[guest.tee], FIRMWARE_BITS if firmware is Firmware.OVMF else 52, phys_bits or 52)
    asked, windows = 2 * GIB, port_windows(guest.ports, bars, firmware, 2 * GIB)
    while (needed := _above_4g(_roots(guest, windows))) and needed + OWN_DEVICES_BYTES > asked:
        asked = max(2 * asked, 1 << (needed + OWN_DEVICES_BYTES - 1).bit_length())
        windows = port_windows(guest.ports, bars, firmware, asked)
    asked = asked if needed else 0
    base, size = _place(guest, asked, bits, known=phys_bits is not None) if firmware is Firmware.OVMF else (_top(guest), asked)
    if size > asked:
        windows = port_windows(guest.ports, bars, firmware, size)
    roots = _roots(guest, windows)
    assumed = () if phys_bits else (f"the guest's processor addresses {bits} bits, as much as its firmware and TEE allow",)
    vectors = _vectors(host, guest)
    over = (*shortfalls(guest.ports, guest.devices), *_over(roots, asked, base + asked, bits))
    if is_known(vectors) and vectors > MOST_VECTORS:
        over = (*over, f"{vectors} MSI-X vectors, KVM routes {MOST_VECTORS} interrupts")
    return GuestSpace(tuple(each for each in windows if each.port is not None), roots, asked, base, bits, over, missing, vectors, assumed)


def _bars(host: Host, guest: GuestPlan) -> tuple[dict[str, list[Bar]], tuple[Missing, ...]]:
    """BARs by the port they will lie on, and whose are unknown."""
    found: dict[str, list[Bar]] = {}
    missing = []
    for device in guest.devices:
        path, bars = bars_of(host, device)
        if not is_known(bars):
            missing.append(Missing(device.address, path, bars.why))
            continue
        if not are_sized(bars):
            missing.append(Missing(device.address, path, "the source has addresses of BARs, not sizes"))
        found.setdefault(device.port, []).extend(bars)
    return found, tuple(missing)


def _vectors(host: Host, guest: GuestPlan) -> int | Unknown:
    """The vectors of all devices; of virtual functions only of those that exist."""
    total = 0
    for device in guest.devices:
        if device.address not in host:
            return Unknown(f"{device.address} does not exist yet")
        vectors = host[device.address].msix_vectors
        if isinstance(vectors, Unknown):
            return Unknown(f"of {device.address}: {vectors.why}")
        total += vectors or 0
    return total


def _roots(guest: GuestPlan, windows: tuple[PortWindows, ...]) -> tuple[PortWindows, ...]:
    expanders = {port.id for port in guest.ports if port.kind is GuestPortKind.EXPANDER}
    return tuple(each for each in windows if each.port is None or each.port in expanders)


def _above_4g(roots: tuple[PortWindows, ...]) -> int:
    """All prefetchable windows; each root bus begins aligned to its largest."""
    end = 0
    for window in sorted((root.prefetchable for root in roots if root.prefetchable.size_bytes), key=lambda window: window.alignment_bytes, reverse=True):
        end = -(-end // window.alignment_bytes) * window.alignment_bytes + window.size_bytes
    return end


def _top(guest: GuestPlan) -> int:
    """Where memory ends: what is not below 4 GiB is above (pc_q35_init)."""
    memory = sum(node.memory_bytes for node in guest.nodes) or guest.memory_bytes
    return 4 * GIB if memory < _LOW_UP_TO_BYTES else 4 * GIB + memory - _LOW_MEMORY_BYTES


def _place(guest: GuestPlan, asked: int, bits: int, *, known: bool) -> tuple[int, int]:
    """Where OVMF puts the window, and how large it makes it: behind memory and naturally aligned, or an eighth of all at the end if that is more."""
    step = max(asked, GIB)
    base = -(-_top(guest) // step) * step
    eighth = 1 << (bits - 3)
    if known and asked < eighth and base + eighth < 1 << bits:
        return (1 << bits) - eighth, eighth
    return base, asked


def _over(roots: tuple[PortWindows, ...], asked: int, end: int, bits: int) -> Iterator[str]:
    io = sum(root.io.size_bytes for root in roots)
    if io > IO_BYTES:
        yield f"I/O windows of {io // KIB} KiB, {IO_BYTES // KIB} KiB ({IO_BYTES // IO_STEP_BYTES} windows of {IO_STEP_BYTES // KIB} KiB) are all there is"
    memory = sum(root.memory.size_bytes for root in roots)
    if memory > MEMORY_BELOW_4G_BYTES:
        yield f"{-(-memory // MIB)} MiB of memory windows below 4 GiB, which has room for {MEMORY_BELOW_4G_BYTES // MIB} MiB"
    if asked // MIB > _MOST_WINDOW_MIB:
        yield f"a 64-bit window of {asked // GIB} GiB, OVMF makes none above {_MOST_WINDOW_MIB // KIB} GiB"
    if end > 1 << bits:
        yield f"a 64-bit window of {asked // GIB} GiB up to address {end:#x}, behind the {bits} bits of guest physical address"
