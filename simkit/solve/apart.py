"""What guests may not share, beside IOMMU groups: reset sets, direct ways, switches, parents of virtual functions, places that they are spread over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, combinations
from typing import Any

from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.workload import Apart, GuestRequest, Scope, Spread
from simkit.semantics.reset import reset_set
from simkit.semantics.routes import route
from simkit.solve.encoding import Encoding
from simkit.solve.labels import Label, What

KINDS = tuple(Apart)


def keep_apart(encoding: Encoding) -> None:
    """Isolation that guests ask for, and the spread rules."""
    workload = encoding.problem.workload
    for kind in KINDS:
        apart = [guest for guest in workload.guests if kind in guest.isolation and Label(guest.name, What.ISOLATION, KINDS.index(kind)) in encoding.active]
        if apart and kind in (Apart.SWITCH, Apart.VF_PARENT):
            _one_each(encoding, apart, kind)
        elif apart:
            _no_pairs(encoding, apart, kind)
    for number, rule in enumerate(workload.spread):
        if Label("", What.SPREAD, number) in encoding.active:
            _spread(encoding, rule)


def _one_each(encoding: Encoding, apart: list[GuestRequest], kind: Apart) -> None:
    """Of the guests that share no such place with others at most one is at each, and then nobody else is."""
    guests = [guest for guest in encoding.problem.workload.guests if not encoding.problem.kept(guest.name)]
    touched: dict[str, dict[Address, Any]] = {guest.name: {} for guest in apart}
    for place, inside in _cells(encoding, kind):
        at = {guest.name: touch for guest in guests if not isinstance(touch := _touches(encoding, guest.name, inside, virtual=kind is Apart.VF_PARENT), int)}
        alone = [at[guest.name] for guest in apart if guest.name in at]
        if len(alone) > 1:
            encoding.model.add(sum(alone) <= 1)
        for name, touch in at.items() if alone else ():
            if name in touched:
                touched[name][place] = touch
            else:
                encoding.model.add(sum(alone) + touch <= 1)
        if alone and kind is Apart.SWITCH:
            _fill_up(encoding, {guest.name for guest in guests} - touched.keys(), inside, alone)
    for guest in apart if kind is Apart.SWITCH else ():
        _as_many_places(encoding, guest.name, touched[guest.name])


def _fill_up(encoding: Encoding, others: set[str], inside: tuple[Address, ...], alone: list[Any]) -> None:
    """Where one guest is alone nothing of a kind is left for others. It follows from the rest, and an engine that knows it counts."""
    lots = encoding.problem.lots
    kinds: dict[Kind, list[Any]] = {}
    for wish in encoding.wanted():
        if wish.guest in others and not wish.request.share.virtual:
            kinds.setdefault(wish.request.kind, []).extend(encoding.take[wish.guest, wish.index, lot] for lot in wish.lots if lot in inside)
    for kind, takes in kinds.items():
        room = sum(len(lots[lot]) for lot in inside if lot in lots and encoding.problem.host[lot].kind is kind)
        if takes:
            encoding.model.add(sum(takes) + room * sum(alone) <= room)


def _as_many_places(encoding: Encoding, guest: str, touched: dict[Address, Any]) -> None:
    """A guest is at as many of the topmost switches as its largest request takes at least. It follows from the rest, and an engine that knows it counts."""
    facts = encoding.problem.facts
    most = 0
    for wish in encoding.wanted():
        if wish.guest == guest and Label(guest, What.COUNT, wish.index) in encoding.active and all(facts.chain[lot] for lot in wish.lots):
            rooms: Counter[Address] = Counter()
            for lot in wish.lots:
                rooms[facts.chain[lot][0]] += encoding.problem.room(wish, lot)
            filled = list(accumulate(sorted(rooms.values(), reverse=True)))
            most = max(most, 1 + sum(room < wish.request.count for room in filled))
    tops = {chain[0] for chain in facts.chain.values() if chain}
    if most:
        encoding.model.add(sum(touch for place, touch in touched.items() if place in tops) >= most)


def _no_pairs(encoding: Encoding, apart: list[GuestRequest], kind: Apart) -> None:
    pairs = list(_pairs(encoding, kind))
    for guest in apart:
        others = [other.name for other in encoding.problem.workload.guests if other.name != guest.name and not encoding.problem.kept(other.name)]
        for a, b in pairs:
            for one, two in ((a, b), (b, a)):
                mine = _touches(encoding, guest.name, (one,))
                for other in others:
                    theirs = _touches(encoding, other, (two,))
                    if not isinstance(mine, int) and not isinstance(theirs, int):
                        encoding.model.add(mine + theirs <= 1)


def _cells(encoding: Encoding, kind: Apart) -> Iterator[tuple[Address, tuple[Address, ...]]]:
    """Functions that no two guests may have parts of: all below a switch, or one physical function's virtual ones."""
    facts = encoding.problem.facts
    given = _given(encoding)
    if kind is Apart.VF_PARENT:
        yield from ((address, (address,)) for address in given if facts.virtual.get(address))
        return
    below: dict[Address, list[Address]] = {}
    for address in given:
        for switch in facts.chain[address]:
            below.setdefault(switch, []).append(address)
    yield from ((switch, tuple(inside)) for switch, inside in below.items())


