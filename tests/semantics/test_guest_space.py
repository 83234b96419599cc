"""Address space of guests: windows by port as firmware lays them out, and what is too much. `tests/emulated` holds the same against booted guests."""

from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.formats.source import open_host, open_workload
from simkit.model.address import Address
from simkit.model.capabilities import Bar, BarKind, Sriov
from simkit.model.guest import GuestDevice, GuestPlan, GuestPort, GuestPortKind
from simkit.model.host import Host
from simkit.model.platform import TeeKind
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.model.workload import Topology
from simkit.semantics.guest_limits import shortfalls
from simkit.semantics.guest_space import GuestSpace, guest_space
from simkit.semantics.guest_windows import GIB, KIB, MIB, Firmware, PortWindows, port_windows
from simkit.semantics.placement_tree import check_tree
from simkit.solve.answer import Planned
from simkit.solve.solve import solve

H100 = open_host("hgx-h100")
GPUS = [function.address for function in H100.functions if function.kind == "gpu"]
ROOT, DOWN = GuestPortKind.ROOT, GuestPortKind.DOWNSTREAM


def sized(host: Host, *bars: Bar) -> Host:
    """The host with these BARs on every GPU."""
    return host.with_functions(*(replace(host[address], bars=bars) for address in GPUS))


def prefetchable(size: int) -> Bar:
    return Bar(0, BarKind.MEM64, size, prefetchable=True)


def flat(count: int, *, memory: int = 8 * GIB, tee: TeeKind = TeeKind.NONE) -> GuestPlan:
    ports = tuple(GuestPort(f"rp{number}", ROOT, None, 7 + number, number + 1) for number in range(count))
    devices = tuple(GuestDevice(GPUS[number], f"rp{number}") for number in range(count))
    return GuestPlan("g", tee, Topology.FLATTEN, 1, memory, ports, devices, ())


def of(space: GuestSpace, port: str) -> PortWindows:
    return next(each for each in space.ports if each.port == port)


def test_a_gpu_with_128_gib_in_its_window() -> None:
    """By hand: 128 GiB, then 32 MiB rounded to 1 MiB; the port's other windows are what OVMF keeps for hot-plug."""
    bars = (Bar(0, BarKind.MEM64, 16 * MIB, prefetchable=True), Bar(2, BarKind.MEM64, 128 * GIB, prefetchable=True), Bar(4, BarKind.MEM64, 32 * MIB, prefetchable=True))
    space = guest_space(sized(H100, *bars), flat(2))
    window = of(space, "rp0")
    assert (window.prefetchable.size_bytes, window.prefetchable.alignment_bytes) == (128 * GIB + 48 * MIB, 128 * GIB)
    assert (window.memory.size_bytes, window.io.size_bytes) == (2 * MIB, 0)
    assert space.roots[0].prefetchable.size_bytes == 384 * GIB + 48 * MIB, 'the second begins at a multiple of 128 GiB'
    assert space.mmio64_bytes == 512 * GIB
    assert space.mmio64_mib == 512 * KIB
    assert space.over == () and space.missing == ()


def test_address_bits_are_reached() -> None:
    """Eight windows of 4 TiB: 64 TiB with what is beside them, which 46 bits do not hold."""
    host = sized(H100, prefetchable(4096 * GIB))
    assert guest_space(host, flat(7)).over != ()
    assert "46 bits" in guest_space(host, flat(8)).over[-1]
    assert guest_space(host, flat(1)).over == ()
    small = sized(H100, prefetchable(128 * GIB))
    assert guest_space(small, flat(8), phys_bits=48).over == ()
    narrow = guest_space(small, flat(8), phys_bits=40)
    assert "behind the 40 bits" in narrow.over[-1]
    assert guest_space(small, flat(2), phys_bits=40).over == ()
    assert guest_space(small, flat(2)).assumed and not guest_space(small, flat(2), phys_bits=46).assumed


