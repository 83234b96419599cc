"""More workloads that do not fit, on drawn hosts and on fleets too: the reasons are those that a person names, none can be left out, what is offered helps.

What is left out of a core is left out of the workload here: fewer requests, no bound, no rule; the solver's own filter knows nothing of that.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import pytest

from simkit.model.address import Address
from simkit.model.capabilities import REQUIRED_ACS, Acs, AcsBits, PortType, Sriov
from simkit.model.fleet import Fleet, Member
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.platform import TeeKind
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Apart, DeviceRequest, GuestRequest, NumaRule, Workload
from simkit.semantics.placement import check
from simkit.solve import relax
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.assignment import Assignment
from simkit.solve.core import feasible, minimal_core
from simkit.solve.cpsat import Impossible
from simkit.solve.fleet.solve import solve_fleet
from simkit.solve.labels import Label, What
from simkit.solve.problem import build
from simkit.solve.solve import solve
from tests.solve.cases import Case, cases, label_text

ONE = tuple(cases(fleets=False))
MANY = tuple(cases(fleets=True))
UNSTATED = (What.GROUP, What.LIMITS, What.PARTITION, What.CPUS, What.MEMORY)
"""What no workload can leave out: facts of the host, a guest's tree, one CPU and some memory."""


def one(case: Case) -> str:
    return case.name


def test_the_bank_covers_every_kind_of_constraint() -> None:
    named = {word for case in ONE for text in case.core for word in text.split()}
    assert {str(what) for what in What} <= named
    assert {str(kind) for kind in Apart} - {"path", "reset"} <= named
    assert len({case.name for case in (*ONE, *MANY)}) == len(ONE) + len(MANY) >= 100


@pytest.mark.parametrize("case", ONE, ids=one)
def test_the_core_is_what_one_would_name_and_minimal(case: Case) -> None:
    host = case.opened()
    problem = build(case.workload, host)
    answer = solve(case.workload, host)
    assert isinstance(answer, Infeasible)
    core, proven = minimal_core(problem, problem.labels())
    assert proven
    assert {label_text(label) for label in core} == set(case.core)
    assert len(answer.because) == len(core)
    assert all(reason.text and reason.places for reason in answer.because)
    assert not possible(case.workload, host, core)
    for label in core:
        assert possible(case.workload, host, [other for other in core if other != label]), f"{label_text(label)} is not needed"


def possible(workload: Workload, host: Host, kept: Collection[Label]) -> bool:
    """Whether a workload of only these constraints fits. Where the solver plans it whole, the checker has the last word."""
    rest = only(workload, kept)
    problem = build(rest, host)
    there = {(label.guest, label.what, label.group) for label in kept}
    active = [label for label in problem.labels() if label.what not in UNSTATED or (label.guest, label.what, label.group) in there]
    answer = feasible(problem, active)
    assert isinstance(answer, Assignment | Impossible)
    whole = solve(rest, host)
    if isinstance(whole, Planned):
        assert check(whole.plan) == ()
        assert isinstance(answer, Assignment)
    elif len(active) == len(problem.labels()):
        assert isinstance(answer, Impossible)
    return isinstance(answer, Assignment)


def only(workload: Workload, kept: Collection[Label]) -> Workload:
    """The workload that asks for nothing else than what the labels say."""
    texts = {label_text(label) for label in kept}
    guests = tuple(only_guest(guest, texts) for guest in workload.guests)
    free = tuple(replace(request, peers=request.peers if f"kept {number} peers" in texts else None)
                 for number, request in enumerate(workload.keep_free) if f"kept {number} count" in texts)
    return replace(workload, guests=guests, keep_free=free, spread=tuple(rule for number, rule in enumerate(workload.spread) if f"spread {number}" in texts))


def only_guest(guest: GuestRequest, texts: Collection[str]) -> GuestRequest:
    devices: list[DeviceRequest] = []
    leaning = 0
    for index, request in enumerate(guest.devices):
        if f"{guest.name} count {index}" in texts:
            near = request.near if f"{guest.name} near {index}" in texts else None
            leaning += request.count if near is not None else 0
            devices.append(replace(request, near=near, peers=request.peers if f"{guest.name} peers {index}" in texts else None))
    asked = sum(request.count for request in devices if request.kind is Kind.GPU)
    offered = any(request.kind is Kind.GPU for request in guest.devices)
    whole = all(f"{guest.name} count {index}" in texts for index, request in enumerate(guest.devices) if request.kind is Kind.GPU)
    if leaning > asked and offered and not whole:
        devices.append(DeviceRequest(Kind.GPU, leaning - asked))
    return replace(guest, devices=tuple(devices),
                   tee=guest.tee if f"{guest.name} tee" in texts else TeeKind.NONE,
                   numa=guest.numa if f"{guest.name} numa" in texts else NumaRule.PREFER,
                   cpus=guest.cpus if f"{guest.name} cpus" in texts else 1,
                   memory_bytes=guest.memory_bytes if f"{guest.name} memory" in texts else guest.hugepage_bytes or 1 << 20,
                   isolation=tuple(kind for kind in guest.isolation if f"{guest.name} isolation {kind}" in texts),
                   protected_pcie=guest.protected_pcie and f"{guest.name} protected_pcie" in texts)


