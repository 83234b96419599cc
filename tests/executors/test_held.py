"""What a capture says to be in use, and what an apply refuses to take, on the same trees: written here by hand, as a folder and as a tar."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from simkit.errors import ExecutorError
from simkit.executors.in_use import in_use
from simkit.executors.local import LocalNode
from simkit.executors.node import refusal
from simkit.formats.native.host import dump_host, load_host
from simkit.formats.sysfs.files import FolderFiles, TarFiles
from simkit.formats.sysfs.reader import read
from simkit.formats.sysfs.usage import usage

ROOT = "sys/devices/pci0000:00"
A, B, NIC, PEER, VMD = (f"0000:00:0{number}.0" for number in range(1, 6))
INNER = "10000:01:00.0"
BEHIND = f"{ROOT}/{VMD}/pci10000:00/{INNER}"
VIRTUAL = "sys/devices/virtual"


def disk(address: str, name: str, number: str, partition: str = "") -> dict[str, str | None]:
    folder = f"{ROOT}/{address}/block/{name}" + f"/{partition}" * bool(partition)
    return {folder: None, f"sys/class/block/{partition or name}": folder, f"sys/dev/block/{number}": folder}


def interface(address: str, name: str) -> dict[str, str | None]:
    return {f"{ROOT}/{address}/net/{name}": None, f"sys/class/net/{name}": f"{ROOT}/{address}/net/{name}"}


def mounts(*lines: str) -> dict[str, bytes]:
    return {"proc/self/mountinfo": "".join(f"{number} 1 {line} rw\n" for number, line in enumerate(lines, start=20)).encode()}


def network(routes: str, tcp: str) -> dict[str, bytes]:
    return {"proc/net/route": f"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n{routes}".encode(),
            "proc/net/tcp": f"  sl  local_address rem_address   st\n{tcp}".encode()}


TWO = disk(A, "sda", "8:1", "sda1") | disk(B, "sdb", "8:16")
LINKS = interface(NIC, "eth0") | interface(PEER, "eth1")
ROUTES = "eth0\t00000000\t0100000A\t3\t0\t0\t0\t00000000\neth1\t0001000A\t00000000\t1\t0\t0\t0\t00FFFFFF\n"
"""Default over eth0, 10.0.1.0/24 over eth1."""
FAR_SSH = "   0: 0500000A:0016 0900080A:C350 01 0\n"
NEAR_SSH = "   1: 0501000A:0016 0901000A:C351 01 0\n"
NEAR_HTTP = "   2: 0501000A:1F90 0901000A:C352 01 0\n"
TO_ITSELF = "   3: 0501000A:1F90 0501000A:C353 01 0\n"
DAMAGED = "   4: 0501000A:00 xx 01\n  5: 0501000A:0016\n"

TREES = {
    "mounted": (TWO | mounts("8:1 / / rw - ext4 /dev/sda1", "8:16 / /data rw - xfs /dev/sdb"), {A: "root disk", B: "disk mounted at /data"}),
    "mounted twice": (TWO | mounts("8:16 /b /var rw - ext4 /dev/sdb", "8:16 /a /srv rw - ext4 /dev/sdb"), {B: "disk mounted at /srv"}),
    "root before others": (TWO | mounts("8:1 /x /a rw - ext4 /dev/sda1", "8:1 / / rw - ext4 /dev/sda1"), {A: "root disk"}),
    "swap": (TWO | {"proc/swaps": b"Filename Type Size Used Priority\n/dev/sdb partition 1 0 -2\n/swap/sda1 file 1 0 -3\n"}, {B: "swap"}),
    "btrfs of two": (TWO | {"sys/fs/btrfs/uuid/devices/sda1": None, "sys/fs/btrfs/uuid/devices/sdb": None} | mounts("0:25 /@ / rw - btrfs /dev/sda1"),
                     {A: "root disk", B: "root disk"}),
    "bcachefs of two": (TWO | mounts("0:25 / /srv rw - bcachefs /dev/sda1:/dev/sdb"), {A: "disk mounted at /srv", B: "disk mounted at /srv"}),
    "zfs": (TWO | mounts("0:25 / /tank rw - zfs tank/home", "0:26 / /tank/b rw - zfs tank/b", "8:1 / / rw - ext4 /dev/sda1"),
            {A: "root disk", B: "possible disk of ZFS pool tank"}),
    "named by a link of /dev": (TWO | {"dev/sdb": b"", "dev/disk/by-path/pci-0000:00:02.0-ata-1": "dev/sdb"}
                                | mounts("0:25 / /b rw - btrfs /dev/disk/by-path/pci-0000:00:02.0-ata-1"), {B: "disk mounted at /b"}),
    "a share is no disk": (TWO | mounts("0:40 / /mnt rw - nfs4 nas:/export/sda1", "0:41 / /run rw - tmpfs sda1", "0:42 / /x rw - btrfs /dev/../sda1"), {}),
    "a place that is long or no text": (TWO | mounts(f"8:16 / /{'d' * 100}\x1b[31m rw - ext4 /dev/sdb", "8:1 / /a\x1b[31m rw - ext4 /dev/sda1"),
                                        {A: "disk mounted at /a\ufffd[31m", B: f"disk mounted at /{'d' * 59}…"}),
    "behind a VMD": ({f"{BEHIND}/nvme/nvme0/nvme0n1": None, "sys/dev/block/259:0": f"{BEHIND}/nvme/nvme0/nvme0n1", f"{BEHIND}/class": b"0x010802\n"}
                     | mounts("259:0 / / rw - ext4 /dev/nvme0n1"), {VMD: "root disk", INNER: "root disk"}),
    "RAID below a mapping": ({f"{VIRTUAL}/block/dm-0/slaves/md0p1": f"{VIRTUAL}/block/md0/md0p1", f"{VIRTUAL}/block/md0/md0p1": None,
                              f"{VIRTUAL}/block/md0/slaves/sda1": f"{ROOT}/{A}/block/sda/sda1", f"{VIRTUAL}/block/md0/slaves/sdb": f"{ROOT}/{B}/block/sdb",
                              "sys/dev/block/253:0": f"{VIRTUAL}/block/dm-0"} | TWO | mounts("253:0 / /data rw - xfs /dev/mapper/vg-data"),
                             {A: "disk mounted at /data", B: "disk mounted at /data"}),
    "session and default route": (LINKS | network(ROUTES, FAR_SSH), {NIC: "session NIC, default route"}),
    "session beside the default route": (LINKS | network(ROUTES, NEAR_HTTP + NEAR_SSH), {NIC: "default route", PEER: "session NIC"}),
    "connections": (LINKS | network(ROUTES, NEAR_HTTP), {NIC: "default route", PEER: "NIC with open connections"}),
    "nobody else": (LINKS | network(ROUTES, TO_ITSELF + DAMAGED), {NIC: "default route"}),
    "session over a bond": ({f"{VIRTUAL}/net/bond0/lower_eth0": f"{ROOT}/{NIC}/net/eth0", f"{VIRTUAL}/net/bond0/lower_eth1": f"{ROOT}/{PEER}/net/eth1",
                             "sys/class/net/bond0": f"{VIRTUAL}/net/bond0"} | LINKS | network(ROUTES.replace("eth1", "bond0"), NEAR_SSH),
                            {NIC: "session NIC, default route", PEER: "session NIC"}),
    "disk and console": (TWO | mounts("8:1 / / rw - ext4 /dev/sda1") | {f"{ROOT}/{A}/boot_vga": b"1\n"}, {A: "root disk, console"}),
}


def write(folder: Path, tree: dict[str, bytes | str | None]) -> Path:
    """Bytes are a file, text a link to a path from the root, None a folder."""
    functions: dict[str, bytes | str | None] = {f"{ROOT}/{address}/class": b"0x020000\n" for address in (A, B, NIC, PEER, VMD)}
    functions |= {f"sys/bus/pci/devices/{address}": f"{ROOT}/{address}" for address in (A, B, NIC, PEER, VMD)}
    for path, content in {**functions, **tree}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        elif isinstance(content, str):
            target.symlink_to(os.path.relpath(content, os.path.dirname(path)))
        else:
            target.write_bytes(content)
    return folder


@pytest.mark.parametrize("name", TREES)
def test_capture_and_apply_know_the_same(tmp_path: Path, name: str) -> None:
    tree, expected = TREES[name]
    folder = write(tmp_path / "node", tree)
    with tarfile.open(tmp_path / "node.tar", "w") as tar:
        tar.add(folder, ".")
    for files in (FolderFiles(folder), TarFiles(tmp_path / "node.tar")):
        assert {str(address): use for address, use in usage(files).items()} == expected
    assert {str(address) for address in in_use(LocalNode(folder))} == set(expected)
    host = read(FolderFiles(folder), name="x")
    assert {str(function.address): function.usage for function in host.functions if function.usage} == expected
    assert load_host(dump_host(host), source="x") == host


def test_what_a_live_node_refuses_to_tell_is_not_taken_for_unused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = LocalNode(write(tmp_path / "node", TREES["swap"][0]))

    def denied(path: str, limit_bytes: int = 0) -> bytes | None:
        if path == "proc/swaps":
            raise refusal(13, path)
        return LocalNode.read(node, path, limit_bytes)

    monkeypatch.setattr(node, "read", denied)
    with pytest.raises(ExecutorError, match="proc/swaps"):
        in_use(node)
