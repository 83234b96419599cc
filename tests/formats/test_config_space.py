"""Configuration space: an independent reading with struct, the kernel's word for 4,543 functions, lspci's for its own test data."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import MalformedConfigSpace, SimkitError
from simkit.formats.pci.config_encode import encode
from simkit.formats.pci.config_space import decode, find_extended
from simkit.model.address import Address, RootBus
from simkit.model.address_space import AddressRange, BridgeWindows, ResizableBar
from simkit.model.capabilities import Acs, AcsBits, Ats, Bar, BarKind, BusRange, DeviceControl, Egress, Link, PortType, Sriov
from simkit.model.function import Function
from simkit.model.unknown import UNKNOWN, Unknown, is_known

SPEED_OF_CODE = {1: 2.5, 2: 5, 3: 8, 4: 16, 5: 32, 6: 64}


def blank(size, *, layout=0):
    config = bytearray(size)
    struct.pack_into("<HHHH", config, 0, 0x10DE, 0x2330, 6, 0x10)
    struct.pack_into("<I", config, 8, 0x030200 << 8 | 0xA1)
    config[0x0E] = layout
    return config


def express(config, port, *, at=0x60, most=0, now=0):
    config[0x34] = at
    struct.pack_into("<BBH", config, at, 0x10, 0, 2 | port << 4)
    struct.pack_into("<I", config, at + 0x0C, most)
    struct.pack_into("<H", config, at + 0x12, now)


# ---- what each register means, image by image


@pytest.mark.parametrize("size", [0, 1, 4, 63, 65, 100, 128, 255, 257, 4095, 4097])
def test_truncated(size):
    with pytest.raises(MalformedConfigSpace) as caught:
        decode(bytes(size), where="node/0000:05:00.0/config")
    (fault,) = caught.value.faults
    assert f"offset 0x{size:x}" in fault.what and fault.where == "node/0000:05:00.0/config" and "again" in fault.remedy


def test_header_only_leaves_the_rest_unknown():
    space = decode(bytes(blank(64)), where="x")
    assert (space.vendor_id, space.device_id, space.class_code, space.revision, space.subsystem) == (0x10DE, 0x2330, 0x030200, 0xA1, None)
    for fact in (space.port_type, space.link, space.acs, space.ats, space.ari, space.sriov, space.capabilities, space.extended):
        assert isinstance(fact, Unknown) and "root" in fact.why


def test_conventional_bytes_of_a_pcie_function_leave_extended_unknown():
    config = blank(256)
    express(config, 4, most=5 | 16 << 4, now=4 | 8 << 4)
    space = decode(bytes(config), where="x")
    assert space.port_type is PortType.ROOT_PORT and space.link == Link(16.0, 8, 32.0, 16)
    for fact in (space.acs, space.ats, space.ari, space.sriov, space.extended):
        assert isinstance(fact, Unknown) and "extended" in fact.why
    assert (plain := decode(bytes(blank(256)), where="x")).port_type is None and plain.acs is None and plain.extended == () and plain.ari is False


@pytest.mark.parametrize("size", [64, 256, 4096])
def test_all_ones_is_no_answer(size):
    space = decode(b"\xff" * size, where="x")
    assert space.bus_range is None and space.bars == ()
    for fact in (space.vendor_id, space.class_code, space.revision, space.multifunction_bit, space.subsystem, space.port_type, space.acs, space.capabilities):
        assert isinstance(fact, Unknown) and "does not answer" in fact.why


def test_a_virtual_function_reads_ffff_but_has_a_class():
    config = blank(4096)
    config[0:4] = b"\xff" * 4
    express(config, 0)
    space = decode(bytes(config), where="x")
    assert (space.vendor_id, space.device_id, space.class_code) == (0xFFFF, 0xFFFF, 0x030200)
    assert space.port_type is PortType.ENDPOINT and isinstance(space.link, Unknown) and space.acs is None


def test_windows_of_a_bridge():
    config = blank(64, layout=1)
    config[0x1C:0x1E] = b"\x11\x21"
    struct.pack_into("<HHHH", config, 0x20, 0xC000, 0xC0F0, 0x0001, 0xFFF1)
    struct.pack_into("<II", config, 0x28, 0x20, 0x21)
    struct.pack_into("<HH", config, 0x30, 1, 1)
    found = decode(bytes(config), where="x").windows
    assert found == BridgeWindows(AddressRange(0x11000, 0x12FFF), AddressRange(0xC0000000, 0xC0FFFFFF), AddressRange(0x2000000000, 0x21FFFFFFFF), True)
    assert found.prefetchable.size_bytes == 8 << 30
    config[0x1C:0x1E] = b"\xf0\x00"
    struct.pack_into("<HHHH", config, 0x20, 0xFFF0, 0, 0xFFF0, 0)
    assert decode(bytes(config), where="x").windows == BridgeWindows(None, None, None, False)
    assert decode(bytes(blank(64)), where="x").windows is None


def test_msix_resizable_bars_vf_bars_and_the_egress_vector():
    config = blank(4096)
    express(config, 6)
    config[0x06] |= 0x10
    config[0x61] = 0xB0
    struct.pack_into("<BBH", config, 0xB0, 0x11, 0, 0x8000 | 255)
    struct.pack_into("<IIIII", config, 0x100, 0x15 | 1 << 16 | 0x120 << 20, 0x7F << 4, 1 | 2 << 5 | 6 << 8, 1 << 31, 3 | 27 << 8 | 5 << 16)
    struct.pack_into("<IHHII", config, 0x120, 0x0D | 1 << 16 | 0x140 << 20, 0x21 | 40 << 8, 0x20, 0x80000001, 0xFF)
    struct.pack_into("<I", config, 0x140, 0x10 | 1 << 16)
    struct.pack_into("<III", config, 0x164, 0x0000000C, 0x20, 0xFB000000)
    space = decode(bytes(config), where="x")
    assert space.msix_vectors == 256
    assert space.resizable_bars == (ResizableBar(1, tuple(1 << step for step in range(20, 27)), 1 << 26), ResizableBar(3, (1 << 47, 1 << 48, 1 << 50), 1 << 47))
    assert space.acs.egress == Egress(40, 0xFF80000001)
    assert space.sriov.vf_bars == (Bar(0, BarKind.MEM64, UNKNOWN, True, 0x2000000000), Bar(2, BarKind.MEM32, UNKNOWN, False, 0xFB000000))
    assert space.acs.capability == AcsBits.SV | AcsBits.EC
    assert decode(bytes(blank(256)), where="x").msix_vectors is None
    header = decode(bytes(blank(64)), where="x")
    assert isinstance(header.msix_vectors, Unknown) and isinstance(header.resizable_bars, Unknown)


def test_an_egress_vector_of_size_0_has_256_bits():
    config = blank(4096)
    express(config, 6)
    config[0x06] |= 0x10
    struct.pack_into("<IHH", config, 0x100, 0x0D | 1 << 16, 0x20, 0x20)
    config[0x127] = 0x80
    assert decode(bytes(config), where="x").acs.egress == Egress(256, 1 << 255)


def test_a_size_that_is_not_supported_is_no_size():
    config = blank(4096)
    express(config, 0)
    struct.pack_into("<III", config, 0x100, 0x15 | 1 << 16, 1 << 4, 0 | 1 << 5 | 9 << 8)
    assert decode(bytes(config), where="x").resizable_bars == (ResizableBar(0, (1 << 20,), UNKNOWN),)
    config[0x06] |= 0x10
    (bar,) = decode(bytes(config), where="x").resizable_bars
    assert isinstance(bar.current_bytes, Unknown)


def test_extended_space_of_all_ones_is_unknown():
    config = blank(4096)
    express(config, 0)
    config[256:] = b"\xff" * 3840
    assert isinstance(decode(bytes(config), where="x").acs, Unknown)


def test_a_copy_filled_up_with_zeros_is_as_64_bytes():
    """GNU tar without root packs 4,096 bytes of which the kernel gave 64."""
    config = blank(4096)
    config[0x34] = 0x60
    space = decode(bytes(config), where="x")
    assert isinstance(space.port_type, Unknown) and isinstance(space.acs, Unknown) and space.class_code == 0x030200


def test_cardbus_shows_128_bytes_to_everybody():
    config = blank(128, layout=2)
    struct.pack_into("<HH", config, 0x40, 0x1028, 0x0152)
    config[0x18:0x1B] = bytes((1, 2, 5))
    space = decode(bytes(config), where="x")
    assert space.bus_range == BusRange(2, 5) and space.subsystem == (0x1028, 0x0152) and isinstance(space.port_type, Unknown)


def test_a_cardbus_bridge_has_one_base_address():
    config = blank(128, layout=2)
    struct.pack_into("<II", config, 0x10, 0xFC402000, 0x80)
    assert decode(bytes(config), where="x").bars == (Bar(0, BarKind.MEM32, base=0xFC402000),)


def test_netronome_ends_at_byte_1536():
    """Where Linux ends it, reading on would hang the card (`quirk_nfp6000`)."""
    config = blank(1536)
    with pytest.raises(MalformedConfigSpace, match="1536 bytes"):
        decode(bytes(config), where="x")
    config[0:2] = struct.pack("<H", 0x19EE)
    express(config, 0)
    struct.pack_into("<I", config, 0x100, 0x000E | 1 << 16 | 0x600 << 20)
    space = decode(bytes(config), where="x")
    assert space.ari is True and space.acs is None


def test_a_bridge_names_its_subsystem_in_a_capability():
    config = blank(256, layout=1)
    config[0x18:0x1B] = bytes((0, 0x17, 0x1F))
    config[0x34] = 0x40
    struct.pack_into("<BBHHH", config, 0x40, 0x0D, 0, 0, 0x15D9, 0x0888)
    space = decode(bytes(config), where="x")
    assert space.subsystem == (0x15D9, 0x0888) and space.bus_range == BusRange(0x17, 0x1F)


def test_lists_that_loop_end():
    config = blank(4096)
    config[0x34] = 0x40
    config[0x40:0x42], config[0x48:0x4A] = bytes((0x05, 0x48)), bytes((0x01, 0x40))
    struct.pack_into("<I", config, 0x100, 0x000D | 1 << 16 | 0x140 << 20)
    struct.pack_into("<I", config, 0x140, 0x0015 | 2 << 16 | 0x100 << 20)
    space = decode(bytes(config), where="x")
    assert space.capabilities == ((0x05, 0x40), (0x01, 0x48))
    assert space.extended == ((0x000D, 1, 0x100), (0x0015, 2, 0x140))


def test_capabilities_at_the_very_end_do_not_read_past_it():
    config = blank(4096)
    express(config, 0, at=0xEC, most=1 | 1 << 4)
    config[0x34] = 0xFC
    config[0xFC:0xFE] = bytes((0x10, 0x00))
    struct.pack_into("<I", config, 0x100, 0x000B | 0xFFC << 20)
    struct.pack_into("<I", config, 0xFFC, 0x000D)
    space = decode(bytes(config), where="x")
    assert isinstance(space.acs, Unknown) and "past the end" in space.acs.why
    assert find_extended(bytes(config), 0x000D) == 0xFFC and find_extended(bytes(config[:256]), 0x000D) is None


def test_a_reserved_port_type_is_unknown():
    config = blank(256)
    express(config, 3, most=1 | 1 << 4)
    port = decode(bytes(config), where="x").port_type
    assert isinstance(port, Unknown) and "3" in port.why


def test_device_control_is_where_the_kernel_looks():
    """0x2810 at +8 is what most devices come up with: relaxed ordering, no snoop, 128 bytes of payload, reads of 512 (PCI_EXP_DEVCTL)."""
    config = blank(256)
    express(config, 0)
    config[6] = 0x10
    struct.pack_into("<H", config, 0x68, 0x2810)
    assert decode(bytes(config), where="x").device_control == DeviceControl(128, 512, relaxed_ordering=True, extended_tags=False, no_snoop=True)
    struct.pack_into("<H", config, 0x68, 0x60E0)
    reserved = decode(bytes(config), where="x").device_control
    assert isinstance(reserved, Unknown) and "reserved" in reserved.why
    struct.pack_into("<HH", config, 0, 0xFFFF, 0xFFFF)
    virtual = decode(bytes(config), where="x").device_control
    assert isinstance(virtual, Unknown) and "physical" in virtual.why


def test_bars():
    config = blank(64)
    struct.pack_into("<6I", config, 0x10, 0xF000000C, 0x2E, 0xE1, 0, 0x4, 0)
    bars = decode(bytes(config), where="x").bars
    assert bars == (Bar(0, BarKind.MEM64, prefetchable=True, base=0x2EF0000000), Bar(2, BarKind.IO, base=0xE0), Bar(4, BarKind.MEM64))


def virtual(sriov):
    """SR-IOV's registers in the order they lie in."""
    return (int(sriov.enabled), int(sriov.ari_hierarchy), sriov.initial_vfs, sriov.total_vfs, sriov.num_vfs, sriov.offset, sriov.stride, sriov.vf_device_id)