@pytest.mark.slow
@pytest.mark.parametrize("case", ONE, ids=one)
def test_whatever_is_offered_helps(case: Case) -> None:
    host = case.opened()
    problem = build(case.workload, host)
    answer = solve(case.workload, host)
    assert isinstance(answer, Infeasible)
    core, _ = minimal_core(problem, problem.labels())
    search = relax._Search(problem.facts, 0)
    changes = {change.text: change.workload for change in search.changes(case.workload, core, relax._MOST_TOGETHER)}
    if not changes and (last := search.stripped(case.workload)) is not None:
        changes = {last.text: last.workload}
    for relaxation in answer.relaxations:
        changed = (changes[relaxation.text], host) if relaxation.text in changes else (case.workload, other_host(relaxation.text, case.workload, host))
        assert isinstance(solve(*changed), Planned), relaxation.text
    assert [relaxation.cost for relaxation in answer.relaxations] == sorted(relaxation.cost for relaxation in answer.relaxations)
    assert bool(answer.relaxations) is not (case.name in HOPELESS), [relaxation.text for relaxation in answer.relaxations]


HOPELESS = {"devices: a kind that is not there"}
"""One guest that asks for one thing which the host has nothing like."""


def other_host(text: str, workload: Workload, host: Host) -> Host:
    """The host that a sentence about ACS or firmware describes."""
    if text.startswith("ACS "):
        ports = [Address.parse(found) for found in re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", text)]
        bits = AcsBits.NONE
        for name in re.findall(r"\b(SV|RR|CR|UF)\b", text):
            bits |= AcsBits[name]
        return host.with_functions(*(replace(function, iommu_group=UNKNOWN) for function in host.functions)).with_functions(
            *(replace(host[port], iommu_group=UNKNOWN, acs=Acs(host[port].acs.capability, host[port].acs.control | bits)) for port in ports))  # type: ignore[union-attr, operator]
    if text.startswith("the firmware's switch for ACS"):
        return host.with_functions(*(replace(function, iommu_group=UNKNOWN, acs=Acs(REQUIRED_ACS, REQUIRED_ACS) if function.port_type is PortType.ROOT_PORT and function.acs is None
                                             else function.acs) for function in host.functions))
    assert text.startswith("the firmware's switch for SR-IOV"), text
    wanted = [request for guest in workload.guests for request in guest.devices if request.share.virtual]
    return host.with_functions(*(replace(function, sriov=Sriov(64, 64, 0, 1, 1)) for function in host.functions
                                 if function.sriov is None and any(request.fits(function) for request in wanted)))


@pytest.mark.parametrize("case", MANY, ids=one)
def test_of_several_hosts_the_same(case: Case) -> None:
    fleet = case.fleet()
    answer = solve_fleet(case.workload, fleet)
    assert isinstance(answer, Infeasible)
    assert len(answer.because) == len(case.core)
    assert all(reason.text.startswith(text) for reason, text in zip(answer.because, case.core, strict=True)), [reason.text for reason in answer.because]
    assert answer.relaxations
    for relaxation in answer.relaxations:
        assert isinstance(solve_fleet(*as_told(relaxation.text, case.workload, fleet)), Planned), relaxation.text


def as_told(text: str, workload: Workload, fleet: Fleet) -> tuple[Workload, Fleet]:
    """What a sentence about a fleet says, done to the workload or the fleet."""
    text = re.sub(r", or (any other|others) of .*$", "", text)
    if found := re.fullmatch(r"(\d+) more hosts? like (\S+)", text):
        like = next(member for member in fleet.members if member.name == found[2])
        more = tuple(Member(f"more-{number}", like.host, f"more-{number}") for number in range(int(found[1])))
        return workload, replace(fleet, members=(*fleet.members, *more))
    if text.startswith("without the rule"):
        return replace(workload, spread=()), fleet
    if text.endswith("not kept free"):
        return replace(workload, keep_free=()), fleet
    if found := re.fullmatch(r"without (.*)", text):
        gone = re.split(r", | and ", found[1])
        rules = tuple(replace(rule, guests=tuple(name for name in rule.guests if name not in gone)) for rule in workload.spread)
        return replace(workload, guests=tuple(guest for guest in workload.guests if guest.name not in gone), spread=rules), fleet
    text, _, others = text.partition(", and so ")
    name, change = text.split(" ", 1)
    names = {name, *(re.split(r", | and ", others) if others else ())}
    return replace(workload, guests=tuple(less(guest, change) if guest.name in names else guest for guest in workload.guests)), fleet


def less(guest: GuestRequest, change: str) -> GuestRequest:
    if found := re.match(r"with (\d+) CPUs? in", change):
        return replace(guest, cpus=int(found[1]))
    if found := re.match(r"with (\d+) GiB of memory", change):
        return replace(guest, memory_bytes=int(found[1]) << 30)
    if found := re.match(r"with (\d+) \S*GPUs? in", change):
        return replace(guest, devices=(replace(guest.devices[0], count=int(found[1])), *guest.devices[1:]))
    if change.startswith("with GPUs of any model"):
        return replace(guest, devices=(replace(guest.devices[0], model=None), *guest.devices[1:]))
    if change.startswith("with CPUs and memory from any"):
        return replace(guest, numa=NumaRule.PREFER)
    if change == "without its 1 NIC":
        return replace(guest, devices=guest.devices[:1])
    if found := re.match(r"with each NIC up to (\w+) from", change):
        near = guest.devices[1].near
        assert near is not None
        return replace(guest, devices=(guest.devices[0], replace(guest.devices[1], near=type(near)[found[1]])))
    assert re.match(r"without (sev-snp|tdx), so not confidential", change), change
    return replace(guest, tee=TeeKind.NONE)
