"""The same bytes for the same input and seed, in every process and whatever Python hashes strings to: plans, reasons, changes; one host and several."""

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from simkit.formats.library import folder
from simkit.formats.native.plan import dump_plan
from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host, open_workload
from simkit.model.fleet import Fleet
from simkit.model.workload import Workload
from simkit.plan.plan import with_steps
from simkit.solve.answer import Answer, Infeasible, Planned
from simkit.solve.fleet.solve import solve_fleet
from simkit.solve.solve import solve
from tests.solve.cases import Case, opened

ONE = {
    "two-guests": (open_workload("two-guests"), "hgx-h100"),
    "whole-machine": (open_workload("whole-machine"), "hgx-h100"),
    "gives-up": (open_workload("gives-up"), "hgx-h100"),
    "strict-numa": (open_workload("strict-numa"), "gb200"),
}
OTHERS = {
    "parts": ("guests: {a: {devices: [{kind: gpu, share: mig, profile: 3g.20gb, count: 2}]}, b: {devices: [{kind: gpu, share: mig, profile: 1g.5gb, count: 5}]},"
              " c: {devices: [{kind: gpu, share: vgpu, profile: A100-10C}]}}", {"switches": ["a100 a100", "a100"]}),
    "apart": ("guests: {a: {isolation: [switch, path], devices: [{kind: gpu}]}, b: {isolation: [reset], devices: [{kind: gpu}]}, c: {devices: [{kind: nic, share: vf}]}}\n"
              "spread: [{guests: [a, b], by: numa}]\nkeep_free: [{kind: gpu}]", {"switches": ["gpu gpu vnic", "gpu gpu vnic"]}),
    "apart, and too many": ("guests: {a: {isolation: [switch], devices: [{kind: gpu}]}, b: {isolation: [switch], devices: [{kind: gpu}]}, c: {isolation: [switch], devices: [{kind: gpu}]}}",
                            {"switches": ["gpu gpu", "gpu gpu"]}),
}
FLEETS = {
    "a rack": "guests: {a: {devices: [{kind: gpu, count: 3}]}, b: {devices: [{kind: gpu, count: 2, peers: PIX}]}, c: {devices: [{kind: gpu}]}}\nspread: [{guests: [a, b, c], by: host, most: 2}]",
    "a rack, and too many": "guests: {a: {devices: [{kind: gpu, count: 3}]}, b: {devices: [{kind: gpu, count: 3}]}, c: {devices: [{kind: gpu, count: 3}]}}",
}
RACK = {"fleet": [{"host": {"switches": ["gpu gpu", "gpu gpu"]}, "count": 2, "domain": "one"}]}


def read(text: str) -> Workload:
    return load_workload(f"simkit: workload/1\nname: w\n{text}\n", source="w.yaml")


def said(answer: Answer) -> str:
    """Everything that an answer says; paths of the library aside, nothing of the machine is in it."""
    if isinstance(answer, Planned):
        return "\n".join([*(dump_plan(with_steps(plan)) for plan in answer.plans), *answer.because])
    assert isinstance(answer, Infeasible)
    return repr(answer).replace(str(folder()), "models")


def rack() -> Fleet:
    return Case("rack", read("guests: {a: {}}"), RACK, ()).fleet()


@cache
def digests(seed: int) -> str:
    """One line for each question."""
    answers = [solve(workload, open_host(host), seed=seed) for workload, host in ONE.values()]
    answers += [solve(read(text), opened(host), seed=seed) for text, host in OTHERS.values()]
    answers += [solve_fleet(read(text), rack(), seed=seed) for text in FLEETS.values()]
    return "\n".join(hashlib.sha256(said(answer).encode()).hexdigest() for answer in answers)


def test_the_questions_have_answers_of_both_kinds() -> None:
    answers = [*(solve(read(text), opened(host)) for text, host in OTHERS.values()), *(solve_fleet(read(text), rack()) for text in FLEETS.values())]
    assert [type(answer) for answer in answers] == [Planned, Planned, Infeasible, Planned, Infeasible]


@pytest.mark.parametrize(("hashes", "seed"), [("1", 0), ("77", 0), ("123", 5)])
def test_another_process_says_the_same(hashes: str, seed: int) -> None:
    script = f"from tests.solve.test_same_bytes import digests\nprint(digests({seed}))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": hashes, "PATH": "/usr/bin:/bin"})
    assert done.stdout.split() == digests(seed).split()
