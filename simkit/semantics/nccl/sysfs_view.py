"""What NCCL would find out of a host by itself, without a topology file (src/graph/xml.cc, `ncclTopoGetXmlFromSys`, `ncclTopoGetXmlFromGpu`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkit.errors import InputError
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.nccl_topology import NcclCpu, NcclGpu, NcclNet, NcclNic, NcclPci, NcclTopology
from simkit.model.platform import Cpu
from simkit.model.unknown import UNKNOWN, Unknown, is_known, known_or
from simkit.semantics.nccl.devices import AMAZON, MELLANOX, NVIDIA
from simkit.semantics.nccl.sysfs_links import C2C_ASSUMED, beside, link_of

_FABRIC_CLASSES = (0x0207, 0x0208)
_ARCH = {"aarch64": "arm64", "ppc64le": "ppc64"}


def sysfs_view(host: Host) -> NcclTopology:
    """The description that NCCL's ranks make together, one on each GPU: what `complete` then leaves no gaps in.

    Each rank climbs from its GPU and from all network ports to the CPU, two levels of the tree at a time, so that of a switch only the upstream port
    is there; children are kept in the order of their busids, and what further ranks add comes last (`ncclTopoFuseXml`).

    Raises:
        InputError: no GPU.
    """
    return _View(host).build()


@dataclass(slots=True, eq=False)
class _Node:
    function: Function
    children: list[_Node] = field(default_factory=list)


class _View:
    def __init__(self, host: Host) -> None:
        self.host = host
        self.assumed: list[str] = []
        self.nodes: dict[str, _Node] = {}
        self.cpus: dict[int, list[_Node]] = {}
        self.gpus = self._gpus()
        self.ports = self._ports()

    def build(self) -> NcclTopology:
        """The whole."""
        for rank, gpu in enumerate(self.gpus):
            self._climb(gpu, in_order=rank == 0)
            if rank == 0:
                for port in self.ports:
                    self._climb(port, in_order=True)
        if any(link.kind.value == "c2c" for link in self.host.peer_links):
            self.assumed.append(C2C_ASSUMED)
        if any(link.kind.value == "xgmi" for link in self.host.peer_links):
            self.assumed.append("links of AMD's (xGMI) are left out, as NCCL has none")
        cpus = tuple(self._cpu(number, [self._pci(node) for node in nodes]) for number, nodes in self.cpus.items())
        return NcclTopology(self.host.name, cpus, tuple(self.assumed))

    def _gpus(self) -> list[Function]:
        every = [function for function in self.host.of_kind(Kind.GPU) if not function.is_vf]
        found = [function for function in every if function.vendor_id == NVIDIA or not is_known(function.vendor_id)]
        if not every:
            raise InputError(f"{self.host.name} has no GPU: there is nothing that NCCL would conclude", where=str(self.host.places.root),
                             remedy="`simkit show` draws what there is")
        if not found:
            self.assumed.append("no GPU is NVIDIA's: others are taken as if NCCL drove them")
        return found or every

    def _ports(self) -> list[Function]:
        """One a NIC with RDMA, in the order of addresses; where none has it, all NICs as sockets."""
        every = [function for function in self.host.of_kind(Kind.NIC) if not function.is_vf]
        found = [function for function in every if has_rdma(function)]
        passed = [str(function.address) for function in every if found and not has_rdma(function)]
        if passed:
            self.assumed.append(f"NICs that are neither NVIDIA's nor Amazon's are taken to have no RDMA, NCCL passes them over: {', '.join(passed)}")
        if every and not found:
            self.assumed.append("no NIC is known to have RDMA: NCCL takes all as sockets, without GPUDirect RDMA")
        self.sockets = not found
        return found or every

    def _climb(self, function: Function, *, in_order: bool) -> None:
        """Add a function and what is above it, as far as it is not there."""
        below: _Node | None = None
        here: Function | None = function
        while here is not None:
            node = self.nodes.get(str(here.address))
            known = node is not None
            if node is None:
                node = self.nodes[str(here.address)] = _Node(here)
            if below is not None:
                _insert(node.children, below, in_order=in_order)
            if known:
                return
            below, above = node, self._above(here)
            if above is None:
                _insert(self.cpus.setdefault(self._numa(here, function), []), node, in_order=in_order)
            here = above

    def _above(self, function: Function) -> Function | None:
        above = list(self.host.ancestors(function))
        at = 0 if self.host.elided else 1
        return above[at] if len(above) > at else None

    def _numa(self, top: Function, function: Function) -> int:
        """As sysfs says it of the uppermost function; -1 is none."""
        for stated in (top.numa_node, function.numa_node):
            if is_known(stated):
                return -1 if stated is None else stated
        self.assumed.append(f"NUMA node of {top.address} unknown, taken as none (-1)")
        return -1

    def _cpu(self, number: int, children: list[NcclPci]) -> NcclCpu:
        cpu = self.host.cpu
        return NcclCpu(number, 0, nccl_arch(cpu), cpu.vendor, cpu.family, cpu.model, tuple(children))

    def _pci(self, node: _Node) -> NcclPci:
        function = node.function
        speed, width = link_of(self.host, function)
        subsystem = function.subsystem if is_known(function.subsystem) and function.subsystem is not None else (0, 0)
        return NcclPci(
            function.address,
            nccl_class(function),
            (known_or(function.vendor_id, 0), known_or(function.device_id, 0), *subsystem),
            speed,
            width,
            self._gpu(function),
            NcclNic((self._net(function),)) if function in self.ports else None,
            tuple(self._pci(child) for child in node.children),
        )

    def _gpu(self, function: Function) -> tuple[NcclGpu, ...]:
        if function not in self.gpus:
            return ()
        rank = self.gpus.index(function)
        nvlinks, c2c = beside(self.host, function)
        return (NcclGpu(rank, rank, UNKNOWN, UNKNOWN, None, nvlinks, c2c),)

    def _net(self, function: Function) -> NcclNet:
        return NcclNet(function.label, self.ports.index(function), UNKNOWN, False if self.sockets else UNKNOWN)


def _insert(nodes: list[_Node], node: _Node, *, in_order: bool) -> None:
    text = str(node.function.address)
    later = (at for at, other in enumerate(nodes) if text < str(other.function.address))
    nodes.insert(next(later, len(nodes)) if in_order else len(nodes), node)


def nccl_arch(cpu: Cpu) -> str | Unknown:
    """`arch` as NCCL names it."""
    return _ARCH.get(cpu.arch, cpu.arch) if is_known(cpu.arch) else cpu.arch


def nccl_class(function: Function) -> str | Unknown:
    """`class` as NCCL writes it."""
    return f"0x{function.class_code:06x}" if is_known(function.class_code) else UNKNOWN


def has_rdma(function: Function) -> bool:
    """Whether NCCL's plugin for verbs would offer it, as far as vendor and class tell."""
    fabric = is_known(function.class_code) and function.class_code >> 8 in _FABRIC_CLASSES
    return fabric or not is_known(function.vendor_id) or function.vendor_id in (MELLANOX, AMAZON)
