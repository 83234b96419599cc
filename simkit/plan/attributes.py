"""Where Linux keeps what a plan changes: sysfs paths, relative to a node's root (Documentation/ABI/testing/sysfs-bus-pci, stable/sysfs-devices-node)."""

from __future__ import annotations

from simkit.model.address import Address
from simkit.model.numa import NodeName

NODES = "sys/devices/system/node"
DEVICES = "sys/bus/pci/devices"
DRIVERS = "sys/bus/pci/drivers"
PROBE = "sys/bus/pci/drivers_probe"
VFIO = "vfio-pci"
NO_OVERRIDE = "(null)"


def device(address: Address) -> str:
    """The folder of a function."""
    return f"{DEVICES}/{address}"


def place(subject: Address | NodeName) -> str:
    """The folder of what a step changes."""
    return device(subject) if isinstance(subject, Address) else f"{NODES}/{subject}"


def hugepages(node: NodeName, size_bytes: int) -> str:
    """How many huge pages of a size a node has, those in use among them; what is written is a wish (`set_max_huge_pages`, mm/hugetlb.c)."""
    return f"{place(node)}/hugepages/hugepages-{size_bytes >> 10}kB/nr_hugepages"


def free_hugepages(node: NodeName, size_bytes: int) -> str:
    """How many of them nobody has taken."""
    return f"{place(node)}/hugepages/hugepages-{size_bytes >> 10}kB/free_hugepages"


def override(address: Address) -> str:
    """Its `driver_override`: reads ``(null)`` while there is none; a lone newline clears it (`driver_set_override`)."""
    return f"{device(address)}/driver_override"


def bound(address: Address) -> str:
    """The link to its driver, there while it is bound."""
    return f"{device(address)}/driver"


def config(address: Address) -> str:
    """Its configuration space; beyond byte 64 for CAP_SYS_ADMIN only (`pci_read_config`)."""
    return f"{device(address)}/config"


def numvfs(address: Address) -> str:
    """How many virtual functions a physical function has; 0 before any other value (`sriov_numvfs_store`)."""
    return f"{device(address)}/sriov_numvfs"


def autoprobe(address: Address) -> str:
    """Whether drivers bind to new virtual functions by themselves (`sriov_drivers_autoprobe_store`)."""
    return f"{device(address)}/sriov_drivers_autoprobe"


def virtfn(address: Address, index: int) -> str:
    """The link from a physical function to its virtual function `index`, from 0."""
    return f"{device(address)}/virtfn{index}"


def bind(driver: str) -> str:
    """Where an address is written to bind it to `driver` (`bind_store`, drivers/base/bus.c)."""
    return f"{DRIVERS}/{driver}/bind"


def unbind(driver: str) -> str:
    """Where an address is written to take it from `driver` (`unbind_store`, drivers/base/bus.c)."""
    return f"{DRIVERS}/{driver}/unbind"


def is_vfio(driver: str | None) -> bool:
    """Whether a driver hands functions to guests: vfio-pci and its variants, such as mlx5_vfio_pci (drivers/vfio/pci)."""
    return driver is not None and driver.replace("-", "_").endswith("vfio_pci")
