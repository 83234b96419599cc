"""Bandwidth of a link."""

from __future__ import annotations

from simkit.model.capabilities import Link
from simkit.model.unknown import is_known

_PER_LANE_MBPS = {2.5: 2500 * 8 // 10, 5.0: 5000 * 8 // 10, 8.0: 8000 * 128 // 130, 16.0: 16000 * 128 // 130, 32.0: 32000 * 128 // 130, 64.0: 64000}
"""Megabits a second of one lane: `PCIE_SPEED2MBS_ENC` (drivers/pci/pci.h), whose integer arithmetic is kept."""


def link_gbps(link: Link) -> float | None:
    """Gigabits a second in one direction after line coding, as the kernel prints it: 252.048 for 16 GT/s x16.

    8b/10b up to 5 GT/s, 128b/130b up to 32 GT/s, none at 64 GT/s in flit mode (PCIe 6.0 §4.2). What the source states where it does
    not tell speed and width; None where it states nothing.
    """
    if is_known(link.speed_gtps) and is_known(link.width) and link.speed_gtps in _PER_LANE_MBPS:
        return _PER_LANE_MBPS[link.speed_gtps] * link.width / 1000
    return link.stated_gbps if is_known(link.stated_gbps) else None
