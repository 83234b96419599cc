"""Huge pages in a rehearsal: the copy has little memory, so that a few small pages stand for those that guests ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simkit.executors.lab import Lab
from simkit.executors.lab.errors import LabUnavailable
from simkit.executors.lab.machine import express
from simkit.executors.lab.rehearse import rehearse, rehearsed
from simkit.formats.source import open_host, open_workload
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.plan import Plan
from simkit.model.step import StepKind, Write
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

POOL = "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"


def plan_with_pages() -> Plan:
    """Four guests; two of them have 64 GiB each in pages of 1 GiB."""
    wish = open_workload("one-gpu-each")
    wish = replace(wish, guests=tuple(replace(guest, hugepage_bytes=1 << 30 if index < 2 else None) for index, guest in enumerate(wish.guests)))
    answer = solve(wish, open_host("split-roots"))
    assert isinstance(answer, Planned)
    return answer.plan


@pytest.mark.parametrize(("pools", "writes", "said"), [
    ((HugePages(2 << 20, 1, 0), HugePages(1 << 30, 0, 0)), [(Write(POOL, "9"),)], "huge pages of a, b are rehearsed as 4 of 2 MiB on node0 each"),
    ((HugePages(64 << 10, 0, 0),), [], "huge pages of a, b are rehearsed as none: the kernel has no pages of 2 MiB")])
def test_a_few_small_pages_stand_for_all(pools: tuple[HugePages, ...], writes: list[tuple[Write, ...]], said: str) -> None:
    plan = plan_with_pages()
    machine = express(plan.host, kernel="6.12.0")
    made = rehearsed(plan, machine, replace(machine.host, numa_nodes=(NumaNode(0, CpuSet.of([0]), 512 << 20, 0, (10,), pools),)))
    assert [step.do for step in made.steps if step.kind is StepKind.HUGEPAGES] == writes
    assert said in made.assumptions


def test_without_huge_pages_nothing_is_said_of_them() -> None:
    plan = plan_with_pages()
    plan = replace(plan, guests=tuple(replace(guest, hugepage_bytes=None) for guest in plan.guests))
    machine = express(plan.host, kernel="6.12.0")
    assert not [text for text in rehearsed(plan, machine, machine.host).assumptions if "huge page" in text]


@pytest.mark.lab
def test_they_are_reserved_and_given_back_on_a_booted_kernel(tmp_path: Path) -> None:
    try:
        Lab().check()
    except LabUnavailable as error:
        pytest.skip(str(error))
    found = rehearse(plan_with_pages(), Lab())
    assert found
    assert [step.do for step in found.plan.steps if step.kind is StepKind.HUGEPAGES] == [(Write(POOL, "8"),)]
