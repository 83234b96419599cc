"""A guest as QEMU arguments (QEMU 9.1 or later for SEV-SNP; docs/pcie.txt, docs/system/i386/amd-memory-encryption.rst)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from simkit.model.capabilities import BarKind
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known

FIRMWARE = "/usr/share/OVMF/OVMF.amdsev.fd"
"""Default of the shell variable OVMF in rendered scripts: an OVMF built for direct boot of confidential guests."""

_MIB = 1 << 20
_STAND_IN_MIB = 64


def arguments(plan: Plan, guest: GuestPlan, *, stand_ins: bool = False, firmware: str = FIRMWARE) -> tuple[str, ...]:
    """All arguments after `qemu-system-x86_64`.

    With `stand_ins` the tree stays and what a machine without the hardware lacks is replaced: software emulation, no TEE object,
    plain memory, a `pci-testdev` or conventional stand-in in the place of each passed-through function. So a real QEMU can be asked
    whether it accepts the tree.
    """
    return tuple(part for _, options in sections(plan, guest, stand_ins=stand_ins, firmware=firmware) for option in options for part in option)


Option = tuple[str, ...]


def sections(plan: Plan, guest: GuestPlan, *, stand_ins: bool = False, firmware: str = FIRMWARE) -> Iterator[tuple[str, list[Option]]]:
    """The arguments in groups, each with a comment for people."""
    yield "machine", list(_machine(plan, guest, stand_ins=stand_ins, firmware=firmware))
    yield "memory and CPUs, by NUMA node of the host", list(_memory(guest, stand_ins=stand_ins))
    yield "PCIe tree", [("-device", _port(port, guest)) for port in _ordered(guest)]
    confidential = guest.tee is not TeeKind.NONE and not stand_ins
    if confidential and guest.devices:
        yield "devices through IOMMUFD, as confidential guests need it", [("-object", "iommufd,id=iommufd0")]
    for device in guest.devices:
        yield describe(plan.host, device), [("-device", _stand_in(guest, device) if stand_ins else _vfio(guest, device))]


def render(plan: Plan, guest: GuestPlan) -> str:
    """A shell script that starts the guest: one option a line, with what each device is on the host."""
    lines = [
        "#!/bin/sh",
        f"# {guest.name} of workload {plan.workload.name} on {plan.host.name}",
        "# Needs what the plan's steps set up: devices bound to vfio-pci, virtual functions enabled.",
    ]
    if guest.tee is TeeKind.SEV_SNP:
        lines.append("# SEV-SNP guests need QEMU 9.1 or later and a host kernel with KVM support for them (Linux 6.11).")
    if guest.tee is TeeKind.TDX:
        lines.append("# TDX guests need QEMU 10.1 or later and a host kernel with KVM support for them (Linux 6.16).")
    if guest.nodes:
        listed = ", ".join(f"vCPUs of guest node {node.id} on host CPUs {node.cpus}" for node in guest.nodes)
        lines.append(f"# Pin the vCPU threads after the start (QMP query-cpus-fast gives their ids): {listed}.")
    lines += [f': "${{OVMF:={FIRMWARE}}}"', ': "${QEMU:=qemu-system-x86_64}"', ': "${DISK:?the guest image, for example DISK=guest.qcow2}"', 'exec "$QEMU" \\']
    for comment, options in sections(plan, guest, firmware="$OVMF"):
        lines.append(f"  `# {comment.replace('`', '')}` \\")
        lines += [f"  {' '.join(_quote(part) for part in option)} \\" for option in options]
    lines.append('  -drive "if=none,id=disk0,file=$DISK" -device virtio-blk-pci,drive=disk0,bus=pcie.0,addr=0x2,iommu_platform=on,disable-legacy=on "$@"')
    return "\n".join(lines) + "\n"


def _quote(part: str) -> str:
    return f'"{part}"' if "$OVMF" in part else shlex.quote(part)


def describe(host: Host, device: GuestDevice) -> str:
    """A device for a comment: what it is and where it is on the host."""
    function = host[device.vf_of or device.address]
    what = f"{function.kind.value} {function.label} at {device.address}"
    if device.vf_of is not None:
        what += f", virtual function {device.vf_index} of {device.vf_of}"
    return what + (f", along with {device.companion_of}" if device.companion_of is not None else "")


def _machine(plan: Plan, guest: GuestPlan, *, stand_ins: bool, firmware: str) -> Iterator[Option]:
    yield ("-name", guest.name)
    yield ("-nodefaults",)
    yield ("-display", "none")
    if stand_ins:
        yield ("-machine", "q35,accel=tcg")
        yield ("-cpu", "max")
        return
    secure = {TeeKind.SEV_SNP: ",confidential-guest-support=tee0", TeeKind.TDX: ",confidential-guest-support=tee0"}.get(guest.tee, "")
    yield ("-machine", f"q35,accel=kvm,kernel-irqchip=split{secure},smm=off" if secure else "q35,accel=kvm,kernel-irqchip=split")
    yield ("-cpu", "EPYC-v4,host-phys-bits=on" if guest.tee is TeeKind.SEV_SNP else "host,host-phys-bits=on")
    if guest.tee is TeeKind.SEV_SNP:
        yield ("-object", "sev-snp-guest,id=tee0,cbitpos=51,reduced-phys-bits=1,policy=0x30000")
    if guest.tee is TeeKind.TDX:
        yield ("-object", "tdx-guest,id=tee0")
    yield ("-bios", firmware)
    window = mmio_window_mib(plan, guest)
    if window:
        yield ("-fw_cfg", f"name=opt/ovmf/X-PciMmio64Mb,string={window}")


def mmio_window_mib(plan: Plan, guest: GuestPlan) -> int:
    """MiB of 64-bit window that OVMF must leave for the guest's BARs: twice their sum, as a power of two, since windows are aligned to the largest BAR. 0 where sizes are unknown."""
    total = 0
    for device in guest.devices:
        bars = plan.host[device.vf_of or device.address].bars
        if is_known(bars):
            total += sum(bar.size_bytes for bar in bars if bar.kind is BarKind.MEM64 and is_known(bar.size_bytes))
    return 1 << (2 * total // _MIB).bit_length() if total else 0


def _memory(guest: GuestPlan, *, stand_ins: bool) -> Iterator[Option]:
    if stand_ins:
        yield ("-m", f"{_STAND_IN_MIB * max(len(guest.nodes), 1)}M")
        yield ("-smp", f"{guest.cpus}")
        yield from _stand_in_nodes(guest)
        return
    yield ("-m", f"{guest.memory_bytes // _MIB}M")
    yield ("-smp", f"{guest.cpus}")
    private = guest.tee is not TeeKind.NONE
    first = 0
    for node in guest.nodes:
        options = f"memory-backend-memfd,id=ram{node.id},size={node.memory_bytes},host-nodes={node.host_node},policy=bind,share={'off' if private else 'on'},prealloc={'off' if private else 'on'}"
        yield ("-object", options)
        last = first + len(node.cpus) - 1
        yield ("-numa", f"node,nodeid={node.id},cpus={first}-{last},memdev=ram{node.id}")
        first = last + 1


def _stand_in_nodes(guest: GuestPlan) -> Iterator[Option]:
    """The same nodes and CPUs with a token of memory each."""
    first = 0
    for node in guest.nodes:
        last = first + len(node.cpus) - 1
        yield ("-object", f"memory-backend-ram,id=ram{node.id},size={_STAND_IN_MIB}M,prealloc=off")
        yield ("-numa", f"node,nodeid={node.id},cpus={first}-{last},memdev=ram{node.id}")
        first = last + 1


def _ordered(guest: GuestPlan) -> list[GuestPort]:
    """Ports with every parent before its children: QEMU makes them in the order given."""
    found: list[GuestPort] = []
    level: list[str | None] = [None]
    while level:
        below = sorted((port for port in guest.ports if port.parent in level), key=lambda port: (port.slot, port.id))
        found += below
        level = [port.id for port in below]
    return found


def _bus(guest: GuestPlan, parent: str | None) -> str:
    return "pcie.0" if parent is None else parent


def _port(port: GuestPort, guest: GuestPlan) -> str:
    place = f"id={port.id},bus={_bus(guest, port.parent)}"
    number = port.chassis
    match port.kind:
        case GuestPortKind.EXPANDER:
            node = _guest_node(guest, port.numa_node)
            return f"pxb-pcie,id={port.id},bus=pcie.0,addr={port.slot:#x},bus_nr={port.bus_nr}" + ("" if node is None else f",numa_node={node}")
        case GuestPortKind.ROOT:
            return f"pcie-root-port,{place},addr={port.slot:#x},chassis={number},slot={number}"
        case GuestPortKind.UPSTREAM:
            return f"x3130-upstream,{place},addr={port.slot:#x}"
        case GuestPortKind.DOWNSTREAM:
            return f"xio3130-downstream,{place},addr={port.slot:#x},chassis={number},slot={number}"
        case GuestPortKind.BRIDGE:
            return f"pcie-pci-bridge,{place},addr={port.slot:#x}"


def _guest_node(guest: GuestPlan, host_node: int | None) -> int | None:
    return next((node.id for node in guest.nodes if node.host_node == host_node), None)


def _vfio(guest: GuestPlan, device: GuestDevice) -> str:
    options = f"vfio-pci,host={device.address},bus={device.port},addr={device.slot:#x}"
    if guest.tee is not TeeKind.NONE:
        options += ",iommufd=iommufd0,rombar=0"
    if device.clique is not None:
        options += f",x-nv-gpudirect-clique={device.clique}"
    return options


def _stand_in(guest: GuestPlan, device: GuestDevice) -> str:
    return f"pci-testdev,id={stand_in_id(device)},bus={device.port},addr={device.slot:#x}"


def stand_in_id(device: GuestDevice) -> str:
    """The id of a device's stand-in: its host address in letters that QEMU takes."""
    return "dev-" + str(device.address).replace(":", "-").replace(".", "-")
