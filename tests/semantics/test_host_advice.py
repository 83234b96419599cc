"""What the host does for the guests of a plan: CPUs, interrupts and huge pages, each number derived again here."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.source import open_host
from simkit.model.advice import Aim, Call, Lasts
from simkit.model.guest import GuestNode
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.platform import TeeKind
from simkit.model.unknown import UNKNOWN
from simkit.plan.advised import plan_of
from simkit.plan.hugepages import hugepage_steps
from simkit.semantics.advice.advise import advise
from simkit.semantics.advice.host_side import host_side
from simkit.semantics.advice.wanted import all_devices, of_guests
from simkit.testing.small_node import small_host, small_plan

GIB, MIB = 1 << 30, 1 << 20
POOLS = (HugePages(2 * MIB, 0, 0), HugePages(GIB, 2, 1))


def world(*, pools=POOLS, kernel="6.12.0", cmdline="intel_iommu=on", cpus=((0, 1), (4,)), page=GIB, other=((2, 3),)):
    """`train` on nodes 0 and 1 with 12 and 4 GiB, `infer` on node 0 with 8 GiB; eight CPUs in all."""
    nodes = tuple(NumaNode(number, CpuSet.of(range(4 * number, 4 * number + 4)), 64 * GIB, number, (10, 20)[::1 - 2 * number], pools) for number in (0, 1))
    host = replace(small_host(), numa_nodes=nodes, kernel=kernel, cmdline=cmdline)
    train, infer = small_plan(host).guests
    own = tuple(GuestNode(number, number, CpuSet.of(each), size * GIB) for number, (each, size) in enumerate(zip(cpus, (12, 4), strict=False)))
    train = replace(train, hugepage_bytes=page, nodes=own, cpus=sum(map(len, cpus)))
    return host, (train, replace(infer, nodes=tuple(GuestNode(0, 0, CpuSet.of(each), 8 * GIB) for each in other)))


def pieces(call=None, **facts):
    host, guests = world(**facts)
    return [piece for piece in host_side(host, guests) if call is None or piece.call is call]


def test_every_piece_says_what_it_gains_costs_and_where_that_is_from():
    for piece in pieces():
        assert piece.aim is Aim.HOST
        assert piece.do and piece.gains and piece.sources and piece.how
        assert piece.costs
        assert bool(piece.parameters) == (piece.lasts is Lasts.COMMAND_LINE)


def test_vcpus_are_pinned_in_their_order():
    train, infer = (piece.do for piece in pieces(Call.SET)[:2])
    assert train == "pin train one to one, in this order: vCPUs 0-1 to host CPUs 0-1, vCPU 2 to host CPU 4"
    assert infer == "pin infer one to one, in this order: vCPUs 0-1 to host CPUs 2-3"


def test_without_cpus_there_is_only_a_question():
    found = pieces(cpus=(), other=(), page=None)
    assert [(piece.call, piece.do.split(":")[0]) for piece in found[:2]] == [
        (Call.ASK, "find out the host's CPUs and NUMA nodes (capture it)")] * 2
    assert not any("isol" in piece.do or "interrupts" in piece.do for piece in found)


def test_the_rest_of_the_cpus_is_the_hosts():
    cpuset = next(piece for piece in pieces() if "cpuset partition" in piece.do)
    interrupts = next(piece for piece in pieces() if "interrupts of the host" in piece.do)
    assert "keep CPUs 0-4 for guests" in cpuset.do and "echo 0-4 > guests/cpuset.cpus" in cpuset.how and cpuset.gains == "host processes run on 5-7 alone"
    assert interrupts.do == "let interrupts of the host go to 5-7, not to CPUs 0-4" and "echo 5-7 > $irq/smp_affinity_list" in interrupts.how
    assert "EIO" in interrupts.how and "BANNED_CPULIST=0-4" in interrupts.how


@pytest.mark.parametrize(("kernel", "there"), [("6.0.9", False), ("6.1.0", True), (UNKNOWN, True)])
def test_isolated_partitions_are_of_linux_6_1(kernel, there):
    assert any("cpuset partition" in piece.do for piece in pieces(kernel=kernel)) == there


def test_the_cpu_that_boots_keeps_its_tick():
    ticks = [piece for piece in pieces(Call.CHOICE) if "tick" in piece.do]
    assert [piece.parameters for piece in ticks] == [("nohz_full=1-4", "rcu_nocbs=1-4")]
    assert "CPU 0 is left out" in ticks[0].do
    assert not [piece for piece in pieces(Call.CHOICE, cpus=((0,),), other=()) if "tick" in piece.do]
    (away,) = (piece for piece in pieces(Call.CHOICE, cpus=((1,),), other=()) if "tick" in piece.do)
    assert "CPU 0" not in away.do
    (isolated,) = (piece for piece in pieces(Call.CHOICE) if piece.parameters and piece.parameters[0].startswith("isolcpus="))
    assert isolated.parameters == ("isolcpus=managed_irq,domain,0-4",)


def test_a_host_without_a_cpu_of_its_own():
    found = pieces(cpus=((0, 1), (4, 5, 6, 7)))
    (told,) = (piece for piece in found if piece.call is Call.BEWARE)
    assert told.do.startswith("guests have every CPU of the host (0-7)")
    assert not any(word in piece.do for piece in found for word in ("cpuset", "tick", "interrupts of"))


def test_huge_pages_that_lack_are_counted_by_node():
    (piece,) = (piece for piece in pieces() if piece.do.startswith("reserve"))
    assert piece.do == "reserve 11 more huge pages of 1 GiB on node 0 (for train), 3 more huge pages of 1 GiB on node 1 (for train)"
    assert piece.parameters == ("hugepagesz=1G hugepages=0:13,1:5",)


@pytest.mark.parametrize(("facts", "says"), [
    ({"cmdline": "hugepagesz=1G hugepages=0:2,1:2"}, "has hugepagesz=1G hugepages=0:2,1:2 already: of 1G it has to say hugepages=0:13,1:5"),
    ({"kernel": "5.15.0"}, "takes no numbers by node")])
def test_the_command_line_is_not_written_over(facts, says):
    (piece,) = (piece for piece in pieces(**facts) if piece.do.startswith("reserve"))
    assert says in piece.how
    assert piece.parameters == () and piece.lasts is Lasts.RUN_TIME


def test_a_pool_with_enough_is_no_advice():
    assert not [piece for piece in pieces(pools=(HugePages(GIB, 20, 12),)) if "huge page" in piece.do and piece.call is not Call.CHOICE]


def test_unknown_pools_and_sizes_that_there_are_not():
    asked = [piece.do.split(":")[0] for piece in pieces(Call.ASK, pools=UNKNOWN)]
    assert asked == ["look whether there are 12 huge pages of 1 GiB on node 0 for train", "look whether there are 4 huge pages of 1 GiB on node 1 for train"]
    told = pieces(pools=POOLS[:1])
    assert {piece.do.split(":")[0] for piece in told if piece.call is Call.BEWARE} == {"this kernel has no pages of 1 GiB"}
    assert not [piece for piece in told if piece.do.startswith("reserve")]


def test_guests_without_huge_pages_may_have_some_unless_their_memory_is_private():
    assert [piece.do for piece in pieces(Call.CHOICE) if "hugepages: 1 GiB" in piece.do] == [
        "back the memory of infer by huge pages: `hugepages: 1 GiB` of the guest in the workload"]
    host, (train, infer) = world()
    for tee in (TeeKind.SEV_SNP, TeeKind.TDX):
        assert not [piece for piece in host_side(host, (train, replace(infer, tee=tee))) if "hugepages: 1 GiB" in piece.do]


def test_it_is_only_said_of_guests():
    host = open_host("hgx-h100")
    assert advise(host, all_devices(host)).aims == (Aim.ISOLATE, Aim.P2P, Aim.RDMA)
    host, guests = world()
    advised = advise(host, of_guests(host, guests))
    assert advised.aims == tuple(Aim)
    assert [text for aim, text in advised.found if aim is Aim.HOST] == ["5 CPUs are guests' (0-4), 3 stay with the host (5-7); of 2 pools of huge pages 0 hold enough"]
    assert "hugepagesz=1G hugepages=0:13,1:5" in advised.cmdline
    assert "isolcpus" not in advised.cmdline


def test_the_advised_plan_reserves_them_too():
    host, guests = world()
    plan = plan_of(host, advise(host, of_guests(host, guests), (Aim.HOST,)), guests)
    assert plan is not None
    assert [(step.id, step.do) for step in plan.steps] == [
        (f"{number:03}-hugepages-{step.subject}", step.do) for number, step in enumerate(hugepage_steps(host, guests), 1)]
    assert len(plan.steps) == 2


@given(shares=st.lists(st.sets(st.integers(0, 7), max_size=4), min_size=1, max_size=4))
def test_guests_and_host_share_out_all_cpus(shares):
    """Whoever is told to keep off a CPU has another, and every CPU is on one side."""
    seen: set[int] = set()
    own = []
    for share in shares:
        own.append(tuple(share - seen))
        seen |= share
    found = pieces(cpus=(), page=None, other=tuple(own))
    for piece in found:
        if piece.do.startswith("let interrupts"):
            others, taken = re.fullmatch(r"let interrupts of the host go to (.*), not to CPUs (.*)", piece.do).groups()
            assert set(CpuSet.parse(taken)) == seen
            assert set(CpuSet.parse(others)) == set(range(8)) - seen != set()
            break
    else:
        assert seen in (set(), set(range(8)))