# ---- encode gives back what decode reads


def words(bits):
    return st.integers(0, (1 << bits) - 1)


def maybe(strategy):
    return strategy | st.just(UNKNOWN)


vectors = st.integers(1, 256).flatmap(lambda size: st.builds(Egress, st.just(size), st.integers(0, (1 << size) - 1)))


def with_vector(capability, control, vector):
    return Acs(capability, control, egress=vector if capability & AcsBits.EC else UNKNOWN)


acs = st.builds(with_vector, words(7).map(AcsBits), words(7).map(AcsBits), vectors)
links = st.builds(Link, maybe(st.sampled_from(list(SPEED_OF_CODE.values())).map(float)), maybe(st.integers(1, 63)),
                  maybe(st.sampled_from(list(SPEED_OF_CODE.values())).map(float)), maybe(st.integers(1, 63))).filter(lambda link: link != Link())
sriovs = st.builds(Sriov, words(16), words(16), words(16), words(16), words(16), words(16), st.booleans(), st.booleans(), st.deferred(lambda: bars().map(lambda found: tuple(bar for bar in found if bar.kind is not BarKind.IO) or UNKNOWN)))


@st.composite
def bars(draw):
    found, index = [], 0
    while index < 6:
        kind = draw(st.sampled_from([None, *BarKind]))
        if kind is BarKind.IO:
            found.append(Bar(index, kind, base=draw(maybe(st.integers(1, 0x3FFF).map(lambda page: page << 2)))))
        elif kind is BarKind.MEM32:
            found.append(Bar(index, kind, prefetchable=draw(st.booleans()), base=draw(st.integers(1, 0xFFFFF).map(lambda page: page << 12))))
        elif kind is BarKind.MEM64 and index < 5:
            found.append(Bar(index, kind, prefetchable=draw(st.booleans()), base=draw(maybe(st.integers(1, 1 << 40).map(lambda page: page << 20)))))
            index += 1
        index += 1
    return tuple(found)


