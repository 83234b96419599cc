"""Over which network interfaces a node talks at the moment: default routes, and the connections that somebody may be sitting at the end of."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from simkit.executors.node import Node

_TABLE_BYTES = 4 << 20
_ESTABLISHED, _SSH = "01", 22
_NOWHERE = "0" * 32
_MAPPED = "0" * 16 + "FFFF0000"


def interfaces(node: Node) -> dict[str, str]:
    """What each interface is used for, by name: a default route before an SSH session before other TCP connections.

    IPv4 connections are followed to their interface by the routing table, IPv6 ones by the local address (proc(5), net/tcp, net/tcp6, net/route,
    net/if_inet6). Loopback is left out. Not seen: what other network namespaces do.
    """
    found = dict.fromkeys(_default_routes(node), "with the default route")
    for wanted in (True, False):
        for name, port in _connections(node):
            if (port == _SSH) is wanted:
                found.setdefault(name, "that carries an SSH session" if wanted else "with open TCP connections")
    return found


def _default_routes(node: Node) -> Iterator[str]:
    yield from (words[0] for words in _routes(node) if words[1] == words[7] == "00000000")
    for words in _table(node, "ipv6_route"):
        if len(words) > 9 and words[0] == _NOWHERE and words[1] == "00" and words[9] != "lo":
            yield words[9]


def _connections(node: Node) -> Iterator[tuple[str, int]]:
    """Interface and local port of established connections."""
    routes = [(int(words[1], 16), int(words[7], 16), words[0]) for words in _routes(node)]
    owners = {words[0].upper(): words[5] for words in _table(node, "if_inet6") if len(words) > 5}
    for words in (*_table(node, "tcp"), *_table(node, "tcp6")):
        if len(words) < 4 or words[3] != _ESTABLISHED:
            continue
        (local, _, port), (remote, _, _) = words[1].partition(":"), words[2].partition(":")
        if len(local) == 8 or local.startswith(_MAPPED):
            peer = int(remote[-8:], 16)
            fits = [(mask.bit_count(), name) for target, mask, name in routes if peer & mask == target]
            name = max(fits)[1] if fits and peer & 0xFF != 127 else None
        else:
            name = owners.get("".join(struct.pack("<I", int(local[start : start + 8], 16)).hex() for start in range(0, 32, 8)).upper())
        if name is not None and name != "lo":
            yield name, int(port, 16)


def _routes(node: Node) -> list[list[str]]:
    return [words for words in _table(node, "route")[1:] if len(words) > 7]


def _table(node: Node, name: str) -> list[list[str]]:
    data = node.read(f"proc/net/{name}", _TABLE_BYTES)
    return [] if data is None else [line.split() for line in data.decode("utf-8", "replace").splitlines()]
