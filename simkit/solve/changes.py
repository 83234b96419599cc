"""Ladders of changes: for each constraint, ways to ask for a little less, smallest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from simkit.model.function import Kind
from simkit.model.platform import TeeKind
from simkit.model.route import PeerClass
from simkit.model.workload import Apart, Companions, DeviceRequest, GuestRequest, NumaRule, Share, Spread, Topology, Workload
from simkit.solve.labels import KEPT, PLACE, Label, What, describe, gib, listed, noun

_FARTHER = (PeerClass.NVL, PeerClass.NVB, PeerClass.PIX, PeerClass.PXB, PeerClass.PHB, PeerClass.SYS)
_GIB = 1 << 30
_NAMED = 4

Ladder = Sequence["Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing changed in a workload. `cost`: devices, steps of nearness, cores or GiB given up.

    `gone` is the request that is not there any more, by guest (or `KEPT`) and number: those after it are counted anew.
    """

    text: str
    cost: int
    workload: Workload
    gone: tuple[str, int] | None = None

    def still(self, label: Label) -> Label | None:
        """What a label of the workload before is called now; None where it went with its request."""
        if self.gone is None:
            return label
        name, number = self.gone
        if name == KEPT and label.guest.startswith(KEPT):
            at = int(label.guest.removeprefix(KEPT))
            return replace(label, guest=f"{KEPT}{at - (at > number)}") if at != number else None
        if label.guest == name and label.what in (What.COUNT, What.PEERS, What.NEAR):
            return replace(label, request=label.request - (label.request > number)) if label.request != number else None
        return label


