"""Opening what a user names: a HOST, workload, policy or plan. The reader is found from the content."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from simkit.errors import UnreadableSource
from simkit.formats.library import find, shipped
from simkit.formats.sysfs.stream import is_stream
from simkit.formats.text.kinds import text_kind
from simkit.formats.xml.walk import root_name
from simkit.model.fleet import Fleet, Member
from simkit.model.host import Host
from simkit.model.nccl_topology import NcclTopology
from simkit.model.plan import Plan
from simkit.model.policy import Policy
from simkit.model.sequence import Recorded
from simkit.model.workload import Workload

MOST_BYTES = 256 << 20
STDIN = "-"
"""A source that means standard input."""
READERS = ("native", "plan", "sysfs", "stream", "hwloc", "nccl", "lspci", "dmesg", "rdma_topo")
_KNOWN = ("a snapshot made by `simkit capture`, a sysfs tree, what the capture script printed, hwloc XML, NCCL XML, lspci's text or dump, a kernel log, "
          "or an rdma_topo dump")
_XML_READERS = {b"topology": "hwloc", b"root": "hwloc", b"system": "nccl"}
_TAR_MAGIC = (b"BZh", b"\x1f\x8b", b"\xfd7zXZ\x00")

__all__ = ["READERS", "open_fleet", "open_for_nccl", "open_host", "open_plan", "open_plan_or_host", "open_policy", "open_run", "open_workload", "shipped"]


def open_host(source: str, *, reader: str | None = None) -> Host:
    """Read a HOST: a shipped name, a plan's host, or any file or folder that a reader understands; `-` is standard input.

    Raises:
        InputError: in one of its kinds, with what to do about it.
    """
    found = open_plan_or_host(source, reader=reader)
    return found.host if isinstance(found, Plan) else found


def open_plan_or_host(source: str, *, reader: str | None = None) -> Plan | Host:
    """A plan where the source is one, otherwise a host, as `open_host` reads it."""
    path = _place("hosts", source)
    return _read(source, path, b"" if path.is_dir() else _bytes(path), reader)


def open_for_nccl(source: str, *, reader: str | None = None) -> Plan | Host | NcclTopology:
    """The same, but NCCL's XML as NCCL takes it, element by element, not as a host."""
    path = _place("hosts", source)
    data = b"" if path.is_dir() else _bytes(path)
    if not path.is_dir() and (reader or recognise(data, source)) == "nccl":
        from simkit.formats.xml import nccl_topology

        return nccl_topology.read(data, source=source)
    return _read(source, path, data, reader)


def _read(source: str, path: Path, data: bytes, reader: str | None) -> Plan | Host:
    if reader is not None and reader not in READERS:
        raise UnreadableSource(f"there is no reader {reader!r}", remedy=f"readers are {', '.join(READERS)}")
    name = path.name.split(".")[0] or str(path)
    if path.is_dir():
        from simkit.formats.sysfs.files import FolderFiles
        from simkit.formats.sysfs.reader import read

        return read(FolderFiles(path), name=path.resolve().name or "local")
    match reader or recognise(data, source):
        case "sysfs":
            if source == STDIN:
                raise UnreadableSource("a tar cannot be read from standard input", remedy="give the file")
            from simkit.formats.sysfs.files import TarFiles
            from simkit.formats.sysfs.reader import read

            return read(TarFiles(path), name=name)
        case "stream":
            from simkit.formats.sysfs.reader import read_named
            from simkit.formats.sysfs.stream import StreamFiles

            return read_named(StreamFiles(data, name=source), otherwise=name)
        case "hwloc":
            from simkit.formats.xml import hwloc as hwloc_xml

            return hwloc_xml.read(data, source=source)
        case "nccl":
            from simkit.formats.xml import nccl as nccl_xml

            return nccl_xml.read(data, source=source)
        case "lspci":
            from simkit.formats.text import lspci

            return lspci.read(data, source=source)
        case "dmesg":
            from simkit.formats.text import dmesg

            return dmesg.read(data, source=source)
        case "rdma_topo":
            from simkit.formats.text import rdma_topo

            return rdma_topo.read(data, source=source)
        case "plan":
            from simkit.formats.native.plan import load_plan

            return load_plan(_text(data, source), source=source)
    from simkit.formats.native.host import load_host

    return load_host(_text(data, source), source=str(path) if path.exists() and source != str(path) else source)


def recognise(data: bytes, source: str) -> str:
    """Which reader a file's content asks for.

    Raises:
        UnreadableSource: none, with a guess at what it is.
    """
    if data.startswith(_TAR_MAGIC) or data[257:262] == b"ustar":
        return "sysfs"
    if is_stream(data):
        return "stream"
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = text_kind(data)
    if kind is not None:
        return kind
    if start.startswith(b"<"):
        return _recognise_xml(data, source)
    if b"simkit" in start:
        return "plan" if b"plan/1" in data[:4096] or b'"simkit": "plan/1"' in data else "native"
    if not start:
        raise UnreadableSource("the file is empty", where=source, remedy=f"give {_KNOWN}")
    raise UnreadableSource("no reader knows this file", where=source, remedy=f"give {_KNOWN}")


