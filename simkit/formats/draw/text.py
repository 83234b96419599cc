"""Pictures in text: the tree, the groups, the peer-to-peer matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from simkit.formats.draw.outline import Entry, acs_text, outline, short
from simkit.formats.draw.owner import Owner
from simkit.model.address import Address
from simkit.model.capabilities import Ats
from simkit.model.function import Function, Kind
from simkit.model.group import Grouping
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known

_REASONS = 4
MEANING = {
    PeerClass.NVL: "NVLink or xGMI, straight or through NVSwitches",
    PeerClass.NVB: "NVLink or xGMI over one other GPU",
    PeerClass.C2C: "CPU's coherent link to its GPU",
    PeerClass.PIX: "one PCIe switch",
    PeerClass.PXB: "several PCIe switches below one host bridge",
    PeerClass.P2C: "PCIe switch, then the CPU's coherent link",
    PeerClass.PXN: "over NVLink to a GPU that is near",
    PeerClass.PHB: "a host bridge (the CPU)",
    PeerClass.SYS: "the link between CPUs",
    PeerClass.DIS: "no way",
}
"""As NCCL uses the words (src/graph/topo.h)."""


def headline(host: Host) -> str:
    """One line: name, what is in it, and the platform."""
    words = {Kind.GPU: ("GPU", "GPUs"), Kind.NIC: ("NIC", "NICs"), Kind.NVSWITCH: ("NVSwitch", "NVSwitches"), Kind.NVME: ("NVMe disk", "NVMe disks")}
    counts = [
        f"{len(found)} {plural if len(found) > 1 else single}"
        for kind, (single, plural) in words.items()
        if (found := [function for function in host.of_kind(kind) if not function.is_vf])
    ]
    platform = [f"{len(host.functions)} functions"]
    platform += [f"Linux {host.kernel}"] if is_known(host.kernel) else []
    platform += [f"IOMMU {host.iommu}"] if is_known(host.iommu) else ["IOMMU unknown"]
    platform += [str(tee.kind) for tee in host.tees] if is_known(host.tees) else []
    return f"{host.name}: {', '.join(counts) or 'no accelerator, NIC or NVMe disk'} · {' · '.join(platform)}"


def tree(host: Host, grouping: Grouping | None = None, owners: Mapping[Address, Owner] | None = None, *, whole: bool = False) -> str:
    """The PCIe tree as lines, one drawn entry each: address, what it is, link, ACS, driver, IOMMU group, owner."""
    lines: list[str] = []
    for root in outline(host, grouping, owners, whole=whole):
        lines.append("  ".join((root.title, *root.facts)))
        lines.extend(_branch(root.children, ""))
    return "\n".join(lines)


def _branch(entries: Sequence[Entry], indent: str) -> Iterator[str]:
    for index, entry in enumerate(entries):
        last = index == len(entries) - 1
        yield f"{indent}{'└─' if last else '├─'} {_line(entry)}"
        yield from _branch(entry.children, indent + ("   " if last else "│  "))


def _line(entry: Entry) -> str:
    if entry.function is None:
        return entry.title
    address = str(entry.function.address)
    if entry.through is not None:
        address = f"{short(entry.through.address)} ─ {address}"
    group = (f"group {entry.group}",) if entry.group is not None else ()
    owner = (f"◀ {entry.owner}",) if entry.owner else ()
    return "  ".join((address, entry.title, *entry.facts, *group, *owner))


def certainty(grouping: Grouping) -> str:
    """How many IOMMU groups there are, and what that rests on."""
    if not grouping.groups:
        if grouping.unscoped:
            return "no IOMMU groups: firmware's tables put no function under an IOMMU"
        return "no IOMMU groups: no IOMMU is on" if grouping.ungrouped else "no functions, no IOMMU groups"
    count = f"{len(grouping.groups)} IOMMU group{'s' * (len(grouping.groups) > 1)}, {grouping.status}"
    return count + (", as the kernel reported them" if grouping.reported else f", as Linux {grouping.kernel} would build them")


def groups(host: Host, grouping: Grouping) -> str:
    """The IOMMU groups, one a line with its members and, where more than one function shares it, why."""
    lines = [f"{host.name}: {certainty(grouping)}"]
    for index, group in enumerate(grouping.groups):
        number = f"{group.id:>4}" if group.id is not None else f"#{index:>3}"
        members = [f"{address} {host[address].kind.value}" for address in group.functions]
        lines.append(f"{number}  {', '.join(members)}")
        if len(group.functions) > 1:
            reasons = list(dict.fromkeys(f"      {because.text}  [{because.rule}]" for because in group.because))
            lines += reasons[:_REASONS] + ([f"      … and {len(reasons) - _REASONS} more reasons"] if len(reasons) > _REASONS else [])
    if grouping.ungrouped:
        lines.append(f"none  {', '.join(map(str, grouping.ungrouped))}")
        if grouping.unscoped:
            unscoped = "these" if grouping.unscoped == grouping.ungrouped else ", ".join(map(str, grouping.unscoped))
            lines.append(f"      firmware's tables (DMAR, IVRS, IORT) put {unscoped} under no IOMMU")
    if grouping.differences:
        lines.append("The kernel's report differs from what the rules predict:")
        lines.extend(f"  {difference.text}" for difference in grouping.differences)
    if grouping.assumptions:
        lines.append(
            f"Not known, and it matters ({len(grouping.assumptions)}):" if grouping.status == "ambiguous" else f"Assumed ({len(grouping.assumptions)}):"
        )
        lines.extend(f"  {assumption.place}: {assumption.text}" for assumption in grouping.assumptions)
    if grouping.finest:
        lines.append(f"Shown is the coarsest possible answer; with every unknown in favour there would be {len(grouping.finest)} groups.")
    return "\n".join(lines)


def matrix(host: Host, functions: Sequence[Address], nearness: Sequence[Sequence[PeerClass]]) -> str:
    """Peer classes of all pairs, as `nvidia-smi topo -m` lays them out, and what the classes mean."""
    if not functions:
        return f"{host.name}: no GPU and no NIC, nothing to compare"
    names = peer_names(host, functions)
    width = max(len(name) for name in [*names, "xxxx"]) + 1
    lines = [" " * width + "".join(f"{name:>{width}}" for name in names)]
    for name, row, address in zip(names, nearness, functions, strict=True):
        lines.append(
            f"{name:<{width}}" + "".join(f"{'X' if cell == PeerClass.LOC else str(cell):>{width}}" for cell in row) + f"   {address}  {host[address].label}"
        )
    there = {cell for row in nearness for cell in row}
    lines += ["", *(f"{cell!s:<4} {meaning}" for cell, meaning in MEANING.items() if cell in there)]
    return "\n".join(lines)


def peer_names(host: Host, functions: Sequence[Address]) -> list[str]:
    """Kind and number of each, as `nvidia-smi topo -m` counts them: ``GPU0``, ``NIC1``."""
    counts: dict[Kind, int] = {}
    names = []
    for address in functions:
        kind = host[address].kind
        names.append(f"{kind.value.upper()}{counts.get(kind, 0)}")
        counts[kind] = counts.get(kind, 0) + 1
    return names


def guest_line(host: Host, guest: GuestPlan) -> str:
    """What a guest gets, in a line."""
    own = [device for device in guest.devices if device.companion_of is None]
    kinds = Counter(host[device.vf_of or device.address].kind.value + (" VF" if device.vf_of else "") for device in own)
    devices = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "no devices"
    nodes = ", ".join(str(node.host_node) for node in guest.nodes)
    return f"{guest.name}: {devices}; {_size(guest)}" + (f" of NUMA {nodes}" if nodes else "")


def _size(guest: GuestPlan) -> str:
    return f"{guest.cpus} {'CPU' if guest.cpus == 1 else 'CPUs'}, {_memory(guest.memory_bytes)}"


def _memory(size_bytes: int) -> str:
    """``64 GiB``, ``1.46 GiB``, ``512 MiB``."""
    return f"{round(size_bytes / (1 << 30), 2):.12g} GiB" if size_bytes >= 1 << 30 else f"{size_bytes / (1 << 20):.0f} MiB"


def guest_summary(host: Host, guest: GuestPlan) -> str:
    """What was decided for one guest: size, nodes, and its tree of ports with the host function behind each device."""
    tee = f"{guest.tee}, " if guest.tee is not TeeKind.NONE else ""
    lines = [f"{guest.name}: {tee}{guest.topology}, {_size(guest)}"]
    lines += [f"  guest node {node.id} from host node {node.host_node}: CPUs {node.cpus}, {_memory(node.memory_bytes)}" for node in guest.nodes]
    lines += [f"  {line}" for line in _ports(host, guest, None, "")]
    lines += [f"  {reason}" for reason in (*guest.because, *_bits(host, guest))]
    return "\n".join(lines)


def _bits(host: Host, guest: GuestPlan) -> Iterator[str]:
    """ACS control right above the guest's devices, and the state of their ATS: what isolates them and what would give a short way."""
    by_text: dict[str, list[Function]] = {}
    for device in guest.devices:
        port = host.parent(host[device.vf_of or device.address])
        if port is not None and port not in by_text.setdefault(acs_text(port), []):
            by_text[acs_text(port)].append(port)
    for text, ports in by_text.items():
        yield f"{text} at {', '.join(str(port.address) for port in ports)}, right above its devices"
    ats = sorted({_ats(host[device.vf_of or device.address]) for device in guest.devices})
    if ats:
        yield f"ATS of its devices: {', '.join(ats)}"


