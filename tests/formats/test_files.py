"""Trees in folders and tars: the same answers, nothing outside, and damage refused; Python's own tarfile is the oracle."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import SimkitError, UnreadableSource, UnsafeArchive
from simkit.formats.source import open_host
from simkit.formats.sysfs import reader as sysfs
from simkit.formats.sysfs import tar
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.formats.sysfs.files import FolderFiles, TarFiles
from simkit.formats.sysfs.tar import MemberKind, members, unpacked

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "/".join(["sys", "a" * 60, "b" * 60, "c" * 90])


def pack(path: Path, *entries, style="gnu", mode="w") -> Path:
    """A tar of (name, content): bytes are a file, text is a symbolic link, None a folder, a TarInfo type is a member of that type."""
    with tarfile.open(path, mode, format=FORMATS[style]) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, tuple):
                info.type, info.linkname = content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recorded node as a folder, and the same as tars of every kind."""
    folder = tmp_path_factory.mktemp("recorded") / "node"
    sysfs_tree.write(open_host("edge-single"), folder)
    tars = []
    for style, form in FORMATS.items():
        for mode in ("w", "w:gz", "w:bz2", "w:xz"):
            path = folder.parent / f"{style}{mode[2:]}.tar"
            with tarfile.open(path, mode, format=form) as archive:
                archive.add(folder, "deep/er/node")
            tars.append(path)
    return folder, tars


def test_a_tar_of_any_kind_reads_as_the_folder(recorded):
    folder, tars = recorded
    host = sysfs.read(FolderFiles(folder), name="x")
    assert len(host.functions) == 9
    for path in tars:
        assert sysfs.read(TarFiles(path), name="x") == host, path.name


def test_folder_and_tar_answer_every_question_alike(recorded):
    folder, tars = recorded
    one, other = FolderFiles(folder), TarFiles(tars[0])
    asked = 0
    for path in sorted(folder.rglob("*")):
        inside = str(path.relative_to(folder))
        for question in ("read", "listdir", "readlink", "realpath"):
            assert getattr(one, question)(inside) == getattr(other, question)(inside), (question, inside)
            asked += 1
    assert one.listdir("") == ("proc", "sys") and one.read("/etc/passwd") is None
    device = "sys/bus/pci/devices/0000:00:01.1/"
    for inside in (f"{device}vendor", f"{device}driver/bind", f"{device}driver/../../devices", f"{device}vendor/x", "sys/none", "", "sys/", "/sys", "/"):
        for question in ("read", "listdir", "readlink"):
            assert getattr(one, question)(inside) == getattr(other, question)(inside), (question, inside)
    assert asked > 500


@pytest.mark.parametrize("style", FORMATS)
def test_long_names_and_links(tmp_path, style):
    far = LONG + "/" + "d" * 40 if style != "ustar" else LONG
    files = TarFiles(pack(tmp_path / "x.tar", ("sys", None), (far, b"deep"), ("sys/here", "x" * (90 if style == "ustar" else 300)), style=style))
    assert files.read(far) == b"deep" and len(files.readlink("sys/here")) in (90, 300)


def test_hard_links_later_members_and_stripped_names(tmp_path):
    files = TarFiles(pack(tmp_path / "x.tar", ("./sys/a", b"old"), ("./sys//b", (tarfile.LNKTYPE, "./sys/a")), ("./sys/a", b"new"), ("sys/dir/", None)))
    assert (files.read("sys/a"), files.read("sys/b"), files.listdir("sys"), files.read("sys/a", most=1)) == (b"new", b"old", ("a", "b", "dir"), b"n")


def test_what_is_packed_twice_is_what_unpacking_leaves(tmp_path):
    """A hard link to a link is that link; a link with members below it is a folder; of a link and a file the later one counts."""
    files = TarFiles(pack(tmp_path / "x.tar", ("sys/a/f", b"1"), ("sys/l", "a"), ("sys/same", (tarfile.LNKTYPE, "sys/l")), ("sys/same", (tarfile.LNKTYPE, "sys/same")),
                          ("sys/both", "a"), ("sys/both/f", b"2"), ("sys/late", "a"), ("sys/late", b"3"), ("sys/early", b"4"), ("sys/early", "a/f")))
    assert files.readlink("sys/same") == "a" and files.read("sys/same/f") == b"1"
    assert files.readlink("sys/both") is None and files.read("sys/both/f") == b"2"
    assert (files.read("sys/late"), files.readlink("sys/late"), files.read("sys/early")) == (b"3", None, b"1")


