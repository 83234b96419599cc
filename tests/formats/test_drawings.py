"""Drawings: nothing is lost, nothing is drawn twice, and what is written is well formed."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from simkit.formats.draw.html import Peers, page
from simkit.formats.draw.outline import Entry, outline
from simkit.formats.draw.owner import Owner
from simkit.formats.draw.svg import svg
from simkit.formats.draw.text import groups as groups_text
from simkit.formats.draw.text import headline, matrix, tree
from simkit.formats.source import open_host, shipped
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import AcsBits
from simkit.model.function import Function, Kind
from simkit.model.host import Host
from simkit.model.platform import IommuKind
from simkit.model.route import PeerClass
from simkit.semantics.groups import groups
from simkit.semantics.what_if import with_control
from simkit.testing.fabrics import fabrics
from simkit.testing.hosts import hosts


def drawn(entries: tuple[Entry, ...]) -> list[Address]:
    found = []
    for entry in entries:
        found += [function.address for function in (entry.through, entry.function) if function is not None]
        found += drawn(entry.children)
    return found


def folded(entries: tuple[Entry, ...]) -> int:
    return sum(int(match[1]) if (match := re.match(r"… (\d+) more", entry.title)) else folded(entry.children) for entry in entries)


@given(hosts())
def test_every_function_is_drawn_once_or_counted(host: Host) -> None:
    everything = drawn(outline(host, whole=True))
    assert sorted(everything) == [function.address for function in host.functions]
    short = outline(host)
    assert len(set(drawn(short))) == len(drawn(short))
    assert len(drawn(short)) + folded(short) == len(host.functions)


@given(hosts())
def test_pictures_of_anything_are_well_formed(host: Host) -> None:
    grouping = groups(host)
    ET.fromstring(svg(host, grouping, {function.address: Owner("<guest & co>", "<tee>") for function in host.functions[:1]}))
    ET.fromstring(svg(host, whole=True))
    assert page(host, grouping).count("<svg") == 1
    assert headline(host).startswith(host.name)
    assert groups_text(host, grouping)
    tree(host, grouping, whole=True)


@pytest.mark.parametrize("name", shipped("hosts"))
def test_shipped_hosts_show_every_gpu_with_its_group_and_owner(name: str) -> None:
    host = open_host(name)
    gpus = [function.address for function in host.of_kind(Kind.GPU)]
    text = tree(host, groups(host), {gpus[0]: Owner("train")})
    assert all(str(address) in text for address in gpus)
    assert text.count("◀ train") == 1
    picture = svg(host, groups(host), {gpus[0]: Owner("train")}, path=(gpus[0],))
    assert picture.count(">train<") == 1
    assert picture.count('class="node hot"') == 1


def test_the_page_needs_no_other_file() -> None:
    host = open_host("edge-single")
    text = page(host, groups(host), sections=[("Title <b>", "a < b")])
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "Title &lt;b&gt;" in text
    assert "a &lt; b" in text


def test_the_page_shows_who_is_near_whom_and_is_reached_by_keyboard() -> None:
    host = open_host("edge-single")
    ends = [Address.parse("01:00.0"), Address.parse("03:00.0")]
    text = page(host, groups(host), peers=Peers(ends, [[PeerClass.LOC, PeerClass.PHB], [PeerClass.PHB, PeerClass.LOC]]))
    assert text.count('class="PHB">PHB</td>') == 2
    assert text.count('tabindex="0"') == text.count('class="node"') == 8
    assert "'focus','blur'" in text
    assert "does not isolate" in text  # why the GPU shares its group with the port above


def test_guests_are_regions_dashed_in_a_tee() -> None:
    host = open_host("hgx-h100")
    in_tee, bare = Owner("train", "sev-snp"), Owner("infer")
    owners = {Address.parse(text): in_tee for text in ("03:00.0", "04:00.0", "43:00.0")} | {Address.parse("83:00.0"): bare}
    picture = svg(host, groups(host), owners)
    regions = re.findall(r'<g class="region">.*?</g>', picture)
    assert len(regions) == 3  # 03:00.0 and 04:00.0 stand side by side
    assert [("stroke-dasharray" in region, ">sev-snp<" in region, "train" in region) for region in regions] == [(True, True, True)] * 2 + [(False, False, False)]


def test_a_port_that_lets_peers_through_stands_out() -> None:
    host = open_host("hgx-h100")
    assert 'class="weak"' not in svg(host)
    off = with_control(host, {Address.parse("82:00.0"): AcsBits.NONE})
    assert svg(off).count('<tspan class="weak">below 82:00.0, ACS off</tspan>') == 1
    assert svg(open_host("edge-single")).count('<tspan class="weak">no ACS</tspan>') == 2


def test_a_domain_that_is_not_0_is_told() -> None:
    host = Host("vmd", (Function(Address.parse("10000:01:00.0"), RootBus(0x10000, 1), class_code=0x010802),))
    assert ">10000:01:00.0 NVMe" in svg(host)


def test_one_numa_node_has_everything() -> None:
    assert [root.title for root in outline(open_host("edge-single"))] == ["socket 0 · NUMA node 0"]


def test_virtual_functions_that_nobody_has_are_counted() -> None:
    pf, vfs = Address.parse("01:00.0"), [Address.parse(f"01:00.{number}") for number in (1, 2, 3)]
    bus = RootBus(0, 1)
    host = Host("sriov", (Function(pf, bus, class_code=0x020000), *(Function(vf, bus, class_code=0x020000, physfn=pf) for vf in vfs)))
    text = tree(host, owners={vfs[1]: Owner("infer")})
    assert "0000:01:00.2  NIC VF  ◀ infer" in text
    assert "… 2 more functions (NIC VF)" in text


def test_the_matrix_is_laid_out_as_one_knows_it() -> None:
    host = open_host("edge-single")
    ends = [Address.parse("01:00.0"), Address.parse("03:00.0")]
    lines = matrix(host, ends, [[PeerClass.LOC, PeerClass.PHB], [PeerClass.PHB, PeerClass.LOC]]).splitlines()
    assert lines[0].split() == ["GPU0", "NIC0"]
    assert lines[1].split()[:3] == ["GPU0", "X", "PHB"]
    assert lines[-1] == "PHB  a host bridge (the CPU)"
    assert not any(line.startswith("NVL") for line in lines)


def test_nothing_to_draw_is_said() -> None:
    nothing = Host("bare", ())
    assert matrix(nothing, (), ()) == "bare: no GPU and no NIC, nothing to compare"
    assert groups_text(nothing, groups(nothing)).startswith("bare: no functions, no IOMMU groups")
    without = replace(open_host("edge-single"), iommu=IommuKind.NONE)
    assert groups_text(without, groups(without)).startswith("edge-single: no IOMMU groups: no IOMMU is on")


@given(fabrics())
def test_groups_name_every_member(fabric: Host) -> None:
    text = groups_text(fabric, groups(fabric))
    assert all(str(function.address) in text for function in fabric.functions)
