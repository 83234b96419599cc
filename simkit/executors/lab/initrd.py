"""The lab's initial RAM file system: one static busybox, the modules to load, and an init that does what it is told line by line."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simkit.executors.lab.errors import LabUnavailable
from simkit.executors.lab.platforms import X86, Architecture

READY = b"@@ready"
IDLE_S = 900
"""A machine that is told nothing for so long switches itself off: whoever started it is gone."""
_BUSYBOX = "SIMKIT_LAB_BUSYBOX"
_PARAMETERS = {"vfio_pci": "enable_sriov=1"}
_INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/{console} >/dev/{console} 2>&1
stty raw -echo
{inserts}
echo; echo {ready}
while IFS= read -t {idle} -r mark && IFS= read -r line; do (eval "$line"); rc=$?; echo; echo "$mark $rc"; done
poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a cpio archive: its path without a leading slash, its mode with the file's type, its bytes."""

    path: str
    mode: int
    data: bytes = b""


def newc(entries: Iterable[Entry]) -> bytes:
    """A cpio archive in the format that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst: newc, ``070701``)."""
    return b"".join(part for number, entry in enumerate((*entries, Entry("TRAILER!!!", 0)), start=1) for part in _member(number, entry))


def _member(number: int, entry: Entry) -> Iterator[bytes]:
    name = entry.path.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    yield head + bytes(-len(head) % 4)
    yield entry.data + bytes(-len(entry.data) % 4)


def initrd(busybox: bytes, modules: tuple[tuple[str, bytes], ...] = (), *, console: str = X86.console) -> bytes:
    """The archive, gzipped without a time stamp: same input, same bytes. `modules` are inserted in their order; `console` is the serial port's name."""
    folders = [Entry(path, stat.S_IFDIR | 0o755) for path in ("bin", "dev", "proc", "sys", "tmp", "lib")]
    files = [Entry(f"lib/{name}.ko", stat.S_IFREG | 0o644, data) for name, data in modules]
    inserts = "\n".join(f"insmod /lib/{name}.ko {_PARAMETERS.get(name, '')}".rstrip() for name, _ in modules)
    init = _INIT.format(inserts=inserts, ready=READY.decode(), idle=IDLE_S, console=console).encode()
    archive = newc([*folders, Entry("bin/busybox", stat.S_IFREG | 0o755, busybox), *files, Entry("init", stat.S_IFREG | 0o755, init)])
    return gzip.compress(archive, compresslevel=1, mtime=0)


def find_busybox(named: Path | None = None, *, architecture: Architecture = X86, folder: Path | None = None) -> bytes:
    """A statically linked busybox: `named`, `$SIMKIT_LAB_BUSYBOX`, the one on the path, or one unpacked in `folder`, whichever is first for the architecture.

    Raises:
        LabUnavailable: there is none, or it needs shared libraries.
    """
    unpacked = sorted(folder.glob("*/bin/busybox")) if folder is not None else []
    places = [Path(place) for place in (named, os.environ.get(_BUSYBOX), shutil.which("busybox"), *unpacked) if place]
    remedy = f"install busybox-static, or name one in {_BUSYBOX}" if architecture is X86 else "run scripts/lab-kernels, which fetches one"
    for place in [named] if named is not None else places:
        data = place.read_bytes() if place.is_file() else b""
        if _machine(data) not in (None, architecture.elf):
            continue
        if data and not _is_static(data):
            raise LabUnavailable("busybox needs shared libraries, which the lab's machines do not have", where=str(place), remedy=remedy)
        if data:
            return data
    raise LabUnavailable(f"no busybox for {architecture.name}", where=str(places[0] if places else "PATH"), remedy=remedy)


def _machine(data: bytes) -> int | None:
    """What a 64-bit ELF file is built for (elf(5): `e_machine`); None for anything else."""
    return int.from_bytes(data[18:20], "little") if data[:5] == b"\x7fELF\x02" else None


def _is_static(data: bytes) -> bool:
    """Whether a 64-bit ELF file has no program interpreter (elf(5): PT_INTERP is 3)."""
    if data[:5] != b"\x7fELF\x02":
        return False
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return all(struct.unpack_from("<I", data, table + index * size)[0] != 3 for index in range(count))