def test_streams_without_end(tmp_path):
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "x.tar").write_bytes(compress(b"") * (tar.MOST_STREAMS + 1))
        with pytest.raises(UnsafeArchive, match="16,384 compressed streams"):
            TarFiles(tmp_path / "x.tar")


def test_several_streams_in_one_file(tmp_path):
    data = pack(tmp_path / "x.tar", ("sys/a", b"1" * 3000)).read_bytes()
    for compress in (bz2.compress, gzip.compress, lzma.compress):
        (tmp_path / "x").write_bytes(compress(data[:700]) + compress(data[700:]))
        assert unpacked(tmp_path / "x") == data


# ---- refused


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "sys/../../x", "a/" * 60 + "../" * 61 + "x"])
def test_members_outside(tmp_path, name, style):
    if style == "ustar" and len(name) > 100:
        name = name[-240:]
    with pytest.raises(UnsafeArchive, match="leaves the archive"):
        TarFiles(pack(tmp_path / "x.tar", ("sys/a", b""), (name, b"x"), style=style))


def test_a_hard_link_to_outside_or_to_nothing(tmp_path):
    with pytest.raises(UnsafeArchive):
        TarFiles(pack(tmp_path / "x.tar", ("sys/a", (tarfile.LNKTYPE, "../../etc/passwd"))))
    with pytest.raises(UnreadableSource, match="not there"):
        TarFiles(pack(tmp_path / "x.tar", ("sys/a", (tarfile.LNKTYPE, "sys/b"))))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices(tmp_path, kind):
    with pytest.raises(UnsafeArchive, match="is a"):
        TarFiles(pack(tmp_path / "x.tar", ("sys/a", b""), ("sys/null", (kind, ""))))


def test_links_are_followed_inside_only(tmp_path):
    entries = (("sys/a", b"in"), ("sys/out", "../../../../../../etc/passwd"), ("sys/round", "round"), ("sys/one", "two"), ("sys/two", "one"), ("sys/up", ".."), ("sys/good", "up/sys/a"))
    (tmp_path / "folder/node/sys").mkdir(parents=True)
    (tmp_path / "folder/node/sys/a").write_bytes(b"in")
    for name, target in entries[1:]:
        os.symlink(target, tmp_path / "folder/node" / name)
    os.symlink("/etc", tmp_path / "folder/node/sys/etc")
    for files in (TarFiles(pack(tmp_path / "x.tar", *((f"node/{name}", content) for name, content in (*entries, ("sys/etc", "/etc"))))), FolderFiles(tmp_path / "folder/node")):
        assert files.read("sys/good") == b"in" and files.realpath("sys/good") == "sys/a"
        for name in ("out", "round", "one", "etc/passwd", "etc"):
            assert files.read(f"sys/{name}") is None and files.realpath(f"sys/{name}") is None, (files.name, name)
        assert files.listdir("sys/etc") == () and files.readlink("sys/etc/mtab") is None


def test_a_folder_with_pipes_and_devices_does_not_hang(tmp_path):
    (tmp_path / "sys").mkdir()
    os.mkfifo(tmp_path / "sys/pipe")
    files = FolderFiles(tmp_path)
    assert files.read("sys/pipe") is None and files.read("sys/\0") is None and files.read("sys") is None


def test_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(tar, "MOST_BYTES", 1 << 20)
    bomb = pack(tmp_path / "bomb", ("sys/a", bytes(3 << 20)), mode="w:bz2")
    assert bomb.stat().st_size < 2000
    for data in (bomb.read_bytes(), gzip.compress(bytes(3 << 20)), lzma.compress(bytes(3 << 20)), bytes(3 << 20)):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(UnsafeArchive, match="more than"):
            TarFiles(tmp_path / "x")
    monkeypatch.setattr(tar, "MOST_MEMBERS", 3)
    with pytest.raises(UnsafeArchive, match="members"):
        TarFiles(pack(tmp_path / "x", *((f"sys/{number}", b"") for number in range(4))))


def test_paths_without_end(tmp_path):
    for entry in (("sys/" + "a/" * 3000, None), ("sys/l", "a/" * 3000)):
        with pytest.raises(UnsafeArchive, match="characters"):
            TarFiles(pack(tmp_path / "x.tar", ("sys/b", b""), entry))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_cut_off_anywhere(tmp_path, mode):
    whole = pack(tmp_path / "x.tar", ("sys/a", os.urandom(700)), ("sys/b", b"2"), ("sys/" + "c" * 200, b"3"), mode=mode).read_bytes()
    useful = len(whole) if mode != "w" else max(index for index, byte in enumerate(whole) if byte) + 1
    for end in range(0, useful, 37):
        (tmp_path / "cut.tar").write_bytes(whole[:end])
        with pytest.raises(UnreadableSource, match="middle of a member" if mode == "w" and 512 <= end < 1024 else None):
            TarFiles(tmp_path / "cut.tar")
    with pytest.raises(UnreadableSource, match="cannot be read"):
        TarFiles(tmp_path / "none.tar")


