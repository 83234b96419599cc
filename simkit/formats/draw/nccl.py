"""What NCCL concludes, as text: the matrix of `nvidia-smi topo -m` with bandwidths, P2P and GPUDirect RDMA."""

from __future__ import annotations

from collections.abc import Sequence

from simkit.formats.draw.text import MEANING
from simkit.model.nccl_answer import GdrMode, GpuPath, NcclAnswer, NetPath
from simkit.model.route import PeerClass

_GDR = {GdrMode.OFF: "-", GdrMode.DEFAULT: "gdr", GdrMode.PCI: "pci"}
_MARKS = {
    "p2p": "P2P is used",
    "gdr": "GPUDirect RDMA is used",
    "pci": "GPUDirect RDMA is used, by PCIe's mapping though the GPU has C2C",
    "-": "neither: data goes through the CPU's memory",
}


def matrix(answer: NcclAnswer) -> str:
    """A row for each GPU: nearness, GB/s as NCCL counts, and what is used; then who is who, and what the words mean."""
    gpus, nets = ([f"{word}{number}" for number in range(len(among))] for word, among in (("GPU", answer.gpus), ("NET", answer.nets)))
    rows = [
        [*(_gpu(path, own=source == target) for target, path in enumerate(answer.gpu_gpu[source])), *(_net(path) for path in answer.gpu_net[source])]
        for source in range(len(answer.gpus))
    ]
    lines = _table(gpus, [*gpus, *nets], rows)
    lines += ["", *(f"{name:<6}{address}" for name, address in zip(gpus, answer.gpus, strict=True))]
    lines += [
        f"{name:<6}{address if address is not None else 'no PCI device'}  {label}".rstrip()
        for name, address, label in zip(nets, answer.nets, answer.net_names, strict=True)
    ]
    there = {path.nearness for row in answer.gpu_gpu for path in row} | {path.nearness for row in answer.gpu_net for path in row}
    marks = {cell.split()[-1] for row in rows for cell in row}
    lines += ["", *(f"{nearness!s:<4} {meaning}" for nearness, meaning in MEANING.items() if nearness in there)]
    lines += [f"{mark:<4} {meaning}" for mark, meaning in _MARKS.items() if mark in marks]
    lines.append("Figures are GB/s of the slowest link on the way, as NCCL counts it; they are no measurement.")
    return "\n".join(lines)


def _table(names: Sequence[str], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(head), *(len(row[column]) for row in rows)) + 2 if rows else len(head) + 2 for column, head in enumerate(heads)]
    first = max((len(name) for name in names), default=0)
    lines = [" " * first + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))]
    lines += [f"{name:<{first}}" + "".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for name, row in zip(names, rows, strict=True)]
    return lines


def _gpu(path: GpuPath, *, own: bool) -> str:
    if own:
        return "X"
    return f"{path.nearness} {_figure(path.bandwidth)} {'p2p' if path.p2p else '-'}" if path.nearness != PeerClass.DIS else "DIS"


def _net(path: NetPath) -> str:
    return f"{path.nearness} {_figure(path.bandwidth)} {_GDR[path.gdr]}" if path.nearness != PeerClass.DIS else "DIS"


def _figure(bandwidth: float) -> str:
    return f"{bandwidth:.1f}".removesuffix(".0")
