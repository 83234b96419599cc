"""A host's links as NCCL would write them: PCIe as sysfs words it, NVLink and C2C as NVML tells of them."""

from __future__ import annotations

from itertools import product

from simkit.model.capabilities import Link
from simkit.model.function import Function
from simkit.model.host import Host
from simkit.model.nccl_topology import NcclC2c, NcclNvlink
from simkit.model.platform import PeerKind
from simkit.model.unknown import UNKNOWN, Unknown, is_known
from simkit.semantics.links import link_gbps

_SWITCH, _CPU, _GPU = "0x068000", "0x068001", "0x030200"
_C2C_MBPS = 44_712
C2C_ASSUMED = f"each C2C link is taken to have {_C2C_MBPS / 1000} GB/s, as NVML says it of Grace"
_SPEEDS, _WIDTHS = (2.5, 5.0, 8.0, 16.0, 32.0, 64.0), (1, 2, 4, 8, 12, 16, 32)
_NEAR = 0.01


def link_of(host: Host, function: Function) -> tuple[str | Unknown, int | Unknown]:
    """link_speed and link_width: the lesser of what the function and the port above it can do.

    Directly on a root bus there is no port: its width reads as 0 then, which NCCL takes for 16 lanes. Where the source leaves ports out
    (`Host.elided`) it states what NCCL would.
    """
    if function.link is None:
        return "", 0
    parent = None if host.elided else host.parent(function)
    own, port = _best(function.link), _best(parent.link) if parent is not None and parent.link is not None else (UNKNOWN, UNKNOWN)
    speeds, widths = [value for value in (own[0], port[0]) if is_known(value)], [value for value in (own[1], port[1]) if is_known(value)]
    width: int | Unknown = min(widths) if widths else UNKNOWN
    if parent is None and not host.elided:
        width = 0
    return f"{min(speeds):.1f} GT/s PCIe" if speeds else UNKNOWN, width


def _best(link: Link | Unknown) -> tuple[float | Unknown, int | Unknown]:
    """What a link can do; where the source states only a bandwidth, a speed and width that have it."""
    if not is_known(link):
        return UNKNOWN, UNKNOWN
    speed = link.max_speed_gtps if is_known(link.max_speed_gtps) else link.speed_gtps
    width = link.max_width if is_known(link.max_width) else link.width
    if not is_known(speed) and not is_known(width) and is_known(link.stated_gbps):
        for fast, wide in product(_SPEEDS, _WIDTHS):
            gbps = link_gbps(Link(fast, wide))
            if gbps is not None and abs(gbps - link.stated_gbps) <= _NEAR * gbps:
                return fast, wide
    return speed, width


def beside(host: Host, gpu: Function) -> tuple[tuple[NcclNvlink, ...], tuple[NcclC2c, ...]]:
    """NVLinks and C2C of a GPU. On POWER9 the links to the CPU are NVLinks."""
    nvlinks: dict[tuple[str, str], NcclNvlink] = {}
    c2c: list[NcclC2c] = []
    for link in host.peer_links:
        if gpu.address not in (link.source, link.target) or link.kind is PeerKind.XGMI:
            continue
        target = link.target if link.source == gpu.address else link.source
        if link.kind is PeerKind.C2C:
            if is_known(host.cpu.arch) and host.cpu.arch.startswith("ppc64"):
                nvlinks.setdefault(("cpu", ""), NcclNvlink(None, link.count, _CPU))
            else:
                c2c.append(NcclC2c(_C2C_MBPS, link.count))
            continue
        kind = _GPU if target is not None and host[target].kind.value == "gpu" else _SWITCH
        before = nvlinks.get((kind, str(target))) if target is None else None  # several switches that the source does not name
        nvlinks.setdefault((kind, str(target)), NcclNvlink(target, link.count, kind))
        if before is not None:
            nvlinks[kind, str(target)] = NcclNvlink(None, before.count + link.count, kind)
    return tuple(nvlinks.values()), tuple(c2c)
