"""Isolation beyond groups, strict NUMA nodes, spread rules, room kept free: against every way to place guests and cores on small hosts."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.workload import Apart, DeviceRequest, NumaRule, Scope, Share, Spread, Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve
from tests.solve.test_brute_force import placements, platform, slot, small_hosts, small_workloads, sound


@st.composite
def open_ports(draw: st.DrawFn) -> Host:
    """Small hosts, some of whose downstream ports have no ACS, so that requests turn around in the switch."""
    host = draw(small_hosts())
    ports = [function for function in host.functions if function.port_type == 6]
    opened = draw(st.lists(st.sampled_from(ports), unique_by=lambda port: port.address))
    return host.with_functions(*(replace(port, acs=None) for port in opened))


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    workload = draw(small_workloads())
    kinds = st.lists(st.sampled_from([Apart.PATH, Apart.SWITCH, Apart.VF_PARENT]), unique=True, max_size=2).map(tuple)
    guests = tuple(replace(guest, isolation=draw(kinds), numa=draw(st.sampled_from(NumaRule))) for guest in workload.guests)
    kept = draw(st.lists(st.builds(DeviceRequest, st.sampled_from([Kind.GPU, Kind.NIC]), st.integers(1, 2)), max_size=1))
    names = tuple(guest.name for guest in guests)
    rules = draw(st.lists(st.builds(Spread, st.just(names), st.sampled_from([Scope.NUMA, Scope.SWITCH]), st.just(1)), max_size=1))
    return Workload("apart", guests, tuple(kept), tuple(rules))


def node(address: Address) -> int:
    return slot(address)[0] // 0x40


def ways(host: Host, workload: Workload):
    """Devices by guest (address, whether virtual) and cores by guest and node."""
    if not platform(workload):
        return
    for picks in placements(host, workload):
        if not sound(workload, picks):
            continue
        devices, index = [], 0
        for guest in workload.guests:
            devices.append([(address, request.share is Share.VF) for request, pick in zip(guest.devices, picks[index:], strict=False) for address in pick])
            index += len(guest.devices)
        for firsts in product(*(range(guest.cpus + 1) for guest in workload.guests)):
            cores = [{0: first, 1: guest.cpus - first} for first, guest in zip(firsts, workload.guests, strict=True)]
            if all(sum(each[number] for each in cores) <= 8 for number in (0, 1)):
                yield devices, cores


def apart(host: Host, workload: Workload, devices, cores) -> bool:
    opened = {port.bus_range.secondary for port in host.functions if port.port_type == 6 and port.acs is None}
    if any(virtual and address.bus in opened for mine in devices for address, virtual in mine):
        return False  # below a port without ACS virtual functions share the physical one's group
    for at, guest in enumerate(workload.guests):
        gpus = [address for address, _ in devices[at] if host[address].kind is Kind.GPU]
        homes = {node(address) for address in gpus or [address for address, _ in devices[at]]}
        if guest.numa is NumaRule.STRICT and homes and any(count and number not in homes for number, count in cores[at].items()):
            return False
        for other in range(len(workload.guests)):
            for (one, virtual), (two, also) in product(devices[at], devices[other]) if other != at else ():
                same = slot(one)[0] == slot(two)[0]
                if Apart.SWITCH in guest.isolation and same:
                    return False
                if Apart.VF_PARENT in guest.isolation and one == two and virtual and also:
                    return False
                if Apart.PATH in guest.isolation and same and one != two and {one.bus, two.bus} & opened:
                    return False
    for rule in workload.spread:
        if rule.by is Scope.NUMA:
            places = [{node(address) for address, _ in devices[at]} | {number for number, count in cores[at].items() if count} for at in range(len(devices))]
        else:
            places = [{home(host, address) for address, _ in devices[at]} for at in range(len(devices))]
        if any(sum(place in there for there in places) > rule.most for place in set().union(*places)):
            return False
    taken = {address for mine in devices for address, _ in mine}
    return all(len([function for function in host.of_kind(request.kind) if function.address not in taken]) >= request.count for request in workload.keep_free)


def home(host: Host, address: Address) -> object:
    """The switch, where it has devices in several slots; else the root port: either way one a base bus."""
    return slot(address)[0]


@settings(max_examples=120)
@given(open_ports(), workloads())
def test_a_plan_is_found_exactly_where_there_is_one(host: Host, workload: Workload) -> None:
    agrees(host, workload)


@pytest.mark.slow
@settings(max_examples=1_500)
@given(open_ports(), workloads())
def test_the_same_of_many_more(host: Host, workload: Workload) -> None:
    agrees(host, workload)


def agrees(host: Host, workload: Workload) -> None:
    there = any(apart(host, workload, devices, cores) for devices, cores in ways(host, workload))
    answer = solve(workload, host)
    assert isinstance(answer, Planned if there else Infeasible), answer
    if isinstance(answer, Planned):
        assert check(answer.plan) == ()
        devices = [[(device.vf_of or device.address, device.vf_of is not None) for device in guest.devices if device.companion_of is None] for guest in answer.plan.guests]
        cores = [{0: 0, 1: 0} | {found.host_node: len(found.cpus) for found in guest.nodes} for guest in answer.plan.guests]
        assert apart(host, workload, devices, cores)
    else:
        assert answer.because


TWO = """simkit: workload/1
name: two
guests:
  a: {{devices: [{{kind: gpu, count: 4}}], cpus: 8{a}}}
  b: {{devices: [{{kind: gpu, count: {count}}}], cpus: 8}}
{more}
"""


@pytest.mark.parametrize(("a", "count", "more", "told"), [
    (", isolation: [switch]", 5, "", "a asks for 4 GPUs"),
    ("", 4, "keep_free: [{kind: gpu, count: 1}]", "1 GPU"),
    ("", 4, "spread: [{guests: [a, b], by: host}]", "at most 1 of a and b may be on one host"),
])
def test_what_cannot_hold_is_named(a: str, count: int, more: str, told: str) -> None:
    answer = solve(load_workload(TWO.format(a=a, count=count, more=more), source="two.yaml"), open_host("hgx-h100"))
    assert isinstance(answer, Infeasible)
    assert any(told in reason.text for reason in answer.because), answer.because
    assert answer.relaxations, answer.because


def test_strict_nodes_are_named() -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: gpu}], cpus: 200, numa: strict}\n"
    answer = solve(load_workload(text, source="w.yaml"), open_host("hgx-h100"))
    assert isinstance(answer, Infeasible)
    assert any(reason.text == "a takes CPUs and memory only from NUMA nodes of its GPUs" for reason in answer.because), answer.because
    assert "a with CPUs and memory from any NUMA node" in [relaxation.text for relaxation in answer.relaxations]


def test_faults_of_the_checker_name_the_devices() -> None:
    """A plan that was made without a wish is refused once the wish is put into its workload."""
    host = open_host("hgx-h100")
    text = TWO.format(a="", count=3, more="")
    answer = solve(load_workload(text, source="two.yaml"), host)
    assert isinstance(answer, Planned)
    plan = answer.plan
    for a, more, told in [(", isolation: [switch]", "", "share no switch"), ("", "keep_free: [{kind: gpu, count: 2}]", "kept free have no room"),
                          ("", "spread: [{guests: [a, b], by: host}]", "all at host hgx-h100")]:
        asked = load_workload(TWO.format(a=a, count=3, more=more), source="two.yaml")
        spoiled = replace(plan, workload=asked)
        if "switch" in told:
            b = next(guest for guest in plan.guests if guest.name == "b")
            moved = replace(b, devices=(replace(b.devices[0], address=plan.guests[0].devices[0].address), *b.devices[1:]))
            spoiled = replace(spoiled, guests=(replace(plan.guests[0], devices=plan.guests[0].devices[1:]), moved))
            from simkit.semantics.placement_apart import check_apart

            assert any(told in fault for fault in check_apart(spoiled))
        else:
            assert any(told in fault for fault in check(spoiled)), check(spoiled)
