"""What a topology file changes in NCCL's conclusions, pair by pair, as text."""

from __future__ import annotations

from simkit.model.nccl_answer import GdrMode, GpuPath, NcclAnswer, NetPath

_GDR = {GdrMode.OFF: "no GDR", GdrMode.DEFAULT: "GDR", GdrMode.PCI: "GDR by PCIe"}


def changes(without: NcclAnswer, told: NcclAnswer) -> str:
    """A line for each pair of which NCCL concludes something else with the file; pairs stand by their addresses, whatever NCCL's order is."""
    before, after = _pairs(without), _pairs(told)
    rows = [(*pair, before.get(pair, "not there"), after.get(pair, "not there")) for pair in {**before, **after} if before.get(pair) != after.get(pair)]
    if not rows:
        return f"The file changes nothing: {len(after)} pairs are the same with and without it."
    columns = [("from", "to", "without the file", "with it"), *rows]
    widths = [max(len(row[column]) for row in columns) + 2 for column in range(3)]
    lines = [f"The file changes {len(rows)} of {len(after)} pairs:"]
    return "\n".join([*lines, *("  " + "".join(text.ljust(width) for text, width in zip(row, widths, strict=False)) + row[3] for row in columns)])


def _pairs(answer: NcclAnswer) -> dict[tuple[str, str], str]:
    """Ports of one NIC, and ranks of one GPU, are counted from the second on."""
    gpus, nets = _numbered([str(gpu) for gpu in answer.gpus]), _numbered([str(net or "no PCI device") for net in answer.nets])
    found: dict[tuple[str, str], str] = {}
    for source, gpu in enumerate(gpus):
        found |= {(gpu, gpus[target]): _gpu(path) for target, path in enumerate(answer.gpu_gpu[source]) if target != source}
        found |= {(gpu, nets[target]): _net(path) for target, path in enumerate(answer.gpu_net[source])}
    return found


def _numbered(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _gpu(path: GpuPath) -> str:
    return f"{path.nearness} {path.bandwidth:.1f} {'P2P' if path.p2p else 'no P2P'}"


def _net(path: NetPath) -> str:
    return f"{path.nearness} {path.bandwidth:.1f} {_GDR[path.gdr]}"
