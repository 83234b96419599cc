"""The capture script, run by the shells that are here, tells what the folder tells; what it prints is refused where it is damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from simkit.errors import InputError, SimkitError, UnreadableSource, UnsafeArchive
from simkit.formats.acpi.encode import tables
from simkit.formats.source import open_host, recognise
from simkit.formats.sysfs import reader as sysfs
from simkit.formats.sysfs import tree as sysfs_tree
from simkit.formats.sysfs.files import FolderFiles
from simkit.formats.sysfs.stream import HEADER, StreamFiles, script
from simkit.model.host import Host
from simkit.model.place import Places
from simkit.model.platform import IommuKind
from simkit.model.scope import IommuScope, ScopePath
from simkit.model.unknown import Unknown
from simkit.testing.hosts import hosts

SHELLS = [shell for shell in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
TARS = ("2pa-pcidomain32bits", "40intel64-2g2n4c+pcilocality", "40intel64-4n10c+pci-conflicts", "nvidia-dgx-gb10", "nvidiagpunumanodes")


def printed(root: Path | str, shell: list[str], **more: str) -> bytes:
    return subprocess.run([*shell, "-s"], input=script(), capture_output=True, check=True, env=os.environ | {"SIMKIT_ROOT": str(root)} | more).stdout


def both(root: Path, shell: list[str]) -> tuple[Host, Host]:
    """By the folder and by the script, without the places."""
    found = sysfs.read(FolderFiles(root), name="x"), sysfs.read(StreamFiles(printed(root, shell), name="s"), name="x")
    return replace(found[0], places=Places({})), replace(found[1], places=Places({}))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "node"
    sysfs_tree.write(open_host("edge-single"), folder)
    return folder


@pytest.fixture(scope="module")
def whole(recorded: Path) -> bytes:
    return printed(recorded, ["sh"])


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_every_shell_tells_what_the_folder_tells(recorded: Path, shell: list[str]) -> None:
    folder, stream = both(recorded, shell)
    assert stream == folder
    assert len(folder.functions) == 9
    assert any(function.usage for function in folder.functions)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_this_machine_too(shell: list[str]) -> None:
    folder, stream = both(Path("/"), shell)
    assert stream == folder


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name.startswith("40intel64") else name for name in TARS])
@pytest.mark.corpus
def test_captures_of_real_machines(corpus: Path, tmp_path: Path, name: str) -> None:
    with tarfile.open(corpus / "hwloc" / f"{name}.tar.bz2") as archive:
        archive.extractall(tmp_path, filter="tar")
    root = tmp_path if (tmp_path / "sys").is_dir() else next(path.parent for path in sorted(tmp_path.rglob("sys")) if path.is_dir())
    folder, stream = both(root, ["sh"])
    assert stream == folder
    assert folder.functions or folder.numa_nodes


@given(hosts())
def test_any_host(tmp_path_factory: pytest.TempPathFactory, host: Host) -> None:
    root = tmp_path_factory.mktemp("any") / "node"
    try:
        sysfs_tree.write(host, root)
    except InputError:
        reject()
    folder, stream = both(root, ["sh"])
    assert stream == folder


def test_mapped_disks_multipath_and_bonds(recorded: Path, tmp_path: Path) -> None:
    """What the host uses lies behind links of several kinds: device mapper by name, NVMe by its subsystem, a bond by its members."""
    root = tmp_path / "node"
    shutil.copytree(recorded, root, symlinks=True)
    gpus = sorted((root / "sys/bus/pci/devices").iterdir())
    first, second, third = ("sys/" + os.path.realpath(path).rpartition("/sys/")[2] for path in gpus[-3:])
    virtual = "sys/devices/virtual"
    links = {f"{first}/nvme/nvme0/x": "", f"{second}/net/eth9/x": "", f"{third}/block/sdz/x": "", f"{virtual}/block/dm-0/dm/name": "root\n",
             f"{virtual}/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1/x": "", f"{virtual}/net/bond0/lower_eth9/x": "", "dev/dm-0": ""}
    for path, content in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    for path, target in {f"{virtual}/block/dm-0/slaves/sdz": f"{third}/block/sdz", f"{virtual}/nvme-subsystem/nvme-subsys0/nvme0": f"{first}/nvme/nvme0",
                         "sys/class/block/dm-0": f"{virtual}/block/dm-0", "sys/class/block/nvme0n1p1": f"{virtual}/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1",
                         "sys/dev/block/259:1": f"{virtual}/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1", "sys/class/net/bond0": f"{virtual}/net/bond0",
                         "sys/class/net/eth9": f"{second}/net/eth9", f"{second}/net/eth9/device": second, "dev/vg/root": "dev/dm-0"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(os.path.relpath(root / target, (root / path).parent))
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").write_text("20 1 0:99 / / rw - ext4 /dev/vg/root rw\n21 1 259:1 / /data rw - xfs /dev/nvme0n1p1 rw\n")
    (root / "proc/net/route").write_text("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\nbond0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\n")
    for shell in SHELLS:
        folder, stream = both(root, shell)
        assert stream == folder
        assert [function.usage for function in folder.functions[-3:]] == ["disk mounted at /data", "session NIC, default route", "root disk"]


def test_what_may_not_be_read_is_unknown_with_the_reason() -> None:
    """The record that a user who is not root gets, as tests may run as root."""
    device = "sys/bus/pci/devices/0000:00:00.0"
    data = f"hello\n\n{HEADER.decode()}\nD sys/bus/pci/devices//0000:00:00.0\nD {device}//config/vendor\nT {device}/vendor\n 0x8086\nN {device}/config\nend\n"
    host = sysfs.read(StreamFiles(data.encode(), name="s"), name="x")
    assert host.functions[0].vendor_id == 0x8086
    unknown = host.functions[0].acs
    assert isinstance(unknown, Unknown)
    assert "capture as root" in unknown.why


def test_firmwares_tables_are_asked_for() -> None:
    """A user who is not root sees that they are there; root's come whole, longer than config space."""
    folder = "sys/firmware/acpi/tables"
    head = f"{HEADER.decode()}\nD sys/bus/pci/devices//0000:00:00.0\nD sys/bus/pci/devices/0000:00:00.0//class\nD {folder}//DMAR/FACP\n"
    denied = sysfs.read(StreamFiles(f"{head}N {folder}/FACP\nN {folder}/DMAR\nend\n".encode(), name="s"), name="x")
    assert isinstance(denied.iommu_scopes, Unknown)
    assert "capture as root" in denied.iommu_scopes.why


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_long_tables_come_whole(recorded: Path, tmp_path: Path, shell: list[str]) -> None:
    node = tmp_path / "node"
    shutil.copytree(recorded, node, symlinks=True)
    scopes = tuple(IommuScope(IommuKind.INTEL, 0, paths=(ScopePath(0, ((device, 0),)),)) for device in range(32)) * 10
    (node / "sys/firmware/acpi/tables").mkdir(parents=True, exist_ok=True)
    (node / "sys/firmware/acpi/tables/DMAR").write_bytes(tables(scopes)["DMAR"])
    folder, stream = both(node, shell)
    assert stream.iommu_scopes == folder.iommu_scopes == scopes
    assert len(tables(scopes)["DMAR"]) > 4096


