"""A guest plan as libvirt's domain XML.

Sources: libvirt's docs/formatdomain.rst and docs/pci-hotplug.rst (bus numbers in addresses are controller indexes), its RNG schema as
`virt-xml-validate` applies it, docs/drvqemu.rst (device properties that libvirt has no element for: ``qemu:override``).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # written here, never read: nothing from outside is parsed
from collections.abc import Iterator
from dataclasses import replace

from simkit.formats.guest import parts as guest_parts
from simkit.formats.guest.qemu import FIRMWARE, SNP_POLICY
from simkit.model.address import Address
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
TDX_POLICY = 0x10000000
"""SEPT_VE_DISABLE set, no debugging: QEMU's own default (libvirt docs/formatdomain.rst, launch security)."""

_MODEL = {GuestPortKind.EXPANDER: "pcie-expander-bus", GuestPortKind.ROOT: "pcie-root-port", GuestPortKind.UPSTREAM: "pcie-switch-upstream-port",
          GuestPortKind.DOWNSTREAM: "pcie-switch-downstream-port", GuestPortKind.BRIDGE: "pcie-to-pci-bridge"}
_SINCE = {TeeKind.SEV_SNP: "launchSecurity sev-snp needs libvirt 10.5 and QEMU 9.1 or later",
          TeeKind.TDX: "launchSecurity tdx needs libvirt 11.6 and QEMU 10.1 or later"}


