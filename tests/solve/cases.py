"""Cases of workloads that do not fit (`told/*.yaml`): hosts by name or drawn in words, and what a person would name as the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Bar, BarKind, BusRange, PortType, Sriov
from simkit.model.fleet import Fleet, Member
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind, Partition, Tee, TeeKind
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Apart, Workload
from simkit.solve.labels import KEPT, Label, What

LINUX = Acs(AcsBits(0x5F), AcsBits(0x1D))
FOLDER = Path(__file__).parent / "told"


@dataclass(frozen=True)
class Case:
    """One workload that does not fit, and the constraints that a person would name."""

    name: str
    workload: Workload
    host: Any
    core: tuple[str, ...]

    def opened(self) -> Host:
        return opened(self.host)

    def fleet(self) -> Fleet:
        found = []
        for number, entry in enumerate(self.host["fleet"]):
            count = entry.get("count", 1)
            found += [Member(f"{entry.get('name', 'n')}{number}-{index}", opened(entry["host"]), entry.get("domain")) for index in range(count)]
        return Fleet("fleet", tuple(found))


def cases(*, fleets: bool) -> Iterator[Case]:
    """Every case of the folder."""
    for file in sorted(FOLDER.glob("*.yaml")):
        for entry in yaml.safe_load(file.read_text()):
            if ("fleet" in entry) is fleets:
                asked = {"simkit": "workload/1", "name": "w"} | {key: entry[key] for key in ("guests", "keep_free", "spread") if key in entry}
                text = yaml.safe_dump(asked, sort_keys=False)
                host = {"fleet": entry["fleet"]} if fleets else entry["host"]
                yield Case(f"{file.stem}: {entry['case']}", load_workload(text, source=file.name), host, tuple(entry["core"]))


def label_text(label: Label) -> str:
    """A label as the bank writes it: ``a count 0``, ``a tee``, ``a isolation path``, ``kept 0 count``, ``spread 0``, ``group 0000:04:00.0``."""
    if label.what is What.GROUP:
        return f"group {label.group}"
    if label.what is What.SPREAD:
        return f"spread {label.request}"
    if label.guest.startswith(KEPT):
        return f"kept {label.guest.removeprefix(KEPT)} {label.what}"
    if label.what is What.ISOLATION:
        return f"{label.guest} isolation {tuple(Apart)[label.request]}"
    return f"{label.guest} {label.what}" + (f" {label.request}" if label.request >= 0 else "")


def opened(wanted: Any) -> Host:
    """A shipped host by name, the same with something changed, or a small one drawn as words, one list of devices a switch."""
    if isinstance(wanted, str):
        return open_host(wanted)
    host = drawn(wanted) if "switches" in wanted else open_host(wanted["shipped"])
    if "keys" in wanted:
        host = replace(host, tees=(Tee(TeeKind.SEV_SNP, wanted["keys"]),))
    if "partitions" in wanted:
        gpus = [gpu.address for gpu in host.of_kind(Kind.GPU)]
        host = replace(host, partitions=tuple(Partition(number, tuple(gpus[at] for at in members)) for number, members in enumerate(wanted["partitions"])))
    if wanted.get("acs") == "off":
        host = host.with_functions(*(replace(function, acs=replace(function.acs, control=AcsBits.NONE) if isinstance(function.acs, Acs) else function.acs,
                                             iommu_group=UNKNOWN) for function in host.functions))
    busy = {Address.parse(address): what for address, what in wanted.get("busy", {}).items()}
    return host.with_functions(*(replace(host[address], usage=what) for address, what in busy.items())) if busy else host


def drawn(wanted: dict[str, Any]) -> Host:
    """Switches with a device in each slot, one switch a NUMA node: gpu, a100, card (a GPU with audio in its group), nic, vnic (of two virtual functions).

    ``open`` as first word: the root port above the switch has no ACS, so that all below it share a group.
    """
    functions: list[Function] = []
    for number, words in enumerate(text.split() for text in wanted["switches"]):
        acs = LINUX
        if words[0] == "open":
            acs, words = None, words[1:]
        base, node = number * 0x20, number
        root, up = Address(0, base, 1, 0), Address(0, base + 1, 0, 0)
        functions += [port(root, RootBus(0, base), PortType.ROOT_PORT, (base + 1, base + 0x1F), node, acs),
                      port(up, root, PortType.UPSTREAM, (base + 2, base + 0x1F), node, None)]
        for slot, word in enumerate(words):
            bus = base + 3 + slot
            down = Address(0, base + 2, slot, 0)
            functions.append(port(down, up, PortType.DOWNSTREAM, (bus, bus), node, LINUX))
            functions += device(word, Address(0, bus, 0, 0), down, node)
    cpus, memory = wanted.get("cpus", 8), wanted.get("memory_gib", 64)
    nodes = tuple(NumaNode(number, CpuSet.of(range(number * cpus, (number + 1) * cpus)), memory << 30, number) for number in range(len(wanted["switches"])))
    return Host("small", tuple(functions), nodes, Cpu(threads_per_core=wanted.get("threads", 1)), IommuKind.AMD, (Tee(TeeKind.SEV_SNP, 4),), kernel="6.12.0")


def port(address: Address, parent: Address | RootBus, kind: PortType, buses: tuple[int, int], node: int, acs: Acs | None) -> Function:
    return Function(address, parent, 0x1000, 0xC030, 0x060400, port_type=kind, multifunction=False, bus_range=BusRange(*buses), acs=acs, sriov=None, numa_node=node, driver="pcieport")


def device(word: str, address: Address, parent: Address, node: int) -> list[Function]:
    ids = {"gpu": (0x10DE, 0x2330, 0x030200, "H100"), "card": (0x10DE, 0x2BB5, 0x030200, "card"), "a100": (0x10DE, 0x20B0, 0x030200, "A100"),
           "nic": (0x15B3, 0x1021, 0x020000, "ConnectX-7"), "vnic": (0x15B3, 0x1021, 0x020000, "ConnectX-7")}[word]
    sriov = {"vnic": Sriov(2, 2, 0, 1, 1, 0x101E, enabled=False), "a100": Sriov(8, 8, 0, 4, 1, 0x20B0, enabled=False)}.get(word)
    found = [Function(address, parent, *ids[:3], name=ids[3], port_type=PortType.ENDPOINT, multifunction=word == "card", acs=None, sriov=sriov, numa_node=node,
                      driver="mlx5_core" if "nic" in word else "nvidia", bars=(Bar(0, BarKind.MEM64, 16 << 20, prefetchable=True),), reset_methods=("flr",))]
    if word == "card":
        found.append(Function(replace(address, function=1), parent, 0x10DE, 0x22E8, 0x040300, name="audio", port_type=PortType.ENDPOINT, multifunction=True, acs=None, sriov=None,
                              numa_node=node, driver=None, bars=(), reset_methods=("pm",)))
    return found