@dataclass(frozen=True, slots=True)
class _Steps(Sequence[Change]):
    """Changes made when they are looked at: there are as many as numbers up to what a guest asks for."""

    most: int
    make: Callable[[int], Change]

    def __len__(self) -> int:
        return self.most

    @overload
    def __getitem__(self, at: int) -> Change: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Change, ...]: ...

    def __getitem__(self, at: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(at, slice):
            return tuple(self.make(number) for number in range(self.most)[at])
        return self.make(range(self.most)[at])


def ladders(workload: Workload, label: Label) -> Iterator[Ladder]:
    """The ways to change what a label asks for; in each, a later change gives up more than an earlier one."""
    if label.what in (What.GROUP, What.PARTITION):
        return
    if label.what is What.SPREAD:
        yield _looser(workload, label.request)
        return
    if label.guest.startswith(KEPT):
        yield tuple(_less_kept(workload, int(label.guest.removeprefix(KEPT)), label.what))
        return
    guest = workload.guest(label.guest)
    match label.what:
        case What.PROTECTED:
            yield (Change(f"{guest.name} without protected PCIe", 1, _guest(workload, replace(guest, protected_pcie=False))),)
        case What.ISOLATION:
            kind = tuple(Apart)[label.request]
            fewer = replace(guest, isolation=tuple(each for each in guest.isolation if each is not kind))
            yield (Change(f"{guest.name} without isolation by {kind}", 2, _guest(workload, fewer)),)
        case What.NUMA:
            yield (Change(f"{guest.name} with CPUs and memory from any NUMA node", 1, _guest(workload, replace(guest, numa=NumaRule.PREFER))),)
        case What.COUNT:
            yield tuple(_fewer(workload, guest, label.request))
            yield tuple(_fewer_pairs(workload, guest, label.request))
            yield tuple(_other_share(workload, guest, label.request))
            yield tuple(_any_model(workload, guest, label.request))
            yield tuple(_anywhere(workload, guest, label.request))
        case What.PEERS | What.NEAR:
            yield tuple(_farther(workload, guest, label.request, label.what))
        case What.TEE:
            plain = replace(guest, tee=TeeKind.NONE)
            yield (Change(f"{guest.name} without {guest.tee}, so not confidential", 1, _guest(workload, plain)),)
        case What.LIMITS:
            yield from ((change,) for change in _other_trees(workload, guest))
        case What.CPUS:
            yield _Steps(guest.cpus - 1, lambda step: _fewer_cpus(workload, guest, step + 1))
        case What.MEMORY:
            yield _Steps(max(-(-guest.memory_bytes // _GIB) - 1, 0), lambda step: _less_memory(workload, guest, step + 1))
            yield from ((change,) for change in _other_pages(workload, guest))


def _fewer_cpus(workload: Workload, guest: GuestRequest, fewer: int) -> Change:
    cpus = guest.cpus - fewer
    text = f"{guest.name} with {cpus} {'CPU' if cpus == 1 else 'CPUs'} in place of {guest.cpus}"
    return Change(text, fewer, _guest(workload, replace(guest, cpus=cpus)))


def _less_memory(workload: Workload, guest: GuestRequest, less: int) -> Change:
    whole = -(-guest.memory_bytes // _GIB)
    text = f"{guest.name} with {whole - less} GiB of memory in place of {gib(guest.memory_bytes)}"
    return Change(text, less, _guest(workload, replace(guest, memory_bytes=(whole - less) * _GIB)))


def _other_pages(workload: Workload, guest: GuestRequest) -> Iterator[Change]:
    """Memory in pages of any size, or in the huge pages that the host may have set aside."""
    for size, told in ((None, "pages of any size"), (1 << 30, "pages of 1 GiB"), (2 << 20, "pages of 2 MiB")):
        if size != guest.hugepage_bytes and (size is None or guest.memory_bytes % size == 0):
            yield Change(f"{guest.name} with its memory in {told}", 1, _guest(workload, replace(guest, hugepage_bytes=size)))


def _looser(workload: Workload, number: int) -> Ladder:
    """More guests of a spread rule at one place, up to all."""
    rule = workload.spread[number]

    def with_rule(changed: Spread) -> Workload:
        return replace(workload, spread=(*workload.spread[:number], changed, *workload.spread[number + 1 :]))

    return tuple(Change(f"up to {most} of {listed(list(rule.guests))} on one {PLACE[rule.by]}", most - rule.most, with_rule(replace(rule, most=most)))
                 for most in range(rule.most + 1, len(rule.guests) + 1))


def _less_kept(workload: Workload, number: int, what: What) -> Iterator[Change]:
    """Less kept free, down to nothing."""
    kept = workload.keep_free
    request = kept[number]
    if what is What.PEERS and request.peers is not None:
        for steps, each in enumerate((farther for farther in _FARTHER if farther > request.peers), start=1):
            changed = replace(workload, keep_free=(*kept[:number], replace(request, peers=each), *kept[number + 1 :]))
            yield Change(f"{describe(request)} up to {each} from each other kept free", steps, changed)
        return
    for count in range(request.count - 1, -1, -1):
        rest = (replace(request, count=count, pinned=request.pinned[:count]),) if count else ()
        changed = replace(workload, keep_free=(*kept[:number], *rest, *kept[number + 1 :]))
        told = describe(request, count) if count else f"no {noun(request.kind, 2)}"
        yield Change(f"{told} kept free in place of {request.count}", request.count - count, changed, None if rest else (KEPT, number))


def without(workload: Workload, names: tuple[str, ...]) -> Change | None:
    """Some guests left out; None where none would remain."""
    kept = tuple(guest for guest in workload.guests if guest.name not in names)
    rules = tuple(replace(rule, guests=left) for rule in workload.spread if (left := tuple(other for other in rule.guests if other not in names)))
    devices = sum(request.count for name in names for request in workload.guest(name).devices)
    told = list(names) if len(names) <= _NAMED + 1 else [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return Change(f"without {listed(told)}", devices + 2 * len(names), replace(workload, guests=kept, spread=rules)) if kept else None


def _guest(workload: Workload, changed: GuestRequest) -> Workload:
    return replace(workload, guests=tuple(changed if guest.name == changed.name else guest for guest in workload.guests))


def _request(workload: Workload, guest: GuestRequest, index: int, *requests: DeviceRequest) -> Workload:
    return _guest(workload, replace(guest, devices=(*guest.devices[:index], *requests, *guest.devices[index + 1 :])))


def _fewer(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    """Fewer of one request, down to none where the guest has others."""
    request = guest.devices[index]
    paired = request.kind is Kind.GPU and any(other.near is not None for other in guest.devices)
    for count in range(request.count - 1, _fewest(guest, index) - 1, -1):
        fewer = replace(request, count=count, pinned=request.pinned[:count])
        yield Change(
            f"{guest.name} with {describe(request, count)} in place of {request.count}", request.count - count, _request(workload, guest, index, fewer)
        )
    if len(guest.devices) > 1 and not paired:
        yield Change(f"{guest.name} without its {describe(request)}", request.count, _request(workload, guest, index), (guest.name, index))


def _fewest(guest: GuestRequest, index: int) -> int:
    """How many of a request must stay: of GPUs one for each device of another request that wants one beside it."""
    if guest.devices[index].kind is not Kind.GPU:
        return 1
    others = sum(other.count for at, other in enumerate(guest.devices) if at != index and other.kind is Kind.GPU)
    return max([1, *(other.count - others for other in guest.devices if other.near is not None)])


def _fewer_pairs(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    """Fewer GPUs, and no more of what wants a GPU of its own beside it."""
    request = guest.devices[index]
    if request.kind is not Kind.GPU or all(other.near is None for other in guest.devices):
        return
    for count in range(request.count - 1, 0, -1):
        changed = tuple(
            replace(other, count=min(other.count, count), pinned=other.pinned[:count]) if other is request or other.near is not None else other
            for other in guest.devices
        )
        along = [describe(new) for new, old in zip(changed, guest.devices, strict=True) if new != old and old is not request]
        lost = sum(old.count - new.count for new, old in zip(changed, guest.devices, strict=True))
        if along:
            text = f"{guest.name} with {listed([describe(request, count), *along])} in place of {request.count}"
            yield Change(text, lost, _guest(workload, replace(guest, devices=changed)))
    rest = sum(other.count for at, other in enumerate(guest.devices) if at != index and other.kind is Kind.GPU)
    if rest:
        fewer = [replace(other, count=min(other.count, rest), pinned=other.pinned[:rest]) if other.near is not None else other for other in guest.devices]
        along = [describe(new) for new, old in zip(fewer, guest.devices, strict=True) if new != old]
        lost = request.count + sum(old.count - new.count for new, old in zip(fewer, guest.devices, strict=True))
        text = f"{guest.name} without its {describe(request)}{f', with {listed(along)}' if along else ''}"
        yield Change(text, lost, _guest(workload, replace(guest, devices=(*fewer[:index], *fewer[index + 1 :]))), (guest.name, index))


def _other_share(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    """Virtual functions in place of whole devices, and the other way round."""
    request = guest.devices[index]
    if request.share is Share.PF and request.kind is Kind.NIC:
        text = f"{guest.name} with {describe(replace(request, share=Share.VF))} in place of {'a whole one' if request.count == 1 else 'whole ones'}"
        yield Change(text, 1, _request(workload, guest, index, replace(request, share=Share.VF)))
    if request.share is Share.VF:
        text = f"{guest.name} with {describe(replace(request, share=Share.PF))} as a whole in place of virtual functions"
        yield Change(text, request.count + 1, _request(workload, guest, index, replace(request, share=Share.PF)))
    if request.profile is not None:
        whole = replace(request, share=Share.PF, profile=None)
        text = f"{guest.name} with {describe(whole)} as a whole in place of {describe(request)}"
        yield Change(text, request.count + 1, _request(workload, guest, index, whole))


def _any_model(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    request = guest.devices[index]
    if request.model is not None:
        yield Change(
            f"{guest.name} with {noun(request.kind, 2)} of any model in place of {request.model}",
            1,
            _request(workload, guest, index, replace(request, model=None)),
        )


def _anywhere(workload: Workload, guest: GuestRequest, index: int) -> Iterator[Change]:
    request = guest.devices[index]
    if request.pinned:
        pinned = listed([str(address) for address in request.pinned])
        yield Change(
            f"{guest.name} with any {noun(request.kind, request.count)} in place of {pinned}", 1, _request(workload, guest, index, replace(request, pinned=()))
        )


def _farther(workload: Workload, guest: GuestRequest, index: int, what: What) -> Iterator[Change]:
    request = guest.devices[index]
    bound = request.peers if what is What.PEERS else request.near
    assert bound is not None
    for steps, each in enumerate((farther for farther in _FARTHER if farther > bound), start=1):
        if what is What.PEERS:
            changed, whose = replace(request, peers=each), f"{noun(request.kind, 2)} up to {each} from each other"
        else:
            changed, whose = replace(request, near=each), f"each {noun(request.kind, 1)} up to {each} from its GPU"
        yield Change(f"{guest.name} with {whose} in place of {bound}", steps, _request(workload, guest, index, changed))
    if what is What.NEAR:
        steps = 1 + sum(farther > bound for farther in _FARTHER)
        anywhere = _request(workload, guest, index, replace(request, near=None))
        yield Change(f"{guest.name} with its {describe(request)} near to no GPU in place of {bound}", steps, anywhere)


def _other_trees(workload: Workload, guest: GuestRequest) -> Iterator[Change]:
    if guest.companions is Companions.PORT:
        bridged = _guest(workload, replace(guest, companions=Companions.BRIDGE))
        yield Change(f"{guest.name} with companions on a bridge in place of a port each", 1, bridged)
    if guest.companions is not Companions.LEFT:
        left = _guest(workload, replace(guest, companions=Companions.LEFT))
        yield Change(f"{guest.name} with companions left out of it: bound to vfio-pci and not attached", 2, left)
    lost = {Topology.FLATTEN: ", so that its drivers see no switches", Topology.AUTO: ", so that its drivers see switches only where it asks for neighbours"}
    for other in (Topology.AUTO, Topology.REPLICATE, Topology.FLATTEN):
        if other is not guest.topology:
            text = f"{guest.name} with topology {other} in place of {guest.topology}{lost.get(other, '')}"
            yield Change(text, 1, _guest(workload, replace(guest, topology=other)))
