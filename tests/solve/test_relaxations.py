"""What would help: found even where many guests must go, the smallest of its kind, and within bounds of work that are counted."""

from dataclasses import replace

import pytest

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address
from simkit.model.capabilities import Acs, AcsBits, PortType
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import Workload
from simkit.semantics.what_if import what_if
from simkit.solve import relax
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.problem import build
from simkit.solve.solve import solve


def workload(*guests: str) -> Workload:
    return load_workload("simkit: workload/1\nname: w\nguests:\n" + "\n".join(f"  {guest}" for guest in guests), source="w.yaml")


def offered(asked: Workload, host: str) -> list[str]:
    answer = solve(asked, open_host(host))
    assert isinstance(answer, Infeasible)
    return [relaxation.text for relaxation in answer.relaxations]


def test_as_many_guests_are_left_out_as_it_takes() -> None:
    assert offered(open_workload("one-gpu-each"), "edge-single") == ["without b, c and d"]
    assert offered(workload(*(f"g{number}: {{devices: [{{kind: gpu}}]}}" for number in range(40))), "hgx-h100") == ["without g8, g9, g10, g11 and 28 more"]


def test_a_guest_that_fits_after_all_stays() -> None:
    """Of those left out one after the other, none could stay, though small ones went first."""
    host = open_host("hgx-h100")
    many = workload(*(f"g{number}: {{devices: [{{kind: gpu, count: {7 if number < 4 else 1}}}]}}" for number in range(9)))
    change = relax._Search(build(many, host).facts, 0).stripped(many)
    assert change is not None
    assert isinstance(solve(change.workload, host), Planned)
    for guest in many.guests:
        if guest not in change.workload.guests:
            assert isinstance(solve(Workload("more", (*change.workload.guests, guest)), host), Infeasible)


def test_gpus_are_given_up_as_far_as_their_nics_allow() -> None:
    """Four GPUs and two NICs beside two of them: two GPUs can go, a third only with a NIC."""
    asked = workload("a: {devices: [{kind: gpu, count: 7}]}", "b: {devices: [{kind: gpu, count: 3}, {kind: nic, count: 1, near: PIX}]}")
    assert "b with 1 GPU in place of 3" in offered(asked, "hgx-h100")


def test_the_search_ends_when_its_work_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relax, "_BUDGET", 0)
    assert offered(open_workload("three-guests"), "hgx-h100") == ["without batch"]


@pytest.mark.slow
def test_two_hundred_guests_are_told_what_is_too_many() -> None:
    answer = solve(workload(*(f"g{number}: {{cpus: 2, memory: 1 GiB}}" for number in range(200))), open_host("hgx-h100"))
    assert isinstance(answer, Infeasible)
    assert len(answer.because) == 193
    assert answer.because[-1].text == "g192 asks for 2 CPUs; hgx-h100 has 384, handed out in whole cores of 2"


def hgx_with(control: AcsBits | None):
    """The shipped host with ACS off at every port, or (None) without ACS at its root ports; groups made anew."""
    host = open_host("hgx-h100")
    changed = []
    for function in host.functions:
        acs = function.acs
        if control is None and function.port_type is PortType.ROOT_PORT:
            acs = None
        elif control is not None and isinstance(acs, Acs):
            acs = replace(acs, control=control)
        changed.append(replace(function, acs=acs, iommu_group=UNKNOWN))
    return host.with_functions(*changed)


def test_acs_bits_that_would_help_are_told_with_the_fewest_ports() -> None:
    host = hgx_with(AcsBits.NONE)
    answer = solve(open_workload("two-guests"), host)
    assert isinstance(answer, Infeasible)
    (told,) = [relaxation.text for relaxation in answer.relaxations if relaxation.text.startswith("ACS")]
    assert told.startswith("ACS SV, RR, CR, UF on at 0000:c0:01.1 and 0000:c2:03.0")
    on = what_if(host, acs={Address.parse(port): AcsBits(0x1D) for port in ("0000:c0:01.1", "0000:c2:03.0")})
    assert isinstance(solve(open_workload("two-guests"), on), Planned)
    for port in ("0000:c0:01.1", "0000:c2:03.0"):
        assert isinstance(solve(open_workload("two-guests"), what_if(host, acs={Address.parse(port): AcsBits(0x1D)})), Infeasible)


def test_a_firmware_switch_that_would_help_is_told() -> None:
    answer = solve(open_workload("two-guests"), hgx_with(None))
    assert isinstance(answer, Infeasible)
    assert any("firmware's switch for ACS on" in relaxation.text for relaxation in answer.relaxations)


def test_the_host_is_left_alone_where_it_is_not_at_fault() -> None:
    """Nine GPUs of eight: no switch makes a ninth."""
    assert not [text for text in offered(open_workload("three-guests"), "hgx-h100") if "ACS" in text or "firmware" in text]
