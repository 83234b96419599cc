"""Drawings: nothing is lost, nothing is drawn twice, and what is written is well formed."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from simkit.formats.draw_html import page
from simkit.formats.draw_svg import svg
from simkit.formats.draw_text import groups as groups_text
from simkit.formats.draw_text import headline, matrix, tree
from simkit.formats.outline import Entry, outline
from simkit.formats.source import open_host, shipped
from simkit.model.address import Address
from simkit.model.function import Kind
from simkit.model.host import Host
from simkit.model.route import PeerClass
from simkit.semantics.groups import groups
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
    ET.fromstring(svg(host, grouping, {function.address: "<guest & co>" for function in host.functions[:1]}))
    ET.fromstring(svg(host, whole=True))
    assert page(host, grouping).count("<svg") == 1
    assert headline(host).startswith(host.name)
    assert groups_text(host, grouping)
    tree(host, grouping, whole=True)


@pytest.mark.parametrize("name", shipped("hosts"))
def test_shipped_hosts_show_every_gpu_with_its_group_and_owner(name: str) -> None:
    host = open_host(name)
    gpus = [function.address for function in host.of_kind(Kind.GPU)]
    text = tree(host, groups(host), {gpus[0]: "train"})
    assert all(str(address) in text for address in gpus)
    assert text.count("◀ train") == 1
    picture = svg(host, groups(host), {gpus[0]: "train"}, path=(gpus[0],))
    assert picture.count(">train<") == 1
    assert picture.count('class="node hot"') == 1


def test_the_page_needs_no_other_file() -> None:
    host = open_host("edge-single")
    text = page(host, groups(host), sections=[("Title <b>", "a < b")])
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "Title &lt;b&gt;" in text
    assert "a &lt; b" in text


def test_the_matrix_is_laid_out_as_one_knows_it() -> None:
    host = open_host("edge-single")
    ends = [Address.parse("01:00.0"), Address.parse("03:00.0")]
    lines = matrix(host, ends, [[PeerClass.LOC, PeerClass.PHB], [PeerClass.PHB, PeerClass.LOC]]).splitlines()
    assert lines[0].split() == ["GPU0", "NIC0"]
    assert lines[1].split()[:3] == ["GPU0", "X", "PHB"]


@given(fabrics())
def test_groups_name_every_member(fabric: Host) -> None:
    text = groups_text(fabric, groups(fabric))
    assert all(str(function.address) in text for function in fabric.functions)
