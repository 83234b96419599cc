"""A guest as libvirt domain XML (formatdomain.html; sev-snp since libvirt 10.5, tdx since 11.6)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from simkit.formats.qemu import FIRMWARE, describe, mmio_window_mib
from simkit.model.address import Address
from simkit.model.guest import GuestPlan, GuestPort, GuestPortKind
from simkit.model.plan import Plan
from simkit.model.platform import TeeKind

_MODELS = {
    GuestPortKind.EXPANDER: ("pcie-expander-bus", "pxb-pcie"),
    GuestPortKind.ROOT: ("pcie-root-port", "pcie-root-port"),
    GuestPortKind.UPSTREAM: ("pcie-switch-upstream-port", "x3130-upstream"),
    GuestPortKind.DOWNSTREAM: ("pcie-switch-downstream-port", "xio3130-downstream"),
    GuestPortKind.BRIDGE: ("pcie-to-pci-bridge", "pcie-pci-bridge"),
}
_KIB = 1 << 10


def render(plan: Plan, guest: GuestPlan, *, secure: bool = True, kvm: bool = True) -> str:
    """The domain. Bus numbers in its addresses are controller indexes, as libvirt counts them, not the guest's bus numbers.

    Without `secure` the launch security is left out, and without `kvm` the domain is an emulated one: for judging the tree on a
    machine that has neither. `managed='no'`: the plan's steps bind the devices, not libvirt.
    """
    domain = ET.Element("domain", type="kvm" if kvm else "qemu")
    domain.append(ET.Comment(f" {guest.name} of workload {plan.workload.name} on {plan.host.name} ".replace("--", "- -")))
    _text(domain, "name", guest.name)
    _text(domain, "memory", str(guest.memory_bytes // _KIB), unit="KiB")
    _text(domain, "vcpu", str(guest.cpus), placement="static")
    _cpus(domain, guest)
    system = _add(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    confidential = guest.tee is not TeeKind.NONE
    if kvm:
        _text(system, "loader", FIRMWARE, **({"type": "rom"} if confidential else {"readonly": "yes", "type": "pflash"}))
    features = _add(domain, "features")
    _add(features, "acpi")
    cpu = _add(domain, "cpu", mode="host-passthrough" if kvm else "maximum")
    numa = _add(cpu, "numa") if guest.nodes else None
    first = 0
    for node in guest.nodes:
        assert numa is not None
        _add(numa, "cell", id=str(node.id), cpus=f"{first}-{first + len(node.cpus) - 1}", memory=str(node.memory_bytes // _KIB), unit="KiB")
        first += len(node.cpus)
    devices = _add(domain, "devices")
    _controllers(devices, guest)
    _hostdevs(devices, plan, guest)
    if secure and confidential:
        _launch_security(domain, guest)
    window = mmio_window_mib(plan, guest)
    if window and kvm:
        domain.append(ET.Comment(f" OVMF needs a 64-bit window of {window} MiB: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={window} (set it by a sysinfo fwcfg entry or in the firmware) "))
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, attributes)


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    _add(parent, tag, **attributes).text = text


def _cpus(domain: ET.Element, guest: GuestPlan) -> None:
    """Each vCPU on its host CPU, each guest node's memory from its host node."""
    if not guest.nodes:
        return
    tune = _add(domain, "cputune")
    for number, cpu in enumerate(cpu for node in guest.nodes for cpu in node.cpus):
        _add(tune, "vcpupin", vcpu=str(number), cpuset=str(cpu))
    memory = _add(domain, "numatune")
    hosts = sorted({node.host_node for node in guest.nodes})
    _add(memory, "memory", mode="strict", nodeset=",".join(map(str, hosts)))
    for node in guest.nodes:
        _add(memory, "memnode", cellid=str(node.id), mode="strict", nodeset=str(node.host_node))


def indexes(guest: GuestPlan) -> dict[str, int]:
    """Controller index of each port, from 1; 0 is pcie-root. A parent comes before its children."""
    found: dict[str, int] = {}
    level: list[str | None] = [None]
    while level:
        below = sorted((port for port in guest.ports if port.parent in level), key=lambda port: (port.slot, port.id))
        for port in below:
            found[port.id] = len(found) + 1
        level = [port.id for port in below]
    return found


def _controllers(devices: ET.Element, guest: GuestPlan) -> None:
    index = indexes(guest)
    _add(devices, "controller", type="pci", index="0", model="pcie-root")
    for port in sorted(guest.ports, key=lambda port: index[port.id]):
        model, name = _MODELS[port.kind]
        controller = _add(devices, "controller", type="pci", index=str(index[port.id]), model=model)
        _add(controller, "model", name=name)
        _target(controller, port, guest)
        _address(controller, 0 if port.parent is None else index[port.parent], port.slot)


def _target(controller: ET.Element, port: GuestPort, guest: GuestPlan) -> None:
    if port.kind is GuestPortKind.EXPANDER:
        target = _add(controller, "target", busNr=str(port.bus_nr))
        node = next((node.id for node in guest.nodes if node.host_node == port.numa_node), None)
        if node is not None:
            _text(target, "node", str(node))
    elif port.kind in (GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM):
        _add(controller, "target", chassis=str(port.chassis), port=hex(port.chassis))


def _address(parent: ET.Element, bus: int, slot: int) -> None:
    _add(parent, "address", type="pci", domain="0x0000", bus=f"0x{bus:02x}", slot=f"0x{slot:02x}", function="0x0")


def _hostdevs(devices: ET.Element, plan: Plan, guest: GuestPlan) -> None:
    index = indexes(guest)
    for device in guest.devices:
        devices.append(ET.Comment(f" {describe(plan.host, device)} ".replace("--", "- -")))
        hostdev = _add(devices, "hostdev", mode="subsystem", type="pci", managed="no")
        _add(hostdev, "driver", name="vfio")
        _source(_add(hostdev, "source"), device.address)
        _address(hostdev, index[device.port], device.slot)


def _source(source: ET.Element, address: Address) -> None:
    _add(source, "address", domain=f"0x{address.domain:04x}", bus=f"0x{address.bus:02x}", slot=f"0x{address.device:02x}", function=f"0x{address.function:x}")


def _launch_security(domain: ET.Element, guest: GuestPlan) -> None:
    if guest.tee is TeeKind.SEV_SNP:
        security = _add(domain, "launchSecurity", type="sev-snp")
        _text(security, "policy", "0x30000")
    else:
        security = _add(domain, "launchSecurity", type="tdx")