@pytest.mark.parametrize(("data", "words"), [
    (b"", "holds no capture"),
    (HEADER + b"\nT a\n x\n", "cut off"),
    (HEADER + b"\nT a\n x", "cut off"),
    (HEADER + b"\nen", "cut off"),
    (HEADER + b"\nQ a\nend\n", "is no record"),
    (HEADER + b"\nC a\n zz\nend\n", "not hexadecimal"),
    (HEADER + b"\nX sysfs\n", "no sysfs"),
    (HEADER + b"\nX dump\n", "none of od"),
])
def test_damage_is_told_with_its_line(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableSource, match=words):
        StreamFiles(data, name="s")


@pytest.mark.parametrize("data", [b"D " + b"a/" * 5000 + b"/x", b"E " + b"a" * 5000, b"L a//" + b"b/" * 5000])
def test_paths_longer_than_linux_allows_are_refused(data: bytes) -> None:
    with pytest.raises(UnsafeArchive, match="a path of over 4096"):
        StreamFiles(HEADER + b"\n" + data + b"\nend\n", name="s")


def test_a_machine_without_sysfs_or_tools_says_so(tmp_path: Path, recorded: Path) -> None:
    with pytest.raises(UnreadableSource, match="no sysfs on that machine"):
        StreamFiles(printed(tmp_path, ["sh"]), name="s")
    with pytest.raises(UnreadableSource, match="none of od"):
        StreamFiles(printed(recorded, [shutil.which("sh") or "sh"], PATH=str(tmp_path)), name="s")


@pytest.mark.parametrize("tool", ["hexdump", "xxd"])
def test_other_tools_than_od(recorded: Path, tmp_path: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    for name in (tool, "readlink", "sed", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    assert printed(recorded, [shutil.which("sh") or "sh"], PATH=str(tmp_path)).count(b"\nC ") == 9
    stream = StreamFiles(printed(recorded, [shutil.which("sh") or "sh"], PATH=str(tmp_path)), name="s")
    assert sysfs.read(stream, name="x").functions == sysfs.read(FolderFiles(recorded), name="x").functions


def test_what_the_script_printed_is_a_host(recorded: Path, tmp_path: Path) -> None:
    data = printed(recorded, ["sh"])
    assert recognise(data, "x") == "stream"
    (tmp_path / "node7.capture").write_bytes(data)
    assert len(open_host(str(tmp_path / "node7.capture")).functions) == 9


LINES = st.builds(lambda kind, path, rest: f"{kind} {path}{rest}\n".encode(), st.sampled_from("DLENTCX"),
                  st.sampled_from(["sys", "sys/bus/pci/devices", "sys/bus/pci/devices/0000:00:00.0", "a/../..", "", "/", "proc/cmdline"]),
                  st.sampled_from(["", "/config", "//a/b", "//..", "//../0000:00:00.0", "//0000:00:00.0/config", "/config\n 00 11", "//sys/bus"]))


@given(st.lists(LINES | st.binary(max_size=30)), st.booleans())
def test_no_stream_breaks_the_reader(lines: list[bytes], whole: bool) -> None:
    try:
        sysfs.read(StreamFiles(HEADER + b"\n" + b"".join(lines) + b"end\n" * whole, name="s"), name="x")
    except SimkitError as error:
        assert str(error)


@given(st.data())
def test_no_damage_breaks_the_reader(whole: bytes, data: st.DataObject) -> None:
    stream = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        sysfs.read(StreamFiles(bytes(stream[: data.draw(st.integers(0, len(stream)))]), name="s"), name="x")
    except SimkitError as error:
        assert str(error)
