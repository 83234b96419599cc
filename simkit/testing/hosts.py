"""Hypothesis strategies of whole hosts with any mixture of known and unknown facts: for laws of readers and writers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from simkit.model.address import Address, Parent, RootBus
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, DeviceControl, Egress, Link, PortType, Sriov
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.platform import Cpu, IommuKind, Partition, PeerKind, PeerLink, Tee, TeeKind
from simkit.model.scope import IdRange, IommuScope, MadeBus, ScopePath
from simkit.model.unknown import UNKNOWN

T = TypeVar("T")

_words = st.text(alphabet="abcXYZ 019-_.:/'\"#{}", min_size=1, max_size=12).map(str.strip).filter(lambda text: text not in ("", "none"))
_speeds = st.sampled_from([2.5, 5.0, 8.0, 16.0, 32.0, 64.0])
_widths = st.sampled_from([1, 2, 4, 8, 16])
_short = st.integers(0, 0xFFFF)


def _or_unknown(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[Any]:
    return st.just(UNKNOWN) | strategy


def _or_none(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[Any]:
    return st.just(UNKNOWN) | st.none() | strategy


_bits = _or_unknown(st.integers(0, 0x7F).map(AcsBits))
_transfers = _or_unknown(st.sampled_from([128, 256, 512, 1024, 2048, 4096]))
_bars = st.lists(
    st.builds(Bar, st.integers(0, 6), st.sampled_from(BarKind), _or_unknown(st.integers(1, 1 << 40)), st.booleans(), _or_unknown(st.integers(0, 1 << 45))),
    max_size=2,
).map(tuple)
_range = st.tuples(st.integers(0, 1 << 45), st.integers(0, 1 << 40)).map(lambda pair: AddressRange(pair[0], sum(pair)))
_step = st.integers(20, 50).map(lambda step: 1 << step)
_resizable = st.builds(ResizableBar, st.integers(0, 5), st.lists(_step, max_size=3).map(tuple), _or_unknown(_step))
_counts = st.integers(0, 999).flatmap(lambda total: st.tuples(_or_unknown(st.just(total)), _or_unknown(st.integers(0, total))))
_pools = st.dictionaries(st.integers(16, 34), _counts, max_size=2).map(lambda found: tuple(HugePages(1 << step, *found[step]) for step in sorted(found)))
_facts: dict[str, st.SearchStrategy[Any]] = {
    "vendor_id": _or_unknown(_short),
    "device_id": _or_unknown(_short),
    "class_code": _or_unknown(st.sampled_from([0x060400, 0x030200, 0x020000, 0x010802, 0x068000, 0x040300]) | st.integers(0, 0xFFFFFF)),
    "revision": _or_unknown(st.integers(0, 255)),
    "subsystem": _or_none(st.tuples(_short, _short)),
    "name": st.none() | _words,
    "port_type": _or_none(st.sampled_from(PortType)),
    "multifunction": _or_unknown(st.booleans()),
    "bus_range": st.none() | st.builds(BusRange, st.integers(0, 255), st.integers(0, 255)),
    "link": _or_none(
        st.builds(Link, _or_unknown(_speeds), _or_unknown(_widths), _or_unknown(_speeds), _or_unknown(_widths), _or_unknown(st.sampled_from([126.031, 63.0])))
    ),
    "acs": _or_none(st.builds(Acs, _bits, _bits, egress=_or_unknown(st.builds(Egress, st.just(32), st.integers(0, 0xFFFFFFFF))))),
    "ats": _or_none(st.builds(Ats, _or_unknown(st.booleans()))),
    "ari": _or_unknown(st.booleans()),
    "sriov": _or_none(st.builds(Sriov, _short, *[_or_unknown(_short)] * 5, _or_unknown(st.booleans()), _or_unknown(st.booleans()), _or_unknown(_bars))),
    "bars": _or_unknown(_bars),
    "numa_node": _or_none(st.integers(0, 7)),
    "iommu_group": _or_none(st.integers(0, 99)),
    "driver": _or_none(_words),
    "reset_methods": _or_unknown(st.lists(st.sampled_from(["flr", "pm", "bus"]), unique=True).map(tuple)),
    "usage": st.none() | _words,
    "resizable_bars": _or_unknown(st.lists(_resizable, max_size=2).map(tuple)),
    "windows": _or_none(st.builds(BridgeWindows, *[_or_none(_range)] * 3, _or_unknown(st.booleans()))),
    "msix_vectors": _or_none(st.integers(1, 2048)),
    "device_control": _or_none(st.builds(DeviceControl, _transfers, _transfers, *[_or_unknown(st.booleans())] * 3)),
}


@st.composite
def hosts(draw: Callable[[st.SearchStrategy[Any]], Any], *, max_functions: int = 5) -> Host:
    """A consistent host of up to `max_functions` functions below one or two root buses, each fact known, absent or unknown.

    Shrinks to a host without functions. The tree is a tree, but its facts need not make sense together: for round trips and
    robustness, not for the kernel's rules (see `simkit.testing.fabrics`).

        @given(hosts())
        def test_round_trip(host): assert load_host(dump_host(host), source="x") == host
    """
    addresses = draw(
        st.lists(
            st.builds(Address, st.sampled_from([0, 1, 0x10000]), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7)),
            max_size=max_functions,
            unique=True,
        )
    )
    functions: list[Function] = []
    for address in sorted(addresses):
        parents: list[Parent] = [RootBus(address.domain, 0), *(other.address for other in functions)]
        facts = {name: draw(strategy) for name, strategy in _facts.items()}
        functions.append(Function(address, draw(st.sampled_from(parents)), **facts))
    nodes = tuple(
        NumaNode(
            number,
            draw(_or_unknown(st.sets(st.integers(0, 64)).map(CpuSet.of))),
            draw(_or_unknown(st.integers(0, 1 << 42))),
            draw(_or_unknown(st.integers(0, 3))),
            draw(_or_unknown(st.lists(st.integers(10, 40), max_size=3).map(tuple))),
            draw(_or_unknown(_pools)),
        )
        for number in range(draw(st.integers(0, 2)))
    )
    links = (
        st.builds(PeerLink, st.sampled_from(sorted(addresses)), st.none() | st.sampled_from(sorted(addresses)), st.sampled_from(PeerKind), st.integers(1, 18))
        if addresses
        else st.nothing()
    )
    cpu = draw(
        st.builds(Cpu, _or_unknown(_words), _or_unknown(_words), _or_unknown(_short), _or_unknown(_short), _or_unknown(_words), _or_unknown(st.integers(1, 8)))
    )
    tees = _or_unknown(st.lists(st.builds(Tee, st.sampled_from(TeeKind), _or_unknown(_short)), max_size=2).map(tuple))
    return Host(
        draw(_words),
        tuple(functions),
        nodes,
        cpu,
        draw(_or_unknown(st.sampled_from(IommuKind))),
        draw(tees),
        tuple(draw(st.lists(links, max_size=3))) if addresses else (),
        draw(_or_unknown(_words)),
        draw(_or_unknown(st.just("") | _words)),
        draw(st.booleans()),
        tuple(draw(st.lists(_words, max_size=2))),
        draw(_or_unknown(st.lists(iommu_scopes(), max_size=3).map(tuple))),
        draw(_made_buses(tuple(functions))),
        draw(_or_unknown(st.lists(_partitions(sorted(addresses)), max_size=3).map(tuple))) if addresses else (),
    )


def _partitions(addresses: Sequence[Address]) -> st.SearchStrategy[Partition]:
    return st.builds(Partition, st.integers(0, 15), st.lists(st.sampled_from(addresses), min_size=1, max_size=4, unique=True).map(tuple))


@st.composite
def iommu_scopes(draw: Callable[[st.SearchStrategy[Any]], Any]) -> IommuScope:
    """What one IOMMU translates, as its kind of table can say it: shrinks to nothing of domain 0."""
    kind, domain = draw(st.sampled_from([IommuKind.INTEL, IommuKind.AMD, IommuKind.SMMU])), draw(st.sampled_from([0, 1]))
    if kind is IommuKind.INTEL:
        steps = st.lists(st.tuples(st.integers(0, 31), st.integers(0, 7)), min_size=1, max_size=3).map(tuple)
        return IommuScope(kind, domain, draw(st.booleans()), tuple(draw(st.lists(st.builds(ScopePath, st.integers(0, 255), steps, st.booleans()), max_size=3))))
    ends = st.tuples(_short, _short, st.none() | _short if kind is IommuKind.AMD else st.none())
    ids = draw(st.lists(ends.map(lambda given: IdRange(min(given[:2]), max(given[:2]), given[2])), max_size=3))
    return IommuScope(kind, domain, ids=tuple(ids))


def _made_buses(functions: tuple[Function, ...]) -> st.SearchStrategy[tuple[MadeBus, ...]]:
    buses = sorted({function.parent for function in functions if isinstance(function.parent, RootBus)})
    makers = [(bus, function.address) for bus in buses for function in functions if function.address.domain < 0x10000 <= bus.domain]
    if not makers:
        return st.just(())
    return st.lists(st.sampled_from(makers), max_size=2, unique_by=lambda pair: pair[0]).map(lambda pairs: tuple(MadeBus(*pair) for pair in pairs))
