"""Which guests go to which kind of host: the fullest pattern as often as it can be used; where that fails, all patterns and CP-SAT over their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simkit.model.function import Kind
from simkit.model.workload import Scope
from simkit.solve.cpsat import Impossible, OutOfTime, smallest_cover
from simkit.solve.fleet.fits import Counts, Fits, Spent
from simkit.solve.fleet.kinds import GuestKind, HostKind, domain_of


@dataclass(frozen=True, slots=True)
class Use:
    """So many hosts of a kind take these guests each."""

    host: HostKind
    guests: tuple[tuple[GuestKind, int], ...]
    times: int


def impossible_by_sums(fits: Fits, hosts: Sequence[HostKind], demand: Counts) -> bool:
    """More is asked for than all hosts have together, or by one guest than any host has."""
    wanted = [kind for kind, count in demand.items() if count]
    if any(all(not fits.most_of(kind, host, {}) for host in hosts) for kind in wanted):
        return True
    there: Counter[object] = Counter()
    bounded: set[object] | None = None
    for host in hosts:
        offered = fits.offers(host)
        bounded = set(offered) if bounded is None else bounded & set(offered)
        for what, much in offered.items():
            there[what] += much * len(host.members)
    asked: Counter[object] = Counter()
    for kind in wanted:
        least = [fits.needs(kind, host) for host in hosts]
        for what in least[0]:
            asked[what] += demand[kind] * min(each[what] for each in least)
    return any(asked[what] > there[what] for what in bounded or ())


def pack(fits: Fits, hosts: Sequence[HostKind], demand: Counts) -> list[Use] | None:
    """Where everybody goes, on few hosts; None where it is impossible.

    Raises:
        Spent: nobody knows.
    """
    if impossible_by_sums(fits, hosts, demand):
        return None
    return _fullest_first(fits, hosts, demand) or _exactly(fits, hosts, demand)


def fewest(fits: Fits, hosts: Sequence[HostKind], demand: Counts) -> int:
    """Hosts that it takes at least, by sums."""
    most = 0
    for what in {what for host in hosts for what in fits.offers(host)}:
        largest = max(fits.offers(host).get(what, 1 << 60) for host in hosts)
        asked = sum(count * min(fits.needs(kind, host)[what] for host in hosts) for kind, count in demand.items())
        most = max(most, -(-asked // largest) if largest else 0)
    return max(most, int(any(demand.values())))


def _size(kind: GuestKind) -> tuple[int, int, int]:
    devices = kind.request.devices
    return sum(request.count for request in devices if request.kind is Kind.GPU), sum(request.count for request in devices), kind.request.cpus


def _fullest_first(fits: Fits, hosts: Sequence[HostKind], demand: Counts) -> list[Use] | None:
    left = {kind: demand[kind] for kind in sorted((kind for kind in demand if demand[kind]), key=_size, reverse=True)}
    free = {host: len(host.members) for host in hosts}
    rooms = _Rooms(fits)
    uses: list[Use] = []
    while any(left.values()):
        patterns = [(host, _fill(fits, host, left, rooms)) for host in hosts if free[host]]
        patterns = [(host, pattern) for host, pattern in patterns if pattern]
        if not patterns:
            return None
        host, pattern = min(patterns, key=lambda found: _unused(fits, *found))
        times = min(free[host], rooms.times(host, pattern), *(left[kind] // count for kind, count in pattern.items()))
        rooms.take(host, pattern, times)
        free[host] -= times
        for kind, count in pattern.items():
            left[kind] -= count * times
        uses.append(Use(host, tuple(pattern.items()), times))
    return uses


class _Rooms:
    """How many more guests of each rule a failure domain takes."""

    def __init__(self, fits: Fits) -> None:
        self.fits = fits
        self.used: Counter[tuple[int, str]] = Counter()

    def left(self, host: HostKind, rule: int) -> int:
        return self.fits.spread[rule].most - self.used[rule, domain_of(host.members[0])]

    def times(self, host: HostKind, pattern: Counts) -> int:
        """How often a pattern may be used in a domain: 0 where once is too often."""
        rules = self.fits.rules(pattern, Scope.DOMAIN)
        return min((self.left(host, rule) // self.fits.together(pattern, rule) for rule in rules), default=1 << 30)

    def take(self, host: HostKind, pattern: Counts, times: int) -> None:
        for rule in self.fits.rules(pattern, Scope.DOMAIN):
            self.used[rule, domain_of(host.members[0])] += times * self.fits.together(pattern, rule)


def _fill(fits: Fits, host: HostKind, left: Mapping[GuestKind, int], rooms: _Rooms) -> dict[GuestKind, int]:
    """As many as fit of the largest guests, then of the next."""
    pattern: dict[GuestKind, int] = {}
    for kind, there in left.items():
        count = min(there, fits.most_of(kind, host, pattern))
        while count and not (rooms.times(host, {**pattern, kind: count}) and fits(host, {**pattern, kind: count})):
            count -= 1
        if count:
            pattern[kind] = count
    return pattern


def _unused(fits: Fits, host: HostKind, pattern: Counts) -> tuple[float, int]:
    """What a host would have left over, by share: of GPUs and NICs first. So guests go where least is wasted."""
    there = fits.offers(host)
    taken: Counter[object] = Counter()
    for kind, count in pattern.items():
        for what, much in fits.needs(kind, host).items():
            taken[what] += much * count
    shares = [1 - taken[what] / there[what] for what in (Kind.GPU, Kind.NIC) if there.get(what)]
    return sum(shares), sum(there.get(what, 0) for what in (Kind.GPU, Kind.NIC))


def _exactly(fits: Fits, hosts: Sequence[HostKind], demand: Counts) -> list[Use] | None:
    kinds = sorted((kind for kind in demand if demand[kind]), key=_size, reverse=True)
    domains = fits.rules({kind: demand[kind] for kind in kinds}, Scope.DOMAIN)
    patterns = [(host, pattern) for host in hosts for pattern in _fitting(fits, host, kinds, demand, every=bool(domains))]
    limits = [([fits.together(pattern, rule) if domain_of(host.members[0]) == domain else 0 for host, pattern in patterns], fits.spread[rule].most)
              for rule in sorted(domains) for domain in dict.fromkeys(domain_of(host.members[0]) for host in hosts)]
    rows = [tuple(pattern.get(kind, 0) for kind in kinds) for _, pattern in patterns]
    groups = [([at for at, (owner, _) in enumerate(patterns) if owner is host], len(host.members)) for host in hosts]
    times = smallest_cover(rows, [demand[kind] for kind in kinds], groups, limits, seed=fits.seed)
    match times:
        case Impossible():
            return None
        case OutOfTime():
            raise Spent
    return list(_trimmed(patterns, times, {kind: demand[kind] for kind in kinds}))


def _fitting(fits: Fits, host: HostKind, kinds: Sequence[GuestKind], demand: Counts, *, every: bool) -> list[dict[GuestKind, int]]:
    """Every set of guests that fits and to which none can be added; every one that fits, where limits over several hosts make smaller ones useful."""
    found: list[dict[GuestKind, int]] = []

    def extend(at: int, pattern: dict[GuestKind, int]) -> None:
        if at == len(kinds):
            if pattern and (every or not any(all(other.get(kind, 0) >= count for kind, count in pattern.items()) for other in found)):
                found.append(pattern)
            return
        kind = kinds[at]
        for count in range(min(demand[kind], fits.most_of(kind, host, pattern)), -1, -1):
            more = {**pattern, kind: count} if count else pattern
            if fits(host, more):
                extend(at + 1, more)

    extend(0, {})
    return found


def _trimmed(patterns: Sequence[tuple[HostKind, dict[GuestKind, int]]], times: Sequence[int], left: dict[GuestKind, int]) -> Iterator[Use]:
    """No more guests than there are: the last hosts get fewer."""
    for (host, pattern), many in zip(patterns, times, strict=True):
        for _ in range(many):
            taken = {kind: min(count, left[kind]) for kind, count in pattern.items() if left[kind]}
            for kind, count in taken.items():
                left[kind] -= count
            if taken:
                yield Use(host, tuple(taken.items()), 1)
