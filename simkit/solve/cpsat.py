"""CP-SAT decides and optimises. The only module that knows OR-tools.

One worker, a fixed seed and a limit on deterministic time, not on the clock: the same input gives the same answer everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Kind
from simkit.model.unknown import is_known
from simkit.model.workload import Share
from simkit.solve.problem import Label, Problem, What, Wish

LIMIT = 30.0
"""Deterministic time (CP-SAT's own count of work, about seconds of one core) after which the answer is undecided."""

_TIE, _NEARBY, _NODE, _SPREAD, _BROKEN = 1, 10**4, 10**8, 10**10, 10**13
_MEMORY_UNIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the engine chose: functions by wish, CPUs by guest and node. `cost` is the objective, `bound` the proven least."""

    chosen: dict[tuple[str, int], tuple[Address, ...]]
    cpus: dict[tuple[str, int], int]
    cost: int
    bound: int


@dataclass(frozen=True, slots=True)
class Impossible:
    """The engine proved that there is none."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The engine's limit was hit."""

    limit: float


def decide(problem: Problem, active: Collection[Label], *, seed: int = 0, optimise: bool = True, limit: float = LIMIT) -> Assignment | Impossible | OutOfTime:
    """Serve the active wishes, at least cost.

    The objective, each part before all later ones: neighbourhoods left partly used, neighbourhoods touched by each guest, NUMA nodes
    touched by each guest, CPUs away from a guest's GPUs, CPUs evenly over its nodes and lowest addresses.
    """
    from ortools.sat.python import cp_model

    encoding = _Encoding(problem, frozenset(active), cp_model.CpModel())
    encoding.build()
    if optimise:
        encoding.minimise()
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = limit
    status = solver.solve(encoding.model)
    if status == cp_model.INFEASIBLE:
        return Impossible()
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE) or (optimise and status != cp_model.OPTIMAL):
        return OutOfTime(limit)
    return encoding.read(solver)