@st.composite
def ranges(draw, step, bits):
    """A window that its registers can hold, closed or open."""
    base = draw(st.integers(0, (1 << bits) - 1))
    return draw(st.none() | st.integers(base, (1 << bits) - 1).map(lambda limit: AddressRange(base * step, (limit + 1) * step - 1)))


windows = st.builds(BridgeWindows, ranges(1 << 12, 20), ranges(1 << 20, 12), ranges(1 << 20, 44), st.just(True)) | st.builds(
    BridgeWindows, ranges(1 << 12, 4), ranges(1 << 20, 12), ranges(1 << 20, 12), st.just(False))
steps = st.sets(st.integers(0, 43), min_size=1).flatmap(lambda found: st.tuples(st.just(sorted(found)), maybe(st.sampled_from(sorted(found)))))
resizables = st.lists(st.builds(lambda index, chosen: ResizableBar(index, tuple(1 << 20 + step for step in chosen[0]),
                                                                   UNKNOWN if chosen[1] is UNKNOWN else 1 << 20 + chosen[1]), st.integers(0, 5), steps), max_size=6).map(tuple)
sizes = st.sampled_from([128, 256, 512, 1024, 2048, 4096])


@st.composite
def functions(draw):
    """Facts that registers can hold together."""
    port = draw(st.sampled_from([UNKNOWN, None, *PortType]))
    bridge = draw(st.booleans())
    facts = {"vendor_id": draw(st.integers(0, 0xFFFE)), "device_id": draw(words(16)),
             "class_code": draw(words(24)), "revision": draw(words(8)), "port_type": port}
    if bridge:
        secondary = draw(words(8))
        facts["bus_range"] = BusRange(secondary, draw(st.integers(secondary, 255)))
    ids = draw(st.none() | st.tuples(words(16), words(16)).filter(any))
    facts["subsystem"] = UNKNOWN if bridge and not is_known(port) else ids
    facts["bars"] = () if bridge else draw(bars())
    facts["multifunction"] = draw(st.booleans())
    facts["windows"] = draw(windows) if bridge else None
    facts["msix_vectors"] = draw(st.none() | st.integers(1, 2048)) if is_known(port) else UNKNOWN
    facts["resizable_bars"] = UNKNOWN if not is_known(port) else ()
    if is_known(port):
        linkless = port is None or port in (PortType.RC_ENDPOINT, PortType.RC_EVENT_COLLECTOR)
        facts["link"] = None if linkless else draw(maybe(links))
        facts["device_control"] = None if port is None else draw(maybe(st.builds(DeviceControl, sizes, sizes, st.booleans(), st.booleans(), st.booleans())))
        told = port is None or draw(st.booleans())
        extended = {"acs": st.none() | acs, "ats": st.none() | st.builds(Ats, st.booleans()), "ari": st.booleans(), "sriov": st.none() | sriovs}
        for name, strategy in extended.items():
            absent = False if name == "ari" else None
            facts[name] = absent if port is None else draw(strategy) if told else UNKNOWN
        facts["resizable_bars"] = () if port is None else draw(resizables) if told else UNKNOWN
    return Function(Address(draw(words(16)), draw(words(8)), draw(words(5)), 0), RootBus(0, 0), **facts)