def _pairs(encoding: Encoding, kind: Apart) -> Iterator[tuple[Address, Address]]:
    """Functions that are reset together, or of which one reaches the other directly."""
    host = encoding.problem.host
    given = _given(encoding)
    if kind is Apart.RESET:
        hit = {address: set(reset_set(host, host[address]).functions) for address in given}
        yield from ((a, b) for a, b in combinations(given, 2) if b in hit[a] or a in hit[b])
    else:
        yield from ((a, b) for a, b in combinations(given, 2) if direct(encoding, a, b) or direct(encoding, b, a))


def direct(encoding: Encoding, a: Address, b: Address) -> bool:
    """Whether a request of one may reach the other below the host bridge, translated ones aside: those the IOMMU has let through."""
    way = route(encoding.problem.host, a, b)
    return way.direct and not way.translated_only


def _given(encoding: Encoding) -> tuple[Address, ...]:
    """Everything that a guest could get: candidates, and what comes along with them."""
    facts = encoding.problem.facts
    return tuple(sorted({other for address in encoding.problem.lots for other in (address, *facts.members.get(address, ()))}))


def _touches(encoding: Encoding, guest: str, inside: tuple[Address, ...], *, virtual: bool = False) -> Any:
    """1 exactly where a guest has any of these functions, as a whole, along with its group, or (some of) its virtual functions; 0 where it could not."""
    facts = encoding.problem.facts
    terms: dict[int, Any] = {}
    for address in inside:
        found = list(encoding.takers(address, virtual=True, guest=guest))
        if not virtual:
            members = facts.members.get(address, ())
            lot = len(encoding.problem.lots.get(address, ())) > 1
            found += encoding.takers(address, guest=guest) if lot or not members else [encoding.owns(members[0], guest)]
        terms |= {id(term): term for term in found if not isinstance(term, int)}
    takers = list(terms.values())
    return encoding.positive(takers, len(takers)) if len(takers) > 1 else takers[0] if takers else 0


def _spread(encoding: Encoding, rule: Spread) -> None:
    """At most so many of the guests at one place; over hosts, that is all of them here."""
    facts = encoding.problem.facts
    guests = [guest for guest in encoding.problem.workload.guests if guest.name in rule.guests]
    if rule.by in (Scope.HOST, Scope.DOMAIN):
        if len(guests) > rule.most:
            encoding.model.add_bool_or([])
        return
    places: dict[object, list[Address]] = {}
    for address in _given(encoding):
        places.setdefault(facts.node(address) if rule.by is Scope.NUMA else facts.home[address], []).append(address)
    numbers = [number for number, _, _ in encoding.problem.nodes] if rule.by is Scope.NUMA else []
    for place in dict.fromkeys([*places, *numbers]):
        there = []
        for guest in guests:
            touch = _touches(encoding, guest.name, tuple(places.get(place, ())))
            cores = encoding.cores.get((guest.name, place)) if isinstance(place, int) else None
            terms = [term for term in (touch, None if cores is None else encoding.positive([cores], 1 << 20)) if term is not None and not isinstance(term, int)]
            there += [encoding.positive(terms, len(terms))] if terms else []
        if len(there) > rule.most:
            encoding.model.add(sum(there) <= rule.most)
