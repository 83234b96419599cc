"""CPU sets and NUMA nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from simkit.errors import InputError
from simkit.model.unknown import UNKNOWN, Unknown, is_known

_MOST_CPUS = 1 << 16


@dataclass(frozen=True, slots=True)
class CpuSet:
    """Logical CPU numbers in rising order, written as the kernel's cpulist: ``0-23,96-119``."""

    cpus: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[int]:
        """The CPU numbers, rising."""
        return iter(self.cpus)

    def __len__(self) -> int:
        """How many CPUs."""
        return len(self.cpus)

    def __str__(self) -> str:
        """As `bitmap_print_to_pagebuf` prints a list."""
        runs = []
        for _, group in groupby(enumerate(self.cpus), lambda pair: pair[1] - pair[0]):
            members = [cpu for _, cpu in group]
            runs.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
        return ",".join(runs)

    @classmethod
    def of(cls, cpus: Iterator[int] | list[int] | set[int] | range | tuple[int, ...]) -> CpuSet:
        """From numbers in any order."""
        return cls(tuple(sorted(set(cpus))))

    @classmethod
    def parse(cls, text: str) -> CpuSet:
        """Read a cpulist.

        Raises:
            InputError: not a cpulist, a CPU number past 65,535, or CPUs that are named again and again.
        """
        cpus: set[int] = set()
        named = 0
        for part in filter(None, (piece.strip() for piece in text.strip().split(","))):
            first, dash, last = part.partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 11:
                raise InputError(f"not a CPU list: {text!r}", remedy="write ranges as the kernel does, for example 0-23,96-119")
            low, high = int(first), int(last or first)
            if high >= _MOST_CPUS or high < low:
                raise InputError(f"CPU range out of bounds: {part!r}", remedy=f"numbers rise and stay below {_MOST_CPUS}")
            named += high - low + 1
            if named > _MOST_CPUS:
                raise InputError(f"over {_MOST_CPUS} CPUs are named", remedy="name each CPU once")
            cpus.update(range(low, high + 1))
        return cls.of(cpus)


@dataclass(frozen=True, slots=True, order=True)
class NodeName:
    """A NUMA node by its number, as sysfs names it: ``node0``."""

    id: int

    def __str__(self) -> str:
        """As Linux prints it."""
        return f"node{self.id}"

    @classmethod
    def parse(cls, text: str) -> NodeName:
        """Read such a name.

        Raises:
            InputError: it is written otherwise.
        """
        number = text.removeprefix("node")
        if not text.startswith("node") or not (number.isascii() and number.isdecimal()) or len(number) > 5 or str(int(number)) != number:
            raise InputError(f"{text!r} names no NUMA node", remedy="write it as sysfs does, for example node0")
        return cls(int(number))


@dataclass(frozen=True, slots=True)
class HugePages:
    """A node's pool of huge pages of one size: how many there are (`nr_hugepages`) and how many of them nobody has taken (`free_hugepages`)."""

    size_bytes: int
    total: int | Unknown = UNKNOWN
    free: int | Unknown = UNKNOWN

    def __str__(self) -> str:
        """For people: ``16 of 1024 MiB, 3 free``."""
        return f"{self.total} of {self.size_bytes >> 20} MiB, {self.free} free"


@dataclass(frozen=True, slots=True)
class NumaNode:
    """One NUMA node; `distances` are the SLIT row, by node number of the host's nodes in their order.

    `hugepages` are its pools, smallest pages first; a size that is not among them is none that the kernel has.
    """

    id: int
    cpus: CpuSet | Unknown = UNKNOWN
    memory_bytes: int | Unknown = UNKNOWN
    socket: int | Unknown = UNKNOWN
    distances: tuple[int, ...] | Unknown = UNKNOWN
    hugepages: tuple[HugePages, ...] | Unknown = field(default=UNKNOWN, repr=False)

    def room_bytes(self, sizes: Collection[int]) -> int | Unknown:
        """Memory that guests can have at most: without huge pages that are in use, and without free ones of sizes other than `sizes`."""
        if isinstance(self.memory_bytes, Unknown) or isinstance(self.hugepages, Unknown):
            return self.memory_bytes
        known = [(pool, pool.total, pool.free) for pool in self.hugepages if is_known(pool.total) and is_known(pool.free)]
        return max(0, self.memory_bytes - sum((total - free * (pool.size_bytes in sizes)) * pool.size_bytes for pool, total, free in known))

    def pool(self, size_bytes: int) -> HugePages | None | Unknown:
        """Its pool of pages of a size; None where the kernel has no pages of that size."""
        if isinstance(self.hugepages, Unknown):
            return self.hugepages
        return next((pool for pool in self.hugepages if pool.size_bytes == size_bytes), None)
