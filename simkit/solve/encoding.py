"""A problem as variables and linear constraints, for an engine that has the methods of CP-SAT's model. Knows no engine itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement
from typing import Any

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.platform import Partition
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import GuestRequest
from simkit.semantics.partitions import over_nvlink, partitions_of, unprotected, whole_gpus
from simkit.solve.labels import Label, What
from simkit.solve.problem import Problem, Wish

MEMORY_UNIT = 1 << 20
"""Bytes that memory is counted in."""


@dataclass(slots=True)
class Encoding:
    """Variables and constraints: `take` by guest, request and lot (how many of it), `cores` and `memory` by guest and NUMA node."""

    problem: Problem
    active: frozenset[Label]
    model: Any
    take: dict[tuple[str, int, Address], Any] = field(default_factory=dict)
    cores: dict[tuple[str, int], Any] = field(default_factory=dict)
    memory: dict[tuple[str, int], Any] = field(default_factory=dict)
    _used: dict[tuple[str, int, Address], Any] = field(default_factory=dict)
    _owners: dict[tuple[Address, str], Any] = field(default_factory=dict)
    _wanted: list[Wish] = field(init=False)
    _serving: dict[tuple[Address, bool], list[Wish]] = field(default_factory=dict)
    _own: dict[tuple[Address, bool, str], list[Wish]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Which wishes there are, and which of them a function could serve."""
        leaning = {wish.guest for wish in self._near_ones()}
        self._wanted = []
        for wish in self.problem.wishes:
            if self._on(wish, What.COUNT):
                self._wanted.append(wish)
            elif wish.request.kind is Kind.GPU and wish.guest in leaning:
                self._wanted.append(self.problem.open(wish))
        for wish in self._wanted:
            for address in wish.lots:
                self._serving.setdefault((address, wish.request.share.virtual), []).append(wish)
                self._own.setdefault((address, wish.request.share.virtual, wish.guest), []).append(wish)

    def build(self) -> None:
        """Everything that must hold."""
        for wish in self.wanted():
            self._count(wish)
            self._peers(wish)
        for wish in self.wanted():
            self._near(wish)
        self._tees()
        self._protected()
        self._exclusive()
        self._whole_groups()
        self._processors()
        self._strict()
        self._partitions()

    def _tees(self) -> None:
        """Guests of a technology that the platform offers, no more than it has keys for; where that is unknown, any."""
        host = self.problem.host
        if not is_known(host.tees):
            return
        offered = {tee.kind: tee.max_guests for tee in host.tees}
        asked = Counter(guest.tee for guest in self.problem.guests if Label(guest.name, What.TEE) in self.active)
        for kind, count in asked.items():
            most = offered.get(kind, 0)
            if is_known(most) and count > most:
                self.model.add_bool_or([])

    def _protected(self) -> None:
        """All GPUs and NVSwitches for a guest with protected PCIe: a matter of what it asks for."""
        for guest in self.problem.guests:
            if Label(guest.name, What.PROTECTED) in self.active and unprotected(self.problem.host, guest):
                self.model.add_bool_or([])

    def wanted(self) -> list[Wish]:
        """The wishes that are to be served. One for GPUs that is left out stays, for any GPUs in any number, where the guest wants devices near a GPU.

        So leaving a constraint out never makes the rest harder to serve.
        """
        return self._wanted

    def most(self, wish: Wish) -> int:
        """How many a wish takes at most: as many as it asks for, or where that is left open one for each device that wants to be near."""
        if self._on(wish, What.COUNT):
            return wish.request.count
        return sum(other.request.count for other in self._near_ones() if other.guest == wish.guest)

    def _near_ones(self) -> list[Wish]:
        return [wish for wish in self.problem.wishes if wish.request.near is not None and self._on(wish, What.COUNT) and self._on(wish, What.NEAR)]

    def _on(self, wish: Wish, what: What) -> bool:
        return Label(wish.guest, what, wish.index) in self.active

    def _count(self, wish: Wish) -> None:
        for address in wish.lots:
            key = (wish.guest, wish.index, address)
            self.take[key] = self.model.new_int_var(0, self.problem.room(wish, address), f"{wish.guest}.{wish.index}.{address}")
        total = sum(self.take[wish.guest, wish.index, address] for address in wish.lots)
        self.model.add(total == wish.request.count if self._on(wish, What.COUNT) else total <= self.most(wish))

    def used(self, wish: Wish, address: Address) -> Any:
        """1 exactly where the wish takes at least one of a lot."""
        key = (wish.guest, wish.index, address)
        if self.problem.room(wish, address) <= 1:
            return self.take[key]
        if key not in self._used:
            self._used[key] = self.positive([self.take[key]], self.problem.room(wish, address))
        return self._used[key]

    def positive(self, variables: list[Any], most: int) -> Any:
        """1 exactly where the sum of variables, at most `most`, is above 0."""
        used = self.model.new_bool_var("")
        self.model.add(sum(variables) >= used)
        self.model.add(sum(variables) <= most * used)
        return used

    def _peers(self, wish: Wish) -> None:
        bound = wish.request.peers
        if bound is None or not self._on(wish, What.PEERS):
            return
        for address in wish.lots:
            if self.within(wish, address) > bound:
                self.model.add(self.take[wish.guest, wish.index, address] <= 1)
        for a, b in combinations(wish.lots, 2):
            if self.problem.facts.nearness(a, b) > bound:
                self.model.add(self.used(wish, a) + self.used(wish, b) <= 1)

    def within(self, wish: Wish, address: Address) -> PeerClass:
        """How near two of one lot are; two virtual functions of one device are PIX."""
        lot = self.problem.lots[address]
        return self.problem.facts.nearness(lot[0], lot[-1]) if len(lot) > 1 or wish.request.share.virtual else PeerClass.LOC

    def gpus_of(self, guest: str) -> dict[Address, list[Any]]:
        """How many of each lot of GPUs a guest's requests take."""
        gpus: dict[Address, list[Any]] = {}
        for wish in self.wanted():
            if wish.guest == guest and wish.request.kind is Kind.GPU:
                for address in wish.lots:
                    gpus.setdefault(address, []).append(self.take[wish.guest, wish.index, address])
        return gpus

    def _near(self, wish: Wish) -> None:
        """One GPU of the guest for each device taken, within the class: a flow from devices to GPUs."""
        bound = wish.request.near
        if bound is None or not self._on(wish, What.NEAR):
            return
        gpus = self.gpus_of(wish.guest)
        facts = self.problem.facts
        pairs = {(address, gpu): self.model.new_int_var(0, wish.request.count, "")
                 for address in wish.lots for gpu in gpus if facts.nearness(address, gpu) <= bound}
        for address in wish.lots:
            self.model.add(sum(pair for (device, _), pair in pairs.items() if device == address) == self.take[wish.guest, wish.index, address])
        for gpu, taken in gpus.items():
            self.model.add(sum(pair for (_, mate), pair in pairs.items() if mate == gpu) <= sum(taken))

    def taken(self, address: Address) -> list[Any]:
        """How many of a lot each wish takes, as a whole."""
        return [self.take[wish.guest, wish.index, address] for wish in self._serving.get((address, False), ())]

    def takers(self, address: Address, *, virtual: bool = False, guest: str | None = None) -> list[Any]:
        """1 for each wish that takes (some of) a lot."""
        serving = self._serving.get((address, virtual), ()) if guest is None else self._own.get((address, virtual, guest), ())
        return [self.used(wish, address) for wish in serving]

    def _exclusive(self) -> None:
        """A physical function goes to one wish, and then has no virtual functions to give."""
        for address in sorted({address for address, _ in self._serving}):
            whole = self.taken(address)
            if whole:
                self.model.add(sum(whole) <= len(self.problem.lots[address]))
            parts = [self.take[wish.guest, wish.index, address] for wish in self._serving.get((address, True), ())]
            if parts:
                total = len(self.problem.facts.virtual[address])
                self.model.add(sum(parts) + total * sum(whole) <= total)

    def owns(self, group: Address, guest: str) -> Any:
        """1 exactly where a guest has physical functions of an IOMMU group, and so all of it; `group` is its lowest function."""
        if (group, guest) not in self._owners:
            takers = [taker for address in self.problem.facts.members[group] for taker in self.takers(address, guest=guest)]
            self._owners[group, guest] = self.positive(takers, len(takers)) if len(takers) > 1 else takers[0] if takers else 0
        return self._owners[group, guest]

    def _whole_groups(self) -> None:
        """A group goes to one guest; where one of its functions stays for its virtual functions, none of the group goes."""
        for group in self.problem.groups():
            if Label("", What.GROUP, group=group) not in self.active:
                continue
            owners = [self.owns(group, guest.name) for guest in self.problem.workload.guests]
            self.model.add(sum(owners) <= 1)
            for address in self.problem.facts.members[group]:
                for part in self.takers(address, virtual=True):
                    self.model.add(part + sum(owners) <= 1)

    def _processors(self) -> None:
        """Whole cores by NUMA node, and memory; no CPUs without memory beside them."""
        nodes = self.problem.nodes
        for guest in self.problem.workload.guests if nodes else ():
            if Label(guest.name, What.CPUS) in self.active:
                wanted = -(-guest.cpus // self.problem.threads)
                for number, cores, _ in nodes:
                    self.cores[guest.name, number] = self.model.new_int_var(0, min(cores, wanted), f"{guest.name}.cores.{number}")
                self.model.add(sum(self.cores[guest.name, number] for number, _, _ in nodes) == wanted)
            if Label(guest.name, What.MEMORY) in self.active and all(room is not None for _, _, room in nodes):
                units = -(-guest.memory_bytes // MEMORY_UNIT)
                page = (guest.hugepage_bytes or MEMORY_UNIT) // MEMORY_UNIT
                for number, _, room in nodes:
                    pages = self.model.new_int_var(0, min((room or 0) // MEMORY_UNIT, units) // page, f"{guest.name}.memory.{number}")
                    self.memory[guest.name, number] = page * pages
                self.model.add(sum(self.memory[guest.name, number] for number, _, _ in nodes) == units)
        for number, cores, room in nodes:
            self.model.add(sum(variable for (_, at), variable in self.cores.items() if at == number) <= cores)
            self.model.add(sum(variable for (_, at), variable in self.memory.items() if at == number) <= (room or 0) // MEMORY_UNIT)
        for key in self.cores.keys() & self.memory.keys():
            self.model.add(self.memory[key] >= self.positive([self.cores[key]], 1 << 20))

    def _partitions(self) -> None:
        """GPUs of a guest that are to be as near as only NVLink makes them are one of the fabric manager's partitions, all of the guest's."""
        for guest in self.problem.workload.guests:
            asked = [wish for wish in self.problem.wishes if wish.guest == guest.name and wish.request in whole_gpus(guest)]
            if Label(guest.name, What.PARTITION) not in self.active or not all(self._on(wish, What.COUNT) for wish in asked):
                continue
            near = [wish for wish in asked if wish.request.count > 1 and wish.request.peers is not None and self._on(wish, What.PEERS)]
            if any(wish.request.peers is not None and over_nvlink(wish.request.peers) for wish in near):
                self._one_of(partitions_of(self.problem.host), asked, 1)
            elif pairs := [(wish, *pair) for wish in near for pair in self._by_nvlink(wish)]:
                joined = self.model.new_bool_var("")
                self._one_of(partitions_of(self.problem.host), asked, joined)
                for wish, a, b in pairs:
                    together = self.used(wish, a) + self.used(wish, b) if a != b else self.take[wish.guest, wish.index, a]
                    self.model.add(together <= 1 + wish.request.count * joined)

    def _by_nvlink(self, wish: Wish) -> Iterator[tuple[Address, Address]]:
        """Pairs of lots, and lots beside themselves, that are within the class with NVLink and not without."""
        facts, bound = self.problem.facts, wish.request.peers
        for a, b in combinations_with_replacement(wish.lots, 2):
            one, two = (a, b) if a != b else (a, self.problem.lots[a][-1])
            if bound is not None and one != two and facts.nearness(one, two) <= bound < facts.unlinked(one, two):
                yield a, b

    def _one_of(self, partitions: Sequence[Partition], wishes: Sequence[Wish], joined: Any) -> None:
        """Where `joined` is 1 these wishes take the GPUs of one partition."""
        gpus: dict[Address, list[Any]] = {}
        for wish in wishes:
            for address in wish.lots:
                gpus.setdefault(address, []).append(self.take[wish.guest, wish.index, address])
        chosen: dict[Address, list[Any]] = {address: [] for address in gpus}
        every = []
        for partition in partitions:
            lots = {address for address in gpus if address in partition.gpus}
            if sum(len(self.problem.lots[address]) for address in lots) == len(partition.gpus):
                taken = self.model.new_bool_var("")
                every.append(taken)
                for address in lots:
                    chosen[address].append(len(self.problem.lots[address]) * taken)
        self.model.add(sum(every) == joined)
        for address, takes in gpus.items():
            self.model.add(sum(takes) >= sum(chosen[address]))
            self.model.add(sum(takes) <= sum(chosen[address]) + len(self.problem.lots[address]) * (1 - joined))

    def on_node(self, guest: GuestRequest, number: int) -> list[Any]:
        """1 for each lot on a NUMA node that a guest takes of: of GPUs, or where it asks for none, of any device."""
        gpus = self.gpus_of(guest.name)
        return [taken for address, taken in self.touching(guest.name) if self.problem.facts.node(address) == number and (not gpus or address in gpus)]

    def _strict(self) -> None:
        """No cores and no memory from nodes where a guest that is strict about it has no GPU."""
        for guest in self.problem.workload.guests:
            if Label(guest.name, What.NUMA) in self.active and any(True for _ in self.touching(guest.name)):
                for number, _, _ in self.problem.nodes:
                    near = sum(self.on_node(guest, number))
                    for variables, most in ((self.cores, guest.cpus), (self.memory, -(-guest.memory_bytes // MEMORY_UNIT))):
                        if (guest.name, number) in variables:
                            self.model.add(variables[guest.name, number] <= most * near)

    def touching(self, guest: str) -> Iterator[tuple[Address, Any]]:
        """Each lot of a guest's wishes with whether some of it is taken."""
        for wish in self.wanted():
            if wish.guest == guest:
                for address in wish.lots:
                    yield address, self.used(wish, address)
