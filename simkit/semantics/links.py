"""Bandwidth of a link."""

from __future__ import annotations

from simkit.model.capabilities import Link
from simkit.model.unknown import is_known

_PER_LANE_GBPS = {2.5: 2.5 * 8 / 10, 5.0: 5.0 * 8 / 10, 8.0: 8.0 * 128 / 130, 16.0: 16.0 * 128 / 130, 32.0: 32.0 * 128 / 130, 64.0: 64.0}


def link_gbps(link: Link) -> float | None:
    """Gigabits a second in one direction after line coding; None where speed or width is unknown.

    8b/10b up to 5 GT/s, 128b/130b up to 32 GT/s, none at 64 GT/s in flit mode (PCIe 6.0 §4.2; `PCIE_SPEED2MBS_ENC`, drivers/pci/pci.h).
    """
    if not is_known(link.speed_gtps) or not is_known(link.width) or link.speed_gtps not in _PER_LANE_GBPS:
        return link.stated_gbps if is_known(link.stated_gbps) else None
    return round(_PER_LANE_GBPS[link.speed_gtps] * link.width, 3)
