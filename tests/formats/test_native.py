"""Native files: what is written is read, and what is wrong is said with its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import InconsistentHost, MalformedDocument, SimkitError
from simkit.formats.native import document
from simkit.formats.native.document import parse
from simkit.formats.native.emit import json_text
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.native.plan import dump_plan, load_plan
from simkit.formats.native.policy import dump_policy, load_policy
from simkit.formats.native.workload import dump_workload, load_workload
from simkit.formats.source import open_host, open_policy, open_workload, shipped
from simkit.model.numa import HugePages
from simkit.plan.plan import with_steps
from simkit.semantics.fingerprint import fingerprint
from simkit.testing.hosts import hosts
from simkit.testing.small_node import small_plan


@pytest.mark.parametrize("style", ["yaml", "json"])
@given(host=hosts())
def test_a_host_reads_back_as_it_is_written(style, host) -> None:
    text = dump_host(host, style=style)
    assert load_host(text, source="x") == host
    assert dump_host(load_host(text, source="x"), style=style) == text


@pytest.mark.parametrize("name", shipped("hosts"))
def test_shipped_hosts_round_trip(name: str) -> None:
    host = open_host(name)
    assert load_host(dump_host(host), source="x") == host
    assert load_host(dump_host(host, style="json"), source="x") == host
    json.loads(dump_host(host, style="json"))


def test_workloads_policies_and_plans_round_trip() -> None:
    for name in shipped("workloads"):
        workload = open_workload(name)
        assert load_workload(dump_workload(workload), source="x") == workload
    for name in shipped("policies"):
        policy = open_policy(name)
        assert load_policy(dump_policy(policy), source="x") == policy
    plan = small_plan()
    assert load_plan(dump_plan(plan), source="x") == plan
    assert dump_plan(load_plan(dump_plan(plan), source="x")) == dump_plan(plan)


FAULTY = """simkit: host/1
name: faulty
iommu: amdd
functions:
  0000:00:01.0:
    parent: pci0000:00
    vendr: 0x10de
    acs: {capability: "SV,XX"}
    link: {speed: fast}
  0000:00:01.0:
    parent: pci0000:00
  0000:00:77.0:
    parent: pci0000:00
  0000:00:02.0:
    class: 0x1000000
