"""Firmware's tables of IOMMUs: written here with struct by the specifications, and as QEMU 7.2 writes them."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simkit.errors import MalformedTable
from simkit.formats.acpi import dmar, iort, ivrs
from simkit.formats.acpi.encode import tables
from simkit.formats.sysfs.firmware import iommu_scopes as read_scopes
from simkit.model.platform import IommuKind
from simkit.model.scope import IdRange, IommuScope, ScopePath
from simkit.model.unknown import Unknown
from simkit.testing.hosts import iommu_scopes

INTEL, AMD, SMMU = IommuKind.INTEL, IommuKind.AMD, IommuKind.SMMU
READERS = {"DMAR": dmar.read, "IVRS": ivrs.read, "IORT": iort.read}

QEMU_DMAR = bytes.fromhex(
    "444d41528800000001c0424f43485320425850432020202001000000425850430100000026010000000000000000000000005000000000000000d9fe00000000"
    "0308000000ff00000108000000000000020800000000010002080000000003000108000000001e000108000000001f000108000000001f020108000000001f03"
    "0200080001000000")
"""One root bus of two bypasses the IOMMU: the unit names what it translates. A bridge at 00:01.0, one to conventional PCI at 00:03.0."""

QEMU_IVRS = bytes.fromhex(
    "495652539000000001fb424f43485320425850432020202001000000425850430100000000280000000000000000000010d16000080040000000d8fe00000000"
    "00000000440000000200000002080000021000000300010004ff010002180000430002000018000004ff020002f0000002f8000002fa000002fb000002008000"
    "0300810004ff81004800000000a00001")
"""Root ports at 00:02.0 and 80:00.0, a bridge to conventional PCI at 00:03.0 under whose id its bus 02 speaks, an I/O APIC at 00:14.0."""

QEMU_IORT = bytes.fromhex(
    "494f5254ec000000030042"
    "4f43485320425850432020202001000000425850430100000003000000300000000000000000180001000000000000000000000000010000000000000004580004"
    "010000000100000044000000000005090000000001000000000000000000000000000000000000006a0000006b0000006d0000006c000000000000000000000000"
    "000000ffff0000000000003000000000000000024c0003020000000200000024000000010000000000000300000000000000004000000000000000000100000000"
    "0000480000000000000000010000fffe0000000100003000000000000000")
"""`virt` with an SMMU for bus 00. QEMU 7.2 counts one id too many, and 0x100 is in both of its mappings: the second, to the ITS, has it."""


def test_qemus_own_tables() -> None:
    assert dmar.read(QEMU_DMAR, where="x") == (IommuScope(INTEL, 0, paths=(
        ScopePath(0, ((0, 0),)), ScopePath(0, ((1, 0),), below=True), ScopePath(0, ((3, 0),), below=True), ScopePath(0, ((0x1E, 0),)),
        ScopePath(0, ((0x1F, 0),)), ScopePath(0, ((0x1F, 2),)), ScopePath(0, ((0x1F, 3),)))),)
    single = [0x00, 0x08, 0x10]
    assert ivrs.read(QEMU_IVRS, where="x") == (IommuScope(AMD, 0, ids=(
        *(IdRange(number, number) for number in single), IdRange(0x100, 0x1FF), IdRange(0x18, 0x18), IdRange(0x200, 0x2FF, 0x18),
        *(IdRange(number, number) for number in (0xF0, 0xF8, 0xFA, 0xFB, 0x8000)), IdRange(0x8100, 0x81FF), IdRange(0xA0, 0xA0))),)
    assert iort.read(QEMU_IORT, where="x") == (IommuScope(SMMU, 0, ids=(IdRange(0, 0xFF),)),)


def table(signature: str, body: bytes) -> bytes:
    return struct.pack("<4sIBB26s", signature.encode(), 36 + len(body), 1, 0, b"") + body


def drhd(segment: int, flags: int, *scopes: bytes) -> bytes:
    return struct.pack("<HHBBHQ", 0, 16 + len(b"".join(scopes)), flags, 0, segment, 1) + b"".join(scopes)


def device(kind: int, bus: int, *path: int) -> bytes:
    return struct.pack("<BBHBB", kind, 6 + len(path), 0, 0, bus) + bytes(path)


def test_units_of_dmar() -> None:
    """A unit of its own for a GPU, one in another segment for what is below two bridges, and one for the rest, whose own names do not count."""
    body = bytes(12) + drhd(0, 0, device(1, 0, 2, 0)) + struct.pack("<HH20s", 1, 24, b"an RMRR") + drhd(
        1, 0, device(3, 0, 0x1F, 7), device(2, 0x80, 1, 0, 0, 1), device(5, 0, 1, 0)) + drhd(0, 1, device(3, 0, 0x1F, 7), device(1, 0, 0x1F, 0))
    assert dmar.read(table("DMAR", body), where="x") == (
        IommuScope(INTEL, 0, paths=(ScopePath(0, ((2, 0),)),)), IommuScope(INTEL, 1, paths=(ScopePath(0x80, ((1, 0), (0, 1)), below=True),)),
        IommuScope(INTEL, 0, rest=True))


def block(kind: int, own: int, segment: int, entries: bytes) -> bytes:
    size = 24 if kind == 0x10 else 40
    return struct.pack("<BBHHHQHHI", kind, 0, size + len(entries), own, 0x40, 1, segment, 0, 0).ljust(size, b"\0") + entries


def test_blocks_of_ivrs() -> None:
    """Of the three types that describe one IOMMU the last counts; the second IOMMU's is of the same type. Memory definitions are passed over,
    and nothing past a block of a type that Linux does not know."""
    named = struct.pack("<BHB8s8sBB4s", 0xF0, 0x90, 0, b"AMDI0020", b"", 2, 4, b"ID00")
    ranges = struct.pack("<BHBI", 0x47, 0x100, 0, 0) + struct.pack("<BHB", 2, 0x08, 0) + struct.pack("<BHB", 4, 0x1FF, 0)
    body = bytes(12) + block(0x10, 2, 0, struct.pack("<BHB", 1, 0, 0)) + block(0x11, 2, 0, struct.pack("<BHB", 2, 0x10, 0)) + block(
        0x40, 2, 0, named + ranges) + block(0x40, 0x2002, 1, struct.pack("<BHBBHB", 0x42, 0x300, 0, 0, 0x200, 0) + struct.pack("<BHBI", 0x46, 0x20, 0, 0))
    assert ivrs.read(table("IVRS", body), where="x") == (
        IommuScope(AMD, 0, ids=(IdRange(0x90, 0x90), IdRange(0x08, 0x08), IdRange(0x100, 0x1FF))),
        IommuScope(AMD, 1, ids=(IdRange(0x300, 0x300, 0x200), IdRange(0x20, 0x20))))
    later = bytes(12) + block(0x10, 2, 0, struct.pack("<BHB", 2, 0x10, 0)) + struct.pack("<BBHH", 0x50, 0, 6, 2) + block(0x11, 2, 0, b"")
    assert ivrs.read(table("IVRS", later), where="x") == (IommuScope(AMD, 0, ids=(IdRange(0x10, 0x10),)),)
    everything = bytes(12) + block(0x10, 2, 0, struct.pack("<BHB", 1, 0, 0)) + struct.pack("<BBHHHQQQ", 0x21, 0, 32, 9, 0, 0, 0, 0)
    assert ivrs.read(table("IVRS", everything), where="x") == (IommuScope(AMD, 0, ids=(IdRange(0, 0xFFFF),)),)


def complex_(segment: int, *mappings: tuple[int, int, int, int]) -> bytes:
    maps = b"".join(struct.pack("<IIIII", first, more, 0, target, flags) for first, more, target, flags in mappings)
    return struct.pack("<BHBII", 2, 36 + len(maps), 1, 0, len(mappings)) + struct.pack("<IQIIB3x", 36, 0, 0, segment, 64) + maps


def test_root_complexes_of_iort() -> None:
    """To an SMMU of either kind, to the ITS past it, by a single mapping, by none; a second root complex of a segment is not asked."""
    first = struct.pack("<BHBIII4s", 0, 20, 0, 0, 0, 0, b"")
    second, third = struct.pack("<BHBIII", 3, 16, 0, 0, 0, 0), struct.pack("<BHBIII", 4, 16, 0, 0, 0, 0)
    its, old, new = 48, 68, 84
    roots = [complex_(0, (0, 0xFF, new, 0), (0x200, 0xFF, its, 0), (0x280, 0x17F, old, 0)), complex_(1, (5, 0, old, 1)), complex_(2), complex_(3, (0, 0xFFFF, its, 0)),
             complex_(0, (0, 0xFFFF, new, 0)), complex_(4, (0, 0xFFFFFFFF, new, 0)), complex_(5, (0x10, 0, new, 0), (0x10, 0xF, its, 0))]
    body = struct.pack("<III", 3 + len(roots), 48, 0) + first + second + third + b"".join(roots)
    found = {scope.domain: [(ids.first, ids.last) for ids in scope.ids] for scope in iort.read(table("IORT", body), where="x")}
    assert found == {0: [(0, 0xFF), (0x300, 0x3FF)], 1: [(0, 0xFFFF)], 2: [], 3: [], 4: [(0, 0xFFFF)], 5: [(0x10, 0x10)]}


@pytest.mark.parametrize(("name", "data", "words"), [
    ("DMAR", b"", "the signature is not DMAR"), ("DMAR", QEMU_DMAR[:-1], "136 bytes long, of which 135 are here"), ("DMAR", b"DMAR\1\0\0\0", "a length of 1 bytes"),
    ("DMAR", table("DMAR", bytes(12) + struct.pack("<HH", 0, 0)), "a structure of 0 bytes, at offset 0x30"),
    ("DMAR", table("DMAR", bytes(12) + struct.pack("<HHQ", 0, 12, 0)), "a DRHD of 12 bytes"),
    ("DMAR", table("DMAR", bytes(12) + drhd(0, 0, struct.pack("<BBHBB", 1, 0, 0, 0, 0))), "a device scope of 0 bytes, at offset 0x40"),
    ("DMAR", table("DMAR", bytes(12) + drhd(0, 0, device(1, 0, 0x20, 0))), "names no function"),
    ("IVRS", table("IVRS", bytes(12) + struct.pack("<BBH", 0x10, 0, 3)), "a block of 3 bytes"),
    ("IVRS", table("IVRS", bytes(12) + block(0x10, 0, 0, struct.pack("<BHB", 0x90, 0, 0))), "an entry of type 0x90"),
    ("IVRS", table("IVRS", bytes(12) + block(0x10, 0, 0, struct.pack("<BHB", 0x42, 0, 0))), "an entry of type 0x42"),
    ("IVRS", table("IVRS", bytes(12) + struct.pack("<BBHQ", 0x11, 0, 12, 0)), "a block of type 0x11 and 12 bytes"),
    ("IORT", table("IORT", struct.pack("<III", 1, 48, 0)), "1 nodes are announced, 0 are here"),
    ("IORT", table("IORT", struct.pack("<III", 1, 48, 0) + complex_(0, (0, 1, 4, 0))), "a mapping to 0x4, where no node is"),
    ("IORT", table("IORT", struct.pack("<III", 1, 48, 0) + struct.pack("<BHBIII20s", 2, 36, 0, 0, 5, 36, b"")), "5 mappings at 0x24 in a node of 36 bytes"),
    ("IORT", table("IORT", struct.pack("<III", 1, 48, 0) + struct.pack("<BHBIII20s", 2, 36, 0, 0, 1 << 31, 36, b"")), "where no machine has over 256"),
])
def test_what_contradicts_itself_is_refused_with_the_offset(name: str, data: bytes, words: str) -> None:
    with pytest.raises(MalformedTable, match="copy the whole file again") as caught:
        READERS[name](data, where="sys/firmware/acpi/tables/X")
    assert words in str(caught.value)
    assert str(caught.value).startswith("sys/firmware/acpi/tables/X: ")


@given(st.sampled_from([("DMAR", QEMU_DMAR), ("IVRS", QEMU_IVRS), ("IORT", QEMU_IORT)]), st.lists(st.tuples(st.integers(36, 235), st.integers(0, 255)), max_size=8),
       st.integers(0, 240))
@example(("IORT", QEMU_IORT), [(36, 255), (37, 255), (38, 255), (39, 255)], 236)
def test_no_damage_breaks_a_reader(original: tuple[str, bytes], changes: list[tuple[int, int]], length: int) -> None:
    name, data = original
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        found = READERS[name](bytes(damaged[:max(length, 8)] if length < len(damaged) else damaged), where="x")
    except MalformedTable:
        return
    assert all(0 <= ids.first <= ids.last <= 0xFFFF for scope in found for ids in scope.ids)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=200))
def test_no_bytes_break_a_reader(name: str, body: bytes) -> None:
    try:
        READERS[name](table(name, body), where="x")
    except MalformedTable as error:
        assert "x: " in str(error)


@given(st.lists(iommu_scopes(), max_size=4))
def test_what_is_written_is_read(scopes: list[IommuScope]) -> None:
    """Of each kind in its order; of a root complex the first. A unit of all the rest names nothing."""
    by_kind = [scope for kind in (INTEL, AMD, SMMU) for scope in scopes if scope.kind is kind]
    expected, seen = [], set()
    for scope in by_kind:
        if scope.kind is SMMU and scope.domain in seen:
            continue
        if scope.kind is SMMU:
            seen.add(scope.domain)
        expected.append(IommuScope(scope.kind, scope.domain, scope.rest, () if scope.rest else scope.paths, scope.ids))
    written = tables(tuple(scopes))
    found = [scope for name in READERS if name in written for scope in READERS[name](written[name], where="x")]
    assert [covered(scope) for scope in found] == [covered(scope) for scope in expected]
    assert all(sum(data) % 256 == 0 for data in written.values())


def covered(scope: IommuScope) -> tuple[object, ...]:
    """Overlapping ranges of an SMMU are read as those ids once."""
    ids = frozenset(number for each in scope.ids for number in range(each.first, each.last + 1)) if scope.kind is SMMU else scope.ids
    return scope.kind, scope.domain, scope.rest, scope.paths, ids


class Memory:
    """A tree of files in memory."""

    name = "node"

    def __init__(self, files: dict[str, bytes | None]) -> None:
        self.files = files

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(self.files)) if path == "sys/firmware/acpi/tables" else ()

    def read(self, path: str, *, most: int = 1 << 20) -> bytes | None:
        data = self.files.get(path.rpartition("/")[2])
        return data[:most] if data is not None else None

    def denied(self, path: str) -> bool:
        return self.files.get(path.rpartition("/")[2], b"") is None


FACP = table("FACP", bytes(100))


def test_no_table_is_known_only_where_others_could_be_read() -> None:
    assert read_scopes(Memory({"FACP": FACP})) == ()
    assert read_scopes(Memory({"FACP": FACP, "DMAR": QEMU_DMAR})) == dmar.read(QEMU_DMAR, where="x")
    for files, why in (({}, "not in the source"), ({"FACP": None}, "root only"), ({"FACP": None, "DMAR": None}, "root only"), ({"APIC": FACP}, "not in the source"),
                       ({"FACP": FACP, "DMAR": b""}, "is empty"), ({"FACP": FACP, "IVRS": QEMU_IVRS[:60]}, "144 bytes long, of which 60 are here"),
                       ({"FACP": FACP, "VIOT": b""}, "virtio")):
        found = read_scopes(Memory(files))
        assert isinstance(found, Unknown)
        assert why in found.why