def _ats(function: Function) -> str:
    if not isinstance(function.ats, Ats):
        return "not there" if function.ats is None else "unknown"
    return "unknown whether on" if not is_known(function.ats.enabled) else "on" if function.ats.enabled else "off, until Linux attaches a guest's IOMMU domain"


def _ports(host: Host, guest: GuestPlan, parent: str | None, indent: str) -> Iterator[str]:
    """The ports below `parent`, each with its devices; a port with one device takes one line."""
    ports = [port for port in guest.ports if port.parent == parent]
    devices = [device for device in guest.devices if device.port == parent]
    total = len(ports) + len(devices)
    for index, port in enumerate(ports):
        last = index == total - 1
        own = [device for device in guest.devices if device.port == port.id]
        single = len(own) == 1 and not any(other.parent == port.id for other in guest.ports)
        mirrors = f"  (host's {port.mirrors})" if port.mirrors else ""
        node = f"  node {port.numa_node}" if port.numa_node is not None and port.parent is None else ""
        device = f" ─ {_guest_device(host, own[0])}" if single else ""
        yield f"{indent}{'└─' if last else '├─'} {port.kind} port {port.id}{mirrors}{node}{device}"
        if not single:
            yield from _ports(host, guest, port.id, indent + ("   " if last else "│  "))
    for index, entry in enumerate(devices, start=len(ports)):
        yield f"{indent}{'└─' if index == total - 1 else '├─'} {_guest_device(host, entry)}"


def _guest_device(host: Host, device: GuestDevice) -> str:
    function = host[device.vf_of or device.address]
    named = f" {function.label}" if function.label != function.kind.value else ""
    what = f"{device.address} {function.kind.value.upper()}{named}"
    if device.vf_of is not None:
        what += f", VF {device.vf_index} of {device.vf_of}"
    if device.companion_of is not None:
        what += f", comes with {device.companion_of}"
    return what + (f", IOMMU group {device.group}" if device.group is not None else "")
