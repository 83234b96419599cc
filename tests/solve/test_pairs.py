"""Two functions of one card in one IOMMU group, both asked for: they go together, and nobody else is given one of them again."""

from dataclasses import replace

import pytest

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.arrange import Arranged, arrange
from simkit.solve.problem import build
from simkit.solve.solve import solve

HOST = open_host("hgx-h100")
PAIR = tuple(Address.parse(f"0000:22:00.{number}") for number in (0, 1))
FREE = HOST.with_functions(*(replace(HOST[address], usage=None) for address in PAIR))


@pytest.mark.parametrize("other", ["{kind: nic}", "{kind: nic, count: 8}", "{kind: gpu, count: 2}, {kind: nic, count: 3}"])
def test_a_pair_is_given_away_once(other: str) -> None:
    text = f"simkit: workload/1\nname: w\nguests:\n  a: {{devices: [{{kind: nic, count: 2, model: BCM57416}}, {{kind: nvme, count: 4}}]}}\n  b: {{devices: [{other}]}}\n"
    workload = load_workload(text, source="w.yaml")
    assert isinstance(arrange(build(workload, FREE), best=False), Arranged)
    answer = solve(workload, FREE)
    assert isinstance(answer, Planned)
    assert check(answer.plan) == ()
    first, second = ({device.address for device in guest.devices} for guest in answer.plan.guests)
    assert set(PAIR) <= first
    assert first.isdisjoint(second)


def test_a_pair_is_not_parted() -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: nic, model: BCM57416}]}\n  b: {devices: [{kind: nic, model: BCM57416}]}\n"
    answer = solve(load_workload(text, source="w.yaml"), FREE)
    assert isinstance(answer, Infeasible)
    assert any(reason.text == "0000:22:00.0 and 0000:22:00.1 share an IOMMU group, which goes to one guest whole" for reason in answer.because)
