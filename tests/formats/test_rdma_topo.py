"""Dumps of rdma_topo: a machine packed as it packs one, what is refused, and the fuzz."""

import base64
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedDocument, SimkitError
from simkit.formats.pci.config_encode import encode
from simkit.formats.text.rdma_topo import read
from simkit.model.address import Address, RootBus
from simkit.model.capabilities import Acs, AcsBits, Ats, BusRange, PortType, Sriov
from simkit.model.function import Function
from simkit.model.unknown import Unknown

PORT = Function(Address.parse("0000:01:00.0"), RootBus(0, 1), 0x10DE, 0x22B1, 0x060400, port_type=PortType.ROOT_PORT, bus_range=BusRange(2, 5), multifunction=False,
                acs=Acs(AcsBits.SV, AcsBits.SV), ats=None, ari=False, sriov=None)
NIC = Function(Address.parse("0000:02:00.0"), PORT.address, 0x15B3, 0x1023, 0x020700, port_type=PortType.ENDPOINT, multifunction=True, acs=None, ats=Ats(True), ari=True,
               sriov=Sriov(4, 4, 1, 2, 1, 0x101E, True, False))
VIRTUAL = Function(Address.parse("0000:02:00.2"), PORT.address, 0x15B3, 0x101E, 0x020700, port_type=PortType.ENDPOINT, physfn=NIC.address, acs=None, ats=None, ari=True, sriov=None)
ROOT = "/sys/devices/pci0000:01/0000:01:00.0"


def pack(data):
    return base64.b64encode(zlib.compress(data)).decode("ascii")


def record(function, path, **changed):
    base, sub, interface = function.class_code >> 16, function.class_code >> 8 & 0xFF, function.class_code & 0xFF
    whole = {"realpath": path, "config": pack(encode(function)), "iommu_group": 7, "numa_node": 0, "subsystems": {},
             "modalias": f"pci:v{function.vendor_id:08X}d{function.device_id:08X}sv000015B3sd00000023bc{base:02X}sc{sub:02X}i{interface:02X}"}
    return whole | changed


def records():
    name = b"ConnectX-8 SuperNIC"
    return [record(PORT, ROOT, iommu_group=None), record(NIC, f"{ROOT}/0000:02:00.0", vpd=pack(b"\x82" + len(name).to_bytes(2, "little") + name + b"\x78")),
            record(VIRTUAL, f"{ROOT}/0000:02:00.2", numa_node=-1)]


def parse(found, source="x.json"):
    return read(json.dumps(found, indent=4).encode(), source=source)


def test_a_dump():
    host = parse(records())
    port, nic, virtual = host.functions
    assert port.parent == RootBus(0, 1) and nic.parent == port.address == virtual.parent and virtual.physfn == nic.address
    assert (virtual.vendor_id, virtual.device_id, virtual.multifunction, virtual.numa_node) == (0x15B3, 0x101E, False, None)
    assert nic.name == "ConnectX-8 SuperNIC" and nic.ats == Ats(True) and nic.iommu_group == 7 and nic.numa_node == 0 and nic.subsystem == (0x15B3, 0x23)
    assert port.acs == Acs(AcsBits.SV, AcsBits.SV) and port.iommu_group is None and port.bus_range == BusRange(2, 5)
    assert isinstance(nic.driver, Unknown) and isinstance(host.kernel, Unknown) and "leaves out host and ISA bridges" in host.assumed[0]
    assert str(host.where(nic.path)) == "x.json:10"


def test_the_path_tells_the_tree():
    """A bridge that the dump leaves out is passed over; bus numbers, which would say otherwise, are not asked."""
    found = records()
    found[1]["realpath"] = f"{ROOT}/0000:07:01.0/0000:02:00.0"
    found[0]["config"] = pack(encode(replace(PORT, bus_range=BusRange(9, 9))))
    assert parse(found).functions[1].parent == PORT.address


def test_no_group_anywhere_is_unknown():
    host = parse([one | {"iommu_group": None} for one in records()])
    assert all(isinstance(function.iommu_group, Unknown) for function in host.functions)


@pytest.mark.parametrize(("change", "words"), [
    ({"realpath": "/sys/devices/x"}, "ends in no PCI address"), ({"realpath": None}, "ends in no PCI address"), ({"config": "?"}, "no zlib stream"),
    ({"config": None}, "no zlib stream"), ({"config": pack(b"x" * 100)}, "config space has 100 bytes"), ({"config": pack(bytes(5000))}, "no zlib stream"),
    ({"modalias": "usb:x"}, "is not as the kernel prints it"), ({"iommu_group": "7"}, "iommu_group '7' is no number"), ({"realpath": ROOT}, "there twice"),
])
def test_damaged_records_are_refused_with_their_line(change, words):
    found = records()
    found[1] |= change
    with pytest.raises(MalformedDocument) as caught:
        parse(found)
    assert words in str(caught.value) and "x.json:10" in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [
    (b"", "no JSON"), (b"{", "no JSON"), (b"{}", "no list"), (b"[]", "no function"), (b"[1, 2]", "2 faults"), (b"[" * 100000, "nested too deeply"), (b"\xff[]", "not UTF-8"),
    (b'[{"rdma_nic_pf_bdf": "0000:03:00.0", "gpu_bdf": "0000:09:00.0"}]', "rdma_topo dump"),
])
def test_strangers_are_refused(text, words):
    with pytest.raises(MalformedDocument, match=words):
        read(text, source="x.json")


def survives(data):
    try:
        read(data, source="x")
    except SimkitError as error:
        assert str(error) and error.exit_status == 2


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["realpath", "config", "modalias", "iommu_group", "numa_node", "vpd"]), inner), max_leaves=8).map(lambda value: json.dumps([value]).encode()))
def test_no_json_breaks_the_reader(data):
    survives(data)


@given(st.data())
def test_damage_does_not_break_the_reader(data):
    text = json.dumps(records(), indent=4).encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    survives(text[:start] + data.draw(st.sampled_from([b"", text[start:end] * 2, b"0", b'"', b"\xff", b"null"])) + text[end:])