@given(functions())
def test_decode_gives_back_what_was_encoded(function):
    config = encode(function)
    assert len(config) == 64 if not is_known(function.port_type) else 256 if function.port_type is None or not is_known(function.ari) else 4096
    space = decode(config, where="x")
    for name in ("vendor_id", "device_id", "class_code", "revision", "subsystem", "bus_range", "port_type", "link", "acs", "ats", "ari", "sriov", "bars",
                 "device_control", "windows", "msix_vectors", "resizable_bars"):
        assert getattr(space, name) == getattr(function, name), name
    assert space.multifunction_bit == function.multifunction


@given(functions())
def test_encoded_bytes_are_where_the_specification_puts_them(function):
    read = independent(encode(function))
    assert (read["vendor"], read["device"], read["class"]) == (function.vendor_id, function.device_id, function.class_code)
    assert read["buses"] == ((function.bus_range.secondary, function.bus_range.subordinate) if function.bus_range else None)
    if isinstance(function.acs, Acs):
        assert read["acs"] == (int(function.acs.capability), int(function.acs.control))
    if isinstance(function.sriov, Sriov):
        assert read["sriov"] == virtual(function.sriov)
    if isinstance(function.port_type, PortType):
        assert read["port"] == int(function.port_type)
    if isinstance(function.device_control, DeviceControl):
        (word,) = struct.unpack_from("<H", encode(function), 0x68)
        control = function.device_control
        assert (128 << (word >> 5 & 7), 128 << (word >> 12)) == (control.max_payload_bytes, control.max_read_request_bytes)
        assert (bool(word >> 4 & 1), bool(word >> 8 & 1), bool(word >> 11 & 1)) == (control.relaxed_ordering, control.extended_tags, control.no_snoop)


