"""Devices told apart by request: as every order of them says, and at an end where there are too many orders to try."""

from dataclasses import replace
from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.guest import GuestDevice
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Topology, Workload
from simkit.semantics.p2p import nearness
from simkit.semantics.placement import check
from simkit.semantics.placement_served import split
from simkit.solve.answer import Planned
from simkit.solve.solve import solve
from simkit.verify.promises import peer_class_kept
from simkit.verify.report import Outcome
from simkit.verify.scene import Scene

HOST = open_host("rtx-pro-8")
POOL = tuple(function.address for function in HOST.functions if function.kind in (Kind.GPU, Kind.NIC) and not function.usage)
bounds = st.none() | st.sampled_from([PeerClass.PIX, PeerClass.PHB, PeerClass.SYS])
pins = st.just(()) | st.sampled_from(POOL).map(lambda address: (address,))


def served(devices: tuple[Address, ...], requests: tuple[DeviceRequest, ...]) -> bool:
    """Some order of the devices serves the requests one after the other."""
    return any(all(one(devices, part, request) for part, request in cut(order, requests)) for order in permutations(devices))


def cut(order: tuple[Address, ...], requests: tuple[DeviceRequest, ...]):
    for request in requests:
        yield order[: request.count], request
        order = order[request.count :]


def one(devices: tuple[Address, ...], part: tuple[Address, ...], request: DeviceRequest) -> bool:
    fits = all(HOST[address].kind is request.kind and (not request.pinned or address in request.pinned) for address in part)
    close = request.peers is None or all(nearness(HOST, a, b) <= request.peers for a, b in combinations(part, 2))
    gpus = [address for address in devices if HOST[address].kind is Kind.GPU]
    mates = request.near is None or any(all(nearness(HOST, a, b) <= request.near for a, b in zip(part, order, strict=True)) for order in permutations(gpus, len(part)))
    return fits and close and mates


@settings(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from([Kind.GPU, Kind.NIC]), st.integers(1, 2), bounds, bounds, pins), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_it_is_found_exactly_where_some_order_serves(drawn, random) -> None:
    requests = tuple(DeviceRequest(kind, 1 if pinned else count, peers=peers, near=near if kind is Kind.NIC else None, pinned=pinned) for kind, count, peers, near, pinned in drawn)
    devices = tuple(sorted(random.sample(POOL, sum(request.count for request in requests))))
    found = split(HOST, GuestRequest("a", requests), tuple(GuestDevice(address, "") for address in devices))
    assert (found is not None) is served(devices, requests)
    if found is not None:
        parts = [tuple(device.address for device in part) for part in found]
        assert sorted(address for part in parts for address in part) == list(devices)
        assert all(one(devices, part, request) and len(part) == request.count for part, request in zip(parts, requests, strict=True))


def test_sixteen_requests_of_which_the_last_want_what_the_first_could_take() -> None:
    host = open_host("hgx-h100")
    first = {Kind.GPU: Address.parse("0000:03:00.0"), Kind.NIC: Address.parse("0000:04:00.0")}
    requests = (*[DeviceRequest(kind, 1) for kind in first for _ in range(7)], *(DeviceRequest(kind, 1, pinned=(address,)) for kind, address in first.items()))
    assert isinstance(solve(Workload("w", (GuestRequest("a", requests, topology=Topology.AUTO),)), host), Planned)


def test_sixteen_requests_that_nobody_can_serve() -> None:
    gpus = [GuestDevice(function.address, "") for function in open_host("hgx-h100").of_kind(Kind.GPU)]
    pinned = DeviceRequest(Kind.GPU, 1, pinned=(Address.parse("0000:03:00.0"),))
    assert split(open_host("hgx-h100"), GuestRequest("a", (*[DeviceRequest(Kind.GPU, 1)] * 6, pinned, pinned)), tuple(gpus)) is None


def test_the_one_of_three_like_devices_that_stands_alone_in_the_guest_is_not_taken_for_a_neighbour() -> None:
    """An `auto` guest with a GPU on a root port and two below a mirrored switch, all three below one of the host's."""
    requests = (DeviceRequest(Kind.GPU, 1), DeviceRequest(Kind.GPU, 2, peers=PeerClass.PIX))
    for ordered in (requests, requests[::-1]):
        answer = solve(Workload("w", (GuestRequest("a", ordered, topology=Topology.AUTO),)), HOST)
        assert isinstance(answer, Planned)
        (guest,) = answer.plan.guests
        assert {device.address.bus >> 7 for device in guest.devices} == {0}
        for order in permutations(device for device in guest.devices if device.companion_of is None):
            turned = replace(guest, devices=(*order, *(device for device in guest.devices if device.companion_of is not None)))
            assert check(replace(answer.plan, guests=(turned,))) == ()
            promised = peer_class_kept(Scene.after(answer.plan), replace(answer.plan, guests=(turned,)))
            assert (promised.outcome, promised.text) == (Outcome.HOLDS, "1 promised pairs are as near as promised on the host, 1 of them also in the guest's tree")
