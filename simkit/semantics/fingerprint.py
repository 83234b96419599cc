"""A name for the facts a plan rests on."""

from __future__ import annotations

import hashlib

from simkit.model.host import Host
from simkit.model.unknown import is_known


def fingerprint(host: Host) -> str:
    """SHA-256 over a host's facts in canonical form; name, places and remarks do not count, two unknowns are the same."""
    lines = [repr(host.cpu), repr(host.iommu), repr(host.tees), repr(host.kernel), repr(host.cmdline)]
    lines += [repr(node) for node in host.numa_nodes] + sorted(repr(link) for link in host.peer_links)
    lines += [f"{node.id} {pool!r}" for node in host.numa_nodes if is_known(node.hugepages) for pool in node.hugepages]
    lines += [repr(function) for function in host.functions]
    lines += [repr(scope) for scope in host.iommu_scopes] if is_known(host.iommu_scopes) else []
    lines += [repr(made) for made in host.made_buses]
    lines += [repr(host.partitions)]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