# ---- fuzz


@given(st.sampled_from([64, 128, 256, 4096]), st.binary(max_size=4096), st.randoms(use_true_random=False), words(4))
def test_any_bytes_decode_or_are_refused(size, data, random, port):
    data = data[:size]
    config = bytearray(random.randbytes(size) if len(data) % 2 else bytes(size))
    config[: len(data)] = data
    if size > 128:
        config[6] |= 0x10
        config[random.choice([0x14, 0x34])] = random.randrange(256)
        where = random.randrange(0x40, 0xFF)
        config[where] = 0x10
        config[min(where + 2, 0xFF)] = port << 4
    try:
        space = decode(bytes(config), where="fuzz")
        assert len(space.capabilities) <= 48 if is_known(space.capabilities) else True
    except SimkitError:
        assert size == 128


# ---- real functions


def independent(config):
    """The same registers, read a second time, by struct alone and only as far as the tests need."""
    vendor, device, _, status = struct.unpack_from("<4H", config, 0)
    (class_revision,) = struct.unpack_from("<I", config, 8)
    layout = config[14] & 127
    found = {"vendor": vendor, "device": device, "class": class_revision >> 8, "revision": class_revision & 255, "many": config[14] >> 7,
             "buses": (config[25], config[26]) if layout == 1 else None,
             "port": None, "link": None, "acs": None, "ats": None, "sriov": None, "ari": False, "caps": [], "ext": []}
    at = config[52] if status & 16 and len(config) > 64 else 0
    while at >= 64 and len(found["caps"]) < 48:
        found["caps"].append((config[at], at))
        if config[at] == 16:
            flags, _, _, _, most, _, now = struct.unpack_from("<HIHHIHH", config, at + 2)
            found["port"] = flags >> 4 & 15
            found["link"] = (now & 15, now >> 4 & 63, most & 15, most >> 4 & 63)
        at = config[at + 1]
    at = 256 if len(config) > 256 else 0
    while at and struct.unpack_from("<I", config, at)[0]:
        (head,) = struct.unpack_from("<I", config, at)
        found["ext"].append((head & 65535, head >> 16 & 15, at))
        if head & 65535 == 13:
            capability, control = struct.unpack_from("<HH", config, at + 4)
            found["acs"] = (capability & 127, control & 127)
        elif head & 65535 == 15:
            found["ats"] = struct.unpack_from("<H", config, at + 6)[0] >> 15
        elif head & 65535 == 14:
            found["ari"] = True
        elif head & 65535 == 16:
            (control,) = struct.unpack_from("<H", config, at + 8)
            initial, total, number, _, _, first, stride, _, vf = struct.unpack_from("<HHHBBHHHH", config, at + 12)
            found["sriov"] = (control & 1, control >> 4 & 1, initial, total, number, first, stride, vf)
        at = head >> 20
    return found


