"""MIG instances and vGPUs: against every way to seat instances on slices, and a list of geometries that another project keeps."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.errors import MalformedDocument
from simkit.formats.native.plan import dump_plan, load_plan
from simkit.formats.native.workload import dump_workload, load_workload
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, BusRange, PortType, Sriov
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.numa import CpuSet, NumaNode
from simkit.model.platform import Cpu, IommuKind
from simkit.model.unknown import UNKNOWN, is_known
from simkit.model.workload import DeviceRequest, GuestRequest, Share, Workload
from simkit.semantics.gpu_profiles import mig_profiles, most_vgpus, place
from simkit.semantics.placement import check
from simkit.solve.answer import Infeasible, Planned
from simkit.solve.solve import solve

LINUX = Acs(AcsBits(0x5F), AcsBits(0x1D))
NAMES = {name: profile for profile in ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb") for name in (profile,)}

A100_40 = {"1g.5gb": (range(7), 1), "1g.10gb": ((0, 2, 4, 6), 2), "2g.10gb": ((0, 2, 4), 2), "3g.20gb": ((0, 4), 4), "4g.20gb": ((0,), 4), "7g.40gb": ((0,), 8)}
GEOMETRIES = [{"7g.40gb": 1}, {"4g.20gb": 1, "2g.10gb": 1, "1g.5gb": 1}, {"4g.20gb": 1, "1g.5gb": 3}, {"3g.20gb": 2}, {"3g.20gb": 1, "2g.10gb": 1, "1g.5gb": 1},
              {"3g.20gb": 1, "1g.5gb": 3}, {"2g.10gb": 2, "3g.20gb": 1}, {"2g.10gb": 1, "1g.5gb": 2, "3g.20gb": 1}, {"2g.10gb": 3, "1g.5gb": 1},
              {"2g.10gb": 2, "1g.5gb": 3}, {"2g.10gb": 1, "1g.5gb": 5}, {"1g.5gb": 7}]
"""nebuly-ai/nos, pkg/gpu/mig/known_configs.go, for the A100 of 40 GB."""


def gpus(count: int, vfs: int = 8, device: int = 0x20B0) -> Host:
    functions = []
    for number in range(count):
        root = Address(0, 0, 1 + number, 0)
        functions.append(Function(root, RootBus(0, 0), 1, 1, 0x060400, port_type=PortType.ROOT_PORT, multifunction=False, bus_range=BusRange(1 + 2 * number, 2 + 2 * number), acs=LINUX, numa_node=0))
        functions.append(Function(Address(0, 1 + 2 * number, 0, 0), root, 0x10DE, device, 0x030200, name="A100", port_type=PortType.ENDPOINT, multifunction=False, acs=None, numa_node=0,
                                  sriov=Sriov(vfs, vfs, 0, 4, 1, 0x20B0, enabled=False), driver="nvidia"))
    return Host("gpus", tuple(functions), (NumaNode(0, CpuSet.of(range(64)), 1 << 40),), Cpu(threads_per_core=1), IommuKind.AMD, (), kernel="6.12.0")


def seats(profiles: list[str]) -> bool:
    """Every start of every instance."""
    for starts in product(*(A100_40[name][0] for name in profiles)):
        covered = [at for name, start in zip(profiles, starts, strict=True) for at in range(start, start + A100_40[name][1])]
        if len(set(covered)) == len(covered):
            return True
    return False


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_known_geometries_have_a_place(geometry: dict[str, int]) -> None:
    there = mig_profiles(gpus(1).functions[1])
    assert is_known(there)
    by_name = {profile.name: profile for profile in there}
    assert place([by_name[name] for name, count in geometry.items() for _ in range(count)]) is not None


@given(st.lists(st.sampled_from(sorted(A100_40)), max_size=5))
def test_places_are_found_exactly_where_there_are_some(names: list[str]) -> None:
    there = mig_profiles(gpus(1).functions[1])
    assert is_known(there)
    by_name = {profile.name: profile for profile in there}
    starts = place([by_name[name] for name in names])
    assert (starts is not None) == seats(names)
    if starts is not None:
        covered = [at for name, start in zip(names, starts, strict=True) for at in range(start, start + A100_40[name][1])]
        assert len(set(covered)) == len(covered)


@settings(max_examples=30)
@given(st.integers(1, 2), st.lists(st.tuples(st.sampled_from(["1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb", "A100-10C", "A100-20C", "whole", "vf"]), st.integers(1, 3)), min_size=1, max_size=3))
def test_a_plan_is_found_exactly_where_there_is_one(count: int, wishes: list[tuple[str, int]]) -> None:
    host = gpus(count)
    requests = [DeviceRequest(Kind.GPU, number, Share.PF if what == "whole" else Share.VF if what == "vf" else Share.MIG if "g." in what else Share.VGPU,
                              profile=None if what in ("whole", "vf") else what) for what, number in wishes]
    answer = solve(Workload("parts", tuple(GuestRequest(f"g{number}", (request,), memory_bytes=1 << 30) for number, request in enumerate(requests))), host)
    items = [what for what, number in wishes for _ in range(number)]
    there = any(all(holds([item for item, home in zip(items, homes, strict=True) if home == gpu]) for gpu in range(count)) for homes in product(range(count), repeat=len(items)))
    assert isinstance(answer, Planned if there else Infeasible), answer
    if isinstance(answer, Planned):
        assert check(answer.plan) == ()
        assert load_plan(dump_plan(answer.plan), source="plan.json") == answer.plan


def holds(items: list[str]) -> bool:
    """Whether one A100 of 40 GB with eight virtual functions takes these."""
    kinds = {"whole" if item == "whole" else "mig" if "g." in item else item for item in items}
    if not items or kinds == {"whole"}:
        return len(items) <= 1
    if len(kinds) > 1 or len(items) > 8:
        return False
    return {"mig": lambda: seats(items), "A100-10C": lambda: len(items) <= 4, "A100-20C": lambda: len(items) <= 2, "vf": lambda: True}[kinds.pop()]()


def test_overlaps_and_mixtures_are_told_by_the_checker() -> None:
    host = gpus(1)
    wish = Workload("w", (GuestRequest("a", (DeviceRequest(Kind.GPU, 2, Share.MIG, profile="3g.20gb"),), memory_bytes=1 << 30),))
    answer = solve(wish, host)
    assert isinstance(answer, Planned)
    guest = answer.plan.guests[0]
    assert Counter(device.mig_start for device in guest.devices) == {0: 1, 4: 1}
    assert any("nvidia-smi mig -i 0000:01:00.0 -cgi 3g.20gb:0,3g.20gb:4 -C" in text for text in answer.plan.assumptions)
    overlap = replace(answer.plan, guests=(replace(guest, devices=tuple(replace(device, mig_start=0) for device in guest.devices)),))
    assert "MIG instances of 0000:01:00.0 overlap" in check(overlap)
    odd = replace(answer.plan, guests=(replace(guest, devices=tuple(replace(device, mig_start=3) for device in guest.devices)),))
    assert any("has no MIG instance 3g.20gb from slice 3" in fault for fault in check(odd))


def test_what_a_gpu_does_not_have_is_told() -> None:
    for device, profile, told in [(0x20B0, "3g.40gb", "has no MIG profile 3g.40gb; it has 1g.5gb"), (0x1234, "3g.40gb", "is unknown")]:
        wish = Workload("w", (GuestRequest("a", (DeviceRequest(Kind.GPU, 1, Share.MIG, profile=profile),), memory_bytes=1 << 30),))
        answer = solve(wish, gpus(1, device=device))
        assert isinstance(answer, Infeasible)
        assert told in answer.because[0].text
    assert most_vgpus(gpus(1).functions[1], "A100-20C") == 2
    assert most_vgpus(gpus(1).functions[1], "A100-80C") is None
    assert most_vgpus(gpus(1, device=0x1234).functions[1], "A100-20C") is UNKNOWN


def test_shares_and_profiles_go_together(tmp_path) -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: gpu, share: mig, profile: 3g.40gb, count: 2}, {kind: gpu, share: vgpu, profile: H100-20C}]}\n"
    found = load_workload(text, source="w.yaml")
    assert load_workload(dump_workload(found), source="x") == found
    for wrong in ("share: mig", "share: vf, profile: 3g.40gb", "profile: 3g.40gb"):
        with pytest.raises(MalformedDocument, match="profile"):
            load_workload(f"simkit: workload/1\nname: w\nguests:\n  a: {{devices: [{{kind: gpu, {wrong}}}]}}\n", source="w.yaml")
