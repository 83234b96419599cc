"""Random plans on shipped machines, by seed: the solver's own, with every sort of guest tree among them."""

from random import Random

from simkit.formats.library import shipped
from simkit.formats.source import open_host
from simkit.model.function import Kind
from simkit.model.plan import Plan
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

GIB = 1 << 30
HOSTS = [name for name in shipped("hosts") if open_host(name).cpu.arch == "x86_64"]
"""The machines whose guests QEMU and libvirt are told of."""


def plan(seed: int) -> Plan:
    """The plan of a seed: workloads are drawn until the machine can have one."""
    random = Random(seed)
    while True:
        host = open_host(random.choice(HOSTS))
        gpus = sum(function.kind is Kind.GPU for function in host.functions)
        nics = sum(function.kind is Kind.NIC for function in host.functions)
        guests = []
        for number in range(random.choice([1, 1, 2])):
            wishes = [DeviceRequest(Kind.GPU, random.randint(1, max(1, min(gpus, 8))))]
            if nics and random.random() < 0.6:
                wishes.append(DeviceRequest(Kind.NIC, random.randint(1, min(nics, 4)), random.choice([Share.PF, Share.VF])))
            guests.append(GuestRequest(f"g{number}", tuple(wishes), topology=random.choice(list(Topology)), cpus=random.choice([1, 2, 4, 6, 12, 24, 48]),
                                       memory_bytes=random.choice([8, 16, 64]) * GIB))
        answer = solve(Workload(f"seed {seed}", tuple(guests)), host)
        if isinstance(answer, Planned):
            return answer.plan
