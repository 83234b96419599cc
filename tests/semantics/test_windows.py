"""Windows of bridges: what is below fits, or would with larger BARs or virtual functions; by hand, and against windows that QEMU's firmware made."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simkit.model.address import Address, RootBus
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Bar, BarKind, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.unknown import UNKNOWN, Unknown
from simkit.semantics.windows import STEP_BYTES, Space, WindowFit, window_fits

MIB, GIB = 1 << 20, 1 << 30
PORT, GPU = Address(0, 0, 1, 0), Address(0, 1, 0, 0)


def machine(*bars: Bar, memory: int = 16 * MIB, prefetchable: int = 512 * MIB, **facts: object) -> Host:
    """A root port with these windows, and one function below."""
    windows = BridgeWindows(None, AddressRange(0xC0000000, 0xC0000000 + memory - 1), AddressRange(1 << 40, (1 << 40) + prefetchable - 1), wide=True)
    port = Function(PORT, RootBus(0, 0), port_type=PortType.ROOT_PORT, bus_range=BusRange(1, 1), windows=windows, bars=())
    return Host("m", (port, replace(Function(GPU, PORT, port_type=PortType.ENDPOINT, bars=bars), **facts)), ())


def fit(host: Host, space: Space, bridge: Address = PORT) -> WindowFit:
    return next(each for each in window_fits(host) if (each.bridge, each.space) == (bridge, space))


def test_a_resizable_bar_wants_a_larger_window() -> None:
    """256 MiB now, 16 GiB at the largest: 512 MiB take the one and not the other."""
    host = machine(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM64, 256 * MIB, prefetchable=True), Bar(3, BarKind.MEM64, 32 * MIB, prefetchable=True),
                   resizable_bars=(ResizableBar(1, (256 * MIB, 16 * GIB), 256 * MIB),))
    window = fit(host, Space.PREFETCHABLE)
    assert (window.has_bytes, window.needs_bytes, window.largest_bytes) == (512 * MIB, 288 * MIB, 16 * GIB + 32 * MIB)
    assert window.fits(window.needs_bytes) is True and window.fits(window.largest_bytes) is False
    assert fit(host, Space.MEMORY).needs_bytes == 16 * MIB


def test_virtual_functions_want_as_many_bars() -> None:
    host = machine(Bar(0, BarKind.MEM64, 32 * MIB, prefetchable=True), sriov=Sriov(16, vf_bars=(Bar(0, BarKind.MEM64, 2 * MIB, prefetchable=True),)))
    window = fit(host, Space.PREFETCHABLE)
    assert (window.needs_bytes, window.vfs_bytes, window.largest_bytes) == (32 * MIB, 64 * MIB, 32 * MIB)


def test_what_is_32_bit_goes_below_4_gib_where_the_other_window_is_wide() -> None:
    bar = Bar(0, BarKind.MEM32, 64 * MIB, prefetchable=True)
    host = machine(bar)
    assert (fit(host, Space.MEMORY).needs_bytes, fit(host, Space.PREFETCHABLE).needs_bytes) == (64 * MIB, 0)
    assert fit(host, Space.MEMORY).fits(64 * MIB) is False
    port = host[PORT]
    assert isinstance(port.windows, BridgeWindows)
    narrow = host.with_functions(replace(port, windows=replace(port.windows, wide=False)))
    assert (fit(narrow, Space.MEMORY).needs_bytes, fit(narrow, Space.PREFETCHABLE).needs_bytes) == (0, 64 * MIB)


def test_unknown_is_no_fit_and_no_misfit() -> None:
    host = machine(Bar(0, BarKind.MEM64, UNKNOWN, prefetchable=True))
    window = fit(host, Space.PREFETCHABLE)
    assert window.unsized == (GPU,) and isinstance(window.fits(0), Unknown)
    assert window.fits(GIB) is False, "too much stays too much"
    blind = host.with_functions(replace(host[PORT], windows=UNKNOWN))
    assert isinstance(fit(blind, Space.MEMORY).fits(0), Unknown)


def test_sizes_add_up_without_padding() -> None:
    """16 MiB and 1 MiB make 17 MiB: what is larger comes first."""
    host = machine(Bar(0, BarKind.MEM32, 16 * MIB), Bar(1, BarKind.MEM32, MIB), Bar(2, BarKind.MEM64, 4096))
    assert fit(host, Space.MEMORY).needs_bytes == 18 * MIB


@given(st.lists(st.integers(12, 36), max_size=5))
def test_a_window_holds_what_is_below_and_bridges_add_up(sizes: list[int]) -> None:
    host = machine(*(Bar(index, BarKind.MEM64, 1 << size, prefetchable=True) for index, size in enumerate(sizes)))
    window = fit(host, Space.PREFETCHABLE)
    assert sum(1 << size for size in sizes) <= window.needs_bytes
    assert window.needs_bytes % STEP_BYTES == 0
    above = Function(Address(0, 9, 0, 0), RootBus(0, 9), port_type=PortType.ROOT_PORT, bus_range=BusRange(0, 1), bars=())
    nested = Host("n", (above, replace(host[PORT], parent=above.address), host[GPU]), ())
    assert fit(nested, Space.PREFETCHABLE, above.address).needs_bytes >= window.needs_bytes
