"""A guest plan as arguments of QEMU, and as a shell script that people read before they run it.

Sources: qemu-system-x86_64's own `-device NAME,help` and `-object NAME,help`; docs/system/i386/amd-memory-encryption.rst and tdx.rst of QEMU;
docs/pcie.txt and docs/pcie_pci_bridge.txt of QEMU; OVMF's OvmfPkg/README (opt/ovmf/X-PciMmio64Mb).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from simkit.formats.guest import parts as guest_parts
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

SNP_POLICY = 0x30000
"""SMT allowed, reserved bit set, no debugging (SEV-SNP firmware ABI, guest policy; Kata's `snp_guest_policy`)."""

NODE_STAND_IN_BYTES = 256 << 20

FIRMWARE = {TeeKind.SEV_SNP: "/usr/share/OVMF/OVMF.amdsev.fd", TeeKind.TDX: "/usr/share/OVMF/OVMF.inteltdx.fd",
            TeeKind.NONE: "/usr/share/OVMF/OVMF_CODE_4M.fd"}
"""Where distributions put the builds of OVMF; a path of one's own goes into the script's variable."""

_SINCE = {TeeKind.SEV_SNP: "sev-snp-guest needs QEMU 9.1 or later", TeeKind.TDX: "tdx-guest needs QEMU 10.1 or later"}
_CPU = {TeeKind.SEV_SNP: "EPYC-v4,host-phys-bits=on", TeeKind.TDX: "host,pmu=off", TeeKind.NONE: "host,host-phys-bits=on"}
_EMULATED_CPU = "max,cx16=off"  # QEMU 7.2 now and then breaks the flags in cmpxchg16b, which kernels from 6.12 on use on every allocation
_WHY_CPU = {TeeKind.SEV_SNP: "a named model: family, model and stepping are part of the launch measurement", TeeKind.TDX: "TDX takes the host's model only"}


@dataclass(frozen=True, slots=True)
class _Option:
    """One option. `variable` is a shell variable whose value, or else `value`'s own end, follows `value` in the script."""

    flag: str
    value: str = ""
    comment: str = ""
    variable: tuple[str, str] | None = None

    def words(self) -> tuple[str, ...]:
        text = self.value + (self.variable[1] if self.variable else "")
        return (self.flag, text) if text else (self.flag,)

    def line(self) -> str:
        parts = [self.flag]
        if self.value or self.variable:
            parts.append((shlex.quote(self.value) if self.value else "") + (f'"${{{self.variable[0]}}}"' if self.variable else ""))
        return " ".join(parts)


def arguments(plan: Plan, guest: GuestPlan, *, stand_ins: bool = False) -> tuple[str, ...]:
    """QEMU's arguments for a guest, without the program: machine, CPUs, memory by node, the PCIe tree and the devices in it.

    A boot disk, kernel, network or console of the guest's own is not part of a plan: append it, with `bus=pcie.0` and a free `addr`.
    `stand_ins` is for a machine without the hardware: emulation instead of KVM, no TEE, an emulated function in each device's place,
    256 MiB a node without a host policy, no 64-bit window; the tree, NUMA nodes and vCPUs stay the same.

    Raises:
        InputError: the guest's ports are no tree.
    """
    return tuple(word for option in _options(plan, guest, stand_ins=stand_ins) for word in option.words())


def render(plan: Plan, guest: GuestPlan) -> str:
    """The same as a shell script: one option a line, each with the host device or port that it stands for; more arguments may follow.

    Raises:
        InputError: the guest's ports are no tree.
    """
    options = tuple(_options(plan, guest, stand_ins=False))
    variables = dict(option.variable for option in options if option.variable)
    headline = guest_parts.one_line(f"Guest {guest.name} of workload {plan.workload.name} on {plan.host.name}, as QEMU runs it.")
    lines = ["#!/bin/bash", f"# {headline}"]
    lines += [f"# {guest_parts.one_line(text)}" for text in (*_requirements(guest), guest_parts.unchecked(guest), *_no_window(plan, guest), *_pinning(guest))]
    lines += ["# Arguments given to this script are appended: the guest's disk, kernel, network. Put devices on the root bus by name",
              f"# (bus=pcie.0,addr=N; {_free(guest)}), or QEMU may place them on another bus.", "set -euo pipefail"]
    lines += [f": \"${{{name}:={_in_quotes(default)}}}\"" for name, default in (("QEMU", "qemu-system-x86_64"), *variables.items())]
    lines += ["# shellcheck disable=SC2054  # the commas are QEMU's", "arguments=("]
    for option in options:
        if option.comment:
            lines.append(f"  # {guest_parts.one_line(option.comment)}")
        lines.append(f"  {option.line()}")
    lines += [")", 'exec "$QEMU" "${arguments[@]}" "$@"']
    return "\n".join(lines) + "\n"


def _in_quotes(text: str) -> str:
    return "".join("\\" + char if char in '\\"$`}' else char for char in text)


def _requirements(guest: GuestPlan) -> Iterator[str]:
    if guest.tee in _SINCE:
        yield f"{_SINCE[guest.tee]}, vfio-pci with iommufd 9.0 or later; an older QEMU refuses this."
    yield "Every device must be bound to vfio-pci first: that is what the plan's steps do."


def _pinning(guest: GuestPlan) -> Iterator[str]:
    """QEMU does not pin by itself; who starts it does, thread by thread."""
    parts = [part for part in guest_parts.node_cpus(guest) if part.pins]
    if parts:
        yield "QEMU does not pin vCPUs: pin the thread of each (QMP query-cpus-fast) as follows, in order."
    for part in parts:
        yield f"  vCPU {part.first}-{part.last} (guest node {part.node.id}): host CPUs {part.node.cpus} of node {part.node.host_node}"


def _free(guest: GuestPlan) -> str:
    own = guest_parts.free_root_slot(guest)
    taken = {port.slot for port in guest.ports if port.parent is None} | ({own} if own is not None else set())
    free = [f"0x{slot:x}" for slot in range(1, 31) if slot not in taken]
    return f"free: {', '.join(free[:6])}" if free else "none is free"


def _options(plan: Plan, guest: GuestPlan, *, stand_ins: bool) -> Iterator[_Option]:
    tee = TeeKind.NONE if stand_ins else guest.tee
    yield _Option("-name", f"guest={_escaped(guest.name)}")
    yield _Option("-nodefaults", comment="nothing that the plan does not know of")
    yield _Option("-no-user-config")
    yield _Option("-display", "none")
    yield from _machine(guest, tee, stand_ins=stand_ins)
    yield from _memory(plan, guest, tee, stand_ins=stand_ins)
    if not stand_ins:
        yield from _firmware(tee)
        yield from _window(plan, guest)
    slot = guest_parts.free_root_slot(guest)
    if slot is not None:
        shared = ",disable-legacy=on,iommu_platform=on" if tee is not TeeKind.NONE else ""
        yield _Option("-device", f"virtio-rng-pci,id=rng0,bus=pcie.0,addr=0x{slot:x}{shared}",
                      "the guest's source of randomness, pinned to the root bus as all devices are")
    for port in guest_parts.ordered_ports(guest):
        yield _port(plan, guest, port)
    yield from _devices(plan, guest, tee, stand_ins=stand_ins)


def _escaped(text: str) -> str:
    """A value inside one of QEMU's comma lists (QemuOpts: a comma is written twice)."""
    return text.replace(",", ",,")


def _machine(guest: GuestPlan, tee: TeeKind, *, stand_ins: bool) -> Iterator[_Option]:
    parts = ["q35", "accel=tcg" if stand_ins else "accel=kvm"]
    if not stand_ins:
        parts.append("kernel-irqchip=split")
    if tee is not TeeKind.NONE:
        parts.append("confidential-guest-support=tee0")
    if not guest.nodes:
        parts.append("memory-backend=mem0")
    yield _Option("-machine", ",".join(parts))
    if tee is TeeKind.SEV_SNP:
        yield _Option("-object", f"sev-snp-guest,id=tee0,cbitpos=51,reduced-phys-bits=1,policy=0x{SNP_POLICY:x}",
                      "cbitpos 51 is that of EPYC since Milan (CPUID 0x8000001f EBX); policy: SMT allowed, no debugging")
    if tee is TeeKind.TDX:
        yield _Option("-object", "tdx-guest,id=tee0")
    yield _Option("-cpu", _EMULATED_CPU if stand_ins else _CPU[tee], "" if stand_ins else _WHY_CPU.get(tee, ""))
    counts = {part.last - part.first + 1 for part in guest_parts.node_cpus(guest)}
    sockets = len(guest.nodes) if len(counts) == 1 and 0 not in counts else 1
    yield _Option("-smp", f"cpus={guest.cpus},sockets={sockets},cores={guest.cpus // sockets},threads=1",
                  "one socket a NUMA node" if sockets > 1 else "")


def _memory(plan: Plan, guest: GuestPlan, tee: TeeKind, *, stand_ins: bool) -> Iterator[_Option]:
    """Backends bound to host nodes; confidential guests take shared ones, of which KVM's guest_memfd is the private half."""
    sizes: list[tuple[int, int | None, int]] = [(node.id, node.host_node, node.memory_bytes) for node in guest.nodes]
    sizes = sizes or [(0, None, guest.memory_bytes)]
    if stand_ins:
        sizes = [(node, None, NODE_STAND_IN_BYTES) for node, _, _ in sizes]
    yield _Option("-m", f"size={_size(sum(size for _, _, size in sizes))}")
    for node, host_node, size in sizes:
        kind = "memory-backend-ram" if stand_ins else "memory-backend-memfd"
        parts = [kind, f"id=mem{node}", f"size={_size(size)}"]
        if not stand_ins:
            parts += ["share=on", "prealloc=off" if tee is not TeeKind.NONE else "prealloc=on"]
            parts += ["hugetlb=on", f"hugetlbsize={_size(guest.hugepage_bytes)}"] if guest.hugepage_bytes is not None else []
        if host_node is not None:
            parts += [f"host-nodes={host_node}", "policy=bind"]
        yield _Option("-object", ",".join(parts), f"guest node {node} in host node {host_node}" if host_node is not None else "")
    for part in guest_parts.node_cpus(guest):
        cpus = f",cpus={part.first}-{part.last}" if part.last >= part.first else ""
        yield _Option("-numa", f"node,nodeid={part.node.id}{cpus},memdev=mem{part.node.id}")
    for here, there, distance in guest_parts.distances(plan, guest):
        yield _Option("-numa", f"dist,src={here},dst={there},val={distance}")


def _size(size: int) -> str:
    for unit, shift in (("M", 20), ("K", 10)):
        if size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return f"{size}B"


def _firmware(tee: TeeKind) -> Iterator[_Option]:
    if tee is not TeeKind.NONE:
        yield _Option("-bios", comment="firmware is measured, so it is loaded as read-only memory: no flash, no variables",
                      variable=("OVMF", FIRMWARE[tee]))
        return
    yield _Option("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=",
                  "OVMF's code; give its variables a file of the guest's own as unit 1 if they are to last",
                  variable=("OVMF_CODE", FIRMWARE[tee]))


def _window(plan: Plan, guest: GuestPlan) -> Iterator[_Option]:
    if guest.mmio64_mib:
        yield _Option("-global", f"q35-pcihost.pci-hole64-size={guest.mmio64_mib}M", guest_parts.window_note(plan, guest))
        yield _Option("-fw_cfg", f"name=opt/ovmf/X-PciMmio64Mb,string={guest.mmio64_mib}", "the same for OVMF, in MiB")


def _no_window(plan: Plan, guest: GuestPlan) -> Iterator[str]:
    """For the script's head: why no window is asked for, where that is worth a word."""
    note = guest_parts.window_note(plan, guest)
    if note and not guest.mmio64_mib:
        yield f"{note[0].upper()}{note[1:]}."


def _port(plan: Plan, guest: GuestPlan, port: GuestPort) -> _Option:
    place = f"id={port.id},bus={port.parent or 'pcie.0'},addr=0x{port.slot:x}"
    numbered = f"{place},chassis={port.chassis},slot={port.chassis}"
    comment = guest_parts.mirrored(plan, port)
    match port.kind:
        case GuestPortKind.EXPANDER:
            node = guest_parts.guest_node(guest, port)
            number = f",bus_nr={port.bus_nr}" if port.bus_nr is not None else ""
            return _Option("-device", f"pxb-pcie,{place}{number}" + (f",numa_node={node}" if node is not None else ""),
                           f"root bus of guest node {node}" if node is not None else "a root bus of a host node on which the guest has no memory")
        case GuestPortKind.ROOT:
            return _Option("-device", f"pcie-root-port,{numbered}", comment)
        case GuestPortKind.UPSTREAM:
            return _Option("-device", f"x3130-upstream,{place}", comment)
        case GuestPortKind.DOWNSTREAM:
            return _Option("-device", f"xio3130-downstream,{numbered}", comment)
        case GuestPortKind.BRIDGE:
            return _Option("-device", f"pcie-pci-bridge,{place}", "conventional devices below: they cost slots, not I/O windows")


def _devices(plan: Plan, guest: GuestPlan, tee: TeeKind, *, stand_ins: bool) -> Iterator[_Option]:
    names = guest_parts.identities(plan, guest)
    if tee is not TeeKind.NONE and guest.devices:
        yield _Option("-object", "iommufd,id=iommufd0", "confidential guests take devices through IOMMUFD")
    for device in guest.devices:
        place = f"id={names[device.address]},bus={device.port},addr=0x{device.slot:x}"
        if stand_ins:
            yield _Option("-device", f"{_stand_in(plan, device)},{place}")
            continue
        parts = [f"vfio-pci,{place}", f"host={device.address}"]
        if tee is not TeeKind.NONE:
            parts.append("iommufd=iommufd0")
        if device.clique is not None:
            parts.append(f"x-nv-gpudirect-clique={device.clique}")
        yield _Option("-device", ",".join(parts), guest_parts.describe(plan, device))


def _stand_in(plan: Plan, device: GuestDevice) -> str:
    """An emulated function that needs no back end: a network card for a NIC, QEMU's test device for all else."""
    return "virtio-net-pci,romfile=" if guest_parts.source(plan, device).kind is Kind.NIC else "pci-testdev"
