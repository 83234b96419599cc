"""What makes one plan better than another, most important first, as sums over an encoding. Knows no engine.

`simkit.solve.objective` counts the same of a given choice, without an engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simkit.model.address import Address
from simkit.model.workload import GuestRequest
from simkit.solve.encoding import Encoding
from simkit.solve.objective import AWAY, BROKEN, NODES, REACH, UNEVEN

ADDRESSES = "ranks of addresses"
"""A mere order among plans that are equally good: tried for, never claimed."""


@dataclass(frozen=True, slots=True)
class Level:
    """A sum to make small before any later one; `most` is a bound on it."""

    name: str
    terms: tuple[Any, ...]
    most: int

    def expression(self) -> Any:
        """The sum."""
        return sum(self.terms)


def levels(encoding: Encoding) -> list[Level]:
    """The parts of the objective, first to last; those without a term are left out.

    A switch is left partly used where guests have some of the GPUs below it, but not all. CPUs are local on the nodes of a
    guest's GPUs, or of its devices where it has no GPU. Ranks are weighted so that earlier guests get the lower addresses.
    """
    away, nodes, uneven = _locality(encoding)
    found = [_broken(encoding), _reach(encoding), away, nodes, uneven, _addresses(encoding)]
    return [level for level in found if level.terms]


def _broken(encoding: Encoding) -> Level:
    facts = encoding.problem.facts
    given = {gpu: _given(encoding, gpu) for gpu in sorted({gpu for gpus in facts.switches.values() for gpu in gpus})}
    terms = []
    for gpus in facts.switches.values():
        takers = [taker for gpu in gpus for taker in given[gpu]]
        if not takers:
            continue
        some = encoding.positive(takers, len(gpus))
        every = encoding.model.new_bool_var("")
        encoding.model.add(sum(takers) >= len(gpus) * every)
        encoding.model.add(sum(takers) <= len(gpus) - 1 + every)
        terms.append(some - every)
    return Level(BROKEN, tuple(terms), len(terms))


def _given(encoding: Encoding, gpu: Address) -> list[Any]:
    """Terms that count the GPU (and its lot) where a guest has it: as asked for, along with its group, or a virtual function of it."""
    members = encoding.problem.facts.members.get(gpu, ())
    guests = [guest.name for guest in encoding.problem.guests]
    if len(encoding.problem.lots.get(gpu, ())) > 1:
        return [encoding.take[key] for key in encoding.take if key[0] in guests and key[2] == gpu]
    takers = [encoding.owns(members[0], guest) for guest in guests] if members else []
    takers += [taker for guest in guests for taker in encoding.takers(gpu, virtual=True, guest=guest)]
    takers = [taker for taker in takers if not isinstance(taker, int)]
    return [encoding.positive(takers, len(takers))] if len(takers) > 1 else takers


def _reach(encoding: Encoding) -> Level:
    facts, terms = encoding.problem.facts, []
    for guest in encoding.problem.workload.guests:
        touched: dict[tuple[str, str], list[Any]] = {}
        for address, taken in encoding.touching(guest.name):
            touched.setdefault(("home", str(facts.home[address])), []).append(taken)
            touched.setdefault(("node", str(facts.node(address))), []).append(taken)
        terms += [_any(encoding, takers) for takers in touched.values()]
    return Level(REACH, tuple(terms), len(terms))


def _any(encoding: Encoding, takers: list[Any]) -> Any:
    """At least 1 where one of the takers is 1; minimising makes it exact."""
    if len(takers) == 1:
        return takers[0]
    touched = encoding.model.new_bool_var("")
    for taken in takers:
        encoding.model.add(taken <= touched)
    return touched


def _locality(encoding: Encoding) -> tuple[Level, Level, Level]:
    away, nodes, uneven = [], [], []
    guests = [guest for guest in encoding.problem.workload.guests if any(name == guest.name for name, _ in encoding.cores)]
    most_cores = {guest.name: -(-guest.cpus // encoding.problem.threads) for guest in guests}
    for guest in guests:
        mine = {number: variable for (name, number), variable in encoding.cores.items() if name == guest.name}
        near = {number: _near(encoding, guest, number) for number in mine}
        homeless = not any(True for _ in encoding.touching(guest.name))
        for number, cores in mine.items():
            most = most_cores[guest.name]
            needless = encoding.model.new_bool_var("")
            encoding.model.add(cores <= most * (needless + near[number]))
            nodes.append(needless)
            if not homeless:
                distant = encoding.model.new_int_var(0, most, "")
                encoding.model.add(distant >= cores - most * near[number])
                away.append(distant)
        if len(mine) > 1:
            fullest = encoding.model.new_int_var(0, most_cores[guest.name], "")
            for cores in mine.values():
                encoding.model.add(fullest >= cores)
            uneven.append(fullest)
    total = sum(most_cores.values())
    return Level(AWAY, tuple(away), total), Level(NODES, tuple(nodes), len(nodes)), Level(UNEVEN, tuple(uneven), total)


def _near(encoding: Encoding, guest: GuestRequest, number: int) -> Any:
    """At most 1, and 0 where the guest has no GPU (no device, if it asks for no GPU) on the node."""
    near = encoding.model.new_bool_var("")
    encoding.model.add(near <= sum(encoding.on_node(guest, number)))
    return near


def _addresses(encoding: Encoding) -> Level:
    candidates, guests = encoding.problem.candidates, encoding.problem.workload.guests
    rank = {address: number for number, address in enumerate(candidates)}
    weight = {guest.name: len(guests) - number for number, guest in enumerate(guests)}
    terms = [weight[guest] * rank[address] * variable for (guest, _, address), variable in encoding.take.items() if rank[address]]
    place = {number: index for index, (number, _, _) in enumerate(encoding.problem.nodes)}
    terms += [weight[guest] * place[number] * variable for (guest, number), variable in encoding.cores.items() if place[number]]
    counts = sum(wish.request.count for wish in encoding.wanted())
    cores = sum(-(-guest.cpus // encoding.problem.threads) for guest in guests)
    return Level(ADDRESSES, tuple(terms), len(guests) * (max(len(candidates), 1) * counts + len(place) * cores))
