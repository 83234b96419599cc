"""Pictures in text: the tree, the groups, the peer-to-peer matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simkit.formats.outline import Entry, outline
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.group import Grouping
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known


def headline(host: Host) -> str:
    """One line: name, what is in it, and the platform."""
    words = {Kind.GPU: "GPU", Kind.NIC: "NIC", Kind.NVSWITCH: "NVSwitch", Kind.NVME: "NVMe"}
    counts = [f"{len(found)} {word}{'s' * (len(found) > 1)}" for kind, word in words.items()
              if (found := [function for function in host.of_kind(kind) if not function.is_vf])]
    platform = [f"{len(host.functions)} functions"]
    platform += [f"Linux {host.kernel}"] if is_known(host.kernel) else []
    platform += [f"IOMMU {host.iommu}"] if is_known(host.iommu) else ["IOMMU unknown"]
    platform += [str(tee.kind) for tee in host.tees] if is_known(host.tees) else []
    return f"{host.name}: {', '.join(counts) or 'no accelerator, NIC or NVMe disk'} · {' · '.join(platform)}"


def tree(host: Host, grouping: Grouping | None = None, owners: Mapping[Address, str] | None = None, *, whole: bool = False) -> str:
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
        address = f"{_short(entry.through.address)} ─ {address}"
    group = (f"group {entry.group}",) if entry.group is not None else ()
    owner = (f"◀ {entry.owner}",) if entry.owner else ()
    return "  ".join((address, entry.title, *entry.facts, *group, *owner))


def _short(address: Address) -> str:
    return f"{address.bus:02x}:{address.device:02x}.{address.function}"


def groups(host: Host, grouping: Grouping) -> str:
    """The IOMMU groups, one a line with its members and, where more than one function shares it, why."""
    lines = [f"{host.name}: {len(grouping.groups)} IOMMU groups, {grouping.status}"
             + (", as the kernel reported them" if grouping.reported else f", as Linux {grouping.kernel} would build them")]
    for index, group in enumerate(grouping.groups):
        number = f"{group.id:>4}" if group.id is not None else f"#{index:>3}"
        members = [f"{address} {host[address].kind.value}" for address in group.functions]
        lines.append(f"{number}  {', '.join(members)}")
        if len(group.functions) > 1:
            lines.extend(f"      {because.text}  [{because.rule}]" for because in group.because)
    if grouping.ungrouped:
        lines.append(f"none  {', '.join(map(str, grouping.ungrouped))}")
    if grouping.differences:
        lines.append("The kernel's report differs from what the rules predict:")
        lines.extend(f"  {difference.text}" for difference in grouping.differences)
    if grouping.assumptions:
        lines.append(f"Not known, and it matters ({len(grouping.assumptions)}):" if grouping.status == "ambiguous" else f"Assumed ({len(grouping.assumptions)}):")
        lines.extend(f"  {assumption.place}: {assumption.text}" for assumption in grouping.assumptions)
    if grouping.finest:
        lines.append(f"Shown is the coarsest possible answer; with every unknown in favour there would be {len(grouping.finest)} groups.")
    return "\n".join(lines)


def matrix(host: Host, functions: Sequence[Address], nearness: Sequence[Sequence[PeerClass]]) -> str:
    """Peer classes of all pairs, as `nvidia-smi topo -m` lays them out."""
    names = _names(host, functions)
    width = max(len(name) for name in [*names, "xxxx"]) + 1
    lines = [" " * width + "".join(f"{name:>{width}}" for name in names)]
    for name, row, address in zip(names, nearness, functions, strict=True):
        lines.append(f"{name:<{width}}" + "".join(f"{'X' if cell == PeerClass.LOC else str(cell):>{width}}" for cell in row) + f"   {address}  {host[address].label}")
    return "\n".join(lines)


def _names(host: Host, functions: Sequence[Address]) -> list[str]:
    counts: dict[Kind, int] = {}
    names = []
    for address in functions:
        kind = host[address].kind
        names.append(f"{kind.value.upper()}{counts.get(kind, 0)}")
        counts[kind] = counts.get(kind, 0) + 1
    return names
