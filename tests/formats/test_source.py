"""Finding the reader from the content, and saying what a file is that cannot be read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import SimkitError, UnknownName, UnreadableSource
from simkit.formats.native.host import dump_host
from simkit.formats.native.plan import dump_plan
from simkit.formats.source import READERS, open_host, open_plan_or_host, open_policy, open_workload, recognise, shipped
from simkit.formats.sysfs.tree import write
from simkit.model.host import Host
from simkit.model.plan import Plan
from simkit.testing.small_node import small_host, small_plan


def test_every_form_of_one_machine_is_recognised(tmp_path: Path) -> None:
    host = small_host()
    (tmp_path / "a.yaml").write_text(dump_host(host))
    (tmp_path / "b.json").write_text(dump_host(host, style="json"))
    (tmp_path / "plan.json").write_text(dump_plan(small_plan()))
    write(host, tmp_path / "tree")
    for source in ("a.yaml", "b.json", "plan.json", "tree", "tree/sys"):
        found = open_host(str(tmp_path / source))
        assert [function.address for function in found.functions] == [function.address for function in host.functions], source
    assert isinstance(open_plan_or_host(str(tmp_path / "plan.json")), Plan)
    assert isinstance(open_plan_or_host(str(tmp_path / "a.yaml")), Host)
    assert isinstance(open_plan_or_host("hgx-h100"), Host)


def test_shipped_things_open_by_name() -> None:
    assert len(shipped("hosts")) >= 6
    assert len(shipped("workloads")) >= 6
    assert len(shipped("policies")) >= 4
    assert open_workload("two-guests").name == "two-guests"
    assert open_policy("isolation").name == "isolation"


def test_a_name_that_is_not_there_gets_near_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean hgx-h100"):
        open_host("hgx-h10")
    with pytest.raises(UnknownName, match="no workload or file"):
        open_workload("nothing-like-it")


@pytest.mark.parametrize(("content", "reader"), [
    (b'<?xml version="1.0"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd" [ ]>\n<topology/>', "hwloc"),
    (b"<root>", "hwloc"),
    (b"\xef\xbb\xbf<!-- no <topology> --\n of hwloc -->\n<!---->\n<system version='1'>", "nccl"),
])
def test_xml_is_recognised_by_its_root_element(content: bytes, reader: str) -> None:
    assert recognise(content, "x.xml") == reader


@pytest.mark.parametrize(("content", "words"), [
    (b"", "empty"),
    (b"<graphs version='1'/>", "NCCL graph file"),
    (b"<html/>", "neither hwloc's"),
    (b"\x7fELF....", "no reader knows"),
    (b"hello: world\n", "no reader knows"),
])
def test_strangers_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UnreadableSource, match=words):
        open_host(str(tmp_path / "x"))


def test_a_reader_can_be_forced(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("name: h\n")
    with pytest.raises(SimkitError, match="does not say what it is"):
        open_host(str(tmp_path / "x"), reader="native")
    with pytest.raises(UnreadableSource, match="no reader 'dmidecode'"):
        open_host(str(tmp_path / "x"), reader="dmidecode")


@pytest.mark.parametrize(("content", "reader"), [
    (b"00:00.0 Host bridge: Intel Corporation\n", "lspci"),
    (b"$ lspci -D\n0000:00:00.0 0600: 8086:09a2\n", "lspci"),
    (b'00:00.0 "Host bridge" "Intel Corporation" "Device 09a2"\n', "lspci"),
    (b"Slot:\t00:00.0\nClass:\tHost bridge\n", "lspci"),
    (b"-[0000:00]-+-00.0\n", "lspci"),
    ("00:00.0 Host bridge: Intel Corporation\n".encode("utf-16"), "lspci"),
    (b"[    0.1] pci 0000:00:00.0: Adding to iommu group 0\n", "dmesg"),
    (b"<6>[    0.000000] Linux version 6.1.0-13-amd64 (x)\n", "dmesg"),
    (b"Nov 25 03:09:33 node kernel: Command line: simkit=1\nNov 25 03:09:33 node kernel: DMAR: IOMMU enabled\n", "dmesg"),
    (b'[\n    {\n        "realpath": "/sys/devices/pci0000:00/0000:00:00.0"', "rdma_topo"),
    (b'[{"rdma_nic_pf_bdf": "0000:03:00.0"}]', "rdma_topo"),
    (b"<!-- pci 0000:00:00.0: [8086:09a2] -->\n<topology/>", "hwloc"),
    (b'simkit: host/1\nname: "pci 0000:00:00.0: x"\n', "native"),
    (b'{"name": "00:00.0 x", "simkit": "host/1"}', "native"),
])
def test_texts_are_known_by_their_content(content, reader):
    assert recognise(content, "x") == reader


@given(st.binary(max_size=200))
def test_recognising_never_breaks(data: bytes) -> None:
    try:
        assert recognise(data, "x") in READERS
    except UnreadableSource as error:
        assert str(error)
