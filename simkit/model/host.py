"""A node: its functions as a tree, and the machine around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from simkit.errors import Fault, InconsistentHost, UnknownName
from simkit.model.address import Address, Parent, RootBus
from simkit.model.function import Function, Kind
from simkit.model.numa import NumaNode
from simkit.model.place import Place, Places
from simkit.model.platform import Cpu, IommuKind, Partition, PeerLink, Tee
from simkit.model.scope import IommuScope, MadeBus
from simkit.model.unknown import UNKNOWN, Unknown

_NEAR = 8


@dataclass(frozen=True, slots=True)
class Host:
    """All facts of one node, in address order, immutable.

    `functions` is None-free and complete as far as the source reaches; `elided` says that the source leaves out ports between
    (NCCL's XML shows one function a switch), so that a parent is the nearest known ancestor and nothing is known of the rest.
    `kernel` is `uname -r`, `cmdline` the kernel command line. `assumed` are sentences that the source itself marks as not measured.
    `iommu_scopes` is what firmware's tables put under IOMMUs, empty where there is no such table; `made_buses` are the root buses that a function's
    driver made. `partitions` are what the fabric manager offers (`fmpm -l`).

    Raises:
        InconsistentHost: on construction, with every fault: address twice, unknown parent, cycle, physical function missing.
    """

    name: str
    functions: tuple[Function, ...]
    numa_nodes: tuple[NumaNode, ...] = ()
    cpu: Cpu = Cpu()
    iommu: IommuKind | Unknown = UNKNOWN
    tees: tuple[Tee, ...] | Unknown = UNKNOWN
    peer_links: tuple[PeerLink, ...] = ()
    kernel: str | Unknown = UNKNOWN
    cmdline: str | Unknown = UNKNOWN
    elided: bool = False
    assumed: tuple[str, ...] = ()
    iommu_scopes: tuple[IommuScope, ...] | Unknown = UNKNOWN
    made_buses: tuple[MadeBus, ...] = ()
    partitions: tuple[Partition, ...] | Unknown = UNKNOWN
    places: Places = field(default_factory=Places, compare=False, repr=False)
    _by_address: dict[Address, Function] = field(init=False, compare=False, repr=False)
    _children: dict[Parent, tuple[Function, ...]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sort, index and check the tree."""
        ordered = tuple(sorted(self.functions, key=lambda function: function.address))
        index = {function.address: function for function in ordered}
        object.__setattr__(self, "functions", ordered)
        object.__setattr__(self, "_by_address", index)
        children: dict[Parent, list[Function]] = {}
        for function in ordered:
            children.setdefault(function.parent, []).append(function)
        object.__setattr__(self, "_children", {parent: tuple(below) for parent, below in children.items()})
        faults = tuple(self._faults())
        if faults:
            raise InconsistentHost(f"{self.name} cannot be one machine", faults=faults)

    def _faults(self) -> Iterator[Fault]:
        where = {function.address: str(self.places.of(function.path)) for function in self.functions}
        for first, second in zip(self.functions, self.functions[1:], strict=False):
            if first.address == second.address:
                yield Fault(f"address {first.address} is there twice", where[first.address], "keep one of them")
        buses = [made.bus for made in self.made_buses]
        for made in self.made_buses:
            if made.function not in self._by_address:
                yield Fault(f"{made.bus} was made by the driver of {made.function}, which is not there", str(self.places.of("made_buses")),
                            "add the function or correct it")
            elif made.function.domain == made.bus.domain or buses.count(made.bus) > 1:
                yield Fault(f"{made.bus} cannot be made by the driver of {made.function}" if buses.count(made.bus) == 1 else f"{made.bus} was made twice",
                            str(self.places.of("made_buses")), "a driver makes a root bus in a domain of its own, once")
        for partition in self.partitions if not isinstance(self.partitions, Unknown) else ():
            for gpu in partition.gpus:
                if gpu not in self._by_address:
                    yield Fault(f"partition {partition.id} has {gpu}, which is not there", str(self.places.of("partitions")), "add the function or correct it")
        sound: set[Address] = set()
        for function in self.functions:
            if isinstance(function.parent, Address) and function.parent not in self._by_address:
                yield Fault(
                    f"{function.address} lies below {function.parent}, which is not there", where[function.address], "add the bridge or correct the parent"
                )
            if function.physfn is not None and function.physfn not in self._by_address:
                yield Fault(
                    f"{function.address} is a virtual function of {function.physfn}, which is not there",
                    where[function.address],
                    "add the physical function or correct physfn",
                )
            trail: dict[Address, None] = {}
            here: Function | None = function
            while here is not None and here.address not in sound and here.address not in trail:
                trail[here.address] = None
                here = self._by_address.get(here.parent) if isinstance(here.parent, Address) else None
            if here is not None and here.address not in sound:
                cycle = list(trail)[list(trail).index(here.address) :]
                yield Fault(f"bridges in a cycle: {' below '.join(map(str, cycle))}", where[here.address], "one of them must lie below a root bus")
            sound.update(trail)

    def __contains__(self, address: Address) -> bool:
        """Whether there is a function at `address`."""
        return address in self._by_address

    def __getitem__(self, address: Address) -> Function:
        """The function at `address`.

        Raises:
            UnknownName: there is none.
        """
        try:
            return self._by_address[address]
        except KeyError:
            near = [str(other) for other in self._by_address if (other.domain, other.bus) == (address.domain, address.bus)][:_NEAR]
            remedy = f"on that bus are {', '.join(near)}" if near else f"`simkit show --all` lists its {len(self.functions)} functions"
            raise UnknownName(f"{self.name} has no function {address}", where=str(self.places.root), remedy=remedy) from None

    def parent(self, function: Function) -> Function | None:
        """The bridge above, or None on a root bus."""
        return self._by_address[function.parent] if isinstance(function.parent, Address) else None

    def children(self, parent: Parent) -> tuple[Function, ...]:
        """The functions directly below a bridge or root bus, in address order."""
        return self._children.get(parent, ())

    def ancestors(self, function: Function) -> Iterator[Function]:
        """The bridges above, nearest first."""
        above = self.parent(function)
        while above is not None:
            yield above
            above = self.parent(above)

    def below(self, parent: Parent) -> Iterator[Function]:
        """Everything below a bridge or root bus, depth first."""
        stack = list(reversed(self.children(parent)))
        while stack:
            function = stack.pop()
            yield function
            stack.extend(reversed(self.children(function.address)))

    def in_scan_order(self) -> Iterator[Function]:
        """As Linux finds them: all of a bus, then what is below each of its bridges in turn (`pci_scan_child_bus`). A bridge comes before what is below it."""
        stack: list[Parent] = list(reversed(self.root_buses))
        while stack:
            found = self._children.get(stack.pop(), ())
            yield from found
            stack.extend(function.address for function in reversed(found) if function.address in self._children)

    def root_bus(self, function: Function) -> RootBus:
        """The root bus that `function` lies below."""
        parent = function.parent
        while isinstance(parent, Address):
            parent = self._by_address[parent].parent
        return parent

    @property
    def root_buses(self) -> tuple[RootBus, ...]:
        """All root buses, in order."""
        return tuple(sorted(parent for parent in self._children if isinstance(parent, RootBus)))

    def of_kind(self, *kinds: Kind) -> tuple[Function, ...]:
        """The functions of these kinds, in address order, virtual ones included."""
        return tuple(function for function in self.functions if function.kind in kinds)

    def virtual_functions(self, physical: Function) -> tuple[Function, ...]:
        """The virtual functions of `physical` that exist now."""
        return tuple(function for function in self.functions if function.physfn == physical.address)

    def where(self, path: str) -> Place:
        """The place of a fact: ``functions/0000:3b:00.0/acs``, ``numa_nodes/0``, ``kernel``."""
        return self.places.of(path)

    def with_functions(self, *changed: Function) -> Host:
        """The same host with these functions in the place of those at the same addresses."""
        new = {function.address: function for function in changed}
        return replace(self, functions=tuple(new.get(function.address, function) for function in self.functions))
