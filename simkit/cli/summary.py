"""What a snapshot does not tell, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from simkit.model.host import Host
from simkit.model.unknown import Unknown, is_known

_FACTS = {
    "port_type": "PCIe port type",
    "acs": "ACS",
    "iommu_group": "IOMMU group",
    "link": "link",
    "numa_node": "NUMA node",
    "reset_methods": "reset methods",
    "bars": "BAR sizes",
}


def unknowns(host: Host) -> Iterator[str]:
    """One line for each kind of fact that is unknown for some functions, with the commonest reason; then the host's own."""
    total = len(host.functions)
    for field, word in _FACTS.items():
        reasons = Counter(value.why for function in host.functions if isinstance(value := getattr(function, field), Unknown))
        if reasons:
            why, _ = reasons.most_common(1)[0]
            yield f"{word} of {reasons.total()} of {total} functions ({why})"
    for field in ("kernel", "iommu", "tees"):
        value = getattr(host, field)
        if not is_known(value):
            yield f"{field} of the host ({value.why})"
