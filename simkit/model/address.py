"""Addresses of PCI functions and root buses, written exactly as Linux writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simkit.errors import InputError

_ADDRESS = re.compile(r"(?:([0-9a-fA-F]{1,8}):)?([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2})\.([0-7])")
_ROOT_BUS = re.compile(r"pci([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Domain (PCI segment), bus, device and function of one PCI function: ``0000:3b:00.0``.

    Domains above 0xffff (Intel VMD, Hyper-V) print with as many digits as they need, as the kernel's `%04x` does.
    """

    domain: int
    bus: int
    device: int
    function: int

    def __post_init__(self) -> None:
        """Refuse numbers outside their field (PCIe 6.0 §2.2.4.2)."""
        if not (0 <= self.domain <= 0xFFFFFFFF and 0 <= self.bus <= 0xFF and 0 <= self.device <= 0x1F and 0 <= self.function <= 7):
            raise InputError(f"PCI address out of range: {self}", remedy="write domain:bus:device.function in hexadecimal")

    def __str__(self) -> str:
        """As sysfs names the folder (`pci_setup_device`)."""
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function:x}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `[domain:]bus:device.function`.

        Raises:
            InputError: the text is no PCI address.
        """
        match = _ADDRESS.fullmatch(text.strip())
        if match is None or int(match[3], 16) > 0x1F:
            raise InputError(f"not a PCI address: {text[:60]!r}", remedy="write it as Linux does, for example 0000:3b:00.0")
        return cls(int(match[1] or "0", 16), int(match[2], 16), int(match[3], 16), int(match[4]))

    @classmethod
    def from_routing_id(cls, domain: int, routing_id: int) -> Address:
        """The address of a 16-bit routing id (PCIe 6.0 §2.2.6.2); inverse of `routing_id`."""
        return cls(domain, routing_id >> 8 & 0xFF, routing_id >> 3 & 0x1F, routing_id & 7)

    @property
    def routing_id(self) -> int:
        """Bus, device and function as the 16 bits that requests carry."""
        return self.bus << 8 | self.devfn

    @property
    def devfn(self) -> int:
        """Device and function as Linux packs them (`PCI_DEVFN`)."""
        return self.device << 3 | self.function

    @property
    def slot(self) -> tuple[int, int, int]:
        """Domain, bus and device: what the functions of one multifunction device share."""
        return (self.domain, self.bus, self.device)


@dataclass(frozen=True, slots=True, order=True)
class RootBus:
    """A host bridge's first bus, as sysfs names it: ``pci0000:00``."""

    domain: int
    bus: int

    def __str__(self) -> str:
        """As sysfs names the folder below /sys/devices."""
        return f"pci{self.domain:04x}:{self.bus:02x}"

    @classmethod
    def parse(cls, text: str) -> RootBus:
        """Read ``pci0000:00``.

        Raises:
            InputError: the text is no root bus.
        """
        match = _ROOT_BUS.fullmatch(text.strip())
        if match is None:
            raise InputError(f"not a PCI root bus: {text!r}", remedy="write it as sysfs does, for example pci0000:00")
        return cls(int(match[1], 16), int(match[2], 16))


Parent = Address | RootBus
