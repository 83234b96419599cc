"""Several accounts of one machine: the laws of their merge, and each rule by an example."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InconsistentHost, InputError
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Bar, BarKind, Link, PortType
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.merge import merge
from simkit.model.numa import CpuSet, HugePages, NumaNode
from simkit.model.place import Place, Places
from simkit.model.platform import Cpu, IommuKind, PeerKind, PeerLink
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.testing.hosts import hosts

AT = Address.parse("0000:3b:00.0")
ROOT, BRIDGE, PORT = RootBus(0, 0x3A), Address.parse("0000:3a:00.0"), Address.parse("0000:3a:01.0")
FACTS = [field.name for field in fields(Function) if field.name not in ("address", "parent", "bus_range", "physfn", "name", "usage")]


def host(*functions, name="h", file="a.txt", lines=None, **facts):
    places = Places({path: Place(file, line) for path, line in (lines or {}).items()}, root=Place(file))
    return Host(name, functions, places=places, **facts)


def forget(whole, keep):
    """`whole` with each fact known only where `keep` says so."""
    functions = []
    for function in whole.functions:
        functions.append(replace(function, **{name: UNKNOWN for name in FACTS if not keep(f"{function.path}/{name}")}))
    own = {name: UNKNOWN for name in ("iommu", "tees", "kernel", "cmdline") if not keep(name)}
    return replace(whole, functions=tuple(functions), cpu=whole.cpu if keep("cpu") else Cpu(), **own)


# ---- laws


@given(hosts())
def test_a_host_with_itself_is_itself(whole):
    merged = merge([whole, whole, whole])
    assert merged.host == whole and merged.disagreements == ()


@given(hosts())
def test_a_source_that_knows_nothing_is_neutral(whole):
    silent = forget(whole, lambda path: False)
    for order in ([whole, silent], [silent, whole]):
        merged = merge(order)
        assert merged.host == whole and merged.disagreements == ()


@given(hosts(), st.randoms(use_true_random=False))
def test_parts_that_agree_give_the_whole_in_any_order(whole, random):
    """Every fact is in at least one of the parts; nothing else is needed."""
    owner = {}
    parts = [forget(whole, lambda path, mine=mine: mine in owner.setdefault(path, random.choice([{0}, {1}, {2}, {0, 2}]))) for mine in range(3)]
    for _ in range(3):
        random.shuffle(parts)
        merged = merge(parts)
        assert merged.host == whole and merged.disagreements == ()


@given(hosts(), hosts())
def test_what_the_first_knows_stays(first, second):
    try:
        merged = merge([first, second])
    except InconsistentHost:
        return
    assert {function.address for function in merged.host.functions} == {function.address for each in (first, second) for function in each.functions}
    for function in first.functions:
        mine = merged.host[function.address]
        for name in ("vendor_id", "device_id", "port_type", "ari", "multifunction", "numa_node", "iommu_group", "driver", "revision", "subsystem", "reset_methods"):
            if is_known(getattr(function, name)):
                assert getattr(mine, name) == getattr(function, name)
        for disagreement in merged.disagreements:
            assert disagreement.kept != disagreement.other and str(disagreement)


@given(hosts(), hosts())
def test_disagreements_are_the_same_from_both_sides(first, second):
    try:
        there, back = merge([first, second]).disagreements, merge([second, first]).disagreements
    except InconsistentHost:
        return
    assert {(one.path, repr(one.kept), repr(one.other)) for one in there if "bars" not in one.path and "peer_links" not in one.path} == {
        (one.path, repr(one.other), repr(one.kept)) for one in back if "bars" not in one.path and "peer_links" not in one.path}


# ---- rules


def test_known_beats_unknown_and_keeps_its_place():
    text = host(Function(AT, ROOT, vendor_id=0x10DE, acs=Acs(AcsBits.SV, UNKNOWN)), file="lspci.txt", lines={f"functions/{AT}": 7})
    log = host(Function(AT, ROOT, iommu_group=12, acs=Acs(UNKNOWN, AcsBits.SV)), file="dmesg.txt", kernel="6.1",
               lines={f"functions/{AT}/iommu_group": 90, "kernel": 1})
    merged = merge([text, log]).host
    assert merged[AT].iommu_group == 12 and merged[AT].vendor_id == 0x10DE and merged[AT].acs == Acs(AcsBits.SV, AcsBits.SV)
    assert str(merged.where(f"functions/{AT}/iommu_group")) == "dmesg.txt:90" and str(merged.where(f"functions/{AT}/vendor_id")) == "lspci.txt:7"
    assert str(merged.where(f"functions/{AT}/acs/control")) == "dmesg.txt" and str(merged.where(f"functions/{AT}/acs/capability")) == "lspci.txt:7"
    assert str(merged.where("kernel")) == "dmesg.txt:1"


def test_the_first_one_wins_and_both_places_are_told():
    first = host(Function(AT, ROOT, link=Link(16.0, 8, 32.0, 16)), file="a.txt", lines={f"functions/{AT}": 3})
    second = host(Function(AT, ROOT, link=Link(32.0, 8, UNKNOWN, UNKNOWN)), file="b.xml", lines={f"functions/{AT}": 4})
    merged = merge([first, second])
    assert merged.host[AT].link == Link(16.0, 8, 32.0, 16)
    (only,) = merged.disagreements
    assert str(only) == f"functions/{AT}/link/speed_gtps: 16.0 (a.txt:3) is kept, 32.0 (b.xml:4) is not"
    assert merge([second, first]).host[AT].link == Link(32.0, 8, 32.0, 16)


@pytest.mark.parametrize(("facts", "words"), [
    ([{"vendor_id": 0x10DE}, {"vendor_id": 0x15B3}], "0x10de (a) is kept, 0x15b3 (b) is not"),
    ([{"subsystem": (0x10DE, 1)}, {"subsystem": (0x10DE, 2)}], "0x10de:0x1 (a) is kept, 0x10de:0x2 (b) is not"),
    ([{"acs": Acs(AcsBits.SV | AcsBits.RR)}, {"acs": Acs(AcsBits.NONE)}], "SV,RR (a) is kept, no bit (b) is not"),
    ([{"ari": True}, {"ari": False}], "yes (a) is kept, no (b) is not"), ([{"numa_node": 12}, {"numa_node": None}], "12 (a) is kept, none (b) is not"),
    ([{"reset_methods": ("flr", "bus")}, {"reset_methods": ()}], "flr:bus (a) is kept, none (b) is not"),
])
def test_differences_are_worded_as_people_write_them(facts, words):
    (only,) = merge([host(Function(AT, ROOT, **one), file=file) for one, file in zip(facts, "ab", strict=True)]).disagreements
    assert str(only).endswith(words)


def test_absent_is_a_fact():
    merged = merge([host(Function(AT, ROOT, iommu_group=None)), host(Function(AT, ROOT, iommu_group=3))])
    assert merged.host[AT].iommu_group is None and [(one.kept, one.other) for one in merged.disagreements] == [(None, 3)]


def test_an_interface_of_zero_yields():
    named, full = host(Function(AT, ROOT, class_code=0x0C0300)), host(Function(AT, ROOT, class_code=0x0C0330))
    for order in ([named, full], [full, named]):
        merged = merge(order)
        assert merged.host[AT].class_code == 0x0C0330 and not merged.disagreements
    assert len(merge([full, host(Function(AT, ROOT, class_code=0x030000))]).disagreements) == 1


def test_who_lacks_the_bridge_cannot_say_that_it_is_not_there():
    port = Function(PORT, RootBus(0, 0x3A), port_type=PortType.ROOT_PORT)
    tree, flat = host(port, Function(AT, PORT)), host(Function(AT, RootBus(0, 0x3B)))
    for order in ([tree, flat], [flat, tree]):
        merged = merge(order)
        assert merged.host[AT].parent == PORT and not merged.disagreements
    contradicting = host(port, Function(AT, RootBus(0, 0x3B)))
    assert [one.path for one in merge([tree, contradicting]).disagreements] == [f"functions/{AT}/parent"]


def test_a_source_that_leaves_ports_out_yields():
    switch, down = Function(BRIDGE, ROOT, port_type=PortType.UPSTREAM), Function(PORT, BRIDGE, port_type=PortType.DOWNSTREAM)
    whole = host(switch, down, Function(AT, PORT))
    nccl = host(Function(BRIDGE, RootBus(0, 0x3A)), Function(AT, BRIDGE), elided=True, peer_links=(PeerLink(AT, None, PeerKind.NVLINK, 18),))
    for order in ([whole, nccl], [nccl, whole]):
        merged = merge(order)
        assert merged.host[AT].parent == PORT and not merged.host.elided and not merged.disagreements
        assert merged.host.peer_links == nccl.peer_links
    more = replace(nccl, functions=(*nccl.functions, Function(Address.parse("0000:77:00.0"), RootBus(0, 0x77))))
    assert merge([whole, more]).host.elided and merge([more, whole]).host.elided and merge([nccl, nccl]).host.elided


def test_bars_by_index():
    sizes = host(Function(AT, ROOT, bars=(Bar(0, BarKind.MEM64, 1 << 24, True), Bar(6, BarKind.MEM32, 1 << 19, True))))
    bases = host(Function(AT, ROOT, bars=(Bar(0, BarKind.MEM64, UNKNOWN, True, 0x1000), Bar(2, BarKind.IO, UNKNOWN, False, 0xE000))))
    merged = merge([sizes, bases])
    assert merged.host[AT].bars == (Bar(0, BarKind.MEM64, 1 << 24, True, 0x1000), Bar(2, BarKind.IO, UNKNOWN, False, 0xE000), Bar(6, BarKind.MEM32, 1 << 19, True))
    assert not merged.disagreements


def test_nodes_links_and_the_machine_around():
    first = host(Function(AT, ROOT), numa_nodes=(NumaNode(1, CpuSet.of([1])),), cpu=Cpu(arch="x86_64"), iommu=IommuKind.INTEL, assumed=("a",))
    second = host(Function(AT, ROOT), numa_nodes=(NumaNode(0, CpuSet.of([0])), NumaNode(1, CpuSet.of([1]), 1 << 30)), cpu=Cpu(vendor="GenuineIntel"),
                  iommu=IommuKind.AMD, assumed=("b", "a"))
    merged = merge([first, second])
    assert [node.id for node in merged.host.numa_nodes] == [0, 1] and merged.host.numa_nodes[1].memory_bytes == 1 << 30
    assert merged.host.cpu == Cpu("x86_64", "GenuineIntel") and merged.host.iommu is IommuKind.INTEL and merged.host.assumed == ("a", "b")
    assert [one.path for one in merged.disagreements] == ["iommu"]
    links = merge([host(Function(AT, ROOT), peer_links=(PeerLink(AT, None, PeerKind.NVLINK, count),)) for count in (18, 12)])
    assert [one.path for one in links.disagreements] == [f"peer_links/{AT}"] and links.host.peer_links[0].count == 18


def test_pools_of_huge_pages_by_size():
    def pools(*given):
        return host(Function(AT, ROOT), numa_nodes=(NumaNode(0, hugepages=given),))

    merged = merge([pools(HugePages(2 << 20, 5), HugePages(1 << 30, 4, 4)), pools(HugePages(2 << 20, 5, 3), HugePages(1 << 30, 8, 4))])
    assert merged.host.numa_nodes[0].hugepages == (HugePages(2 << 20, 5, 3), HugePages(1 << 30, 4, 4))
    assert [str(one).split(" (")[0] for one in merged.disagreements] == ["numa_nodes/0/hugepages/1/total: 4"]
    other = merge([pools(HugePages(2 << 20, 5, 3)), pools()])
    assert other.host.numa_nodes[0].hugepages == (HugePages(2 << 20, 5, 3),)
    assert [str(one).split(" (")[0] for one in other.disagreements] == ["numa_nodes/0/hugepages: 5 of 2 MiB, 3 free"]


def test_the_better_reason_not_to_know_stays():
    merged = merge([host(Function(AT, ROOT)), host(Function(AT, ROOT, acs=Unknown("run it as root")))]).host
    assert merged[AT].acs.why == "run it as root"


def test_two_machines_are_refused():
    one, other = host(Function(AT, ROOT, 0x10DE, 0x2330), file="a"), host(Function(AT, ROOT, 0x8086, 0x1572), file="b")
    with pytest.raises(InconsistentHost, match=r"a and b are not of one machine.*10de:2330 and 8086:1572"):
        merge([one, other])
    with pytest.raises(InputError, match="nothing to merge"):
        merge([])


def test_trees_that_contradict_are_refused():
    up, down = host(Function(BRIDGE, ROOT), Function(AT, BRIDGE)), host(Function(AT, ROOT), Function(BRIDGE, AT))
    merged = merge([up, down])
    assert merged.host[AT].parent == BRIDGE and len(merged.disagreements) == 2
