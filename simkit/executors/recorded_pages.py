"""Huge pages of a recorded node: what a write to `nr_hugepages` of a NUMA node does (`set_max_huge_pages`, mm/hugetlb.c)."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from simkit.executors import kernel_text
from simkit.executors.node import refusal
from simkit.executors.recorded_memory import Memory
from simkit.plan import attributes

_POOL = re.compile(rf"({attributes.NODES}/node\d+)/hugepages/hugepages-(\d+)kB/nr_hugepages", re.ASCII)
_FREE = re.compile(rb"(?<=MemFree:)( *\d+)(?= kB)")
_TOTAL = re.compile(rb"MemTotal: *(\d+) kB")


def is_pool(path: str) -> bool:
    """Whether a file of that path says how many huge pages a node has."""
    return _POOL.fullmatch(path) is not None


def resize(memory: Memory, path: str, text: str) -> None:
    """As many pages as asked for if there is memory for them, as many as there is memory for if not: that is no error.

    Pages in use stay: Linux makes them surplus, and they are read as before until they are given back. Memory is what the node's `meminfo`
    calls free; a recording that does not say is taken to have all of it free that is no huge page.

    Raises:
        ExecutorError: there is no such file, or no number in the text.
    """
    found = _POOL.fullmatch(path)
    file = memory.root / path
    if found is None or not file.is_file():
        raise refusal(errno.ENOENT, path)
    wish = kernel_text.long(text)
    if wish is None:
        raise refusal(errno.EINVAL, path, f"{text.strip()!r} is no number of huge pages")
    if wish >= 1 << 64:
        raise refusal(errno.ERANGE, path, f"{text.strip()[:24]} is out of range")
    beside = file.parent / "free_hugepages"
    size, now = int(found[2]), _number(file)
    free = _number(beside) if beside.is_file() else now
    room = _room(memory.root / found[1])
    most = now + room // size if room is not None else wish
    then = min(wish, most) if wish > now else max(wish, now - free)
    if then == now:
        return
    memory.changes.write(file, f"{then}\n".encode())
    if beside.is_file():
        memory.changes.write(beside, f"{free + then - now}\n".encode())
    _take(memory, memory.root / found[1] / "meminfo", (then - now) * size)


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _room(node: Path) -> int | None:
    """Free memory of a node in kB; None: unknown."""
    told = (node / "meminfo").read_bytes() if (node / "meminfo").is_file() else b""
    free, total = _FREE.search(told), _TOTAL.search(told)
    if free is not None:
        return int(free[1])
    taken = sum(_number(pool / "nr_hugepages") * int(pool.name.removeprefix("hugepages-").removesuffix("kB")) for pool in (node / "hugepages").iterdir())
    return max(0, int(total[1]) - taken) if total is not None else None


def _take(memory: Memory, meminfo: Path, kilobytes: int) -> None:
    """Of free memory, in a column of the same width."""
    told = meminfo.read_bytes() if meminfo.is_file() else b""
    changed = _FREE.sub(lambda found: str(int(found[1]) - kilobytes).rjust(len(found[1])).encode(), told)
    if changed != told:
        memory.changes.write(meminfo, changed)
