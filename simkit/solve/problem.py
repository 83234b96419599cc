"""A workload on a host as tables: who could serve which wish, and which constraints there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from simkit.errors import Fault, UnknownName
from simkit.model.address import Address
from simkit.model.host import Host
from simkit.model.place import Place
from simkit.model.platform import TeeKind
from simkit.model.unknown import is_known
from simkit.model.workload import Apart, DeviceRequest, GuestRequest, NumaRule, Workload
from simkit.semantics.partitions import partitioned
from simkit.solve.facts import Facts, facts_of
from simkit.solve.labels import KEPT, Label, What
from simkit.solve.lots import interchangeable


@dataclass(frozen=True, slots=True)
class Wish:
    """One device request of one guest, and the functions that could serve it (for virtual functions, the physical ones).

    `lots` are the candidates counted: of those that stand for each other (`simkit.solve.lots`) only the lowest.
    """

    guest: str
    index: int
    request: DeviceRequest
    candidates: tuple[Address, ...]
    lots: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class TooMuch:
    """Devices that a guest has no address space for together: of each set of (request, lot) as many as said, or more."""

    guest: str
    sets: tuple[tuple[tuple[tuple[int, Address], ...], int], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """The tables.

    `asked` is the workload as it was given; in `workload` guests stand for what is to be kept free. `nodes` are the NUMA nodes whose
    CPUs are known, as (number, whole cores, bytes or None); `lots` by their lowest function. `too_much` grows: it follows from the rest, and is
    found out where an engine chooses it (`simkit.solve.windows`).
    """

    workload: Workload
    asked: Workload
    host: Host
    facts: Facts
    wishes: tuple[Wish, ...]
    nodes: tuple[tuple[int, int, int | None], ...]
    lots: dict[Address, tuple[Address, ...]]
    too_much: list[TooMuch] = field(default_factory=list, compare=False, repr=False)

    @property
    def threads(self) -> int:
        """Logical CPUs that one core has; a guest takes whole cores. 1 where unknown, or where a node's CPUs do not divide by it."""
        return threads_per_core(self.host)

    @property
    def candidates(self) -> tuple[Address, ...]:
        """Every function that could serve some wish, in address order."""
        return tuple(sorted({address for wish in self.wishes for address in wish.candidates}))

    def labels(self) -> tuple[Label, ...]:
        """All constraints, in the order of the workload, then those of the host."""
        found = []
        for guest in self.workload.guests:
            if guest.tee is not TeeKind.NONE:
                found.append(Label(guest.name, What.TEE))
            for index, request in enumerate(guest.devices):
                found.append(Label(guest.name, What.COUNT, index))
                found += [Label(guest.name, What.PEERS, index)] if request.peers is not None else []
                found += [Label(guest.name, What.NEAR, index)] if request.near is not None else []
            found += [Label(guest.name, What.PARTITION)] if partitioned(self.host, guest) else []
            if self.kept(guest.name):
                continue
            found += [Label(guest.name, What.ISOLATION, number) for number, kind in enumerate(Apart) if kind in guest.isolation]
            found += [Label(guest.name, What.CPUS), Label(guest.name, What.MEMORY), Label(guest.name, What.LIMITS)]
            found += [Label(guest.name, What.PROTECTED)] if guest.protected_pcie else []
            found += [Label(guest.name, What.NUMA)] if guest.numa is NumaRule.STRICT and self.nodes else []
        found += [Label("", What.SPREAD, number) for number, _ in enumerate(self.workload.spread)]
        return (*found, *(Label("", What.GROUP, group=group) for group in self.groups()))

    @property
    def guests(self) -> tuple[GuestRequest, ...]:
        """The guests that there will be: what is kept free aside."""
        return tuple(guest for guest in self.workload.guests if not self.kept(guest.name))

    @staticmethod
    def kept(name: str) -> bool:
        """Whether a guest of the problem's workload stands for what is kept free."""
        return name.startswith(KEPT)

    def groups(self) -> tuple[Address, ...]:
        """The IOMMU groups with several candidates, by their lowest function."""
        among = set(self.candidates)
        members = {self.facts.members[address] for address in among if self.facts.members.get(address)}
        return tuple(sorted(group[0] for group in members if len(among.intersection(group)) > 1))

    def wish(self, label: Label) -> Wish:
        """The wish of a label that has one."""
        return next(wish for wish in self.wishes if (wish.guest, wish.index) == (label.guest, label.request))

    def open(self, wish: Wish) -> Wish:
        """The same wish for any devices of its kind: neither pinned nor of a model."""
        request = replace(wish.request, model=None, pinned=())
        candidates = _candidates(self.host, self.facts, request)
        return replace(wish, request=request, candidates=candidates, lots=_counted(self.lots, candidates))

    def room(self, wish: Wish, address: Address) -> int:
        """How often a lot can serve a wish."""
        return min(wish.request.count, len(self.facts.virtual.get(address, ()) if wish.request.share.virtual else self.lots[address]))

    def place(self, label: Label) -> Place:
        """The line that states the constraint."""
        if label.what is What.GROUP:
            return self.host.where(f"{self.host[label.group].path}/iommu_group")
        if label.what is What.SPREAD or self.kept(label.guest):
            return self.workload.places.of(f"spread/{label.request}" if label.what is What.SPREAD else f"keep_free/{label.guest.removeprefix(KEPT)}")
        path = f"guests/{label.guest}" + (f"/devices/{label.request}" if label.request >= 0 and label.what is not What.ISOLATION else "")
        key = {What.LIMITS: "topology"}.get(label.what, str(label.what))
        return self.workload.places.of(f"{path}/{key}")


