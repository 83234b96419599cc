"""What NCCL would find out of a host by itself, and what is filled in where the source is silent."""

import pytest
from cases import LINK, cpu, gpu

from simkit.errors import InputError
from simkit.formats.source import open_host, shipped
from simkit.formats.xml.nccl_topology import read
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import BusRange, Link, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.nccl_topology import NcclPci
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, PeerKind, PeerLink
from simkit.semantics.nccl.complete import complete
from simkit.semantics.nccl.predict import predict
from simkit.semantics.nccl.sysfs_view import sysfs_view
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

ROOT = RootBus(0, 0)


def at(text: str) -> Address:
    return Address.parse(text)


def port(address: str, parent: str | RootBus, kind: PortType, first: int, last: int, *, speed: float = 32.0, width: int = 16) -> Function:
    return Function(at(address), parent if isinstance(parent, RootBus) else at(parent), 0x1000, 0xC030, 0x060400, port_type=kind, subsystem=(0x1000, 4),
                    bus_range=BusRange(first, last), link=Link(speed, width, speed, width), numa_node=0)


def leaf(address: str, parent: str | RootBus, ids: tuple[int, int], class_code: int, link: Link | None = None) -> Function:
    return Function(at(address), parent if isinstance(parent, RootBus) else at(parent), *ids, class_code, port_type=PortType.ENDPOINT, subsystem=(0, 0),
                    link=link or Link(32.0, 16, 32.0, 16), numa_node=0)


def small(*more: Function, links: tuple[PeerLink, ...] = (), arch: str = "x86_64") -> Host:
    """A root port, a switch with two downstream ports: a GPU and a NIC; the port above the NIC is slower than the NIC."""
    functions = (
        port("00:01.0", ROOT, PortType.ROOT_PORT, 1, 4),
        port("01:00.0", "00:01.0", PortType.UPSTREAM, 2, 4),
        port("02:00.0", "01:00.0", PortType.DOWNSTREAM, 3, 3),
        port("02:01.0", "01:00.0", PortType.DOWNSTREAM, 4, 4, speed=16.0),
        leaf("03:00.0", "02:00.0", (0x10DE, 0x2330), 0x030200),
        leaf("04:00.0", "02:01.0", (0x15B3, 0x1021), 0x020700),
    )
    return Host("small", (*functions, *more), (NumaNode(0, CpuSet.of([0])),), Cpu(arch, "GenuineIntel", 6, 143), peer_links=links)


def test_of_a_switch_only_the_upstream_port_is_there() -> None:
    (node,) = sysfs_view(small()).cpus
    (switch,) = node.children
    assert isinstance(switch, NcclPci)
    assert (node.numa_id, str(switch.busid), switch.link_speed, switch.link_width) == (0, "0000:01:00.0", "32.0 GT/s PCIe", 16)
    assert [str(child.busid) for child in switch.children] == ["0000:03:00.0", "0000:04:00.0"]
    assert [child.link_speed for child in switch.children] == ["32.0 GT/s PCIe", "16.0 GT/s PCIe"]


def test_the_answer_and_what_it_assumes() -> None:
    found = predict(small())
    path = found.gpu_net[0][0]
    assert (str(path.nearness), path.bandwidth, path.gdr.value) == ("PIX", 24.0, "default")
    assert any("0000:03:00.0 9.0" in sentence for sentence in found.assumed)
    assert any("0000:04:00.0 400 Gb/s" in sentence for sentence in found.assumed)


def test_directly_on_a_root_bus_the_width_reads_as_none() -> None:
    host = Host("flat", (leaf("00:02.0", ROOT, (0x10DE, 0x2330), 0x030200, Link(32.0, 8, 32.0, 8)),))
    (pci,) = sysfs_view(host).cpus[0].children
    assert isinstance(pci, NcclPci)
    assert pci.link_width == 0