def test_memory_pushes_the_window_up() -> None:
    host = sized(H100, prefetchable(128 * GIB))
    assert guest_space(host, flat(2, memory=8 * GIB), phys_bits=40).mmio64_base == 512 * GIB
    much = guest_space(host, flat(2, memory=600 * GIB), phys_bits=40)
    assert much.mmio64_base == 1024 * GIB
    assert much.over


@pytest.mark.parametrize(("tee", "bits"), [(TeeKind.TDX, 47), (TeeKind.SEV_SNP, 51), (TeeKind.NONE, 52)])
def test_a_tee_takes_bits(tee: TeeKind, bits: int) -> None:
    assert guest_space(H100, flat(1, tee=tee), firmware=Firmware.SEABIOS).address_bits == bits
    assert guest_space(H100, flat(1, tee=tee)).address_bits == 46


def test_memory_below_4_gib_is_counted() -> None:
    big = Bar(0, BarKind.MEM32, 256 * MIB)
    assert guest_space(sized(H100, big), flat(3)).over == ()
    assert "MiB of memory windows below 4 GiB" in guest_space(sized(H100, big), flat(4)).over[0]
    either = replace(big, kind=BarKind.MEM64)
    assert "below 4 GiB" in guest_space(sized(H100, either), flat(4)).over[0], "a bridge has no window above 4 GiB for what is not prefetchable"


def test_what_is_prefetchable_with_32_bits_stays_below_4_gib() -> None:
    """Alone in a prefetchable window that is then low; beside 64-bit ones it goes to the other window (`DegradeResource`)."""
    narrow = Bar(0, BarKind.MEM32, 64 * MIB, prefetchable=True)
    port = GuestPort("rp", ROOT, None, 7)
    root, alone = port_windows([port], {"rp": [narrow]}, Firmware.OVMF, 0)
    assert (alone.prefetchable.size_bytes, alone.prefetchable_below_4g) == (64 * MIB, True)
    assert root.prefetchable.size_bytes == 0 and root.memory.size_bytes > 64 * MIB
    _, beside = port_windows([port], {"rp": [narrow, replace(prefetchable(GIB), index=2)]}, Firmware.OVMF, 0)
    assert (beside.memory.size_bytes, beside.prefetchable.size_bytes, beside.prefetchable_below_4g) == (64 * MIB, GIB, False)


def test_io_windows_are_counted() -> None:
    """A BAR of 128 bytes takes a window of 4 KiB; bridges below share their parents'."""
    io = sized(H100, Bar(5, BarKind.IO, 128))
    assert of(guest_space(io, flat(8)), "rp3").io.size_bytes == 4 * KIB
    ports = tuple(GuestPort(f"rp{number}", ROOT, None, number, number) for number in range(17))
    bars = {port.id: [Bar(5, BarKind.IO, 128)] for port in ports}
    assert port_windows(ports, bars, Firmware.OVMF, 0)[0].io.size_bytes == 17 * 4 * KIB
    guest = replace(flat(1), ports=ports, devices=tuple(GuestDevice(GPUS[0], port.id) for port in ports))
    assert any("I/O windows of 68 KiB" in text for text in guest_space(io, guest).over)


def test_unknown_is_named_and_not_counted() -> None:
    host = H100.with_functions(replace(H100[GPUS[1]], bars=UNKNOWN), replace(H100[GPUS[2]], bars=(Bar(0, BarKind.MEM64, UNKNOWN, prefetchable=True),)))
    space = guest_space(host, flat(3))
    assert [(missing.address, missing.path) for missing in space.missing] == [(address, f"functions/{address}/bars") for address in GPUS[1:3]]
    assert guest_space(H100, flat(3)).missing == ()
    virtual = replace(flat(1), devices=(GuestDevice(Address.parse("0000:ff:01.0"), "rp0", vf_of=GPUS[0], vf_index=0),))
    assert "does not exist yet" in guest_space(H100, virtual).missing[0].why
    nic = next(function for function in H100.functions if isinstance(function.sriov, Sriov))
    told = H100.with_functions(replace(nic, sriov=replace(nic.sriov, vf_bars=(prefetchable(GIB),))))
    of_nic = replace(virtual, devices=(replace(virtual.devices[0], vf_of=nic.address),))
    assert guest_space(told, of_nic).missing == ()
    assert of(guest_space(told, of_nic), "rp0").prefetchable.size_bytes == GIB


