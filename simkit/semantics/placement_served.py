"""Which of a guest's devices serves which request? Shares no code with what made the plan.

What a device could serve is asked first, and a flow over that says at each step whether the rest can be served at all; so a set of devices that serves
nobody is refused without trying every order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from simkit.model.function import Function, Kind
from simkit.model.guest import GuestDevice, GuestPlan
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.model.unknown import is_known
from simkit.model.workload import DeviceRequest, GuestRequest
from simkit.semantics.guest_view import guest_addresses, guest_view
from simkit.semantics.p2p import nearness
from simkit.semantics.partitions import as_joined
from simkit.semantics.routes import tree_class

Taker = TypeVar("Taker", bound=Hashable)
Thing = TypeVar("Thing", bound=Hashable)
Served = tuple[tuple[GuestDevice, ...], ...]

Seen = Callable[[GuestDevice, GuestDevice], PeerClass]
"""How near two devices are in the guest's tree."""

_Left = frozenset[int]
_BELOW_SWITCHES = (PeerClass.PIX, PeerClass.PXB)


def seen_in(host: Host, guest: GuestPlan) -> Seen:
    """Classes by the guest's own tree."""
    view, at = guest_view(host, guest), guest_addresses(host, guest)
    return lambda a, b: tree_class(view, view[at[a.address]], view[at[b.address]])


def split(host: Host, guest: GuestRequest, own: tuple[GuestDevice, ...], *, seen: Seen | None = None) -> Served | None:
    """A guest's devices (companions aside) by request, each request served in number, kind, class and pairing; None where there is no such way.

    With `seen`, what is to be near below switches is so in the guest's tree as well, GPUs that links beside PCIe join aside.
    """
    gpus = tuple(device for device in own if source_of(host, device).kind is Kind.GPU)
    joined = as_joined(host, [device.address for device in own if device.vf_of is None])
    able = [_able(host, request, own, gpus, seen) for request in guest.devices]
    order = sorted(range(len(able)), key=lambda at: (len(able[at]), at))
    dead: set[tuple[int, _Left]] = set()

    def serve(step: int, left: _Left) -> dict[int, tuple[int, ...]] | None:
        if step == len(order):
            return None if left else {}
        if (step, left) in dead or not _enough([(guest.devices[at].count, able[at] & left) for at in order[step:]]):
            return None
        at = order[step]
        request = guest.devices[at]
        for chosen in _choices(host if request.share.virtual else joined, request, own, sorted(able[at] & left), (), seen):
            if request.near is None or paired(host, tuple(own[number] for number in chosen), gpus, request.near):
                rest = serve(step + 1, left.difference(chosen))
                if rest is not None:
                    return {at: chosen, **rest}
        dead.add((step, left))
        return None

    found = serve(0, frozenset(range(len(own))))
    return None if found is None else tuple(tuple(own[number] for number in found[at]) for at in range(len(guest.devices)))


def _able(host: Host, request: DeviceRequest, own: Sequence[GuestDevice], gpus: Sequence[GuestDevice], seen: Seen | None) -> _Left:
    """Numbers of the devices that could serve a request, whoever serves the others."""
    fitting = [number for number, device in enumerate(own) if _fits(host, device, request)]
    bound = request.near
    if bound is None:
        return frozenset(fitting)
    near = (number for number in fitting if any(device_class(host, own[number], gpu) <= bound for gpu in gpus))
    if seen is None or bound not in _BELOW_SWITCHES:
        return frozenset(near)
    return frozenset(number for number in near if any(seen(own[number], gpu) <= bound for gpu in gpus))


def _enough(wanted: Sequence[tuple[int, _Left]]) -> bool:
    """Whether as many devices as each request counts can be told off for it, classes aside."""
    seats = [sorted(able) for count, able in wanted for _ in range(count)]
    return _told_off(dict(enumerate(seats))) is not None


def _told_off(wanted: Mapping[Taker, Sequence[Thing]]) -> dict[Taker, Thing] | None:
    """One of the things that each taker wants, none for two of them; None where there is no such way (Ford and Fulkerson, breadth first)."""
    holder: dict[Thing, Taker] = {}
    for start in wanted:
        came: dict[Thing, Taker] = {}
        queue, free = [start], None
        while queue and free is None:
            taker = queue.pop(0)
            for thing in wanted[taker]:
                if thing not in came:
                    came[thing] = taker
                    if thing not in holder:
                        free = thing
                        break
                    queue.append(holder[thing])
        if free is None:
            return None
        given: Thing | None = free
        while given is not None:
            taker = came[given]
            before = next((thing for thing, held in holder.items() if held == taker), None)
            holder[given] = taker
            given = before
    return {taker: thing for thing, taker in holder.items()}


def _choices(host: Host, request: DeviceRequest, own: Sequence[GuestDevice], fitting: Sequence[int], taken: tuple[int, ...],
             seen: Seen | None) -> Iterator[tuple[int, ...]]:
    """Every set of `request.count` of the fitting devices that are near enough to each other, in order."""
    if len(taken) == request.count:
        yield taken
        return
    for at in range(len(fitting) - (request.count - len(taken)) + 1):
        if request.peers is None or all(_close(host, own[fitting[at]], own[other], request.peers, seen) for other in taken):
            yield from _choices(host, request, own, fitting[at + 1 :], (*taken, fitting[at]), seen)


def _close(host: Host, a: GuestDevice, b: GuestDevice, bound: PeerClass, seen: Seen | None) -> bool:
    real = device_class(host, a, b)
    return real <= bound and (seen is None or bound not in _BELOW_SWITCHES or real < PeerClass.PIX or seen(a, b) <= bound)


def source_of(host: Host, device: GuestDevice) -> Function:
    """The function itself, or the physical one of a virtual function."""
    return host[device.vf_of or device.address]


def _fits(host: Host, device: GuestDevice, request: DeviceRequest) -> bool:
    function = source_of(host, device)
    if function.kind is not request.kind or request.share.virtual is not (device.vf_of is not None):
        return False
    if request.profile != device.profile:
        return False
    if request.pinned and function.address not in request.pinned:
        return False
    names = [(function.name or "").lower()]
    wanted = (request.model or "").lower()
    exact = is_known(function.vendor_id) and is_known(function.device_id) and wanted == f"{function.vendor_id:04x}:{function.device_id:04x}"
    return exact or any(wanted in name for name in names)


def device_class(host: Host, a: GuestDevice, b: GuestDevice) -> PeerClass:
    """On the host; two virtual functions of one device meet inside it, or at the port above."""
    one, two = source_of(host, a).address, source_of(host, b).address
    return PeerClass.PIX if one == two else nearness(host, one, two)


def paired(host: Host, devices: tuple[GuestDevice, ...], gpus: tuple[GuestDevice, ...], bound: PeerClass) -> dict[GuestDevice, GuestDevice] | None:
    """A GPU within the class for each device, none for two of them; None where there is no such pairing."""
    return _told_off({device: [gpu for gpu in gpus if device_class(host, device, gpu) <= bound] for device in devices})
