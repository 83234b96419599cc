"""A bank of workloads that cannot be: what is named is what one would name by hand, nothing of it can be left out, and every change that is offered helps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.host import Host
from simkit.model.platform import Tee, TeeKind
from simkit.model.unknown import is_known
from simkit.model.workload import Apart, Workload
from simkit.solve import relax
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.core import minimal_core
from simkit.solve.labels import KEPT, Label, What
from simkit.solve.problem import build
from simkit.solve.solve import solve

BANK: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "bank.yaml").read_text())
NAMES = [case["name"] for case in BANK]


def opened(case: dict[str, Any]) -> tuple[Workload, Host]:
    host = open_host(case["host"])
    if "keys" in case:
        host = replace(host, tees=(Tee(TeeKind.SEV_SNP, case["keys"]),))
    document = {"simkit": "workload/1", "name": "case", "guests": case["guests"]} | {key: case[key] for key in ("keep_free", "spread") if key in case}
    return load_workload(yaml.safe_dump(document), source="case.yaml"), host


def said(label: Label) -> str:
    if label.what is What.GROUP:
        return "group"
    if label.what is What.SPREAD:
        return f"spread:{label.request}"
    who = f"kept {label.guest.removeprefix(KEPT)}" if label.guest.startswith(KEPT) else label.guest
    which = tuple(Apart)[label.request].value if label.what is What.ISOLATION else label.request
    return f"{who} {label.what}" + (f":{which}" if label.request >= 0 else "")


def test_there_are_enough() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 60


@pytest.mark.parametrize("case", BANK, ids=NAMES)
def test_it_is_told_as_one_would(case: dict[str, Any]) -> None:
    workload, host = opened(case)
    problem = build(workload, host)
    core, proven = minimal_core(problem, problem.labels())
    assert proven
    assert sorted(map(said, core)) == sorted(case["core"])
    answer = solve(workload, host, prove=True)
    assert isinstance(answer, Infeasible)
    assert [certificate.says for certificate in answer.certificates] == ["these cannot hold together, and hold together without any one of them"]
    assert len(answer.because) == len(core)


@pytest.mark.slow
@pytest.mark.parametrize("case", BANK, ids=NAMES)
def test_every_change_that_is_offered_helps(case: dict[str, Any]) -> None:
    workload, host = opened(case)
    problem = build(workload, host)
    core, _ = minimal_core(problem, problem.labels())
    answer = solve(workload, host)
    assert isinstance(answer, Infeasible)
    changes = relax._Search(problem.facts, 0).changes(workload, core, 3)
    for change in changes:
        assert isinstance(solve(change.workload, host), Planned), change.text
    offered = {relaxation.text for relaxation in answer.relaxations}
    assert {change.text for change in changes} <= offered
    assert offered or len(workload.guests) == 1
    assert is_known(host.kernel)