def compare(space, config):
    """How many registers of each kind agreed with the independent reading; fails at the first that does not."""
    read = independent(config)
    assert (space.vendor_id, space.device_id, space.class_code, space.revision) == (read["vendor"], read["device"], read["class"], read["revision"])
    assert space.multifunction_bit == bool(read["many"]) and list(space.capabilities) == read["caps"] and list(space.extended) == read["ext"]
    assert (None if space.bus_range is None else (space.bus_range.secondary, space.bus_range.subordinate)) == read["buses"]
    assert (None if space.port_type is None else int(space.port_type)) == read["port"]
    assert (None if space.acs is None else (int(space.acs.capability), int(space.acs.control))) == read["acs"]
    assert (None if space.ats is None else int(space.ats.enabled)) == read["ats"] and space.ari == read["ari"]
    assert (space.sriov and virtual(space.sriov)) == read["sriov"]
    if isinstance(space.link, Link):
        speed, width, most_speed, most_width = read["link"]
        for ours, code in ((space.link.speed_gtps, SPEED_OF_CODE.get(speed)), (space.link.width, width or None),
                           (space.link.max_speed_gtps, SPEED_OF_CODE.get(most_speed)), (space.link.max_width, most_width or None)):
            assert (ours if is_known(ours) else None) == code
    elif isinstance(space.link, Unknown):
        assert read["link"] == (0, 0, 0, 0)
    else:
        assert read["port"] in (None, 9, 10)
    return {"bridge": read["buses"] is not None, "port": read["port"] is not None, "link": isinstance(space.link, Link), "acs": read["acs"] is not None,
            "ats": read["ats"] is not None, "ari": read["ari"], "sriov": read["sriov"] is not None, "many": bool(read["many"])}


@pytest.mark.corpus
class TestKernelCorpus:
    def test_every_function_reads_as_the_kernel_and_struct_say(self, corpus):
        counts = dict.fromkeys(["functions", "virtual", "bridge", "port", "link", "acs", "ats", "ari", "sriov", "many"], 0)
        for path in sorted((corpus / "kernel").glob("*.jsonl.gz")):
            with gzip.open(path, "rt") as lines:
                for case in map(json.loads, lines):
                    for function in case["functions"]:
                        config = gzip.decompress(base64.b64decode(function["config_zb64"]))
                        space = decode(config, where=function["bdf"])
                        counts["functions"] += 1
                        if function["physfn"]:
                            counts["virtual"] += 1
                            assert (space.vendor_id, space.device_id, space.sriov) == (0xFFFF, 0xFFFF, None)
                        else:
                            assert (space.vendor_id, space.device_id) == (int(function["vendor"], 16), int(function["device"], 16))
                        assert space.class_code == int(function["class"], 16)
                        for kind, agreed in compare(space, config).items():
                            counts[kind] += agreed
        print(counts)
        assert counts == {"functions": 4543, "virtual": 91, "bridge": 1817, "port": 2670, "link": 2630, "acs": 318, "ats": 87,
                          "ari": 216, "sriov": 125, "many": 1294}


