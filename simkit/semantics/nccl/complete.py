"""What a description leaves out, filled in as far as it can be guessed, each guess told; NCCL asks the machine (`ncclTopoFillGpu`, `ncclTopoFillNet`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from simkit.model.nccl_topology import NcclCpu, NcclGpu, NcclNet, NcclNic, NcclPci, NcclTopology
from simkit.model.unknown import is_known
from simkit.semantics.nccl.devices import compute_capability, fastest_port_mbps
from simkit.semantics.nccl.rules import LATEST

_GPU, _NIC, _BRIDGE = "0x030200", "0x020000", "0x060400"
_SM = 80
_SHOWN = 4


def complete(topology: NcclTopology) -> NcclTopology:
    """The description with nothing unknown that NCCL needs; `assumed` says what was filled in.

    Where no `<gpu>` has a rank, each GPU is taken to run one; where there is no port at all, each NIC is taken to offer one. Both are what files
    for NCCL_TOPO_FILE leave to the machine. What the description states is never changed, except a class that NCCL would fail on.
    """
    return _Completion(topology).run()


def _all(topology: NcclTopology) -> Iterator[NcclPci | NcclNic]:
    stack: list[NcclPci | NcclNic] = [child for cpu in topology.cpus for child in cpu.children]
    while stack:
        found = stack.pop()
        yield found
        if isinstance(found, NcclPci):
            stack.extend(found.children)


class _Completion:
    def __init__(self, topology: NcclTopology) -> None:
        self.topology = topology
        functions = [found for found in _all(topology) if isinstance(found, NcclPci)]
        nics = [found for found in _all(topology) if isinstance(found, NcclNic)] + [pci.nic for pci in functions if pci.nic is not None]
        self.run_all = not any(gpu.rank is not None for pci in functions for gpu in pci.gpus)
        self.offer_all = not any(net.dev is not None for nic in nics for net in nic.nets)
        self.rank = self.port = 0
        self.told: dict[str, list[str]] = {}

    def run(self) -> NcclTopology:
        """The whole."""
        cpus = tuple(self._cpu(cpu) for cpu in self.topology.cpus)
        if cpus == self.topology.cpus:
            return self.topology
        told = [f"{what}: {_list(which)}" for what, which in self.told.items()]
        return replace(self.topology, cpus=cpus, assumed=(*self.topology.assumed, *told))

    def _tell(self, what: str, which: object) -> None:
        self.told.setdefault(what, []).append(str(which))

    def _cpu(self, cpu: NcclCpu) -> NcclCpu:
        if not is_known(cpu.arch):
            self._tell("architecture unknown, taken as x86_64", f"NUMA node {cpu.numa_id}")
            cpu = replace(cpu, arch="x86_64")
        if cpu.arch == "x86_64" and not is_known(cpu.vendor):
            self._tell("CPU vendor unknown: NCCL counts 5000 GB/s between sockets", f"NUMA node {cpu.numa_id}")
            cpu = replace(cpu, vendor="")
        if cpu.vendor == "GenuineIntel" and not (is_known(cpu.family) and is_known(cpu.model)):
            self._tell("CPU model unknown, taken as Sapphire Rapids", f"NUMA node {cpu.numa_id}")
            cpu = replace(cpu, family=6, model=0x8F)
        children = tuple(self._pci(child) if isinstance(child, NcclPci) else self._nic(child, None) for child in cpu.children)
        return cpu if children == cpu.children else replace(cpu, children=children)

    def _pci(self, pci: NcclPci) -> NcclPci:
        pci = self._class(pci)
        if not is_known(pci.link_speed) or not is_known(pci.link_width):
            self._tell("PCIe link unknown, taken as 8 GT/s x16 where it is not stated, as NCCL does", pci.busid)
            pci = replace(pci, link_speed=pci.link_speed if is_known(pci.link_speed) else "", link_width=pci.link_width if is_known(pci.link_width) else 0)
        kind = LATEST.kind(pci.class_code) if is_known(pci.class_code) else ""
        if self.run_all and kind == "gpu":
            gpus = pci.gpus or (NcclGpu(None),)
            pci = replace(pci, gpus=(replace(gpus[0], rank=self.rank),))
            self._tell("no ranks are stated, one is taken to run on each GPU", pci.busid)
            self.rank += 1
        if self.offer_all and kind == "nic" and pci.nic is None:
            pci = replace(pci, nic=NcclNic((NcclNet("", None),)))
        nic = None if pci.nic is None else self._nic(pci.nic, pci)
        gpus, children = tuple(self._gpu(gpu, pci) for gpu in pci.gpus), tuple(self._pci(child) for child in pci.children)
        return pci if (nic, gpus, children) == (pci.nic, pci.gpus, pci.children) else replace(pci, nic=nic, gpus=gpus, children=children)

    def _class(self, pci: NcclPci) -> NcclPci:
        if not is_known(pci.class_code):
            return replace(pci, class_code=_GPU if pci.gpus else _NIC if pci.nic else _BRIDGE)
        if pci.gpus and LATEST.kind(pci.class_code) == "pci":
            self._tell(f"class {pci.class_code} with a <gpu>: NCCL would fail there, taken as {_GPU}", pci.busid)
            return replace(pci, class_code=_GPU)
        return pci

    def _gpu(self, gpu: NcclGpu, pci: NcclPci) -> NcclGpu:
        if gpu.rank is None:
            return gpu
        if not is_known(gpu.dev):
            gpu = replace(gpu, dev=gpu.rank)
        if not is_known(gpu.sm):
            sm = compute_capability(pci.ids[0], pci.ids[1])
            self._tell(f"compute capability taken from the device id, or as {_SM / 10}", f"{pci.busid} {(sm or _SM) / 10}")
            gpu = replace(gpu, sm=sm or _SM)
        if not is_known(gpu.gdr):
            self._tell("the GPU's driver is taken to allow GPUDirect RDMA", pci.busid)
            gpu = replace(gpu, gdr=True)
        return gpu

    def _nic(self, nic: NcclNic, pci: NcclPci | None) -> NcclNic:
        nets = tuple(self._net(net, pci) for net in nic.nets)
        return nic if nets == nic.nets else replace(nic, nets=nets)

    def _net(self, net: NcclNet, pci: NcclPci | None) -> NcclNet:
        where = pci.busid if pci is not None else net.name or "a port"
        if self.offer_all:
            net = replace(net, dev=self.port)
            self._tell("no ports are stated, one is taken to be offered by each NIC", where)
            self.port += 1
        if net.dev is None:
            return net
        if not is_known(net.speed_mbps):
            mbps = None if pci is None else fastest_port_mbps(pci.ids[0], pci.ids[1])
            said = f"{where} {mbps // 1000} Gb/s" if mbps else f"{where} 10 Gb/s"
            self._tell("port speed unknown, taken as the fastest of its kind, or as NCCL does", said)
            net = replace(net, speed_mbps=mbps or 0)
        if not is_known(net.gdr):
            self._tell("the NIC's plugin is taken to offer GPUDirect RDMA", where)
            net = replace(net, gdr=True)
        return net


def _list(which: list[str]) -> str:
    more = f" and {len(which) - _SHOWN} more" if len(which) > _SHOWN else ""
    return ", ".join(which[:_SHOWN]) + more