"""


def test_every_fault_is_named_with_its_line() -> None:
    with pytest.raises(MalformedDocument) as caught:
        load_host(FAULTY, source="faulty.yaml")
    text = str(caught.value)
    for line, words in ((3, "iommu: 'amdd'"), (7, "no key 'vendr'; did you mean 'vendor'?"), (8, "XX is no ACS bit"), (9, "'fast' is no link speed"),
                        (10, "0000:00:01.0 is there twice, first in line 5"), (12, "0000:00:77.0"), (15, "out of range"), (14, "has no 'parent'")):
        assert any(f"faulty.yaml:{line}:" in each and words in each for each in text.splitlines()), (line, words, text)
    assert len(caught.value.faults) == 8


def test_faults_of_the_tree_have_lines_too() -> None:
    with pytest.raises(InconsistentHost, match=r"h.yaml:4: 0000:01:00.0 lies below 0000:00:09.0, which is not there"):
        load_host("simkit: host/1\nname: h\nfunctions:\n  0000:01:00.0: {parent: 0000:00:09.0}\n", source="h.yaml")


def test_facts_know_their_line() -> None:
    host = load_host("simkit: host/1\nname: h\nfunctions:\n  0000:00:01.0:\n    parent: pci0000:00\n    acs:\n      control: SV\n", source="h.yaml")
    assert str(host.where("functions/0000:00:01.0/acs/control")) == "h.yaml:7"
    assert str(host.where("functions/0000:00:01.0/link")) == "h.yaml:4"


@pytest.mark.parametrize(("text", "words"), [
    ("", "empty"),
    ("a: [1, 2", "not YAML"),
    ("a: &x 1\nb: *x", "alias"),
    ("a: 1\n---\nb: 2", "second document"),
    ("? [1]\n: 2", "key must be a scalar"),
    ("[" * 100, "deeper"),
    ("a: !!python/object:os.system {}", "tag"),
    ("a: \x00", "not YAML"),
])
def test_what_is_no_document_is_refused_with_place(text: str, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words) as caught:
        parse(text, source="d.yaml")
    assert "d.yaml" in str(caught.value)


def test_a_workload_says_what_is_wrong_with_it() -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a b:\n    cpus: 0\n    memory: lots\n    devices:\n      - {kind: gpuu}\n      - {kind: gpu, peers: NEAR}\n  c: {devices: [{kind: nic, count: 2, pinned: [0000:01:00.0]}]}\n"
    with pytest.raises(MalformedDocument) as caught:
        load_workload(text, source="w.yaml")
    found = str(caught.value)
    for line, words in ((4, "guest name 'a b'"), (5, "out of range"), (6, "'lots' is no size"), (8, "'gpuu' is not known"), (9, "'NEAR' is not known"), (10, "count is 2, 1 are pinned")):
        assert any(f"w.yaml:{line}:" in each and words in each for each in found.splitlines()), (line, words, found)


def test_a_device_is_pinned_once_and_a_bridge_is_no_device() -> None:
    text = "simkit: workload/1\nname: w\nguests:\n  a:\n    devices:\n      - {kind: gpu, pinned: [0000:03:00.0, 0000:03:00.0]}\n      - {kind: bridge}\n"
    with pytest.raises(MalformedDocument) as caught:
        load_workload(text, source="w.yaml")
    assert "w.yaml:6: 0000:03:00.0 is pinned twice" in str(caught.value)
    assert "w.yaml:7: bridges are not handed out" in str(caught.value)


def test_a_policy_that_would_pass_everything_is_refused() -> None:
    with pytest.raises(MalformedDocument, match="would pass everything"):
        load_policy("simkit: policy/1\nname: p\nrules: []\n", source="p.yaml")
    with pytest.raises(MalformedDocument, match="without a reason"):
        load_policy("simkit: policy/1\nname: p\nrules: [{property: separate-groups, accept: true}]\n", source="p.yaml")


@pytest.mark.parametrize("elsewhere", ["etc/cron.d/x", "sys/bus/pci/../../../etc/passwd", "/sys/bus/pci/rescan", "sys/kernel/x"])
def test_a_plan_may_not_write_outside_of_pci(elsewhere: str) -> None:
    text = dump_plan(with_steps(small_plan()))
    assert load_plan(text, source="p.json").steps
    assert '"write": "sys/bus/pci/drivers_probe"' in text
    with pytest.raises(MalformedDocument, match="not below sys/bus/pci"):
        load_plan(text.replace('"write": "sys/bus/pci/drivers_probe"', f'"write": "{elsewhere}"'), source="p.json")


@given(st.text(max_size=400))
def test_no_text_breaks_the_readers(text: str) -> None:
    for load in (load_host, load_workload, load_policy, load_plan):
        with pytest.raises(SimkitError):
            load(text, source="fuzz")


@given(st.data())
def test_no_damage_to_a_good_file_breaks_the_readers(data: st.DataObject) -> None:
    for load, text in ((load_host, dump_host(open_host("edge-single"))), (load_workload, dump_workload(open_workload("two-guests"))), (load_plan, dump_plan(small_plan()))):
        at = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, 20))
        noise = data.draw(st.text(alphabet=":{}[]-,&*!|>'\"%@`#\n\t aZ09\x07é", max_size=6))
        try:
            load(text[:at] + noise + text[at + cut :], source="fuzz")
        except SimkitError as error:
            assert str(error)


SMALL = "simkit: host/1\nname: h\nfunctions:\n  0000:00:01.0: {{parent: pci0000:00, {}}}\n"


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=5))
def test_what_is_written_as_json_is_yaml_too(inner: object) -> None:
    text = json_text({"a": inner})
    assert json.loads(text) == {"a": inner}
    parse(text, source="x")


def test_json_from_others_may_escape_characters_past_the_basic_plane() -> None:
    name = "a 𝔊 b \\ud83d 😀"
    text = json.dumps({"simkit": "host/1", "name": name, "functions": {}})
    assert "\\ud835" in text
    assert load_host(text, source="x.json").name == name


def test_an_acs_bit_without_a_name_survives() -> None:
    text = SMALL.format('acs: {capability: "SV,RR,0x80", control: ""}')
    host = load_host(text, source="h.yaml")
    assert int(host.functions[0].acs.capability) == 0x85
    assert load_host(dump_host(host), source="x") == host
    assert 'SV,RR,0x80' in dump_host(host)


@pytest.mark.parametrize(("given", "words"), [
    ("vendor: ٣", "'٣' is no whole number"),
    ("vendor: 1_0", "no whole number"),
    ("vendor: 0x" + "1" * 5000, "vendor: '0x1{250,400}…; write"),
    ("bars: [{index: 0, kind: mem64, size: 20000000000 TiB}]", "no size below 2\\^64"),
    ("link: {speed: ٨}", "no link speed"),
])
def test_numbers_are_written_as_a_machine_writes_them(given: str, words: str) -> None:
    with pytest.raises(MalformedDocument, match=words) as caught:
        load_host(SMALL.format(given), source="h.yaml")
    assert len(str(caught.value)) < 1500


def test_a_numa_node_twice_is_named_with_both_lines() -> None:
    with pytest.raises(MalformedDocument, match=r"h.yaml:5: .*NUMA node 3 is there twice, first in line 4"):
        load_host("simkit: host/1\nname: h\nnuma_nodes:\n  - {id: 3}\n  - {id: 3}\nfunctions: {}\n", source="h.yaml")


def test_huge_pages_are_kept_by_size() -> None:
    head = "simkit: host/1\nname: h\nnuma_nodes:\n  - id: 0\n    hugepages:\n"
    host = load_host(head + "      - {size: 1 GiB, total: 64}\n      - {size: 2 MiB, total: 5, free: 5}\nfunctions: {}\n", source="h.yaml")
    assert host.numa_nodes[0].hugepages == (HugePages(2 << 20, 5, 5), HugePages(1 << 30, 64))
    assert load_host(dump_host(host), source="again") == host
    wrong = "      - {size: 3 MiB, total: 1}\n      - {size: 2 MiB, total: 4, free: 5}\n      - {size: 2 MiB}\n      - {size: 2 MiB, free: -1}\nfunctions: {}\n"
    with pytest.raises(MalformedDocument) as caught:
        load_host(head + wrong, source="h.yaml")
    assert [(fault.where, fault.what.split(" ")[0]) for fault in caught.value.faults] == [("h.yaml:6", "3"), ("h.yaml:6", "huge"), ("h.yaml:7", "5"), ("h.yaml:9", "free:")]


def test_huge_pages_count_in_the_fingerprint_where_they_are_known() -> None:
    text = "simkit: host/1\nname: h\nnuma_nodes:\n  - {{id: 0{}}}\nfunctions: {{}}\n"
    hosts = [load_host(text.format(pools), source="h.yaml") for pools in ("", ", hugepages: []", ", hugepages: [{size: 2 MiB, total: 1}]", ", hugepages: [{size: 2 MiB, total: 2}]")]
    assert len({fingerprint(host) for host in hosts}) == 3


def test_reading_stops_at_the_thousandth_fault_and_at_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MalformedDocument, match="reading stopped at: 1000 faults"):
        load_host("simkit: host/1\nname: h\nfunctions: {}\n" + "".join(f"k{number}: 1\n" for number in range(2000)), source="h.yaml")
    monkeypatch.setattr(document, "MOST_NODES", 100)
    with pytest.raises(MalformedDocument, match=r"^h.yaml:50: over 100 values"):
        load_host("simkit: host/1\n" + "".join(f"k{number}: 1\n" for number in range(2000)), source="h.yaml")


def test_faults_are_listed_from_the_first_line_on() -> None:
    with pytest.raises(MalformedDocument) as caught:
        load_host(FAULTY, source="faulty.yaml")
    lines = [int(fault.where.rpartition(":")[2]) for fault in caught.value.faults]
    assert lines == sorted(lines)


def test_faults_of_the_host_and_workload_inside_a_plan_are_named_together() -> None:
    text = dump_plan(small_plan()).replace('"iommu": "intel"', '"iommu": "intell"').replace('"memory": "', '"memory": "x')
    with pytest.raises(MalformedDocument) as caught:
        load_plan(text, source="p.json")
    assert "'intell'" in str(caught.value)
    assert "is no size" in str(caught.value)


def test_text_that_would_forge_lines_on_a_terminal_is_refused() -> None:
    with pytest.raises(MalformedDocument, match="control characters"):
        load_host('simkit: host/1\nname: "\\e[31mred\\nline2"\nfunctions: {}\n', source="h.yaml")
    assert load_workload("simkit: workload/1\nname: w\nabout: |\n  several\n  lines\nguests: {a: {}}\n", source="w.yaml").name == "w"


def test_a_document_of_another_kind_is_one_fault() -> None:
    with pytest.raises(MalformedDocument, match=r"^h.yaml:1: is a host/1, not a plan/1; give a file that begins with `simkit: plan/1`$"):
        load_plan("simkit: host/1\nname: h\nfunctions: {}\n", source="h.yaml")
    with pytest.raises(MalformedDocument, match=r"^x.yaml:1: does not say what it is"):
        load_host("name: h\nfunctoins: {}\n", source="x.yaml")


def test_a_wrong_word_is_answered_with_the_near_one() -> None:
    with pytest.raises(MalformedDocument, match=r"'gpuu' is not known; did you mean gpu\? it is one of gpu, nic"):
        load_workload("simkit: workload/1\nname: w\nguests:\n  a: {devices: [{kind: gpuu}]}\n", source="w.yaml")