def test_interrupt_vectors_are_added_up() -> None:
    def vectors(count: int) -> GuestSpace:
        return guest_space(H100.with_functions(*(replace(H100[address], msix_vectors=count) for address in GPUS)), flat(2))

    assert vectors(2028).vectors == 4056 and vectors(2028).over == ()
    assert "4096 MSI-X vectors" in vectors(2048).over[-1]
    assert isinstance(guest_space(H100.with_functions(replace(H100[GPUS[0]], msix_vectors=UNKNOWN)), flat(2)).vectors, Unknown)


def test_what_is_over_is_a_fault_of_the_tree() -> None:
    """The checker of plans and the limits' property ask the same function."""
    host = sized(H100, prefetchable(16384 * GIB))
    assert any("behind the 46 bits" in fault for fault in check_tree(host, flat(8)))
    assert check_tree(sized(H100, prefetchable(128 * GIB)), flat(8)) == ()
    assert set(shortfalls(flat(8).ports, flat(8).devices)) <= set(guest_space(host, flat(8)).over)


def test_shipped_plans_fit() -> None:
    counted = 0
    for workload, name in (("two-guests", "hgx-h100"), ("edge-inference", "edge-single"), ("rdma-pair", "hgx-h100"), ("one-gpu-each", "split-roots"), ("eight-rtx", "rtx-pro-8")):
        answer = solve(open_workload(workload), open_host(name))
        assert isinstance(answer, Planned)
        for guest in answer.plan.guests:
            space = guest_space(answer.plan.host, guest)
            assert space.over == ()
            assert len(space.ports) == len(guest.ports)
            counted += len(space.ports)
    assert counted > 30


SIZES = st.lists(st.integers(12, 38), max_size=3)


@given(st.lists(SIZES, min_size=1, max_size=5), st.sampled_from(Firmware), st.booleans(), st.integers(0, 46))
def test_every_window_holds_what_is_in_it(sizes: list[list[int]], firmware: Firmware, switched: bool, aperture: int) -> None:
    """All parts find room in a window of that size in some order: all orders are tried."""
    above = [GuestPort("rp", ROOT, None, 7), GuestPort("up", GuestPortKind.UPSTREAM, "rp", 0)] if switched else []
    leaves = [GuestPort(f"p{number}", DOWN if switched else ROOT, "up" if switched else None, number) for number in range(len(sizes))]
    bars = {port.id: [Bar(index, BarKind.MEM64, 1 << size, prefetchable=True) for index, size in enumerate(wanted)] for port, wanted in zip(leaves, sizes, strict=True)}
    found = {each.port: each.prefetchable for each in port_windows([*above, *leaves], bars, firmware, 1 << aperture)}
    for port, wanted in zip(leaves, sizes, strict=True):
        window = found[port.id]
        assert _fits([(1 << size, 1 << size) for size in wanted], window.size_bytes)
        assert all(window.alignment_bytes % (1 << size) == 0 for size in wanted)
    inner = [(found[port.id].size_bytes, found[port.id].alignment_bytes) for port in leaves]
    for port in ("up", "rp") if switched else (None,):
        assert _fits(inner, found[port].size_bytes)
    if switched:
        assert all(one.size_bytes <= two.size_bytes for one, two in pairwise((found["up"], found["rp"], found[None])))


def _fits(parts: list[tuple[int, int]], room: int) -> bool:
    return any(_laid(order) <= room for order in permutations(part for part in parts if part[0]))


def _laid(order: tuple[tuple[int, int], ...]) -> int:
    at = 0
    for size, alignment in order:
        at += -at % alignment + size
    return at
