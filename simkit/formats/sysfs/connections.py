"""Over which network interfaces a node talks: default routes, and the connections that somebody may be sitting at the end of (proc(5))."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from simkit.formats.sysfs.files import Files
from simkit.formats.sysfs.held import table

_ESTABLISHED = "01"
_NOWHERE = "0" * 32
_MAPPED = "0" * 16 + "FFFF0000"
_END = re.compile(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})")
_IPV4 = re.compile(r"[0-9A-F]{8}")


def default_routes(files: Files) -> Iterator[str]:
    """Interfaces of routes to 0.0.0.0/0 (net/route) and ::/0 (net/ipv6_route), loopback aside."""
    yield from (name for target, mask, name in _routes(files) if target == mask == 0)
    for words in _table(files, "ipv6_route"):
        if len(words) > 9 and words[0] == _NOWHERE and words[1] == "00" and words[9] != "lo":
            yield words[9]


def connections(files: Files) -> Iterator[tuple[str, int]]:
    """Interface and local port of each established TCP connection with another machine (net/tcp, net/tcp6).

    IPv4 is followed to its interface by the routing table, IPv6 by the local address (net/if_inet6). Not seen: what other network
    namespaces do.
    """
    routes = tuple(_routes(files))
    owners = {words[0].upper(): words[5] for words in _table(files, "if_inet6") if len(words) > 5}
    for words in (*_table(files, "tcp"), *_table(files, "tcp6")):
        local, remote = (_END.fullmatch(word) for word in words[1:3]) if len(words) > 3 else (None, None)
        if local is None or remote is None or words[3] != _ESTABLISHED or local[1] == remote[1]:
            continue
        if len(local[1]) == 8 or local[1].startswith(_MAPPED):
            peer = int(remote[1][-8:], 16)
            fits = [(mask.bit_count(), name) for target, mask, name in routes if peer & mask == target]
            name = max(fits)[1] if fits and peer & 0xFF != 127 else None
        else:
            name = owners.get("".join(struct.pack("<I", int(local[1][start : start + 8], 16)).hex() for start in range(0, 32, 8)).upper())
        if name is not None and name != "lo":
            yield name, int(local[2], 16)


def _routes(files: Files) -> Iterator[tuple[int, int, str]]:
    """Target and mask as numbers in the bytes' order of the table, and the interface."""
    for words in _table(files, "route")[1:]:
        if len(words) > 7 and _IPV4.fullmatch(words[1]) and _IPV4.fullmatch(words[7]):
            yield int(words[1], 16), int(words[7], 16), words[0]


def _table(files: Files, name: str) -> list[list[str]]:
    return [line.split() for line in table(files, f"proc/net/{name}")]