def render(plan: Plan, guest: GuestPlan) -> str:
    """The domain: CPUs pinned, memory bound, one controller a port, one `hostdev` a device, at the plan's place in the tree.

    Devices are `managed='no'`: the plan's steps bind them to vfio-pci. A disk, network and kernel are not part of a plan: add them.

    Raises:
        InputError: the guest's ports are no tree.
    """
    ports = _as_libvirt_takes_them(guest_parts.ordered_ports(guest))
    domain = ET.Element("domain", {"type": "kvm"})
    _comment(domain, f"guest {guest.name} of workload {plan.workload.name} on {plan.host.name}")
    if guest.tee in _SINCE:
        _comment(domain, _SINCE[guest.tee])
        _comment(domain, "devices go through VFIO's groups here; where your libvirt knows iommufd='yes' on a hostdev's driver, set it")
    _comment(domain, guest_parts.unchecked(guest))
    _text(domain, "name", guest_parts.one_line(guest.name).replace("/", "_") or "guest")
    _text(domain, "memory", str(-(-guest_parts.memory_bytes(guest) // 1024)), unit="KiB")
    _memory(domain, guest)
    _text(domain, "vcpu", str(guest.cpus), placement="static")
    _pinning(domain, guest)
    _system(domain, plan, guest)
    devices = ET.SubElement(domain, "devices")
    indexes = {port.id: index for index, port in enumerate(ports, start=1)}
    _controllers(devices, plan, guest, ports, indexes)
    names = guest_parts.identities(plan, guest)
    for device in guest.devices:
        _hostdev(devices, plan, device, indexes, names)
    _own_devices(devices, guest)
    _launch_security(domain, guest)
    _beyond(domain, plan, guest, names)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _comment(parent: ET.Element, text: str) -> None:
    """A comment; two hyphens in a row would end it (XML 1.0 §2.5)."""
    safe = guest_parts.one_line(text)
    while "--" in safe:
        safe = safe.replace("--", "- -")
    parent.append(ET.Comment(f" {safe} "))


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _memory(domain: ET.Element, guest: GuestPlan) -> None:
    backing = ET.SubElement(domain, "memoryBacking")
    if guest.hugepage_bytes is not None:
        ET.SubElement(ET.SubElement(backing, "hugepages"), "page", {"size": str(guest.hugepage_bytes // 1024), "unit": "KiB"})
    ET.SubElement(backing, "source", {"type": "memfd"})
    ET.SubElement(backing, "access", {"mode": "shared"})
    if guest.tee is TeeKind.NONE:
        ET.SubElement(backing, "allocation", {"mode": "immediate"})
    if guest.nodes:
        tune = ET.SubElement(domain, "numatune")
        nodes = ",".join(str(node) for node in sorted({node.host_node for node in guest.nodes}))
        ET.SubElement(tune, "memory", {"mode": "strict", "nodeset": nodes})
        for node in guest.nodes:
            ET.SubElement(tune, "memnode", {"cellid": str(node.id), "mode": "strict", "nodeset": str(node.host_node)})


def _pinning(domain: ET.Element, guest: GuestPlan) -> None:
    pins = [(part.first + index, cpu) for part in guest_parts.node_cpus(guest) for index, cpu in enumerate(part.pins)]
    if pins:
        tune = ET.SubElement(domain, "cputune")
        for vcpu, cpu in pins:
            ET.SubElement(tune, "vcpupin", {"vcpu": str(vcpu), "cpuset": str(cpu)})
        ET.SubElement(tune, "emulatorpin", {"cpuset": ",".join(str(part.node.cpus) for part in guest_parts.node_cpus(guest) if part.pins)})


def _system(domain: ET.Element, plan: Plan, guest: GuestPlan) -> None:
    confidential = guest.tee is not TeeKind.NONE
    system = ET.SubElement(domain, "os", {} if confidential else {"firmware": "efi"})
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    if confidential:
        _comment(system, "firmware is measured, so it is loaded as read-only memory; give the path of your build")
        _text(system, "loader", FIRMWARE[guest.tee], type="rom")
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    ET.SubElement(features, "ioapic", {"driver": "qemu"})
    _cpu(domain, plan, guest)
    ET.SubElement(domain, "clock", {"offset": "utc"})
    _text(domain, "on_reboot", "destroy" if confidential else "restart")


def _cpu(domain: ET.Element, plan: Plan, guest: GuestPlan) -> None:
    cpu = ET.SubElement(domain, "cpu", {"mode": "host-passthrough", "check": "none", "migratable": "off"})
    if guest.tee is TeeKind.SEV_SNP:
        _comment(cpu, "family, model and stepping are part of the launch measurement: the host's own, as this stands")
    parts = guest_parts.node_cpus(guest)
    counts = {part.last - part.first + 1 for part in parts}
    sockets = len(parts) if len(counts) == 1 and 0 not in counts else 1
    ET.SubElement(cpu, "topology", {"sockets": str(sockets), "dies": "1", "cores": str(guest.cpus // sockets), "threads": "1"})
    if guest.tee is not TeeKind.TDX:
        ET.SubElement(cpu, "maxphysaddr", {"mode": "passthrough"})
    if not parts:
        return
    numa = ET.SubElement(cpu, "numa")
    distances = tuple(guest_parts.distances(plan, guest))
    for part in parts:
        cpus = {"cpus": f"{part.first}-{part.last}"} if part.last >= part.first else {}
        memory = {"memory": str(-(-part.node.memory_bytes // 1024)), "unit": "KiB", "memAccess": "shared"}
        cell = ET.SubElement(numa, "cell", {"id": str(part.node.id), **cpus, **memory})
        mine = [(part.node.id, 10), *((there, distance) for here, there, distance in distances if here == part.node.id)]
        if len(mine) > 1:
            table = ET.SubElement(cell, "distances")
            for there, distance in sorted(mine):
                ET.SubElement(table, "sibling", {"id": str(there), "value": str(distance)})


def _as_libvirt_takes_them(ports: tuple[GuestPort, ...]) -> tuple[GuestPort, ...]:
    """PCIe-to-PCI bridges of the root bus below a root port each: libvirt takes them nowhere else (virPCIDeviceAddressTypes; seen with 9.0)."""
    found: list[GuestPort] = []
    chassis = max((port.chassis for port in ports), default=0)
    for port in ports:
        if port.kind is GuestPortKind.BRIDGE and port.parent is None:
            chassis += 1
            found.append(GuestPort(f"{port.id}-rp", GuestPortKind.ROOT, None, port.slot, chassis))
            port = replace(port, parent=f"{port.id}-rp", slot=0)
        found.append(port)
    return tuple(found)


def _controllers(devices: ET.Element, plan: Plan, guest: GuestPlan, ports: tuple[GuestPort, ...], indexes: dict[str, int]) -> None:
    root = ET.SubElement(devices, "controller", {"type": "pci", "index": "0", "model": "pcie-root"})
    if guest.mmio64_mib:
        _text(root, "pcihole64", str(guest.mmio64_mib << 10), unit="KiB")
    for port in ports:
        stands_for = guest_parts.mirrored(plan, port)
        _comment(devices, f"{port.id} {stands_for}")
        controller = ET.SubElement(devices, "controller", {"type": "pci", "index": str(indexes[port.id]), "model": _MODEL[port.kind]})
        _target(controller, guest, port)
        ET.SubElement(controller, "alias", {"name": f"ua-{port.id}"})
        _place(controller, indexes[port.parent] if port.parent is not None else 0, port.slot)
    ET.SubElement(devices, "controller", {"type": "usb", "index": "0", "model": "none"})


def _target(controller: ET.Element, guest: GuestPlan, port: GuestPort) -> None:
    if port.kind in (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM):
        ET.SubElement(controller, "target", {"chassis": str(port.chassis), "port": f"0x{port.chassis & 0xFF:x}"})
    elif port.kind is GuestPortKind.EXPANDER:
        target = ET.SubElement(controller, "target", {"busNr": str(port.bus_nr)} if port.bus_nr is not None else {})
        node = guest_parts.guest_node(guest, port)
        if node is not None:
            _text(target, "node", str(node))


def _place(element: ET.Element, controller: int, slot: int) -> None:
    ET.SubElement(element, "address", {"type": "pci", "domain": "0x0000", "bus": f"0x{controller:02x}", "slot": f"0x{slot:02x}", "function": "0x0"})


def _hostdev(devices: ET.Element, plan: Plan, device: GuestDevice, indexes: dict[str, int], names: dict[Address, str]) -> None:
    _comment(devices, guest_parts.describe(plan, device))
    hostdev = ET.SubElement(devices, "hostdev", {"mode": "subsystem", "type": "pci", "managed": "no"})
    ET.SubElement(hostdev, "driver", {"name": "vfio"})
    source = ET.SubElement(hostdev, "source")
    ET.SubElement(source, "address", {"domain": f"0x{device.address.domain:04x}", "bus": f"0x{device.address.bus:02x}",
                                      "slot": f"0x{device.address.device:02x}", "function": f"0x{device.address.function:x}"})
    ET.SubElement(hostdev, "alias", {"name": f"ua-{names[device.address]}"})
    _place(hostdev, indexes[device.port], device.slot)


def _own_devices(devices: ET.Element, guest: GuestPlan) -> None:
    console = ET.SubElement(devices, "console", {"type": "pty"})
    ET.SubElement(console, "target", {"type": "serial", "port": "0"})
    ET.SubElement(devices, "memballoon", {"model": "none"})
    slot = guest_parts.free_root_slot(guest)
    if slot is not None:
        rng = ET.SubElement(devices, "rng", {"model": "virtio"})
        _text(rng, "backend", "/dev/urandom", model="random")
        if guest.tee is not TeeKind.NONE:
            ET.SubElement(rng, "driver", {"iommu": "on"})
        _place(rng, 0, slot)


def _launch_security(domain: ET.Element, guest: GuestPlan) -> None:
    if guest.tee is TeeKind.SEV_SNP:
        security = ET.SubElement(domain, "launchSecurity", {"type": "sev-snp"})
        _text(security, "policy", f"0x{SNP_POLICY:08x}")
    elif guest.tee is TeeKind.TDX:
        security = ET.SubElement(domain, "launchSecurity", {"type": "tdx"})
        _text(security, "policy", f"0x{TDX_POLICY:08x}")


def _beyond(domain: ET.Element, plan: Plan, guest: GuestPlan, names: dict[Address, str]) -> None:
    """What libvirt has no element for: NVIDIA's P2P approval cliques, and OVMF's window, whose fw_cfg name `sysinfo` refuses as reserved."""
    cliques, note = tuple(_cliques(guest, names)), guest_parts.window_note(plan, guest)
    if cliques or guest.mmio64_mib:
        domain.set("xmlns:qemu", QEMU_NAMESPACE)
        _comment(domain, "libvirt has no element for what follows, and marks the domain as tainted")
    if note and not guest.mmio64_mib:
        _comment(domain, note)
    if guest.mmio64_mib:
        commandline = ET.SubElement(domain, "qemu:commandline")
        _comment(commandline, f"for OVMF, in MiB: {note}")
        ET.SubElement(commandline, "qemu:arg", {"value": "-fw_cfg"})
        ET.SubElement(commandline, "qemu:arg", {"value": f"name=opt/ovmf/X-PciMmio64Mb,string={guest.mmio64_mib}"})
    if cliques:
        override = ET.SubElement(domain, "qemu:override")
        for alias, clique in cliques:
            frontend = ET.SubElement(ET.SubElement(override, "qemu:device", {"alias": alias}), "qemu:frontend")
            ET.SubElement(frontend, "qemu:property", {"name": "x-nv-gpudirect-clique", "type": "unsigned", "value": str(clique)})


def _cliques(guest: GuestPlan, names: dict[Address, str]) -> Iterator[tuple[str, int]]:
    for device in guest.devices:
        if device.clique is not None:
            yield f"ua-{names[device.address]}", device.clique