def lspci_functions(folder):
    """(file, text of one function, its bytes) of everything in lspci's test data that has a hex dump of 64, 256 or 4,096 bytes."""
    for path in sorted(folder.iterdir()):
        for block in re.split(r"\n(?=[0-9a-f:.]{7,12} \w)|\n\n", path.read_text(errors="replace")):
            rows = re.findall(r"^([0-9a-f]{2,3}):((?: [0-9a-f]{2}){16})\s*$", block, re.MULTILINE)
            config = b"".join(bytes.fromhex(row) for _, row in rows)
            if re.match(r"[0-9a-f:.]+ ", block) and len(config) in (64, 256, 4096) and [int(at, 16) for at, _ in rows] == list(range(0, len(config), 16)):
                yield path.name, block, config


OLDER_TEXT = {"cap-flitmode"}
"""Capabilities were added to the bytes by hand, not to the text."""
ACS_WORDS = ["SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans"]
PORT_WORDS = {"Endpoint": 0, "Legacy Endpoint": 1, "Root Port": 4, "Upstream Port": 5, "Downstream Port": 6, "PCI-Express to PCI/PCI-X Bridge": 7,
              "PCI/PCI-X to PCI-Express Bridge": 8, "Root Complex Integrated Endpoint": 9, "Root Complex Event Collector": 10}


def acs_of(text):
    return sum(1 << bit for bit, word in enumerate(ACS_WORDS) if f"{word}+" in text)


@pytest.mark.corpus
class TestLspciCorpus:
    def test_lspci_printed_the_same(self, corpus):
        counts = dict.fromkeys(["functions", "caps", "extended", "port", "speed", "acs", "ats", "sriov", "vf", "buses"], 0)
        for name, text, config in lspci_functions(corpus / "lspci"):
            space = decode(config, where=name)
            counts["functions"] += 1
            if len(config) >= 256:
                offsets = [int(at, 16) for at in re.findall(r"Capabilities: \[([0-9a-f]{2})\] ", text)]
                if offsets:
                    assert [at for _, at in space.capabilities] == offsets, name
                    counts["caps"] += len(offsets)
            if len(config) == 4096:
                offsets = [(int(version), int(at, 16)) for at, version in re.findall(r"Capabilities: \[([0-9a-f]{3})(?: v(\d+))\] ", text)]
                if offsets and name not in OLDER_TEXT:
                    assert [(version, at) for _, version, at in space.extended] == offsets, name
                    counts["extended"] += len(offsets)
            for match in re.finditer(r"Express (?:\(v\d\) )?([\w/ -]+?)(?: \(Slot[+-]\))?, (?:MSI|IntMsgNum)", text):
                assert space.port_type == PORT_WORDS[match[1]], name
                counts["port"] += 1
            for key, speed, width in re.findall(r"(LnkCap|LnkSta):.*?Speed ([\d.]+)GT/s.*?Width x(\d+)", text):
                ours = (space.link.max_speed_gtps, space.link.max_width) if key == "LnkCap" else (space.link.speed_gtps, space.link.width)
                assert ours == (float(speed), int(width) or UNKNOWN), name
                counts["speed"] += 1
            for secondary, subordinate in re.findall(r"Bus: primary=\w+, secondary=(\w+), subordinate=(\w+)", text):
                assert space.bus_range == BusRange(int(secondary, 16), int(subordinate, 16)), name
                counts["buses"] += 1
            if len(config) < 4096:
                continue
            for key, bits in re.findall(r"ACS(Cap|Ctl):(.*)", text):
                assert acs_of(bits) == (space.acs.capability if key == "Cap" else space.acs.control), name
                counts["acs"] += 1
            for sign in re.findall(r"ATSCtl:\s+Enable([+-])", text):
                assert space.ats.enabled == (sign == "+"), name
                counts["ats"] += 1
            for initial, total, number in re.findall(r"Initial VFs: (\d+), Total VFs: (\d+), Number of VFs: (\d+)", text):
                assert (space.sriov.initial_vfs, space.sriov.total_vfs, space.sriov.num_vfs) == (int(initial), int(total), int(number)), name
                counts["sriov"] += 1
            for first, stride, device in re.findall(r"VF offset: (\d+), stride: (\d+), Device ID: ([0-9a-f]{4})", text):
                assert (space.sriov.offset, space.sriov.stride, space.sriov.vf_device_id) == (int(first), int(stride), int(device, 16)), name
                counts["vf"] += 1
        print(counts)
        assert counts == {"functions": 112, "caps": 143, "extended": 97, "port": 33, "speed": 51, "acs": 14, "ats": 3, "sriov": 3, "vf": 3, "buses": 18}
