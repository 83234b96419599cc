"""Where an answer rests on facts that nobody knows it is neither yes nor no, and says which facts, and what follows from either way."""

from dataclasses import replace

from simkit.cli.solve import describe, document
from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.unknown import UNKNOWN
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Workload
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned, Undecided
from simkit.solve.solve import solve


def test_unknown_acs_leaves_it_open_and_both_ways_are_told() -> None:
    host = open_host("hgx-h100")
    host = host.with_functions(*(replace(function, acs=UNKNOWN if function.is_bridge else function.acs, iommu_group=UNKNOWN) for function in host.functions))
    answer = solve(open_workload("two-guests"), host)
    assert isinstance(answer, Undecided)
    assert any("ACS of 0000:02:00.0 is unknown" in fact.text for fact in answer.facts)
    apart, together = answer.cases
    assert isinstance(apart.answer, Planned)
    assert check(apart.answer.plan) == ()
    assert isinstance(together.answer, Infeasible)
    told = describe(answer, ())
    assert "undecided: it depends on how the kernel groups devices" in told
    assert "if all of these isolate:\n  planned: 2 guests" in told
    assert [case["answer"] for case in document(answer, ())["cases"]] == ["planned", "infeasible"]


def test_what_fits_neither_way_is_refused() -> None:
    """Nine GPUs of eight: no ACS register helps."""
    host = open_host("hgx-h100")
    host = host.with_functions(*(replace(function, acs=UNKNOWN if function.is_bridge else function.acs, iommu_group=UNKNOWN) for function in host.functions))
    assert isinstance(solve(open_workload("three-guests"), host), Infeasible)


def test_unknown_virtual_functions_leave_it_open() -> None:
    host = open_host("hgx-h100")
    host = host.with_functions(*(replace(function, sriov=UNKNOWN) for function in host.functions))
    answer = solve(open_workload("two-guests"), host)
    assert isinstance(answer, Undecided)
    assert any("how many virtual functions 0000:04:00.0" in fact.text for fact in answer.facts)
    assert isinstance(answer.cases[0].answer, Infeasible)


def test_functions_of_one_device_are_taken_to_have_virtual_ones_at_addresses_of_their_own() -> None:
    """A card of two ports, of neither of which SR-IOV is known, or which both have none: no address is given twice."""
    host = open_host("xe8640")
    port = host[Address.parse("0000:4c:00.0")]
    for stated in (UNKNOWN, None):
        both = [replace(port, sriov=stated, multifunction=True), replace(port, address=replace(port.address, function=1), sriov=stated, multifunction=True)]
        twice = replace(host, functions=tuple(sorted((*(function for function in host.functions if function != port), *both), key=lambda function: function.address)))
        answer = solve(Workload("w", (GuestRequest("a", (DeviceRequest(Kind.NIC, 4, Share.VF, model="ConnectX-6"),)),)), twice)
        if stated is None:
            assert isinstance(answer, Infeasible)
            assert any("SR-IOV on" in change.text for change in answer.relaxations), answer.relaxations
        else:
            assert isinstance(answer, Undecided)
            assert [fact.text.split(" (")[0] for fact in answer.facts] == [f"how many virtual functions 0000:4c:00.{number}" for number in (0, 1)]
