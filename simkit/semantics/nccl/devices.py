"""What a device id tells of a GPU or NIC where nothing else does: facts of products, as data (pci.ids; NVIDIA's and NVIDIA Networking's data sheets)."""

from __future__ import annotations

NVIDIA, MELLANOX, AMAZON = 0x10DE, 0x15B3, 0x1D0F

_SM = (
    (0x15F0, 0x15FF, 60), (0x1B00, 0x1DFF, 61), (0x1D80, 0x1DFF, 70), (0x1E00, 0x1FFF, 75), (0x2080, 0x20FF, 80), (0x2180, 0x21FF, 75),
    (0x2200, 0x22FF, 86), (0x2300, 0x237F, 90), (0x2400, 0x25FF, 86), (0x2600, 0x28FF, 89), (0x2900, 0x29FF, 100), (0x2B00, 0x2FFF, 120),
    (0x3180, 0x31FF, 103),
)
"""First and last device id of a chip's family, and its compute capability times ten; a later row is narrower and counts before an earlier one."""

_FASTEST_MBPS = {
    (MELLANOX, 0x1013): 100_000, (MELLANOX, 0x1015): 25_000, (MELLANOX, 0x1017): 100_000, (MELLANOX, 0x1019): 100_000, (MELLANOX, 0x101B): 200_000,
    (MELLANOX, 0x101D): 100_000, (MELLANOX, 0x101F): 25_000, (MELLANOX, 0x1021): 400_000, (MELLANOX, 0x1023): 800_000, (MELLANOX, 0xA2D6): 200_000,
    (MELLANOX, 0xA2DC): 400_000, (AMAZON, 0xEFA0): 100_000, (AMAZON, 0xEFA1): 100_000, (AMAZON, 0xEFA2): 200_000, (AMAZON, 0xEFA3): 200_000,
}
"""ConnectX-4 to -8, BlueField-2 and -3, Elastic Fabric Adapters: the fastest that a port of theirs can be, in Mb/s."""


def compute_capability(vendor: int, device: int) -> int | None:
    """Times ten, as NCCL writes `sm`; None for what is not known."""
    return next((sm for first, last, sm in reversed(_SM) if first <= device <= last), None) if vendor == NVIDIA else None


def fastest_port_mbps(vendor: int, device: int) -> int | None:
    """The fastest that a NIC's port can be; None for what is not known."""
    return _FASTEST_MBPS.get((vendor, device))
