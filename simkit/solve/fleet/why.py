"""Why guests do not fit a fleet: as few guests, and as few of their constraints, as are still too much together; and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from simkit.model.platform import TeeKind
from simkit.model.workload import Apart, NumaRule, Scope, Workload
from simkit.solve.answer import Infeasible, Relaxation
from simkit.solve.changes import Change, ladders
from simkit.solve.core import FIRST_TO_GO
from simkit.solve.fleet.fits import Fits, Spent
from simkit.solve.fleet.kinds import GuestKind, HostKind
from simkit.solve.fleet.packing import pack
from simkit.solve.fleet.tell import tell
from simkit.solve.labels import Label, What, describe, listed

Demand = dict[GuestKind, int]
_NAMED = 3
PLACES = {Scope.HOST: "hosts", Scope.DOMAIN: "failure domains", Scope.NUMA: "NUMA nodes", Scope.SWITCH: "switches"}


def why_not(fits: Fits, hosts: Sequence[HostKind], guests: Mapping[GuestKind, tuple[str, ...]], workload: Workload) -> Infeasible:
    """The contradiction and the smallest changes that end it.

    Raises:
        Spent: an engine's limit was hit before the fewest were found.
    """
    search = _Search(fits, tuple(hosts))
    demand = {kind: len(names) for kind, names in guests.items()}
    core = search.fewest(demand)
    changes = list(search.changes(guests, demand, core))
    relaxations = tuple(Relaxation(text, cost) for text, cost in dict(sorted(changes, key=lambda change: change[1])).items())
    return Infeasible(tell(fits, hosts, core, guests, workload), relaxations)


class _Search:
    def __init__(self, fits: Fits, hosts: tuple[HostKind, ...]) -> None:
        self.fits, self.hosts = fits, hosts

    def possible(self, demand: Mapping[GuestKind, int]) -> bool:
        return pack(self.fits, self.hosts, demand) is not None

    def fewest(self, demand: Demand) -> Demand:
        """Guests and constraints that cannot hold together, none of which can be left out: of equal guests all that can go go at once."""
        core = dict(demand)
        for kind in sorted(core, key=lambda kind: sum(request.count for request in kind.request.devices)):
            core[kind] = _least(core[kind], lambda count, kind=kind: not self.possible({**core, kind: count}))  # type: ignore[misc]
        core = {kind: count for kind, count in core.items() if count}
        for rule in sorted({number for kind in core for number in kind.rules}):
            without = _without_rule(core, rule)
            core = core if self.possible(without) else without
        for what in FIRST_TO_GO:
            for label in sorted({label for kind in core for label in _labels(kind, what)}):
                for kind in list(core):
                    if label in _labels(kind, what):
                        core = self._without(core, kind, label)
        return core

    def _without(self, core: Demand, kind: GuestKind, label: tuple[What, int]) -> Demand:
        """The same with a constraint left out of as many guests of a kind as can do without."""
        along = {(other, label[1]) for other in (What.PEERS, What.NEAR)} if label[0] is What.COUNT else set()
        bare = replace(kind, dropped=kind.dropped | {label} | along)

        def impossible(kept: int) -> bool:
            return not self.possible(_added({**core, kind: kept}, bare, core[kind] - kept))

        kept = _least(core[kind], impossible)
        found = _added({**core, kind: kept}, bare, core[kind] - kept)
        return {each: count for each, count in found.items() if count}

    def changes(self, guests: Mapping[GuestKind, tuple[str, ...]], demand: Demand, core: Demand) -> Iterator[tuple[str, int]]:
        """What helps, as sentence and cost."""
        with suppress(Spent):
            yield from self._more_hosts(demand)
        for rule in sorted({number for kind in core for number in kind.rules}):
            with suppress(Spent):
                if self.possible(_without_rule(demand, rule)):
                    yield f"without the rule that spreads {listed(list(self.fits.spread[rule].guests))} over {PLACES[self.fits.spread[rule].by]}", 2
        for kind in guests:
            mine = {each: count for each, count in core.items() if each.request == kind.request and each.kept is kind.kept}
            if mine and kind.kept:
                with suppress(Spent):
                    if self.possible({**demand, kind: 0}):
                        yield f"{describe(kind.request.devices[0])} not kept free", kind.request.devices[0].count
            elif mine:
                with suppress(Spent):
                    yield from self._left_out(kind, guests[kind], demand)
                with suppress(Spent):
                    yield from self._less(kind, guests[kind], demand, mine)

    def _more_hosts(self, demand: Demand) -> Iterator[tuple[str, int]]:
        for at, host in enumerate(self.hosts):
            def enough(more: int, at: int = at, host: HostKind = host) -> bool:
                members = host.members + (host.members[0],) * more
                grown = (*self.hosts[:at], HostKind(host.host, members), *self.hosts[at + 1 :])
                return pack(self.fits, grown, demand) is not None

            most = sum(demand.values())
            if enough(most):
                more = _least(most, enough)
                yield f"{more} more {'host' if more == 1 else 'hosts'} like {host.members[0].name}", 4 * more

    def _left_out(self, kind: GuestKind, names: Sequence[str], demand: Demand) -> Iterator[tuple[str, int]]:
        devices = sum(request.count for request in kind.request.devices)
        if self.possible({**demand, kind: 0}):
            count = _least(demand[kind], lambda gone: self.possible({**demand, kind: demand[kind] - gone}))
            if count < sum(demand.values()):
                yield f"without {_some(names, count)}", count * (devices + 2)

    def _less(self, kind: GuestKind, names: Sequence[str], demand: Demand, mine: Demand) -> Iterator[tuple[str, int]]:
        """One guest that asks for less; where no single one is enough, as many as are, each with the last of the ladder."""
        one = Workload("one", (kind.named(names[0]),))
        labels = {label for each in mine for what in FIRST_TO_GO for label in _labels(each, what)}
        for what, request in sorted(labels):
            for ladder in ladders(one, Label(names[0], what, request)):
                if ladder:
                    yield from self._climbed(kind, names, demand, ladder)

    def _climbed(self, kind: GuestKind, names: Sequence[str], demand: Demand, ladder: Sequence[Change]) -> Iterator[tuple[str, int]]:
        def with_less(change: Change, count: int) -> Demand:
            less = GuestKind(replace(change.workload.guests[0], name=""), rules=kind.rules)
            return _added({**demand, kind: demand[kind] - count}, less, count)

        if self.possible(with_less(ladder[-1], 1)):
            change = ladder[_least(len(ladder) - 1, lambda at: self.possible(with_less(ladder[at], 1)))]
            among = f", or any other of the {len(names)} like it" if len(names) > 1 else ""
            yield change.text + among, change.cost
        elif self.possible(with_less(ladder[-1], demand[kind])):
            count = _least(demand[kind], lambda count: self.possible(with_less(ladder[-1], count)))
            yield f"{ladder[-1].text}, and so {_some(names, count)}", ladder[-1].cost * count


def _labels(kind: GuestKind, what: What) -> Iterator[tuple[What, int]]:
    """The constraints of one sort that a kind of guest has and that count."""
    guest = kind.request
    if kind.kept and what not in (What.COUNT, What.PEERS):
        return
    if what in (What.COUNT, What.PEERS, What.NEAR):
        bound = {What.PEERS: [request.peers for request in guest.devices], What.NEAR: [request.near for request in guest.devices]}.get(what)
        yield from ((what, index) for index in range(len(guest.devices)) if (bound is None or bound[index] is not None) and kind.asks(what, index))
    elif what is What.ISOLATION:
        yield from ((what, number) for number, each in enumerate(Apart) if each in guest.isolation and kind.asks(what, number))
    elif what is What.NUMA and guest.numa is not NumaRule.STRICT:
        return
    elif what not in (What.GROUP, What.SPREAD) and not (what is What.TEE and guest.tee is TeeKind.NONE) and kind.asks(what):
        yield what, -1


def _without_rule(demand: Demand, rule: int) -> Demand:
    found: Demand = {}
    for kind, count in demand.items():
        found = _added(found, replace(kind, rules=kind.rules - {rule}), count)
    return found


def _added(demand: Demand, kind: GuestKind, count: int) -> Demand:
    return {**demand, kind: demand.get(kind, 0) + count}


def _least(most: int, good: Callable[[int], bool]) -> int:
    """The smallest number from 0 to `most` that is good, by halving; `most` is."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if good(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _some(names: Sequence[str], count: int) -> str:
    """So many of some equal guests, the last first to go."""
    gone = list(names[len(names) - count :])
    if count == len(names) or count <= _NAMED:
        told = listed(gone if count <= _NAMED else [*gone[:_NAMED], f"{count - _NAMED} more"])
        others = f", or {'any other' if count == 1 else 'others'} of the {len(names)} like {'it' if count == 1 else 'them'}"
        return told if count == len(names) else told + others
    return f"{count} of the {len(names)} guests like {names[0]}"
