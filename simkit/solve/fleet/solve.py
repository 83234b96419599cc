"""`solve_fleet`: guests over several hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from simkit.errors import Fault, UnknownName
from simkit.model.fleet import Fleet, Member
from simkit.model.plan import Plan
from simkit.model.workload import GuestRequest, Scope, Workload
from simkit.solve.answer import Answer, Planned, Undecided
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.assignment import Assignment
from simkit.solve.cpsat import LIMIT
from simkit.solve.fleet.fits import Fits, Spent
from simkit.solve.fleet.kinds import GuestKind, HostKind, guest_kinds, host_kinds
from simkit.solve.fleet.packing import Use, fewest, pack
from simkit.solve.fleet.why import why_not
from simkit.solve.labels import KEPT
from simkit.solve.solve import solve, sound

MOST_QUESTIONS = 2_000
"""How many times a single host may be solved for before the answer is undecided."""


def solve_fleet(workload: Workload, fleet: Fleet, *, seed: int = 0, limit: float = LIMIT, prove: bool = False) -> Answer:
    """Plans for the guests of `workload` on hosts of `fleet`, one for each host that gets guests, or why there are none.

    Equal hosts and equal guests are counted; first the fullest hosts, so that whole hosts stay free for what is to come. `prove` is for one host.

    Raises:
        UnknownName: the workload pins a device that no host has.
        CheckerDisagrees: a plan did not pass `simkit.semantics.placement.check`; please report it.
    """
    if len(fleet.members) == 1:
        return solve(workload, replace(fleet.members[0].host, name=fleet.members[0].name), seed=seed, limit=limit, prove=prove)
    _refuse_unknown(workload, fleet)
    hosts = host_kinds(fleet.members, by_domain=any(rule.by is Scope.DOMAIN for rule in workload.spread))
    guests = guest_kinds(workload)
    demand = {kind: len(names) for kind, names in guests.items()}
    fits = Fits(seed=seed, most=MOST_QUESTIONS, spread=workload.spread)
    try:
        uses = pack(fits, hosts, demand)
        if uses is None:
            return why_not(fits, hosts, guests, workload)
        plans = list(_plans(fits, uses, guests, workload, limit))
    except Spent:
        return Undecided(f"neither a plan nor a contradiction was found within {MOST_QUESTIONS} questions about single hosts and the engine's limit for each")
    return Planned(tuple(plans), tuple(_weighed(fits, hosts, uses, demand)))


def _refuse_unknown(workload: Workload, fleet: Fleet) -> None:
    hosts = list({id(member.host): member.host for member in fleet.members}.values())
    pinned = [(guest, index, address) for guest in workload.guests for index, request in enumerate(guest.devices) for address in request.pinned]
    faults = tuple(Fault(f"guest {guest.name} pins {address}, which no host of {fleet.name} has",
                         str(workload.places.of(f"{guest.path}/devices/{index}/pinned")), "`simkit show` lists what is there")
                   for guest, index, address in pinned if not any(address in host for host in hosts))
    if faults:
        raise UnknownName(f"{workload.name} names devices that are not there", faults=faults)


def _weighed(fits: Fits, hosts: Sequence[HostKind], uses: Sequence[Use], demand: dict[GuestKind, int]) -> Iterator[str]:
    used, there = sum(use.times for use in uses), sum(len(host.members) for host in hosts)
    least = fewest(fits, hosts, demand)
    shown = "no fewer are enough" if used == least else f"by sums {least} could be enough"
    yield f"{used} of {there} hosts {'gets' if used == 1 else 'get'} guests: {shown}"


def _plans(fits: Fits, uses: Sequence[Use], guests: dict[GuestKind, tuple[str, ...]], workload: Workload, limit: float) -> Iterator[Plan]:
    """One plan a host. What is chosen for one set of guests is chosen for every other host with as many of the same kinds."""
    waiting = {kind: iter(names) for kind, names in guests.items()}
    free = {use.host: iter(use.host.members) for use in uses}
    order = {guest.name: (number, guest) for number, guest in enumerate(workload.guests)}
    chosen: dict[tuple[HostKind, frozenset[tuple[GuestKind, int]]], tuple[tuple[str, ...], Assignment]] = {}
    for use in uses:
        for _ in range(use.times):
            member = next(free[use.host])
            names = [next(waiting[kind]) for kind, count in use.guests for _ in range(count)]
            if all(name not in order for name in names):
                continue
            part = _part(workload, tuple(guest for _, guest in sorted((order[name] for name in names if name in order), key=lambda found: found[0])),
                         tuple(name for name in names if name not in order))
            names = [name for name in names if name in order] + [f"{KEPT}{number}" for number in range(len(part.keep_free))]
            key = (use.host, frozenset(use.guests))
            if key not in chosen:
                chosen[key] = (tuple(names), _choose(fits, use.host, part, limit))
            yield _plan(fits, use.host, member, part, dict(zip(chosen[key][0], names, strict=True)), chosen[key][1])


def _part(workload: Workload, guests: tuple[GuestRequest, ...], kept: tuple[str, ...]) -> Workload:
    """What of a workload concerns one host. Rules over hosts and failure domains are kept by who is there."""
    there = {guest.name for guest in guests}
    rules = tuple(replace(rule, guests=tuple(name for name in rule.guests if name in there)) for rule in workload.spread if not there.isdisjoint(rule.guests))
    return replace(workload, guests=guests, keep_free=tuple(workload.keep_free[int(name.removeprefix(KEPT))] for name in sorted(kept)), spread=rules)


def _choose(fits: Fits, host: HostKind, part: Workload, limit: float) -> Assignment:
    problem = fits.problem(host, part)
    answer = arrange(problem, seed=fits.seed, limit=limit)
    if not isinstance(answer, Arranged):
        raise Spent
    return answer.chosen


def _plan(fits: Fits, host: HostKind, member: Member, part: Workload, renamed: dict[str, str], chosen: Assignment) -> Plan:
    problem = fits.problem(host, part)
    mine = replace(chosen, chosen={(renamed[name], index): lots for (name, index), lots in chosen.chosen.items()},
                   cores={(renamed[name], node): count for (name, node), count in chosen.cores.items()},
                   memory={(renamed[name], node): count for (name, node), count in chosen.memory.items()})
    plan = sound(problem, mine)
    return replace(plan, host=replace(plan.host, name=member.name))
