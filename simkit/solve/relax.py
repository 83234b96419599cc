"""What would help: the smallest changes of a workload that make it feasible, each found so by solving again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Topology, Workload
from simkit.solve.answer import Relaxation
from simkit.solve.core import feasible
from simkit.solve.cpsat import Assignment
from simkit.solve.labels import Label, What, describe, listed, noun
from simkit.solve.problem import build

_FARTHER = (PeerClass.NVL, PeerClass.NVB, PeerClass.PIX, PeerClass.PXB, PeerClass.PHB, PeerClass.SYS)
_GIB = 1 << 30
_MOST_DROPPED = 3


def relaxations(workload: Workload, host: Host, core: Sequence[Label], *, seed: int = 0) -> tuple[Relaxation, ...]:
    """Changes of what the core names, at least cost first; each alone makes the whole workload feasible."""
    search = _Search(workload, host, seed)
    found = [relaxation for label in core for relaxation in search.of(label)]
    names = list(dict.fromkeys(label.guest for label in core if label.guest))
    found += search.without(names)
    unique = {relaxation.text: relaxation for relaxation in found}
    return tuple(sorted(unique.values(), key=lambda relaxation: relaxation.cost))


class _Search:
    def __init__(self, workload: Workload, host: Host, seed: int) -> None:
        self.workload, self.host, self.seed = workload, host, seed

    def feasible(self, workload: Workload) -> bool:
        problem = build(workload, self.host)
        return isinstance(feasible(problem, problem.labels(), seed=self.seed), Assignment)

    def of(self, label: Label) -> Iterator[Relaxation]:
        """What changes the constraint of one label."""
        if label.what is What.GROUP:
            return
        guest = self.workload.guest(label.guest)
        match label.what:
            case What.COUNT:
                yield from self._fewer(guest, label.request)
                yield from self._virtual(guest, label.request)
                yield from self._any_model(guest, label.request)
            case What.PEERS | What.NEAR:
                yield from self._farther(guest, label.request, label.what)
            case What.TEE:
                if self.feasible(self._guest(guest, replace(guest, tee=TeeKind.NONE))):
                    yield Relaxation(f"{guest.name} without {guest.tee}: then it is not confidential", 1)
            case What.LIMITS:
                other = Topology.FLATTEN if guest.topology is Topology.REPLICATE else Topology.REPLICATE
                if self.feasible(self._guest(guest, replace(guest, topology=other))):
                    lost = ", where its devices look as far apart as root ports are" if other is Topology.FLATTEN else ""
                    yield Relaxation(f"{guest.name} with topology {other} in place of {guest.topology}{lost}", 1)
            case What.CPUS:
                most = _most(guest.cpus, lambda cpus: self.feasible(self._guest(guest, replace(guest, cpus=cpus))))
                if most:
                    yield Relaxation(f"{guest.name} with {most} CPUs in place of {guest.cpus}", guest.cpus - most)
            case What.MEMORY:
                whole = -(-guest.memory_bytes // _GIB)
                most = _most(whole, lambda size: self.feasible(self._guest(guest, replace(guest, memory_bytes=size * _GIB))))
                if most:
                    yield Relaxation(f"{guest.name} with {most} GiB of memory in place of {guest.memory_bytes / _GIB:g} GiB", whole - most)

    def without(self, names: Sequence[str]) -> list[Relaxation]:
        """Leaving out one guest, or as few as help."""
        for count in range(1, min(len(names), _MOST_DROPPED) + 1):
            found = []
            for dropped in combinations(names, count):
                kept = tuple(guest for guest in self.workload.guests if guest.name not in dropped)
                if self.feasible(replace(self.workload, guests=kept)):
                    devices = sum(request.count for name in dropped for request in self.workload.guest(name).devices)
                    found.append(Relaxation(f"without {listed(list(dropped))}", devices + 2 * count))
            if found:
                return found
        return []

    def _guest(self, old: GuestRequest, new: GuestRequest) -> Workload:
        return replace(self.workload, guests=tuple(new if guest is old else guest for guest in self.workload.guests))

    def _request(self, guest: GuestRequest, index: int, request: DeviceRequest) -> Workload:
        return self._guest(guest, replace(guest, devices=tuple(request if at == index else other for at, other in enumerate(guest.devices))))

    def _fewer(self, guest: GuestRequest, index: int) -> Iterator[Relaxation]:
        """The most that is feasible, alone, or with the NICs that are paired with GPUs going along."""
        request = guest.devices[index]
        if request.pinned:
            return
        most = _most(request.count, lambda count: self.feasible(self._request(guest, index, replace(request, count=count))))
        if most:
            yield Relaxation(f"{guest.name} with {describe(request, most)} in place of {request.count}", request.count - most)
            return
        most = _most(request.count, lambda count: self.feasible(self._guest(guest, _shrunk(guest, index, count))))
        if most:
            others = [other for at, other in enumerate(guest.devices) if at != index and _paired(request, other) and other.count > most]
            along = [describe(other, most) for other in others]
            lost = sum(other.count - mine.count for other, mine in zip(guest.devices, _shrunk(guest, index, most).devices, strict=True))
            yield Relaxation(f"{guest.name} with {listed([describe(request, most), *along])} in place of {request.count}", lost)

    def _virtual(self, guest: GuestRequest, index: int) -> Iterator[Relaxation]:
        request = guest.devices[index]
        if request.kind is not Kind.NIC and request.share is Share.PF:
            return
        other = Share.VF if request.share is Share.PF else Share.PF
        if self.feasible(self._request(guest, index, replace(request, share=other))):
            what = "virtual functions" if other is Share.VF else "whole devices"
            yield Relaxation(f"{guest.name} with {what} for its {request.count} {noun(request.kind, request.count)}", 1)

    def _any_model(self, guest: GuestRequest, index: int) -> Iterator[Relaxation]:
        request = guest.devices[index]
        if request.model is not None and self.feasible(self._request(guest, index, replace(request, model=None))):
            yield Relaxation(f"{guest.name} with {noun(request.kind, 2)} of any model in place of {request.model}", 1)
        if request.pinned and self.feasible(self._request(guest, index, replace(request, pinned=()))):
            yield Relaxation(f"{guest.name} with any {noun(request.kind, request.count)} in place of {listed([str(address) for address in request.pinned])}", 1)

    def _farther(self, guest: GuestRequest, index: int, what: What) -> Iterator[Relaxation]:
        """The nearest class beyond the one asked for that is feasible."""
        request = guest.devices[index]
        bound = request.peers if what is What.PEERS else request.near
        assert bound is not None
        farther = [each for each in _FARTHER if each > bound]
        for steps, each in enumerate(farther, start=1):
            changed = replace(request, peers=each) if what is What.PEERS else replace(request, near=each)
            if self.feasible(self._request(guest, index, changed)):
                apart = f"{noun(request.kind, 2)} up to {each} from each other"
                whose = apart if what is What.PEERS else f"each {noun(request.kind, 1)} up to {each} from its GPU"
                yield Relaxation(f"{guest.name} with {whose} in place of {bound}", steps)
                return


def _paired(request: DeviceRequest, other: DeviceRequest) -> bool:
    return request.kind is Kind.GPU and other.near is not None


def _shrunk(guest: GuestRequest, index: int, count: int) -> GuestRequest:
    """The guest with fewer of one request, and no more devices that want a GPU each than GPUs."""
    request = guest.devices[index]
    devices = tuple(replace(other, count=count) if at == index else replace(other, count=min(other.count, count)) if _paired(request, other) else other
                    for at, other in enumerate(guest.devices))
    return replace(guest, devices=devices)


def _most(asked: int, holds: Callable[[int], bool]) -> int:
    """The largest number from 1 below `asked` for which `holds` is true, 0 where there is none; fewer is never harder."""
    low, high = 0, asked - 1
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low if low and (low < asked - 1 or holds(low)) else 0
