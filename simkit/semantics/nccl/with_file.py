"""What NCCL makes of NCCL_TOPO_FILE on a machine: the file first, then the machine for what it leaves out (`ncclTopoGetSystem`, src/graph/topo.cc)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from simkit.model.address import Address
from simkit.model.nccl_topology import NcclCpu, NcclGpu, NcclNet, NcclNic, NcclPci, NcclTopology
from simkit.model.unknown import is_known


def with_file(stated: NcclTopology, found: NcclTopology) -> NcclTopology:
    """`stated` as the file has it, `found` as NCCL finds out by itself (`sysfs_view`): what NCCL then concludes from.

    Each rank loads the file, adds its own GPU and all network ports, and drops what is none of these (`ncclTopoTrimXml`); the ranks' views are then
    put together, the first one's order kept (`ncclTopoFuseXml`). An entry that has a parent in the file stays there, whatever sysfs says;
    a device that the file lacks is climbed from as without a file. `assumed` says which entries are passed over and which are added.
    Ports are told apart by their device, for a host does not know the names that NCCL tells them apart by (`ncclTopoFillNet`).
    """
    ranks = sorted(gpu.rank for pci in _every(found) for gpu in pci.gpus if gpu.rank is not None)
    fused: tuple[NcclCpu, ...] = ()
    for rank in ranks:
        fused = _fuse_cpus(fused, _Rank(stated, found, rank).build())
    devices = {pci.busid for pci in _every(found) if pci.gpus or pci.nic is not None}
    entries = {pci.busid for pci in _every(stated)}
    idle = [pci.busid for pci in _every(stated) if not pci.children and pci.busid not in devices]
    told = [f"{busid} of the file is no GPU or network port of the machine: NCCL passes over it" for busid in idle]
    told += [f"{busid} is not in the file: NCCL places it as it finds it in sysfs" for busid in sorted(devices - entries)]
    return NcclTopology(f"{found.name} with {stated.name}", fused, (*stated.assumed, *found.assumed, *told))


def _every(topology: NcclTopology) -> Iterator[NcclPci]:
    for cpu in topology.cpus:
        yield from _below(cpu)


def _below(element: NcclCpu | NcclPci) -> Iterator[NcclPci]:
    for child in element.children:
        if isinstance(child, NcclPci):
            yield child
            yield from _below(child)


@dataclass(slots=True, eq=False)
class _Node:
    """An element while the tree is changed; its own `children` count, not the element's."""

    element: NcclPci | NcclCpu
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)
    keep: bool = False


class _Rank:
    """The view of one rank."""

    def __init__(self, stated: NcclTopology, found: NcclTopology, rank: int) -> None:
        self.rank, self.found = rank, found
        self.cpus: list[_Node] = []
        self.nodes: dict[Address, _Node] = {}
        self.sysfs = {pci.busid: pci for pci in _every(found)}
        holders: list[NcclCpu | NcclPci] = [*found.cpus, *self.sysfs.values()]
        self.above = {child.busid: above for above in holders for child in above.children if isinstance(child, NcclPci)}
        for cpu in stated.cpus:
            node = _Node(replace(cpu, machine=0))
            self.cpus.append(node)
            self._load(node, cpu)

    def _load(self, parent: _Node, element: NcclCpu | NcclPci) -> None:
        for child in element.children:
            if isinstance(child, NcclPci):
                node = _Node(child, parent)
                parent.children.append(node)
                self.nodes.setdefault(child.busid, node)
                self._load(node, child)

    def build(self) -> tuple[NcclCpu, ...]:
        """GPU first, then ports in their order."""
        mine = [pci for pci in self.sysfs.values() if any(gpu.rank == self.rank for gpu in pci.gpus)]
        ports = [(net.dev, pci) for pci in self.sysfs.values() if pci.nic is not None for net in pci.nic.nets if net.dev is not None]
        for pci in (*mine, *(pci for _, pci in sorted(ports, key=lambda port: port[0]))):
            self._add(pci)
        kept = (_trimmed(node) for node in self.cpus)
        return tuple(cpu for cpu in kept if isinstance(cpu, NcclCpu))

    def _add(self, device: NcclPci) -> None:
        """`ncclTopoFillGpu`, `ncclTopoFillNet`: the entry of that busid, or a new one; then upwards (`ncclTopoGetXmlFromSys`)."""
        node = self._node(device.busid)
        node.keep = True
        here: _Node | None = node
        while here is not None:
            element = here.element
            if isinstance(element, NcclCpu):
                here.element = self._cpu(element)
                return
            sysfs = self.sysfs.get(element.busid)
            if sysfs is not None:
                here.element = _filled(element, sysfs)
            if here.parent is None:
                here.parent = self._parent(element.busid)
                _insert(here.parent.children, here)
            here = here.parent

    def _node(self, busid: Address) -> _Node:
        node = self.nodes.get(busid)
        if node is None:
            node = self.nodes[busid] = _Node(NcclPci(busid))
        return node

    def _parent(self, busid: Address) -> _Node:
        above = self.above[busid]
        if isinstance(above, NcclPci):
            return self._node(above.busid)
        for node in self.cpus:
            if isinstance(node.element, NcclCpu) and node.element.numa_id == above.numa_id:
                return node
        self.cpus.append(_Node(NcclCpu(above.numa_id)))
        return self.cpus[-1]

    def _cpu(self, cpu: NcclCpu) -> NcclCpu:
        """`ncclTopoGetXmlFromCpu`: what is not stated is asked of the processor that NCCL runs on."""
        same = next((one for one in self.found.cpus if one.numa_id == cpu.numa_id), self.found.cpus[0])
        return replace(
            cpu,
            arch=cpu.arch if is_known(cpu.arch) else same.arch,
            vendor=cpu.vendor if is_known(cpu.vendor) else same.vendor,
            family=cpu.family if is_known(cpu.family) else same.family,
            model=cpu.model if is_known(cpu.model) else same.model,
        )