def with_kept(workload: Workload) -> Workload:
    """What is to be kept free as guests without CPUs and memory, one for each entry."""
    kept = tuple(GuestRequest(f"{KEPT}{number}", (request,), cpus=0, memory_bytes=0) for number, request in enumerate(workload.keep_free))
    return replace(workload, guests=(*workload.guests, *kept), keep_free=())


def build(workload: Workload, host: Host, *, known: Facts | None = None) -> Problem:
    """Make the tables; `known` are those of another workload on the same host.

    Raises:
        UnknownName: pinned functions are not there.
    """
    faults = tuple(Fault(f"guest {guest.name} pins {address}, which {host.name} does not have", str(workload.places.of(f"{guest.path}/devices/{index}/pinned")),
                         "`simkit show` lists what is there")
                   for guest in workload.guests for index, request in enumerate(guest.devices) for address in request.pinned if address not in host)
    if faults:
        raise UnknownName(f"{workload.name} names devices that are not there", faults=faults)
    whole, workload = workload, with_kept(workload)
    facts = facts_of(workload, host, known=known)
    served: dict[DeviceRequest, tuple[Address, ...]] = {}
    for request in (request for guest in workload.guests for request in guest.devices):
        for each in (request, replace(request, model=None, pinned=())):
            key = replace(each, count=1, peers=None, near=None)
            served[each] = served[key] = served[key] if key in served else _candidates(host, facts, key)
    told_apart = any({Apart.PATH, Apart.RESET} & set(guest.isolation) for guest in workload.guests)
    fabric = {partition.id: frozenset(partition.gpus) for partition in host.partitions} if is_known(host.partitions) else {}
    lots = interchangeable(facts, served, fabric, told_apart=told_apart)
    wishes = tuple(Wish(guest.name, index, request, served[request], _counted(lots, served[request]))
                   for guest in workload.guests for index, request in enumerate(guest.devices))
    threads = threads_per_core(host)
    sizes = {guest.hugepage_bytes for guest in workload.guests if guest.hugepage_bytes is not None}
    nodes = tuple((node.id, len(node.cpus) // threads, room if is_known(room := node.room_bytes(sizes)) else None)
                  for node in host.numa_nodes if is_known(node.cpus) and len(node.cpus))
    return Problem(workload, whole, host, facts, wishes, nodes, lots)


def _counted(lots: dict[Address, tuple[Address, ...]], candidates: Iterable[Address]) -> tuple[Address, ...]:
    return tuple(address for address in candidates if address in lots)


def _candidates(host: Host, facts: Facts, request: DeviceRequest) -> tuple[Address, ...]:
    return tuple(function.address for function in host.functions if request.fits(function) and facts.refusal(function, request) is None)


def threads_per_core(host: Host) -> int:
    """The host's threads a core, 1 where unknown or where a node's CPUs cannot be divided by it."""
    threads = host.cpu.threads_per_core
    if not is_known(threads) or threads < 1:
        return 1
    return threads if all(len(node.cpus) % threads == 0 for node in host.numa_nodes if is_known(node.cpus)) else 1
