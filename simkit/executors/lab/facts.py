"""A booted machine's sysfs and procfs, fetched over the serial port into a folder that every reader of recorded nodes understands."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from simkit.executors.lab.console import Console
from simkit.executors.lab.errors import LabFailed
from simkit.formats.sysfs.firmware import TABLES

DEVICES = "sys/bus/pci/devices"
_TEXTS = ("class", "vendor", "device", "revision", "subsystem_vendor", "subsystem_device", "numa_node", "local_cpulist", "current_link_speed",
          "current_link_width", "max_link_speed", "max_link_width", "reset_method", "sriov_totalvfs", "sriov_numvfs", "sriov_offset", "sriov_stride",
          "sriov_vf_device", "sriov_drivers_autoprobe", "driver_override", "resource", "boot_vga")
_TABLES = ("FACP", "DMAR", "IVRS", "IORT")
_LINKS = ("iommu_group", "driver", "physfn", "virtfn*")
_AROUND = ("proc/version", "proc/cmdline", "proc/cpuinfo", "proc/sys/kernel/osrelease", "sys/devices/system/node/node*/cpulist",
           "sys/devices/system/node/node*/distance", "sys/devices/system/node/node*/meminfo",
           "sys/devices/system/node/node*/hugepages/*/nr_hugepages", "sys/devices/system/node/node*/hugepages/*/free_hugepages",
           "sys/devices/system/cpu/cpu*/topology/*",
           "sys/kernel/iommu_groups/*/type")
_AROUND_LINKS = (f"{DEVICES}/*", "sys/class/iommu/*", "sys/kernel/iommu_groups/*/devices/*")
_GLOBAL = re.compile(r"([^:]+(?::[0-9a-f]{2}:[0-9a-f]{2}\.[0-7][^:]*)?):(.*)")
_LINK = re.compile(r"l\S+\s.*? ((?:sys|proc)/\S+) -> (\S+)$")
_MOST_BYTES = 64 << 20


def command() -> str:
    """One shell line: attributes by `grep`, links by `ls`, config space by `tar`, together gzipped in base64.

    `grep` and `ls` read any number of files in one process; `tar` wants files as long as sysfs says they are, which `config` and firmware's tables alone are.
    """
    texts = " ".join([*_AROUND, *(f"{DEVICES}/*/{name}" for name in _TEXTS)])
    tables = " ".join(f"{TABLES}/{name}" for name in _TABLES)
    links = " ".join([*_AROUND_LINKS, *(f"{DEVICES}/*/{name}" for name in _LINKS)])
    return (f"cd /; grep -H '' {texts} >/tmp/texts 2>/dev/null; ls -d -l {links} >/tmp/links 2>/dev/null; "
            f"tar -c -f - tmp/texts tmp/links {DEVICES}/*/config {tables} 2>/dev/null | gzip | base64 -w 0")


def fetch(console: Console, folder: Path, *, limit_s: float = 60) -> None:
    """Write the machine's facts into `folder`, as `sys` and `proc` below it.

    Raises:
        LabFailed: the machine does not answer, or what it says is not what was asked for.
    """
    _, printed = console.run(command(), limit_s=limit_s)
    try:
        packed = base64.b64decode(printed.strip(), validate=True)
        data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(_MOST_BYTES)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = {member.name: _content(archive, member) for member in archive if member.isfile()}
        texts, links = (members.pop(f"tmp/{name}").decode("utf-8", "replace") for name in ("texts", "links"))
    except (binascii.Error, OSError, EOFError, zlib.error, tarfile.TarError, KeyError) as error:
        raise LabFailed(f"its facts arrived damaged: {error}; it begins {printed[:80]!r}", where=console.name, remedy="try again") from error
    real = _write_links(folder, links)
    files: dict[str, list[str]] = {}
    for line in texts.splitlines():
        match = _GLOBAL.fullmatch(line)
        if match is not None:
            files.setdefault(match[1], []).append(match[2])
    for path, lines in files.items():
        _write(folder, real, path, ("\n".join(lines) + "\n").encode())
    for path, content in members.items():
        _write(folder, real, path, content)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


def _write_links(folder: Path, listing: str) -> dict[str, str]:
    """Make the links that `ls -l` shows; returns where each device's folder really is, by its name in /sys/bus/pci/devices."""
    found = [(match[1], match[2]) for line in listing.splitlines() if (match := _LINK.match(line.strip())) is not None]
    real: dict[str, str] = {}
    for path, target in found:
        if PurePosixPath(path).parent == PurePosixPath(DEVICES):
            real[PurePosixPath(path).name] = "/".join(_resolved(path, target))
            (folder / real[PurePosixPath(path).name]).mkdir(parents=True, exist_ok=True)
    for path, target in found:
        place = _below(folder, _through(path, real))
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / "/".join(_resolved(_through(path, real), target))).mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(target)
    return real


def _resolved(path: str, target: str) -> list[str]:
    """Where a relative link leads, as parts below the root."""
    parts = list(PurePosixPath(path).parent.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            del parts[-1:]
        elif part not in ("/", "."):
            parts.append(part)
    return parts


def _through(path: str, real: dict[str, str]) -> str:
    """``sys/bus/pci/devices/ADDRESS/NAME`` as the path below /sys/devices."""
    rest = path.removeprefix(f"{DEVICES}/")
    name, slash, attribute = rest.partition("/")
    return f"{real[name]}/{attribute}" if rest != path and slash and name in real else path


def _below(folder: Path, path: str) -> Path:
    parts = PurePosixPath(path).parts
    if ".." in parts or not parts or parts[0] not in ("sys", "proc"):
        raise LabFailed(f"its facts name a path outside of /sys and /proc: {path!r}")
    return folder.joinpath(*parts)


def _write(folder: Path, real: dict[str, str], path: str, data: bytes) -> None:
    place = _below(folder, _through(path, real))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