def test_sparse_and_stranger_members(tmp_path):
    data = bytearray(pack(tmp_path / "x.tar", ("sys/a", b"x")).read_bytes())
    for kind in b"SMD":
        data[156] = kind
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        (tmp_path / "y.tar").write_bytes(data)
        with pytest.raises(UnreadableSource, match="not read"):
            TarFiles(tmp_path / "y.tar")


@pytest.mark.parametrize("record", [b"99 path=x\n", b"0 path=x\n", b"x path=x\n", b"10 pathxx\n", b"-9 path=x\n"])
def test_damaged_pax_records(tmp_path, record):
    data = bytearray(pack(tmp_path / "x.tar", ("sys/a", record), ("sys/b", b"")).read_bytes())
    data[156:157] = b"x"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(UnreadableSource, match="damaged pax"):
        TarFiles(tmp_path / "x.tar")


def test_two_trees(tmp_path):
    with pytest.raises(UnreadableSource, match="2 sysfs trees, in a, b"):
        TarFiles(pack(tmp_path / "x.tar", ("a/sys/x", b""), ("b/sys/x", b"")))


def test_no_tree(tmp_path):
    for entries in ([("a/b", b"")], [("sys", b"a file")]):
        with pytest.raises(UnreadableSource, match="no sysfs tree"):
            TarFiles(pack(tmp_path / "x.tar", *entries))
    for path in (tmp_path, tmp_path / "none", tmp_path / "x.tar"):
        with pytest.raises(UnreadableSource):
            FolderFiles(path)


# ---- fuzz


PARTS = st.sampled_from(["sys", "..", ".", "", "bus", "pci", "devices", "pci0000:00", "0000:00:01.0", "config", "vendor", "driver", "physfn", "a" * 120, "é"])
NAMES = st.lists(PARTS, min_size=1, max_size=6).map("/".join)
ENTRIES = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=80) | NAMES), max_size=12)


@given(ENTRIES, st.sampled_from(list(FORMATS)), st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=3), st.integers(0, 20_000))
def test_any_tar_is_read_or_refused(tmp_path_factory, entries, style, changes, end):
    """Odd members, then bytes changed and the end cut off: a host comes out, or one of our errors."""
    path = tmp_path_factory.mktemp("fuzz") / "x.tar"
    try:
        pack(path, ("sys/devices/pci0000:00/0000:00:01.0/vendor", b"0x8086\n"), *entries, style=style)
    except ValueError:
        return
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path.write_bytes(data[: max(end, 600)])
    try:
        host = sysfs.read(TarFiles(path), name="fuzz")
    except SimkitError as error:
        assert str(path) in str(error) or "fuzz" in str(error)
    else:
        assert len(host.functions) <= 40


@given(ENTRIES, st.sampled_from(list(FORMATS)))
def test_members_are_those_of_tarfile(tmp_path_factory, entries, style):
    path = tmp_path_factory.mktemp("same") / "x.tar"
    sound = [(name, content) for name, content in entries if ".." not in name and not name.startswith("/") and name.strip("/.")]
    try:
        pack(path, *sound, style=style)
    except ValueError:
        return
    assert agree(path) == len(sound)


def agree(path: Path) -> int:
    """How many members both readers see alike, contents too."""
    data = unpacked(path)
    ours = list(members(data, where=str(path)))
    with tarfile.open(path) as archive:
        theirs = list(archive)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.path == "/".join(part for part in other.name.split("/") if part not in ("", "."))
            assert (mine.kind is MemberKind.FILE, mine.kind is MemberKind.FOLDER, mine.kind is MemberKind.LINK) == (other.isreg(), other.isdir(), other.issym())
            if other.isreg():
                assert data[mine.start : mine.start + mine.size] == archive.extractfile(other).read()
            elif other.issym():
                assert mine.target == other.linkname
    return len(ours)


@pytest.mark.corpus
def test_every_member_of_the_corpus(corpus):
    counts = {path.name.removesuffix(".tar.bz2"): agree(path) for path in sorted((corpus / "hwloc").glob("*.tar.bz2"))}
    print(counts)
    assert counts == {"2pa-pcidomain32bits": 2316, "40intel64-2g2n4c+pcilocality": 11495, "40intel64-4n10c+pci-conflicts": 8716, "nvidia-dgx-gb10": 3466,
                      "nvidiagpunumanodes": 1711}
