"""Several hosts: against every way to spread guests, minimal reasons, honest changes, one engine's answer for equal hosts."""

from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import InputError, MalformedDocument, UnknownName
from simkit.formats.native.fleet import load_fleet
from simkit.formats.source import open_fleet, open_host
from simkit.model.address import Address
from simkit.model.fleet import Fleet, Member
from simkit.model.function import Kind
from simkit.model.route import PeerClass
from simkit.model.workload import DeviceRequest, GuestRequest, Scope, Spread, Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.fleet.solve import solve_fleet
from simkit.solve.solve import solve
from tests.solve.test_brute_force import small_hosts, small_workloads

HGX = open_host("hgx-h100")
RULES = st.tuples(st.integers(0, 2), st.sampled_from([None, Scope.HOST, Scope.DOMAIN]), st.integers(1, 2))


def rack(count: int) -> Fleet:
    return Fleet("rack", tuple(Member(f"node-{number}", HGX) for number in range(count)))


def gpus(name: str, count: int, peers: PeerClass | None = None) -> GuestRequest:
    return GuestRequest(name, (DeviceRequest(Kind.GPU, count, peers=peers),), cpus=2, memory_bytes=1 << 30)


def spread_exists(workload: Workload, fleet: Fleet) -> bool:
    """Every way to give guests, and what is kept free, to hosts; each host solved alone."""
    items = (*workload.guests, *workload.keep_free)
    for homes in product(range(len(fleet.members)), repeat=len(items)):
        named = {item.name: home for item, home in zip(items, homes, strict=True) if isinstance(item, GuestRequest)}
        if not all(within(rule, named, fleet) for rule in workload.spread):
            continue
        parts = []
        for at in range(len(fleet.members)):
            here = [item for item, home in zip(items, homes, strict=True) if home == at]
            parts.append(Workload("part", tuple(item for item in here if isinstance(item, GuestRequest)), tuple(item for item in here if isinstance(item, DeviceRequest))))
        if all(not (part.guests or part.keep_free) or isinstance(solve(part, member.host), Planned) for part, member in zip(parts, fleet.members, strict=True)):
            return True
    return False


def within(rule: Spread, homes: dict[str, int], fleet: Fleet) -> bool:
    places = [homes[name] if rule.by is Scope.HOST else fleet.members[homes[name]].domain for name in rule.guests]
    return all(places.count(place) <= rule.most for place in places)


@settings(max_examples=10)
@given(st.lists(small_hosts(), min_size=2, max_size=3), small_workloads(), small_workloads(), RULES)
def test_a_spread_is_found_exactly_where_there_is_one(hosts, one: Workload, two: Workload, rules) -> None:
    agrees(hosts, one, two, rules)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(small_hosts(), min_size=2, max_size=3), small_workloads(), small_workloads(), RULES)
def test_the_same_of_many_more(hosts, one: Workload, two: Workload, rules) -> None:
    agrees(hosts, one, two, rules)


def agrees(hosts, one: Workload, two: Workload, rules) -> None:
    kept, by, most = rules
    fleet = Fleet("small", tuple(Member(f"h{number}", host, f"domain-{number // 2}") for number, host in enumerate(hosts)))
    more = tuple(replace(guest, name=f"more-{guest.name}") for guest in two.guests)
    guests = (*one.guests, *more)
    spread = (Spread(tuple(guest.name for guest in guests), by, most),) if by is not None else ()
    workload = Workload("small", guests, (DeviceRequest(Kind.GPU, 1),) * kept, spread)
    answer = solve_fleet(workload, fleet)
    assert isinstance(answer, Planned) == spread_exists(workload, fleet)
    if isinstance(answer, Planned):
        assert sorted(guest.name for plan in answer.plans for guest in plan.guests) == sorted(guest.name for guest in workload.guests)
        assert all(check(plan) == () for plan in answer.plans)
        assert len({plan.host.name for plan in answer.plans}) == len(answer.plans)
    else:
        assert answer.because


def test_a_rack_of_a_thousand_gpus_and_one_too_many() -> None:
    """1,024 GPUs for 307 guests, and one more: what is too many, and changes each of which is enough."""
    sizes = [*[8] * 40, *[4] * 100, *[2] * 137, *[1] * 30]
    guests = tuple(gpus(f"g{number}", size, PeerClass.NVL if size > 1 else None) for number, size in enumerate(sizes))
    assert (len(guests), sum(sizes)) == (307, 1024)
    answer = solve_fleet(Workload("full", guests), rack(128))
    assert isinstance(answer, Planned)
    assert len(answer.plans) == 128
    assert sum(len(plan.guests) for plan in answer.plans) == 307
    answer = solve_fleet(Workload("over", (*guests, gpus("last", 1))), rack(128))
    assert isinstance(answer, Infeasible)
    assert [reason.text for reason in answer.because] == [
        "g0 to g39 (40 guests) ask for 8 GPUs each",
        "g40 to g139 (100 guests) ask for 4 GPUs each",
        "g140 to g276 (137 guests) ask for 2 GPUs each",
        "g277 to last (31 guests) ask for 1 GPU each; 1025 altogether, the 128 hosts have 1024 GPUs, one of them at most 8",
    ]
    texts = [relaxation.text for relaxation in answer.relaxations]
    assert "g0 with 7 GPUs in place of 8, or any other of the 40 like it" in texts
    assert "1 more host like node-0" in texts
    assert isinstance(solve_fleet(Workload("over", (*guests, gpus("last", 1))), rack(129)), Planned)
    fewer = (gpus("g0", 7, PeerClass.NVL), *guests[1:], gpus("last", 1))
    assert isinstance(solve_fleet(Workload("fewer", fewer), rack(128)), Planned)


