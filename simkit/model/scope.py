"""What firmware says of IOMMUs and of PCI domains that hang below a function: whose requests are translated, and under which requester id."""

from __future__ import annotations

from dataclasses import dataclass

from simkit.model.address import Address, RootBus
from simkit.model.platform import IommuKind


@dataclass(frozen=True, slots=True)
class ScopePath:
    """A function as Intel's DMAR names it (VT-d 4.1 §8.3.1): a root bus, and device and function at each bridge down to it.

    `below` says that it is a bridge that speaks for everything below.
    """

    bus: int
    steps: tuple[tuple[int, int], ...]
    below: bool = False

    def __str__(self) -> str:
        """``00:1c.0/00.0``, with ``/*`` where it speaks for all below."""
        return f"{self.bus:02x}:" + "/".join(f"{device:02x}.{function}" for device, function in self.steps) + ("/*" if self.below else "")


@dataclass(frozen=True, slots=True)
class IdRange:
    """Requester ids from `first` to `last` of a domain; `alias` is the id that their requests may carry instead (AMD's IVRS)."""

    first: int
    last: int
    alias: int | None = None


@dataclass(frozen=True, slots=True)
class IommuScope:
    """What one IOMMU translates: a DRHD of DMAR, an IVHD of IVRS, the SMMU mappings of one root complex in IORT.

    `rest` is DMAR's INCLUDE_PCI_ALL: everything in the domain that no other IOMMU names. DMAR gives `paths`, the others `ids`.
    """

    kind: IommuKind
    domain: int
    rest: bool = False
    paths: tuple[ScopePath, ...] = ()
    ids: tuple[IdRange, ...] = ()


@dataclass(frozen=True, slots=True)
class MadeBus:
    """A root bus that the driver of `function` made: Intel VMD (drivers/pci/controller/vmd.c), whose own domain lies below it."""

    bus: RootBus
    function: Address
