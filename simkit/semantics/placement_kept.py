"""Does a plan leave free what is to be kept free? By enumeration; shares no code with what made the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simkit.model.address import Address
from simkit.model.capabilities import Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, Share
from simkit.semantics.gpu_profiles import mig_profiles, most_vgpus
from simkit.semantics.groups import groups
from simkit.semantics.p2p import nearness
from simkit.semantics.partitions import as_joined
from simkit.semantics.sriov import vf_address

Part = tuple[Share, str | None]

_Dead = set[tuple[int, frozenset[Address], frozenset[Address], tuple[tuple[Address, tuple[Part, ...]], ...]]]


@dataclass(frozen=True, slots=True)
class _Free:
    """What is left: functions to be had whole, others of which parts can be had, and the parts that are given away already, by function."""

    whole: frozenset[Address]
    partly: frozenset[Address]
    parts: dict[Address, tuple[Part, ...]]

    def without(self, functions: Sequence[Address]) -> _Free:
        return _Free(self.whole.difference(functions), self.partly.difference(functions), self.parts)

    def cut(self, function: Address, part: Part) -> _Free:
        return _Free(self.whole - {function}, self.partly, {**self.parts, function: tuple(sorted((*self.parts.get(function, ()), part), key=str))})


def check_kept(plan: Plan) -> Iterator[str]:
    """A fault where the entries have no room all together, no function and no part of one in two of them."""
    kept = plan.workload.keep_free
    if not kept:
        return
    host = plan.host
    owner = {address: group.functions for group in groups(host).groups for address in group.functions}
    bound = [device for guest in plan.guests for device in guest.bound]
    taken = {device.address for device in bound if device.vf_of is None}
    parents = {device.vf_of for device in bound if device.vf_of is not None}
    untouched = [address for address, members in owner.items() if not any(other in taken or host[other].usage for other in members)]
    whole = frozenset(address for address in untouched if not any(other in parents for other in owner[address]))
    if not _room(plan, kept, 0, _Free(whole, frozenset(untouched), _given(plan)), set()):
        yield f"{len(kept)} wishes for devices to be kept free have no room: {len(whole)} functions are left"


def _given(plan: Plan) -> dict[Address, tuple[Part, ...]]:
    asked: dict[tuple[str, str | None], Share] = {(guest.name, request.profile): request.share for guest in plan.workload.guests
                                                  for request in guest.devices if request.share.virtual}
    found: dict[Address, tuple[Part, ...]] = {}
    for guest in plan.guests:
        for device in guest.devices:
            if device.vf_of is not None:
                part = (asked.get((guest.name, device.profile), Share.VF), device.profile)
                found[device.vf_of] = tuple(sorted((*found.get(device.vf_of, ()), part), key=str))
    return found


def _room(plan: Plan, kept: Sequence[DeviceRequest], at: int, free: _Free, dead: _Dead) -> bool:
    if at == len(kept):
        return True
    key = (at, free.whole, free.partly, tuple(sorted(free.parts.items(), key=str)))
    if key in dead:
        return False
    wish = kept[at]
    ways = _parts(plan, wish, free, (), 0) if wish.share.virtual else _sets(plan.host, wish, free)
    if any(_room(plan, kept, at + 1, left, dead) for left in ways):
        return True
    dead.add(key)
    return False


def _sets(host: Host, wish: DeviceRequest, free: _Free) -> Iterator[_Free]:
    fitting = [address for address in sorted(free.whole) if wish.fits(host[address])]

    def extend(start: int, taken: tuple[Address, ...]) -> Iterator[_Free]:
        if len(taken) == wish.count:
            if _joined(host, wish, taken):
                yield free.without(taken)
            return
        for at in range(start, len(fitting) - (wish.count - len(taken)) + 1):
            if _close(host, wish.peers, fitting[at], taken):
                yield from extend(at + 1, (*taken, fitting[at]))

    yield from extend(0, ())


def _parts(plan: Plan, wish: DeviceRequest, free: _Free, taken: tuple[Address, ...], start: int) -> Iterator[_Free]:
    """One part after the other, of the same physical function or a later one."""
    if len(taken) == wish.count:
        yield free
        return
    host = plan.host
    fitting = [address for address in sorted(free.partly) if wish.fits(host[address])]
    for at in range(start, len(fitting)):
        address = fitting[at]
        if _close(host, wish.peers, address, [other for other in taken if other != address]):
            left = free.cut(address, (wish.share, wish.profile))
            if _holds(plan, host[address], left.parts[address]):
                yield from _parts(plan, wish, left, (*taken, address), at)


def _joined(host: Host, wish: DeviceRequest, taken: Sequence[Address]) -> bool:
    """Whether a guest that gets these finds them as near as is wanted: NVLinks join GPUs of one partition only, where partitions are known."""
    joined = as_joined(host, taken)
    return joined is host or all(_close(joined, wish.peers, address, taken[:at]) for at, address in enumerate(taken))


def _close(host: Host, bound: PeerClass | None, address: Address, others: Sequence[Address]) -> bool:
    return bound is None or all(nearness(host, address, other) <= bound for other in others)


def _holds(plan: Plan, physical: Function, parts: tuple[Part, ...]) -> bool:
    """Whether a function can have all these parts: enough virtual functions, cut up in one way, each instance at a place of its profile."""
    ways = {(share, profile if share is Share.VGPU else None) for share, profile in parts}
    if len(ways) > 1 or len(parts) > _most(plan.host, physical):
        return False
    share, profile = parts[0]
    if share is Share.VGPU:
        most = most_vgpus(physical, profile or "")
        return is_known(most) and most is not None and len(parts) <= most
    return share is not Share.MIG or _seated(plan, physical, Counter(name for _, name in parts))


def _most(host: Host, physical: Function) -> int:
    if not isinstance(physical.sriov, Sriov):
        return 0
    made = [function for function in host.functions if function.physfn == physical.address]
    busy = any(function.usage for function in made)
    free = {function.address for function in made if not function.usage}
    places = [vf_address(host, physical, index) for index in range(physical.sriov.total_vfs)]
    return sum(is_known(place) and (place in free or (place not in host and not busy)) for place in places)


def _seated(plan: Plan, physical: Function, names: Counter[str | None]) -> bool:
    """Instances that guests have stay where they are; the others around them."""
    there = mig_profiles(physical)
    by_name = {profile.name: profile for profile in there} if is_known(there) else {}
    taken: frozenset[int] = frozenset()
    for device in (device for guest in plan.guests for device in guest.devices if device.vf_of == physical.address):
        if device.profile in by_name and device.mig_start is not None:
            taken |= frozenset(by_name[device.profile].covers(device.mig_start))
            names[device.profile] -= 1
    left = [by_name[name] for name in names.elements() if name in by_name]

    def seat(at: int, taken: frozenset[int]) -> bool:
        return at == len(left) or any(seat(at + 1, taken | frozenset(left[at].covers(start))) for start in left[at].starts
                                      if taken.isdisjoint(left[at].covers(start)))

    return seat(0, taken)