def test_a_fragment_is_no_room() -> None:
    """GPUs enough altogether, but no two hosts' halves make one guest: three fives do not fit two eights."""
    answer = solve_fleet(Workload("fives", tuple(gpus(name, 5) for name in "abc")), rack(2))
    assert isinstance(answer, Infeasible)
    assert [reason.text for reason in answer.because] == ["a, b and c ask for 5 GPUs each; 15 altogether, the 2 hosts have 16 GPUs, one of them at most 8"]
    assert isinstance(solve_fleet(Workload("fives", tuple(gpus(name, 5) for name in "ab")), rack(2)), Planned)


def test_what_does_not_matter_is_not_named() -> None:
    """A guest for itself too large, beside others that fit, and CPUs that are plenty."""
    answer = solve_fleet(Workload("large", (gpus("small", 1), gpus("large", 9))), rack(3))
    assert isinstance(answer, Infeasible)
    assert [reason.text.split(";")[0] for reason in answer.because] == ["large asks for 9 GPUs"]


def test_whole_hosts_stay_free_and_equal_input_gives_equal_plans() -> None:
    workload = Workload("w", (gpus("a", 4), gpus("b", 8), gpus("c", 4)))
    one, two = solve_fleet(workload, rack(4)), solve_fleet(workload, rack(4))
    assert one == two
    assert isinstance(one, Planned)
    assert [sorted(guest.name for guest in plan.guests) for plan in one.plans] == [["b"], ["a", "c"]]


def test_a_device_that_no_host_has() -> None:
    pinned = GuestRequest("a", (DeviceRequest(Kind.GPU, 1, pinned=(Address(9, 9, 9, 0),)),))
    with pytest.raises(UnknownName, match="which no host of rack has"):
        solve_fleet(Workload("w", (pinned,)), rack(2))


def test_hosts_by_number_and_by_document(tmp_path) -> None:
    assert [member.name for member in open_fleet(["hgx-h100*10"]).members][::9] == ["hgx-h100-01", "hgx-h100-10"]
    document = tmp_path / "rack.yaml"
    document.write_text("simkit: fleet/1\nname: rack\nhosts:\n  a: {host: hgx-h100, count: 2, domain: row}\n  b: {host: edge-single}\n")
    fleet = open_fleet([str(document)])
    assert [(member.name, member.host.name, member.domain) for member in fleet.members] == [("a-1", "hgx-h100", "row"), ("a-2", "hgx-h100", "row"), ("b", "edge-single", None)]
    assert fleet.members[0].host is fleet.members[1].host
    with pytest.raises(InputError, match="several hosts are called hgx-h100"):
        open_fleet(["hgx-h100", "hgx-h100"])
    with pytest.raises(InputError, match="asks for 0 hosts"):
        open_fleet(["hgx-h100*0"])


@pytest.mark.parametrize(("text", "fault"), [
    ("simkit: fleet/1\nname: x\nhosts: {}\n", "names no host"),
    ("simkit: fleet/1\nname: x\nhosts: {a: {host: h, count: 0}}\n", "count"),
    ("simkit: fleet/1\nname: x\nhosts: {'a/b': {host: h}}\n", "host name 'a/b'"),
    ("simkit: fleet/1\nname: x\nhosts: {a: {hosts: h}}\n", "host"),
    ("simkit: fleet/1\nname: x\nhosts: {a: {host: h, count: 2}, a-1: {host: h}}\n", "two hosts are called a-1"),
    ("simkit: fleet/1\nname: x\nhosts: {a: {host: h, count: 65536}, b: {host: h}}\n", "over 65536 hosts"),
])
def test_a_malformed_fleet_is_told(text: str, fault: str) -> None:
    with pytest.raises(MalformedDocument) as told:
        load_fleet(text, source="x.yaml")
    assert fault in str(told.value)


@given(st.text(max_size=200) | st.sampled_from(["simkit: fleet/1\n", "simkit: fleet/1\nhosts: "]).flatmap(lambda head: st.text(max_size=120).map(lambda rest: head + rest)))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    with suppress(InputError):
        load_fleet(text, source="x.yaml")