@dataclass(slots=True)
class _Encoding:
    problem: Problem
    active: frozenset[Label]
    model: Any
    take: dict[tuple[str, int, Address], Any] = field(default_factory=dict)
    cores: dict[tuple[str, int], Any] = field(default_factory=dict)

    def build(self) -> None:
        for wish in self._wanted():
            self._count(wish)
            self._peers(wish)
        for wish in self._wanted():
            self._near(wish)
        self._exclusive()
        self._whole_groups()
        self._cpus()

    def _wanted(self) -> list[Wish]:
        return [wish for wish in self.problem.wishes if self._on(wish, What.COUNT)]

    def _on(self, wish: Wish, what: What) -> bool:
        return Label(wish.guest, what, wish.index) in self.active

    def _room(self, wish: Wish, address: Address) -> int:
        sriov = self.problem.host[address].sriov
        return sriov.total_vfs if wish.request.share is Share.VF and isinstance(sriov, Sriov) else 1

    def _count(self, wish: Wish) -> None:
        for address in wish.candidates:
            self.take[wish.guest, wish.index, address] = self.model.new_int_var(0, min(self._room(wish, address), wish.request.count), f"{wish.guest}.{wish.index}.{address}")
        self.model.add(sum(self._takes(wish)) == wish.request.count)

    def _takes(self, wish: Wish) -> list[Any]:
        return [self.take[wish.guest, wish.index, address] for address in wish.candidates]

    def _used(self, variable: Any) -> Any:
        """A bool that is true exactly where the variable is above 0."""
        used = self.model.new_bool_var("")
        self.model.add(variable >= 1).only_enforce_if(used)
        self.model.add(variable == 0).only_enforce_if(used.negated())
        return used

    def _peers(self, wish: Wish) -> None:
        bound = wish.request.peers
        if bound is None or not self._on(wish, What.PEERS):
            return
        used = {address: self._used(self.take[wish.guest, wish.index, address]) for address in wish.candidates}
        for a, b in combinations(wish.candidates, 2):
            if self.problem.nearness(a, b) > bound:
                self.model.add_bool_or([used[a].negated(), used[b].negated()])

    def _near(self, wish: Wish) -> None:
        """One GPU of the guest for each device taken, within the class: a matching."""
        bound = wish.request.near
        if bound is None or not self._on(wish, What.NEAR):
            return
        gpus: dict[Address, list[Any]] = {}
        for other in self._wanted():
            if other.guest == wish.guest and other.request.kind is Kind.GPU:
                for address in other.candidates:
                    gpus.setdefault(address, []).append(self.take[other.guest, other.index, address])
        pairs = {(address, gpu): self.model.new_bool_var("") for address in wish.candidates for gpu in gpus if self.problem.nearness(address, gpu) <= bound}
        for address in wish.candidates:
            self.model.add(sum(pair for (device, _), pair in pairs.items() if device == address) == self.take[wish.guest, wish.index, address])
        for gpu, taken in gpus.items():
            self.model.add(sum(pair for (_, mate), pair in pairs.items() if mate == gpu) <= sum(taken))

    def _by_share(self, address: Address, share: Share) -> list[tuple[str, Any]]:
        return [(wish.guest, self.take[wish.guest, wish.index, address]) for wish in self._wanted() if wish.request.share is share and address in wish.candidates]

    def _exclusive(self) -> None:
        """A physical function goes to one wish, and then has no virtual functions to give."""
        for address in self.problem.home:
            whole = [variable for _, variable in self._by_share(address, Share.PF)]
            parts = [variable for _, variable in self._by_share(address, Share.VF)]
            if whole:
                self.model.add(sum(whole) <= 1)
            if parts:
                sriov = self.problem.host[address].sriov
                total = sriov.total_vfs if isinstance(sriov, Sriov) else 0
                self.model.add(sum(parts) + total * sum(whole) <= total)

    def _whole_groups(self) -> None:
        """Functions of one IOMMU group go to one guest; with a physical function that stays for its virtual ones, none of its group goes."""
        for address, members in self.problem.members.items():
            for other in members:
                if other <= address or other not in self.problem.home or address not in self.problem.home:
                    continue
                for one, mine in self._by_share(address, Share.PF):
                    for two, theirs in self._by_share(other, Share.PF):
                        if one != two:
                            self.model.add(mine + theirs <= 1)
                for here, there in ((address, other), (other, address)):
                    for _, part in self._by_share(here, Share.VF):
                        for _, whole in self._by_share(there, Share.PF):
                            self.model.add_bool_or([self._used(part).negated(), self._used(whole).negated()])

    def _cpus(self) -> None:
        """Whole cores by NUMA node; memory goes along in proportion."""
        nodes = [node for node in self.problem.host.numa_nodes if is_known(node.cpus) and len(node.cpus)]
        threads = self.problem.host.cpu.threads_per_core
        per_core = threads if is_known(threads) else 1
        for guest in self.problem.workload.guests:
            if Label(guest.name, What.CPUS) not in self.active or not nodes:
                continue
            wanted = -(-guest.cpus // per_core)
            for node in nodes:
                assert is_known(node.cpus)
                self.cores[guest.name, node.id] = self.model.new_int_var(0, min(len(node.cpus) // per_core, wanted), f"{guest.name}.cores.{node.id}")
            self.model.add(sum(self.cores[guest.name, node.id] for node in nodes) == wanted)
        for node in nodes:
            mine = [(guest, self.cores[guest.name, node.id]) for guest in self.problem.workload.guests if (guest.name, node.id) in self.cores]
            assert is_known(node.cpus)
            self.model.add(sum(cores for _, cores in mine) <= len(node.cpus) // per_core)
            if is_known(node.memory_bytes):
                for_memory = [(guest, cores) for guest, cores in mine if Label(guest.name, What.MEMORY) in self.active]
                self.model.add(sum(-(-guest.memory_bytes // (_MEMORY_UNIT * -(-guest.cpus // per_core))) * cores for guest, cores in for_memory) <= node.memory_bytes // _MEMORY_UNIT)

    def minimise(self) -> None:
        terms = [_TIE * rank * variable for rank, address in enumerate(sorted(self.problem.home)) for (_, _, at), variable in self.take.items() if at == address]
        self.model.minimize(sum(terms + self._neighbourhoods() + self._locality()))

    def _neighbourhoods(self) -> list[Any]:
        """A switch is broken where guests have some of its GPUs but not all; touching few keeps a guest's devices together."""
        terms = []
        for home in sorted(set(self.problem.home.values())):
            below = [address for address, at in self.problem.home.items() if at == home]
            gpus = [address for address in below if self.problem.host[address].kind is Kind.GPU]
            given = [variable for (_, _, address), variable in self.take.items() if address in gpus]
            if len(gpus) > 1 and given:
                some, every = self.model.new_bool_var(""), self.model.new_bool_var("")
                self.model.add(sum(given) <= len(gpus) * some)
                self.model.add(sum(given) >= len(gpus) * every)
                terms.append(_BROKEN * (some - every))
            terms += [_SPREAD * touched for touched in self._touched(frozenset(below))]
        for number in sorted({number for number in self.problem.node.values() if number is not None}):
            terms += [_NODE * touched for touched in self._touched(frozenset(address for address, at in self.problem.node.items() if at == number))]
        return terms

    def _touched(self, addresses: frozenset[Address]) -> list[Any]:
        """For each guest that might, a bool that is true where it takes any of `addresses`."""
        found = []
        for guest in self.problem.workload.guests:
            mine = [variable for (name, _, address), variable in self.take.items() if name == guest.name and address in addresses]
            if mine:
                touched = self.model.new_bool_var("")
                for variable in mine:
                    self.model.add(variable == 0).only_enforce_if(touched.negated())
                found.append(touched)
        return found

    def _locality(self) -> list[Any]:
        terms = []
        for (name, number), cores in self.cores.items():
            gpus = [variable for (guest, _, address), variable in self.take.items()
                    if guest == name and self.problem.node.get(address) == number and self.problem.host[address].kind is Kind.GPU]
            away = self.model.new_int_var(0, 1 << 20, "")
            near = self.model.new_bool_var("")
            self.model.add(sum(gpus) >= near)
            self.model.add(away >= cores - (1 << 20) * near)
            terms.append(_NEARBY * away)
        for name in {name for name, _ in self.cores}:
            most = self.model.new_int_var(0, 1 << 16, "")
            for (guest, _), cores in self.cores.items():
                if guest == name:
                    self.model.add(most >= cores)
            terms.append(most)
        return terms

    def read(self, solver: Any) -> Assignment:
        chosen: dict[tuple[str, int], tuple[Address, ...]] = {}
        for wish in self._wanted():
            found = [address for address in wish.candidates for _ in range(solver.value(self.take[wish.guest, wish.index, address]))]
            chosen[wish.guest, wish.index] = tuple(found)
        cores = {key: solver.value(variable) for key, variable in self.cores.items()}
        return Assignment(chosen, cores, round(solver.objective_value), round(solver.best_objective_bound))