def _recognise_xml(data: bytes, source: str) -> str:
    root = root_name(data)
    if root in _XML_READERS:
        return _XML_READERS[root]
    if root == b"graphs":
        raise UnreadableSource(
            "this is an NCCL graph file (<graphs>): rings and trees that NCCL found, not the topology",
            where=source,
            remedy="give the file that NCCL_TOPO_DUMP_FILE writes (<system>)",
        )
    raise UnreadableSource("XML, but neither hwloc's <topology> nor NCCL's <system>", where=source, remedy="give one of these")


def _place(kind: str, source: str) -> Path:
    return Path(STDIN) if source == STDIN else find(kind, source)


def _bytes(path: Path) -> bytes:
    if str(path) == STDIN:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UnreadableSource(f"standard input has over {MOST_BYTES >> 20} MiB", remedy="is this the right file?")
        return data
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableSource(f"the file has over {MOST_BYTES >> 20} MiB", where=str(path), remedy="is this the right file?")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableSource(f"cannot be read: {error.strerror}", where=str(path), remedy="check the path and your permissions") from None


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSource(f"byte {error.start} is not UTF-8", where=source, remedy="save it as UTF-8 text") from None


def open_workload(source: str) -> Workload:
    """Read a workload by shipped name or file."""
    from simkit.formats.native.workload import load_workload

    path = _place("workloads", source)
    return load_workload(_text(_bytes(path), source), source=str(path))


def open_fleet(sources: Sequence[str], *, read: Callable[[str], Host] = open_host) -> Fleet:
    """The hosts that guests may be spread over: HOSTs, each as often as said (`hgx-h100*16`), and fleet documents. One name is read once.

    Raises:
        InputError: in one of its kinds; two hosts of one name.
    """
    opened: dict[str, Host] = {}

    def once(source: str) -> Host:
        if source not in opened:
            opened[source] = read(source)
        return opened[source]

    members: list[Member] = []
    for source in sources:
        stem, star, times = source.rpartition("*")
        if star and times.isdecimal() and not Path(source).exists():
            members += _numbered(once(stem), int(times), source)
        elif _is_fleet(source):
            members += _listed(source, once)
        else:
            host = once(source)
            members.append(Member(host.name, host))
    twice = sorted(name for name, count in Counter(member.name for member in members).items() if count > 1)
    if twice:
        remedy = "name each host once, say NAME*COUNT for equal ones, or write a fleet document"
        raise UnreadableSource(f"several hosts are called {', '.join(twice[:3])}", remedy=remedy)
    return Fleet(sources[0] if len(sources) == 1 else "these hosts", tuple(members))


def _numbered(host: Host, times: int, source: str) -> list[Member]:
    from simkit.formats.native.fleet import MOST_HOSTS, Entry

    if not 1 <= times <= MOST_HOSTS:
        raise UnreadableSource(f"{source} asks for {times} hosts", remedy=f"ask for 1 to {MOST_HOSTS}")
    return [Member(name, host) for name in Entry(host.name, source, times, None, host.places.root).names]


def _is_fleet(source: str) -> bool:
    path = _place("hosts", source)
    if str(path) == STDIN or path.is_dir() or not path.exists() or path.suffix not in (".yaml", ".yml", ".json"):
        return False
    with path.open("rb") as file:
        return b"fleet/1" in file.read(4096)


def _listed(source: str, read: Callable[[str], Host]) -> list[Member]:
    """A fleet document's hosts; a file beside it counts before a shipped model of that name."""
    from simkit.formats.native.fleet import load_fleet

    path = _place("hosts", source)
    _, entries = load_fleet(_text(_bytes(path), source), source=source)
    members = []
    for entry in entries:
        beside = path.parent / entry.source
        host = read(str(beside) if beside.exists() else entry.source)
        members += [Member(name, host, entry.domain) for name in entry.names]
    return members


def open_policy(source: str) -> Policy:
    """Read a policy by shipped name or file."""
    from simkit.formats.native.policy import load_policy

    path = _place("policies", source)
    return load_policy(_text(_bytes(path), source), source=str(path))


def open_run(source: str) -> Recorded:
    """Read a run that `simkit attest flow --format json` wrote, with what it was found under."""
    from simkit.formats.native.sequence import load_run

    return load_run(_text(_bytes(Path(source)), source), source=source)


def open_plan(source: str) -> Plan:
    """Read a plan that `simkit solve -o` wrote."""
    from simkit.formats.native.plan import load_plan

    path = Path(source)
    return load_plan(_text(_bytes(path), source), source=source)
