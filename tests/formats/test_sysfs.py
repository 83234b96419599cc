"""sysfs: captures of real nodes against a reading of the test's own, and recorded trees read back."""

import io
import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit.errors import SimkitError, UnreadableSource, UnsafeArchive
from simkit.formats.source import open_host, shipped
from simkit.formats.sysfs.files import FolderFiles, TarFiles
from simkit.formats.sysfs.reader import capture_local, read
from simkit.formats.sysfs.tree import write
from simkit.model.address import Address
from simkit.model.capabilities import BusRange, Link
from simkit.model.unknown import is_known
from simkit.semantics.diff import diff

ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
EXPECTED = {
    "2pa-pcidomain32bits": (9, 9, 0, 0, 9),
    "40intel64-2g2n4c+pcilocality": (37, 37, 14, 3, 37),
    "40intel64-4n10c+pci-conflicts": (3, 3, 1, 0, 3),
    "nvidia-dgx-gb10": (0, 0, 0, 0, 0),
    "nvidiagpunumanodes": (6, 6, 0, 0, 0),
}


def attributes(archive: Path) -> dict[str, dict[str, bytes]]:
    """Every function's files by name, found by path alone: the last address in a path is whose file it is."""
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(archive) as members:
        for member in members:
            parts = member.name.split("/")
            if len(parts) > 1 and ADDRESS.fullmatch(parts[-2]) and "/sys/" in f"/{member.name}" and "proc" not in parts:
                found.setdefault(parts[-2], {})
                if member.isreg():
                    data = members.extractfile(member)
                    found[parts[-2]][parts[-1]] = data.read() if data else b""
    return found


@pytest.mark.corpus
@pytest.mark.parametrize("name", EXPECTED)
def test_captures_of_real_nodes(corpus: Path, name: str) -> None:
    archive = corpus / "hwloc" / f"{name}.tar.bz2"
    host = open_host(str(archive))
    stated = attributes(archive)
    assert {str(function.address) for function in host.functions} == set(stated)
    classes = bridges = speeds = nodes = 0
    for function in host.functions:
        files = stated[str(function.address)]
        if "class" in files:
            classes += 1
            assert function.class_code == int(files["class"], 16)
        if "vendor" in files:
            assert (function.vendor_id, function.device_id) == (int(files["vendor"], 16), int(files["device"], 16))
        config = files.get("config", b"")
        if len(config) >= 64 and config[14] & 127 == 1:
            bridges += 1
            assert function.bus_range == BusRange(config[0x19], config[0x1A])
        if b"GT/s" in files.get("current_link_speed", b""):
            speeds += 1
            assert isinstance(function.link, Link)
            assert function.link.speed_gtps == float(files["current_link_speed"].split()[0])
        if "numa_node" in files:
            nodes += 1
            number = int(files["numa_node"])
            assert function.numa_node == (number if number >= 0 else None)
    print(f"{name}: functions {len(stated)}, classes {classes}, bridges {bridges}, link speeds {speeds}, NUMA nodes {nodes}")
    assert (len(stated), classes, bridges, speeds, nodes) == EXPECTED[name]


LOST = {"name", "peer_links", "revision", "subsystem", "bars", "ats", "sriov", "ari", "device_id", "tees", "driver", "device_control", "resizable_bars", "windows", "msix_vectors", "partitions"}


@pytest.mark.parametrize("name", shipped("hosts"))
def test_a_recorded_tree_reads_back(name: str, tmp_path: Path) -> None:
    """All that sysfs can carry; what is unknown in the host may read as absent or 0 from a register that had to be written."""
    host = open_host(name)
    write(host, tmp_path / "node")
    again = open_host(str(tmp_path / "node"))
    for change in diff(host, again):
        assert change.field in LOST, change
        if change.subject in {str(function.address) for function in host.functions} and change.field not in ("name", "bars", "sriov"):
            assert not is_known(change.before), change
    assert {function.address: function.parent for function in again.functions} == {function.address: function.parent for function in host.functions}
    assert [bar.size_bytes for function in again.functions if is_known(function.bars) for bar in function.bars] == [
        bar.size_bytes for function in host.functions if is_known(function.bars) for bar in function.bars]


def test_the_recorded_tree_wants_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(SimkitError, match="not empty"):
        write(open_host("edge-single"), tmp_path)
    assert (tmp_path / "x").read_text() == "mine"


def test_this_machine_can_be_captured() -> None:
    """Whatever it is, as whoever runs this: no error, and every function that sysfs lists."""
    listed = Path("/sys/bus/pci/devices")
    host = capture_local()
    if listed.is_dir():
        assert {str(function.address) for function in host.functions} == {path.name for path in listed.iterdir()}
    for function in host.functions:
        vendor = listed / str(function.address) / "vendor"
        assert function.vendor_id == int(vendor.read_text(), 16)


def archive(path: Path, *members: tuple[str, bytes | str]) -> Path:
    with tarfile.open(path, "w") as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                made.addfile(info)
            else:
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "node/sys/../../../x"])
def test_a_tar_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeArchive, match="leaves the archive"):
        TarFiles(archive(tmp_path / "bad.tar", ("node/sys/x", b""), (name, b"x")))


def test_links_in_a_tar_stay_inside(tmp_path: Path) -> None:
    files = TarFiles(archive(tmp_path / "a.tar", ("node/sys/x", b"inside"), ("node/sys/out", "../../../../etc/passwd"), ("node/sys/loop", "loop"), ("node/sys/abs", "/sys/x"), ("node/sys/rel", "../sys/x")))
    assert files.read("sys/out") is None
    assert files.read("sys/loop") is None
    assert files.read("sys/abs") == b"inside"
    assert files.read("sys/rel") == b"inside"
    assert files.realpath("sys/rel") == "sys/x"


def test_a_truncated_tar_and_a_stranger_are_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar", ("node/sys/x", b"x" * 5000)).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:2000])
    with pytest.raises(UnreadableSource):
        TarFiles(tmp_path / "cut.tar")
    with pytest.raises(UnreadableSource, match="no sysfs tree"):
        TarFiles(archive(tmp_path / "b.tar", ("a/b", b""), ("c/d", b"")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableSource, match="no sysfs tree"):
        FolderFiles(tmp_path / "empty")


def test_a_truncated_config_names_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "node" / "sys" / "devices" / "pci0000:00" / "0000:00:01.0"
    folder.mkdir(parents=True)
    (folder / "config").write_bytes(bytes(100))
    with pytest.raises(SimkitError, match=r"0000:00:01.0/config: config space has 100 bytes"):
        open_host(str(tmp_path / "node"))


@given(st.binary(max_size=3000))
def test_no_bytes_break_the_tar_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    path.write_bytes(data)
    with pytest.raises(SimkitError):
        read(TarFiles(path), name="x")


@given(st.dictionaries(st.sampled_from(["vendor", "class", "numa_node", "current_link_speed", "current_link_width", "resource", "sriov_totalvfs", "reset_method", "config"]), st.binary(max_size=70)))
def test_no_attribute_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("node")
    folder = root / "sys" / "devices" / "pci0000:00" / "0000:00:01.0"
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    try:
        host = read(FolderFiles(root), name="x")
    except SimkitError as error:
        assert "config" in str(error)
    else:
        assert host.functions[0].address == Address(0, 0, 1, 0)
