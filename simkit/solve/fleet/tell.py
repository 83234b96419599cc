"""A fleet's contradiction in sentences: equal guests in one, the last of those that compete with what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simkit.model.workload import Apart, NumaRule, Workload
from simkit.solve.answer import Reason
from simkit.solve.fleet.fits import Fits
from simkit.solve.fleet.kinds import GuestKind, HostKind
from simkit.solve.labels import KEPT, PLACE, What, describe, gib, listed, noun

_SHOWN = 4


def tell(fits: Fits, hosts: Sequence[HostKind], core: Mapping[GuestKind, int], guests: Mapping[GuestKind, tuple[str, ...]],
         workload: Workload) -> tuple[Reason, ...]:
    """One reason for each constraint of each kind of guest in the core."""
    found: list[tuple[GuestKind, What, int, int, list[str]]] = []
    for kind, names in guests.items():
        left = list(names)
        for each, count in core.items():
            if each.request == kind.request and each.kept is kind.kept:
                mine, left = left[:count], left[count:]
                found += [(each, what, index, count, mine) for what, index in _constraints(each)]
    told = []
    for at, (kind, what, index, _, who) in enumerate(found):
        last = all(_resource(other, other_what, other_index) != _resource(kind, what, index) for other, other_what, other_index, _, _ in found[at + 1 :])
        text = _sentence(kind, what, index, who)
        if last:
            text += _there(fits, hosts, kind, what, index, sum(
                number * _amount(other, other_what, other_index) for other, other_what, other_index, number, _ in found
                if _resource(other, other_what, other_index) == _resource(kind, what, index)))
        places = tuple(dict.fromkeys(workload.places.of(_path(name, what, index)) for name in who[:_SHOWN]))
        told.append(Reason(text, tuple(dict.fromkeys((*places, *(host.host.places.root for host in hosts[:_SHOWN])))) if last else places))
    for rule in sorted({number for kind in core for number in kind.rules}):
        spread = workload.spread[rule]
        told.append(Reason(f"at most {spread.most} of {_who(spread.guests)} may be on one {PLACE[spread.by]}", (workload.places.of(f"spread/{rule}"),)))
    return tuple(told)


def _who(names: Sequence[str]) -> str:
    return listed(list(names)) if len(names) <= _SHOWN else f"{names[0]} to {names[-1]} ({len(names)} guests)"


def _constraints(kind: GuestKind) -> Iterator[tuple[What, int]]:
    for index, request in enumerate(kind.request.devices):
        yield from ((what, index) for what, there in ((What.COUNT, True), (What.PEERS, request.peers), (What.NEAR, request.near))
                    if there is not None and kind.asks(what, index))
    if kind.kept:
        return
    yield from ((What.ISOLATION, number) for number, each in enumerate(Apart) if each in kind.request.isolation and kind.asks(What.ISOLATION, number))
    if kind.request.numa is NumaRule.STRICT and kind.asks(What.NUMA):
        yield What.NUMA, -1
    yield from ((what, -1) for what in (What.TEE, What.CPUS, What.MEMORY, What.LIMITS)
                if kind.asks(what) and not (what is What.TEE and kind.request.tee.value == "none"))


def _path(name: str, what: What, index: int) -> str:
    if name.startswith(KEPT):
        return f"keep_free/{name.removeprefix(KEPT)}"
    key = {What.LIMITS: "topology"}.get(what, str(what))
    index = -1 if what is What.ISOLATION else index
    return f"guests/{name}" + (f"/devices/{index}" if index >= 0 else "") + f"/{key}"


def _resource(kind: GuestKind, what: What, index: int) -> object:
    if what is What.COUNT:
        return kind.request.devices[index].kind
    return what if what in (What.CPUS, What.MEMORY) else kind.request.tee if what is What.TEE else (what, index, kind)


def _amount(kind: GuestKind, what: What, index: int) -> int:
    counted = {What.COUNT: kind.request.devices[index].count if index >= 0 else 0, What.CPUS: kind.request.cpus, What.MEMORY: kind.request.memory_bytes}
    return counted.get(what, 1)


def _sentence(kind: GuestKind, what: What, index: int, names: Sequence[str]) -> str:
    guest, several = kind.request, len(names) > 1
    who = _who(names)
    if kind.kept and what is What.COUNT:
        times = f", {len(names)} times" if several else ""
        return f"{describe(guest.devices[0])} {'is' if guest.devices[0].count == 1 and not several else 'are'} to be kept free{times}"
    asks, each = ("ask", " each") if several else ("asks", "")
    if what in (What.COUNT, What.PEERS, What.NEAR):
        request = guest.devices[index]
        if what is What.COUNT:
            return f"{who} {asks} for {describe(request)}{each}"
        wants, whose = ("want", "their") if several else ("wants", "its")
        if what is What.PEERS:
            return f"{who} {wants} {whose} {describe(request)} at most {request.peers} from each other"
        return f"{who} {wants} each of {whose} {noun(request.kind, 2)} at most {request.near} from a GPU of {'their' if several else 'its'} own"
    words = {What.TEE: f"{asks} for {guest.tee}", What.CPUS: f"{asks} for {guest.cpus} CPUs{each}",
             What.MEMORY: f"{asks} for {gib(guest.memory_bytes)} of memory{each}",
             What.NUMA: f"{'take' if several else 'takes'} CPUs and memory only from NUMA nodes of {'their' if several else 'its'} own devices",
             What.ISOLATION: f"{asks} for isolation by {tuple(Apart)[index]}",
             What.LIMITS: f"{'want' if several else 'wants'} a {guest.topology} topology within the guest's limits"}
    return f"{who} {words[what]}"


def _there(fits: Fits, hosts: Sequence[HostKind], kind: GuestKind, what: What, index: int, asked: int) -> str:
    """What all hosts have of it together, and the most that one has."""
    resource = {What.CPUS: "cores", What.MEMORY: "bytes"}.get(what, _resource(kind, what, index))
    count = sum(len(host.members) for host in hosts)
    there = [fits.offers(host).get(resource) for host in hosts]
    if any(each is None for each in there):
        return ""
    total = sum((each or 0) * len(host.members) for each, host in zip(there, hosts, strict=True))
    most = max(each or 0 for each in there)
    if what is What.COUNT:
        request = kind.request.devices[index]
        return f"; {asked} altogether, the {count} hosts have {total} {noun(request.kind, total)}, one of them at most {most}"
    if what is What.MEMORY:
        return f"; the {count} hosts have {gib(total)}, one of them at most {gib(most)}"
    if what is What.CPUS:
        return f"; the {count} hosts have {total} cores, one of them at most {most}"
    return f"; the {count} hosts have keys for {total} such guests"