def _insert(nodes: list[_Node], node: _Node) -> None:
    """Before the first whose busid is greater as text; `<cpu>` among themselves never come here."""
    text = _busid(node)
    nodes.insert(next((at for at, other in enumerate(nodes) if text < _busid(other)), len(nodes)), node)


def _busid(node: _Node) -> str:
    return str(node.element.busid) if isinstance(node.element, NcclPci) else ""


def _filled(pci: NcclPci, sysfs: NcclPci) -> NcclPci:
    """The class is always sysfs' (`ncclTopoSetAttrFromSys`), the rest only where the file is silent."""
    ids = [mine or theirs for mine, theirs in zip(pci.ids, sysfs.ids, strict=True)]
    return replace(
        pci,
        class_code=sysfs.class_code if is_known(sysfs.class_code) else pci.class_code,
        ids=(ids[0], ids[1], ids[2], ids[3]),
        link_speed=pci.link_speed if is_known(pci.link_speed) else sysfs.link_speed,
        link_width=pci.link_width if is_known(pci.link_width) else sysfs.link_width,
        gpus=tuple(_gpu(pci.gpus[0] if pci.gpus else None, gpu) for gpu in sysfs.gpus),
        nic=_nic(pci.nic, sysfs.nic) if sysfs.nic is not None else None,
        peers=pci.peers or sysfs.peers,
    )


def _gpu(stated: NcclGpu | None, found: NcclGpu) -> NcclGpu:
    """Rank and partition are the communicator's, whatever the file says."""
    if stated is None:
        return found
    return NcclGpu(
        found.rank,
        stated.dev if is_known(stated.dev) else found.dev,
        stated.sm if is_known(stated.sm) else found.sm,
        stated.gdr if is_known(stated.gdr) else found.gdr,
        found.mlopart,
        stated.nvlinks or found.nvlinks,
        stated.c2c or found.c2c,
    )


def _nic(stated: NcclNic | None, found: NcclNic) -> NcclNic:
    mine: Sequence[NcclNet] = stated.nets if stated is not None else ()
    nets = []
    for number, net in enumerate(found.nets):
        if number < len(mine):
            said = mine[number]
            speed, gdr = (said.speed_mbps if is_known(said.speed_mbps) else net.speed_mbps), (said.gdr if is_known(said.gdr) else net.gdr)
            net = replace(net, name=said.name or net.name, speed_mbps=speed, gdr=gdr)
        nets.append(net)
    return NcclNic(tuple(nets))


def _trimmed(node: _Node) -> NcclPci | NcclCpu | None:
    children = tuple(child for each in node.children if isinstance(child := _trimmed(each), NcclPci))
    if not children and not node.keep:
        return None
    if isinstance(node.element, NcclCpu):
        return replace(node.element, children=children)
    if not node.keep:
        return replace(node.element, gpus=(), nic=None, children=children)
    return replace(node.element, children=children)


def _fuse_cpus(one: tuple[NcclCpu, ...], two: tuple[NcclCpu, ...]) -> tuple[NcclCpu, ...]:
    more = {cpu.numa_id: cpu for cpu in two}
    there = {cpu.numa_id for cpu in one}
    fused = [replace(cpu, children=_fuse(_pcis(cpu), _pcis(more[cpu.numa_id]))) if cpu.numa_id in more else cpu for cpu in one]
    return (*fused, *(cpu for cpu in two if cpu.numa_id not in there))


def _fuse(one: tuple[NcclPci, ...], two: tuple[NcclPci, ...]) -> tuple[NcclPci, ...]:
    more = {pci.busid: pci for pci in two}
    there = {pci.busid for pci in one}
    fused = [_fused(pci, more[pci.busid]) if pci.busid in more else pci for pci in one]
    return (*fused, *(pci for pci in two if pci.busid not in there))


def _fused(one: NcclPci, two: NcclPci) -> NcclPci:
    return replace(one, gpus=one.gpus or two.gpus, nic=one.nic or two.nic, children=_fuse(one.children, two.children))


def _pcis(cpu: NcclCpu) -> tuple[NcclPci, ...]:
    return tuple(child for child in cpu.children if isinstance(child, NcclPci))
