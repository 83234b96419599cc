"""Guests whose devices need more address space than there is: no plan and the reason, never a fault of the checker."""

from dataclasses import replace

import pytest

from simkit.formats.native.workload import load_workload
from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.capabilities import Bar, BarKind
from simkit.model.host import Host
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

GIB = 1 << 30
H100 = open_host("hgx-h100")
GPUS = [function.address for function in H100.functions if function.kind == "gpu"]


def with_bars(sizes: dict[Address, int], *, prefetchable: bool = True) -> Host:
    return H100.with_functions(*(replace(H100[address], bars=(Bar(0, BarKind.MEM64, size, prefetchable=prefetchable),)) for address, size in sizes.items()))


def asked(count: int, topology: str) -> str:
    return f"simkit: workload/1\nname: w\nguests:\n  a: {{topology: {topology}, cpus: 8, memory: 16 GiB, devices: [{{kind: gpu, count: {count}}}]}}\n"


@pytest.mark.parametrize("topology", ["flatten", "replicate", "auto"])
def test_windows_behind_the_address_bits_are_a_reason(topology: str) -> None:
    """Eight windows of 4 TiB need 64 TiB with what is beside them, 46 bits hold 64 TiB in all."""
    answer = solve(load_workload(asked(8, topology), source="w.yaml"), with_bars(dict.fromkeys(GPUS, 4096 * GIB)))
    assert isinstance(answer, Infeasible)
    assert any("46 bits of guest physical address" in reason.text for reason in answer.because), answer.because
    assert any("GPU" in change.text for change in answer.relaxations), answer.relaxations


@pytest.mark.parametrize("topology", ["flatten", "replicate", "auto"])
def test_memory_below_4_gib_is_a_reason(topology: str) -> None:
    answer = solve(load_workload(asked(4, topology), source="w.yaml"), with_bars(dict.fromkeys(GPUS, GIB // 4), prefetchable=False))
    assert isinstance(answer, Infeasible)
    assert any("MiB of memory windows below 4 GiB" in reason.text for reason in answer.because), answer.because


@pytest.mark.parametrize("topology", ["flatten", "auto", "replicate"])
def test_devices_with_smaller_windows_are_taken_instead(topology: str) -> None:
    large = GPUS[:4]
    host = with_bars({address: GIB if address in large else GIB // 64 for address in GPUS}, prefetchable=False)
    answer = solve(load_workload(asked(3, topology), source="w.yaml"), host)
    assert isinstance(answer, Planned)
    assert check(answer.plan) == ()
    assert not {device.address for device in answer.plan.guests[0].devices} & set(large)
