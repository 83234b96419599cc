"""Small topologies as NCCL's XML, written so that a line is an element."""

from simkit.formats.xml.nccl_topology import read
from simkit.model.nccl_answer import NcclAnswer
from simkit.semantics.nccl.conclude import conclude
from simkit.semantics.nccl.environment import Environment

INTEL = 'arch="x86_64" vendor="GenuineIntel" familyid="6" modelid="143"'
AMD = 'arch="x86_64" vendor="AuthenticAMD" familyid="25" modelid="17"'
LINK = 'link_speed="16.0 GT/s PCIe" link_width="16"'
NVSWITCH = '<nvlink target="fffffff:ffff:ff" count="18" tclass="0x068000"/>'


def gpu(number: int, inside: str = "", *, sm: int = 90, gdr: int = 1, bus: int | None = None, link: str = LINK) -> str:
    busid = f"0000:{(bus or 0x10 + number):02x}:00.0"
    return f'<pci busid="{busid}" class="0x030200" {link}><gpu dev="{number}" sm="{sm}" rank="{number}" gdr="{gdr}">{inside}</gpu></pci>'


def nic(number: int, *, gdr: int = 1, speed: int = 400_000, ports: int = 1, link: str = LINK) -> str:
    nets = "".join(f'<net name="mlx5_{number + port}" dev="{number + port}" speed="{speed}" port="{port + 1}" gdr="{gdr}"/>' for port in range(ports))
    return f'<pci busid="0000:{0x40 + number:02x}:00.0" class="0x020700" {LINK}><nic>{nets}</nic></pci>'


def switch(number: int, *inside: str, ids: str = "", link: str = LINK) -> str:
    return f'<pci busid="0000:{0x80 + number:02x}:00.0" class="0x060400" {ids} {link}>{"".join(inside)}</pci>'


def cpu(number: int, *inside: str, kind: str = INTEL) -> str:
    return f'<cpu numaid="{number}" affinity="ff" {kind}>{"".join(inside)}</cpu>'


def answer(*cpus: str, env: tuple[str, ...] = ()) -> NcclAnswer:
    return conclude(read(f'<system version="1">{"".join(cpus)}</system>'.encode(), source="case.xml"), Environment.of(env))


def gpus(found: NcclAnswer, source: int = 0, target: int = 1) -> tuple[str, float, int, bool]:
    path = found.gpu_gpu[source][target]
    return str(path.nearness), round(path.bandwidth, 4), path.hops, path.p2p


def net(found: NcclAnswer, source: int = 0, target: int = 0) -> tuple[str, float, int, str]:
    path = found.gpu_net[source][target]
    return str(path.nearness), round(path.bandwidth, 4), path.hops, path.gdr.value
