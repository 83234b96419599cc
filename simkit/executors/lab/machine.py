"""An emulated copy of a host: QEMU's arguments, the host that they really build, and what they cannot express."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from simkit.executors.lab import standins
from simkit.executors.lab.build import Builder
from simkit.executors.lab.parts import Part, Root, arguments, number
from simkit.executors.lab.platforms import Platform, platform
from simkit.model.address import Address, Parent, RootBus
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, Ats, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import NumaNode
from simkit.model.platform import IommuKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.semantics import kernel as kernels
from simkit.semantics.groups import groups
from simkit.semantics.kernel import release

_FIRST_NODE_MB, _FURTHER_NODE_MB = 512, 128
_MOST_CMDLINE = 1900
_BIG_BAR = 1 << 30


@dataclass(frozen=True, slots=True)
class Machine:
    """What the lab boots.

    `args` are QEMU's but for kernel, initial RAM file system and console; `cmdline` is what the kernel must be told, `platform` the kind of machine.
    `host` is what a reader should find once it has booted: the stand-ins, QEMU's own functions beside them, and the virtual functions in `vfs`, which
    are made right after boot. `addresses` lead from the host's functions to the lab's. `inexpressible` says what is not as on
    the host; `regrouped` are functions (of the host) whose IOMMU group comes out with other members because of that.
    """

    host: Host
    args: tuple[str, ...]
    cmdline: str
    addresses: dict[Address, Address] = field(default_factory=dict)
    vfs: tuple[tuple[Address, int], ...] = ()
    inexpressible: tuple[str, ...] = ()
    regrouped: tuple[Address, ...] = ()
    platform: Platform = platform(IommuKind.INTEL)


def express(host: Host, *, kernel: str | None = None, has: Collection[str] = standins.ALWAYS, iommu: IommuKind | None = None,
            devicetree: bool = False) -> Machine:
    """An emulated machine as like `host` as QEMU can make one.

    `kernel` is the release that will boot (`uname -r`; the host's own, else an old one): from 6.11 on its command line can set ACS bits port
    by port. `has` are the devices that this QEMU knows. `iommu` takes the place of the host's: all group by the same rules, and with Intel's
    the stand-ins' drivers work best. An SMMU is on Arm's machine, described by ACPI's tables, or by a `devicetree`.

    Raises:
        NotBuildable: more buses or NUMA nodes than an emulated machine can have.
    """
    chosen = kernel if kernel is not None else host.kernel if isinstance(host.kernel, str) else ""
    built_with = iommu or (host.iommu if isinstance(host.iommu, IommuKind) else IommuKind.INTEL)
    place = platform(built_with, devicetree=devicetree)
    builder = Builder(replace(host, iommu=built_with), release(chosen) or (0, 0), has, place)
    if built_with is not host.iommu:
        builder.said.say(f"the host's IOMMU is {'unknown' if isinstance(host.iommu, Unknown) else host.iommu.value}, the lab's {built_with.value}")
    roots = builder.roots()
    number(roots, name=host.name)
    _say_of_the_whole(builder)
    if not place.roomy:
        _without_far_vfs(roots, builder)
    acs = _acs_parameters(roots, builder)
    if not builder.requested and built_with is not IommuKind.NONE:
        builder.said.say("on a devicetree this kernel asks for ACS too late: all ports' bits are off")
    nodes = max([root.numa_node for root in roots if root.numa_node is not None], default=-1) + 1
    if nodes > 64:
        builder.said.say(f"{nodes} NUMA nodes are too many for the lab: none is given")
        for root in roots:
            root.numa_node = None
        nodes = 0
    built = Host(host.name, tuple(_functions(roots, builder)), tuple(NumaNode(index) for index in range(nodes)), iommu=built_with,
                 kernel=chosen or UNKNOWN, cmdline=acs)
    addresses = dict(_addresses(roots, builder))
    args = (*_around(place, nodes), *arguments(roots))
    return Machine(built, args, " ".join([*place.words, *([acs] if acs else [])]), addresses, tuple((part.address, count) for part, count in builder.vfs),
                   builder.said.sentences(), tuple(_regrouped(host, built, addresses)), place)


def _without_far_vfs(roots: list[Root], builder: Builder) -> None:
    """Firmware gives a further root bus the memory that it counts, without that of virtual functions, and Linux then leaves the disk without any too."""
    far = [part for root in roots[1:] for part in root.all() if part.standin.vfs]
    for part in far:
        part.standin = standins.NVME
    if far:
        builder.said.say("below a further root bus of Arm's machine there is no memory for virtual functions: its stand-in has none",
                         *(part.origin for part in far if part.origin is not None))
        builder.vfs = [(part, count) for part, count in builder.vfs if all(part is not other for other in far)]


def _around(place: Platform, nodes: int) -> Iterator[str]:
    yield from ("-machine", place.machine, "-cpu", place.cpu, "-smp", "1")
    yield from ("-m", str(_FIRST_NODE_MB + max(0, nodes - 1) * _FURTHER_NODE_MB))
    for node in range(nodes):
        yield from ("-object", f"memory-backend-ram,id=m{node},size={_FURTHER_NODE_MB if node else _FIRST_NODE_MB}M")
        yield from ("-numa", f"node,nodeid={node},memdev=m{node}{',cpus=0' if node == 0 else ''}")
    for device in place.devices:
        yield from ("-device", device)


def _acs_parameters(roots: list[Root], builder: Builder) -> str:
    """`pci=config_acs=` (6.11 and later: bits from the right are SV, TB, RR, CR, UF, EC, DT), or `disable_acs_redir=` (pci_enable_acs)."""
    odd = [part for root in roots for part in root.all() if part.control not in (None, REQUIRED_ACS) and part.standin.acs is not None]
    if not builder.requested or not odd:
        return ""
    word = "config_acs" if builder.version >= kernels.CONFIG_ACS_SINCE else "disable_acs_redir"
    entries: list[str] = []
    for part in odd:
        entry = f"{int(part.control or 0):07b}@{part.address}" if word == "config_acs" else str(part.address)
        if len(";".join([*entries, entry])) > _MOST_CMDLINE:
            part.control = REQUIRED_ACS
            builder.said.say("the kernel's command line is full: its ACS is as the kernel sets it", *([part.origin] if part.origin else []))
        else:
            entries.append(entry)
    return f"pci={word}={';'.join(entries)}"


def _functions(roots: list[Root], builder: Builder) -> Iterator[Function]:
    first = RootBus(0, 0)
    for own in builder.platform.own:
        yield _own(Address(0, 0, own.device, own.function), own.vendor_id, own.device_id, own.class_code, multifunction=own.multifunction)
    for root in roots:
        if root.bus:
            kind = standins.EXPANDER
            yield _own(Address(0, 0, root.slot, 0), kind.vendor_id, kind.device_id, kind.class_code, multifunction=False)
        above = RootBus(0, root.bus) if root.bus else first
        yield from _tree(root.parts, above, root.numa_node, builder, express=True)


def _own(address: Address, vendor: int, device: int | Unknown, class_code: int, *, multifunction: bool) -> Function:
    return Function(address, RootBus(0, 0), vendor, device, class_code, port_type=None, multifunction=multifunction, acs=None, ats=None, ari=False, sriov=None,
                    numa_node=None)


def _tree(parts: list[Part], above: Parent, node: int | None, builder: Builder, *, express: bool) -> Iterator[Function]:
    for part in parts:
        kind = part.standin
        port = kind.type_on(root=isinstance(above, RootBus), express=express)
        made = next((count for other, count in builder.vfs if other is part), 0)
        yield Function(
            part.address, above, kind.vendor_id, kind.device_id, kind.class_code, port_type=port,
            multifunction=part.multifunction or part.address.function > 0, bus_range=BusRange(part.bus, part.last) if kind.is_bridge else None,
            acs=Acs(kind.acs, (part.control or AcsBits.NONE) & kind.acs) if kind.acs is not None else None,
            ats=Ats(UNKNOWN) if kind.ats and port is not None else None, numa_node=node,
            sriov=Sriov(kind.vfs, kind.vfs, made, kind.vf_offset, kind.vf_stride, enabled=made > 0) if kind.vfs else None)
        for address in _virtual(part, made):
            yield Function(address, above, kind.vendor_id, kind.vf_device_id or kind.device_id, kind.class_code, port_type=port, multifunction=False,
                           acs=None, ats=None, numa_node=node, physfn=part.address)
        inner = kind.port_type in (PortType.ROOT_PORT, PortType.UPSTREAM, PortType.DOWNSTREAM)
        yield from _tree(part.children, part.address, node, builder, express=inner)


def _virtual(part: Part, made: int) -> Iterator[Address]:
    for index in range(made):
        yield Address.from_routing_id(0, part.address.routing_id + part.standin.vf_offset + index * part.standin.vf_stride)


def _addresses(roots: list[Root], builder: Builder) -> Iterator[tuple[Address, Address]]:
    for part in (part for root in roots for part in root.all()):
        if part.origin is None:
            continue
        yield part.origin, part.address
        made = next((count for other, count in builder.vfs if other is part), 0)
        virtual = builder.host.virtual_functions(builder.host[part.origin])
        yield from zip((function.address for function in virtual), _virtual(part, made), strict=False)


def _say_of_the_whole(builder: Builder) -> None:
    host, said = builder.host, builder.said
    big = [function.address for function in host.functions if is_known(function.bars)
           for bar in function.bars if is_known(bar.size_bytes) and bar.size_bytes >= _BIG_BAR]
    if big:
        said.say("stand-ins have small BARs; on the host one of 1 GiB or more has", *dict.fromkeys(big))
    if host.peer_links:
        said.say(f"links beside PCIe (NVLink, xGMI, C2C) are not there: the host has {len(host.peer_links)}")
    if is_known(host.tees) and host.tees:
        said.say("no confidential guests: " + ", ".join(tee.kind.value for tee in host.tees))
    if host.elided:
        said.say("the source leaves out ports: the lab has only those it names")
    said.say("ids, links, BARs, drivers and reset methods are the stand-ins' own; no traffic is carried as real devices would")


def _regrouped(host: Host, built: Host, addresses: dict[Address, Address]) -> Iterator[Address]:
    """Functions that share a group with others than their counterparts do, by the rules for the same kernel."""
    blank = replace(host, kernel=built.kernel, iommu=built.iommu, functions=tuple(replace(function, iommu_group=UNKNOWN) for function in host.functions))
    here = {address: group.functions for group in groups(blank).groups for address in group.functions}
    there = {address: group.functions for group in groups(built).groups for address in group.functions}
    for address, other in addresses.items():
        wanted = {addresses[member] for member in here.get(address, ()) if member in addresses}
        if wanted != {member for member in there.get(other, ()) if member in set(addresses.values())}:
            yield address
