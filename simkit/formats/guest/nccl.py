"""NCCL's topology file for a guest (NCCL_TOPO_FILE): what NCCL could not see by itself, and nothing that it finds out better.

Left out: `sm`, `rank`, `gdr`, `<nvlink>` and ports, which NCCL asks NVML and its network plugin for. Switches stand at addresses that
no guest has, as the files of clouds do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import quoteattr

from simkit.model.guest import GuestPlan
from simkit.model.nccl_topology import NcclCpu, NcclNic, NcclPci, NcclTopology
from simkit.model.unknown import is_known

_WORD = 32


def render(topology: NcclTopology, guest: GuestPlan, notes: Sequence[str] = ()) -> str:
    """The file, with remarks for whoever puts it into the guest."""
    return "\n".join(_lines(topology, guest, notes)) + "\n"


def _lines(topology: NcclTopology, guest: GuestPlan, notes: Sequence[str]) -> Iterator[str]:
    yield f"<!-- NCCL topology of guest {guest.name}: put it into the guest and set NCCL_TOPO_FILE to its path."
    yield "     The busids are those of the planned guest as firmware numbers its buses, depth first; another firmware, or one more device on the"
    yield "     command line, numbers them otherwise. Compare them with lspci in the guest before use: NCCL passes over an entry whose busid is"
    yield "     not there, without a word, and takes that device from sysfs (`simkit nccl --topo-file` shows what is left then)."
    yield from (f"     {note.replace('--', '- -')}" for note in notes)
    yield "-->"
    yield '<system version="1">'
    first = 0
    masks = {}
    for node in guest.nodes:
        masks[node.id] = ((1 << len(node.cpus)) - 1) << first
        first += len(node.cpus)
    for cpu in topology.cpus:
        yield from _cpu(cpu, masks.get(cpu.numa_id, (1 << guest.cpus) - 1))
    yield "</system>"


def _cpu(cpu: NcclCpu, mask: int) -> Iterator[str]:
    known = [("arch", cpu.arch), ("vendor", cpu.vendor), ("familyid", cpu.family), ("modelid", cpu.model)]
    stated = "".join(f" {name}={quoteattr(str(value))}" for name, value in known if is_known(value))
    yield f'  <cpu numaid="{cpu.numa_id}" affinity="{_affinity(mask)}"{stated}>'
    for child in cpu.children:
        if not isinstance(child, NcclNic):
            yield from _pci(child, 2)
    yield "  </cpu>"


def _affinity(mask: int) -> str:
    """As `cpumap` prints it: words of 32 bits, the highest first."""
    words = max(1, -(-mask.bit_length() // _WORD))
    return ",".join(f"{mask >> (_WORD * word) & 0xFFFFFFFF:08x}" for word in reversed(range(words)))


def _pci(pci: NcclPci, depth: int) -> Iterator[str]:
    known = [("class", pci.class_code), ("link_speed", pci.link_speed), ("link_width", pci.link_width)]
    ids = zip(("vendor", "device", "subsystem_vendor", "subsystem_device"), pci.ids, strict=True)
    stated = "".join(f" {name}={quoteattr(str(value))}" for name, value in known if is_known(value) and value != "")
    stated += "".join(f' {name}="0x{value:04x}"' for name, value in ids if value)
    indent = "  " * depth
    if not pci.children:
        yield f'{indent}<pci busid="{pci.busid}"{stated}/>'
        return
    yield f'{indent}<pci busid="{pci.busid}"{stated}>'
    for child in pci.children:
        yield from _pci(child, depth + 1)
    yield f"{indent}</pci>"