def test_links_beside_pcie() -> None:
    second = (port("00:02.0", ROOT, PortType.ROOT_PORT, 5, 5), leaf("05:00.0", "00:02.0", (0x10DE, 0x2330), 0x030200))
    one, two = at("03:00.0"), at("05:00.0")
    direct = predict(small(*second, links=(PeerLink(one, two, PeerKind.NVLINK, 4),)))
    assert (str(direct.gpu_gpu[0][1].nearness), round(direct.gpu_gpu[0][1].bandwidth, 3)) == ("NVL", 82.4)
    fabric = predict(small(*second, links=tuple(PeerLink(gpu, None, PeerKind.NVLINK, count) for gpu in (one, two) for count in (4, 5, 5, 4))))
    assert (fabric.gpu_gpu[0][1].hops, round(fabric.gpu_gpu[0][1].bandwidth, 3)) == (4, 370.8)
    coherent = predict(small(links=(PeerLink(one, None, PeerKind.C2C, 10),), arch="aarch64"))
    assert coherent.gpu_net[0][0].gdr.value == "pci"
    power = sysfs_view(small(links=(PeerLink(one, None, PeerKind.C2C, 3),), arch="ppc64le"))
    assert [link.target_class for child in power.cpus[0].children for gpu in child.children[0].gpus for link in gpu.nvlinks] == ["0x068001"]


def test_a_host_without_gpus_is_told() -> None:
    with pytest.raises(InputError, match="has no GPU"):
        predict(Host("none", ()))


def test_numa_nodes_that_are_none() -> None:
    host = Host("flat", (leaf("00:02.0", ROOT, (0x10DE, 0x2330), 0x030200),))
    assert [node.numa_id for node in sysfs_view(Host("h", tuple(Function(f.address, f.parent, f.vendor_id, f.device_id, f.class_code, numa_node=None)
                                                                for f in host.functions))).cpus] == [-1]


@pytest.mark.parametrize("name", shipped("hosts"))
def test_every_shipped_host_has_an_answer(name: str) -> None:
    host = open_host(name)
    found = predict(host)
    assert len(found.gpu_gpu) == len(found.gpus) > 0
    assert found.assumed
    assert all(address in host for address in (*found.gpus, *found.nets) if address is not None)


def test_hgx_h100_as_nccl_sees_it() -> None:
    found = predict(open_host("hgx-h100"))
    assert {(str(path.nearness), round(path.bandwidth, 1)) for row in found.gpu_gpu for path in row} == {("LOC", 5000.0), ("NVL", 370.8)}
    assert [str(path.nearness) for path in found.gpu_net[0]] == ["PIX", "PIX", "PXN", "PXN", "PXN", "PXN", "PXN", "PXN"]


def test_guests_lose_or_keep_what_their_tree_shows() -> None:
    from simkit.formats.source import open_workload
    from simkit.semantics.nccl.predict import predict_guest

    host = open_host("hgx-h100")
    planned = solve(open_workload("two-guests"), host, seed=0)
    assert isinstance(planned, Planned)
    train, infer = planned.plan.guests
    assert [str(path.nearness) for path in predict_guest(host, train).gpu_net[0]] == ["PIX", "PIX", "PXN", "PXN"]
    alone = predict_guest(host, infer)
    assert (str(alone.gpu_net[0][0].nearness), alone.gpu_net[0][0].gdr.value) == ("PHB", "off")


BARE = f"""<system version="1"><cpu numaid="0" arch="x86_64" vendor="AuthenticAMD" familyid="25" modelid="1">
<pci busid="0000:01:00.0" class="0x060400" {LINK}>
<pci busid="0000:02:00.0" class="0x030200" vendor="0x10de" device="0x20b0"/><pci busid="0000:03:00.0" class="0x020000" vendor="0x15b3" device="0x101b"/>
<pci busid="0000:04:00.0"><gpu/></pci></pci></cpu></system>"""


def test_a_file_for_nccl_topo_file_leaves_to_the_machine_what_is_then_assumed() -> None:
    topology = complete(read(BARE.encode(), source="bare.xml"))
    found = predict(topology)
    assert [str(gpu_) for gpu_ in found.gpus] == ["0000:02:00.0", "0000:04:00.0"]
    assert [str(net) for net in found.nets] == ["0000:03:00.0"]
    assert complete(topology) is topology
    assert [sentence.split(":")[0] for sentence in found.assumed] == [
        "PCIe link unknown, taken as 8 GT/s x16 where it is not stated, as NCCL does", "no ranks are stated, one is taken to run on each GPU",
        "compute capability taken from the device id, or as 8.0", "the GPU's driver is taken to allow GPUDirect RDMA",
        "no ports are stated, one is taken to be offered by each NIC", "port speed unknown, taken as the fastest of its kind, or as NCCL does",
        "the NIC's plugin is taken to offer GPUDirect RDMA"]


def test_what_is_stated_is_never_changed() -> None:
    stated = read(f'<system version="1">{cpu(0, gpu(0), gpu(1))}</system>'.encode(), source="whole.xml")
    assert complete(stated) is stated
