"""What AMD's certificates of endorsement keys say beside X.509 (AMD 57230, extensions below 1.3.6.1.4.1.3704.1)."""

from __future__ import annotations

from dataclasses import dataclass

ARC = "1.3.6.1.4.1.3704.1"
"""AMD's arc for them."""


@dataclass(frozen=True, slots=True)
class VekExtensions:
    """Of a VCEK or VLEK: product as `Milan-B0` or `Milan`, the levels of the TCB that it is for, and the chip (VCEK) or provider (VLEK).

    A level is None where the certificate does not say it. `hardware_id` has 64 bytes, 8 from Turin on.
    """

    product_name: str
    bootloader: int | None
    tee: int | None
    snp: int | None
    microcode: int | None
    fmc: int | None
    hardware_id: bytes | None
    provider: str | None
